import pytest

from headwater.registry.audit import history, utc_text
from headwater.registry.changes import FieldChange
from registry.samples import analyze, feature, view

pytestmark = pytest.mark.every_registry


def project(expression):
    return analyze([view("ads", feature("a", expression))])


def test_history_says_who_changed_what_from_what_to_what(registry, apply):
    apply(project("sum(x)"), author="ann")
    apply(project("avg(x)"), author="bob")
    last, first = history(registry, "demo")
    assert (last.generation, last.author, last.at) == (2, "bob", 1_000_000)
    assert last.summary == "1 feature, 1 view changed"
    (change,) = last.features
    assert (change.old_version, change.new_version, change.bump) == ("1.0.0", "2.0.0", "major")
    assert change.fields == (FieldChange("expression", "sum(x)", "avg(x)"),)
    assert [c.action for c in last.revisions] == ["new", "retired"]
    assert (first.generation, first.author) == (1, "ann")


def test_an_apply_that_changes_nothing_leaves_no_trace(registry, apply):
    apply(project("sum(x)"))
    apply(project("sum(x)"))
    assert len(history(registry, "demo")) == 1


def test_history_selects_and_limits(registry, apply):
    for n in range(12):
        apply(project(f"sum(x + {n})"), author="ann" if n % 2 else "bob")
    assert [commit.generation for commit in history(registry, "demo", limit=3)] == [12, 11, 10]
    assert {c.generation % 2 for c in history(registry, "demo", author="bob")} == {1}
    assert history(registry, "nobody") == ()


def test_times_are_printed_in_utc():
    assert utc_text(0) == "1970-01-01 00:00:00Z"
    assert utc_text(-1) == "1969-12-31 23:59:59Z"
