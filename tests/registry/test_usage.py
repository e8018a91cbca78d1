"""Who uses which features, and what that adds up to."""

import pytest
from msgspec.structs import replace

from headwater.errors import NotFoundError
from headwater.registry.kinds import FeatureUsage
from headwater.registry.listed import UsageGroup, UsageTotal
from headwater.registry.usage import (
    UsageStatistics,
    record_usage,
    usage_history,
    usage_statistics,
    usage_totals,
)
from registry.samples import analyze, feature, view

pytestmark = pytest.mark.every_registry


@pytest.fixture(autouse=True)
def project(apply):
    apply(analyze([view("ads", feature("a"), feature("b"))]))


def use(number, name="a", model="ranker", environment="production", **fields):
    return FeatureUsage(str(number), name, "1.0.0", model, environment, number, **fields)


def test_uses_come_newest_first(registry):
    record_usage(registry, "demo", [use(2), use(9), use(5), use(7, "b")])
    assert [u.usage_timestamp for u in usage_history(registry, "demo", "a")] == [9, 5, 2]
    assert [u.usage_timestamp for u in usage_history(registry, "demo", "a", limit=2)] == [9, 5]


def test_a_use_that_is_told_twice_counts_once(registry):
    for _ in range(2):
        record_usage(registry, "demo", [use(1)])
    assert usage_totals(registry, "demo", ["a", "b"]) == {"a": UsageTotal(1, 1), "b": UsageTotal()}


def test_batches_count_as_many(registry):
    record_usage(registry, "demo", [use(1, count=1_000_000), use(2)])
    assert usage_totals(registry, "demo", ["a"])["a"] == UsageTotal(1_000_001, 2)


def test_what_uses_add_up_to(registry):
    record_usage(
        registry,
        "demo",
        [
            use(1, feature_importance=0.2, correlation_with_target=-0.5),
            use(2, model="other", environment="dev", feature_importance=0.4),
            use(3, environment="dev", count=3),
        ],
    )
    assert usage_statistics(registry, "demo", "a") == UsageStatistics(
        total_usage=5,
        unique_models=2,
        environments=("dev", "production"),
        avg_importance=pytest.approx(0.3),
        avg_correlation=-0.5,
        last_used_at=3,
    )
    assert usage_statistics(registry, "demo", "b") == UsageStatistics(0, 0, (), None, None, None)


def test_a_version_has_one_name(registry):
    (kept,) = record_usage(registry, "demo", [replace(use(1), feature_version="1.0")])
    assert kept.feature_version == "1.0.0"
    record_usage(registry, "demo", [use(2)])
    (group,) = registry.usage_groups("demo", ["a"])
    assert (group.feature_version, group.count) == ("1.0.0", 2)


def test_models_are_those_that_have_a_name(registry):
    told = {"operation": "online", "service": "ranking"}
    record_usage(registry, "demo", [use(1, model="", **told), use(2, model="m"), use(3, model="m")])
    assert usage_statistics(registry, "demo", "a").unique_models == 1


def test_what_is_alike_is_added_up(registry):
    record_usage(
        registry,
        "demo",
        [
            use(1, service="s", operation="online", rows=10, count=4),
            use(2, service="s", operation="online", rows=20, count=5, feature_importance=0.5),
            use(3, service="s", operation="training", rows=1_000),
            use(4, feature_importance=1, correlation_with_target=0.25),
            use(5, "b", feature_importance=0.1),
        ],
    )
    alike = {"feature_version": "1.0.0", "used_by_model": "ranker", "environment": "production"}
    online = UsageGroup(
        **{**alike, "feature_name": "a", "service": "s", "operation": "online"},
        count=9,
        rows=30,
        importance=0.5,
        importances=1,
    )
    training = replace(online, operation="training", count=1, rows=1_000)
    training = replace(training, importance=0.0, importances=0)
    told = replace(training, service=None, operation=None, rows=0, importance=1.0, importances=1)
    told = replace(told, correlation=0.25, correlations=1)
    other = replace(told, feature_name="b", importance=0.1, correlation=0.0, correlations=0)

    def groups(*names, **given):
        found = registry.usage_groups("demo", names or None, **given)
        return sorted(found, key=lambda g: (g.feature_name, g.operation or "z"))

    assert groups("a") == [online, training, told]
    assert groups() == [online, training, told, other]
    assert groups("b", "zzz") == [other]
    assert groups(since=3) == [training, told, other]
    assert groups("a", since=9) == []


def test_what_a_process_counted_replaces_what_it_had_counted(registry):
    for count in (3, 3, 8):
        record_usage(registry, "demo", [use(1, day=20_000, count=count, rows=count)])
    assert usage_totals(registry, "demo", ["a"])["a"].count == 8
    (group,) = registry.usage_groups("demo", ["a"])
    assert (group.count, group.rows) == (8, 8)


def test_only_what_exists_is_used(registry):
    with pytest.raises(NotFoundError, match="no feature 'aa'; did you mean 'a'"):
        record_usage(registry, "demo", [use(1), use(2, "aa")])
    with pytest.raises(NotFoundError, match=r"feature 'a' has no version '2\.0\.0'"):
        record_usage(registry, "demo", [FeatureUsage("1", "a", "2.0.0", "m", "dev", 1)])
    assert usage_history(registry, "demo", "a") == ()
    with pytest.raises(NotFoundError, match="no feature 'zzz'"):
        usage_history(registry, "demo", "zzz")
