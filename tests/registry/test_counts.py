"""What processes count of a day: told again and again, folded when the day is over."""

import pytest
from msgspec.structs import replace

from headwater.registry.counts import DAY, Keeper, counted_use, fold_day, keep_counts
from headwater.registry.kinds import FeatureUsage, now_us
from headwater.registry.usage import record_usage, usage_statistics, usage_totals
from headwater.serving.usage import Counted
from registry.samples import analyze, feature, view

pytestmark = pytest.mark.every_registry
TODAY = now_us() // DAY


@pytest.fixture(autouse=True)
def project(apply):
    apply(analyze([view("ads", feature("a"), feature("b"))]))


def counted(writer, name="a", day=TODAY, count=1, **fields):
    given = {"rows": count, "last_used_at": day * DAY + count, "service": "s", **fields}
    found = Counted(feature_name=name, feature_version="1.0.0", day=day, count=count, **given)
    return counted_use(writer, "dev", found)


def total(registry, name="a"):
    return usage_totals(registry, "demo", [name])[name].count


def rows(registry, day):
    return registry.list("demo", FeatureUsage, where={"day": day})


def test_each_process_has_a_row_of_its_own(registry):
    for count in (1, 4, 4, 9):
        assert keep_counts(registry, "demo", [counted("x", count=count)]) == 1
    keep_counts(registry, "demo", [counted("y", count=5), counted("x", service=None)])
    assert total(registry) == 9 + 5 + 1
    assert usage_statistics(registry, "demo", "a").last_used_at == TODAY * DAY + 9


def test_what_is_not_known_or_closed_is_left_out(registry):
    uses = [
        counted("x", "zzz"),
        replace(counted("x"), feature_version="7.0.0"),
        counted("x", day=TODAY - 3),
        counted("x", day=TODAY + 2),
        counted("x", day=TODAY - 2),
    ]
    assert keep_counts(registry, "demo", uses) == 1
    assert total(registry) == 1


def old(writer, count, **fields):
    return counted(writer, day=TODAY - 5, count=count, **fields)


def test_a_day_that_is_over_is_folded_into_one_row(registry):
    record_usage(registry, "demo", [old("x", 3), old("y", 4), old("z", 5, service=None)])
    assert fold_day(registry, "demo", TODAY - 5) == 2
    assert sorted(use.count for use in rows(registry, TODAY - 5)) == [5, 7]
    assert total(registry) == 12
    assert usage_statistics(registry, "demo", "a").last_used_at == (TODAY - 5) * DAY + 5
    assert fold_day(registry, "demo", TODAY - 5) == 0
    record_usage(registry, "demo", [old("w", 1)])
    assert fold_day(registry, "demo", TODAY - 5) == 1
    assert total(registry) == 13


def test_a_day_to_which_something_may_come_is_not_folded(registry):
    record_usage(registry, "demo", [counted("x"), counted("y")])
    assert fold_day(registry, "demo", TODAY) == fold_day(registry, "demo", TODAY - 2) == 0
    assert len(rows(registry, TODAY)) == 2


def test_a_fold_that_was_broken_off_goes_on(registry):
    """A store without transactions may have kept the sum, and not forgotten all of its parts."""
    parts = [old("x", 3), old("y", 4)]
    record_usage(registry, "demo", parts)
    fold_day(registry, "demo", TODAY - 5)
    record_usage(registry, "demo", parts[:1])
    assert fold_day(registry, "demo", TODAY - 5) == 1
    assert total(registry) == 7


def test_the_days_before_are_folded_when_something_is_kept(registry):
    record_usage(registry, "demo", [old("x", 3), old("y", 4)])
    keeper = Keeper(registry, "demo")
    assert keeper.keep([counted("x")]) == 1
    assert len(rows(registry, TODAY - 5)) == 1
    record_usage(registry, "demo", [old("z", 3)])
    keeper.keep([counted("x")])  # once a day is enough
    assert len(rows(registry, TODAY - 5)) == 2
