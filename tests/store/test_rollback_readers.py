"""After a rollback: what is made anew reads what is current, what was made before stays (C14)."""

from __future__ import annotations

import pytest

from headwater import Feature
from headwater.errors import DefinitionError
from store import shop
from store.shop import day
from store.test_apply import served, total, trained
from store.test_governance import AUTHOR, NOON, ROWS, activate, record, sql

GOOD, BAD = 3.0, 2.0  # what `total` is at 1.0.0, and at 2.0.0


def over(*features, name="rates", **given):
    """A view of features over others; computed when it is read unless it has a frequency."""
    return shop.view(name, features, source=None, **given)


def went_back(make, *views, beside=()):
    """`total` at 2.0.0 rolled back to 1.0.0, with views that were applied before that, and with
    features `beside` it.
    """
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    store.apply([total("max(amount)", *beside), *views])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    return store


def both(store, *features):
    """The values online, after having seen that training sets hold the same."""
    found = served(store, *features)
    assert trained(store, *features) == found
    return found


def current(store, name):
    return store.governance.get(name).entry.current


TWICE = Feature("twice", "total * 2")
THRICE = Feature("thrice", "total * 3")


def test_a_new_feature_of_another_view_reads_what_is_current(make):
    store = went_back(make)
    store.apply([over(TWICE)])
    assert both(store, "total", "twice") == [GOOD, 2 * GOOD]


def test_a_new_feature_of_a_stored_view_reads_what_is_current(make):
    store = went_back(make)
    store.apply([over(TWICE, update_frequency="hourly")])
    store.materialize(until=NOON)
    assert both(store, "total", "twice") == [GOOD, 2 * GOOD]
    store.backfill("rates", start=day(0), end=day(1))
    assert trained(store, "twice") == [2 * GOOD]


def test_a_new_feature_of_the_same_view_reads_what_is_current(make):
    store = went_back(make)
    store.apply([total("max(amount)", TWICE)])
    store.materialize(until=NOON)
    assert both(store, "total", "twice") == [GOOD, 2 * GOOD]


def test_a_feature_of_the_api_reads_what_is_current(make):
    store = went_back(make)
    activate(store, record("twice", "total * 2", "total", source=None, frame={}))
    store.materialize(until=NOON)
    assert both(store, "twice") == [2 * GOOD]


def test_what_was_made_before_stays_beside_what_is_new(make):
    store = went_back(make, over(TWICE))
    store.apply([over(TWICE, THRICE)])
    assert both(store, "total", "twice", "thrice") == [GOOD, 2 * BAD, 3 * GOOD]
    assert current(store, "twice") == "1.0.0"


def test_so_it_does_in_a_view_that_holds_all_of_them(make):
    store = went_back(make, beside=[TWICE])
    store.apply([total("max(amount)", TWICE, THRICE)])
    store.materialize(until=NOON)
    assert both(store, "total", "twice", "thrice") == [GOOD, 2 * BAD, 3 * GOOD]


def test_what_is_changed_reads_what_is_current(make):
    store = went_back(make, over(TWICE))
    changed = Feature("twice", "2 * total + 1")
    store.apply([over(changed)])
    assert both(store, "twice") == [2 * GOOD + 1]
    assert current(store, "twice") == "2.0.0"
    [made] = store.governance.versions("twice")[:1]
    assert made.content.comparison is not None
    assert made.content.comparison.difference.differing > 0


def test_a_change_over_the_api_reads_what_is_current(make):
    store = went_back(make, over(TWICE))
    changed = {"transformation": sql("2 * total + 1")}
    store.governance.update("twice", changed, author=AUTHOR)
    assert both(store, "twice") == [2 * GOOD + 1]


@pytest.mark.parametrize("frequency", ["real_time", "hourly"])
def test_applying_the_same_again_changes_nothing(make, frequency):
    views = [over(TWICE, THRICE, update_frequency=frequency), total("max(amount)")]
    store = went_back(make, over(TWICE, update_frequency=frequency))
    assert not store.plan([over(TWICE, update_frequency=frequency), total("max(amount)")]).errors
    assert store.apply(views).changed
    for opened in (store, make()):
        assert not opened.apply(views).changed
    store.materialize(until=NOON)
    assert both(store, "twice", "thrice") == [2 * BAD, 3 * GOOD]


def test_a_feature_over_one_that_was_made_before_reads_it_as_it_is(make):
    store = went_back(make, over(TWICE))
    store.apply([over(Feature("more", "twice + 1"), name="more")])
    assert both(store, "twice", "more") == [2 * BAD, 2 * BAD + 1]
    store.apply([over(TWICE, Feature("less", "twice - 1"))])
    assert both(store, "twice", "less") == [2 * BAD, 2 * BAD - 1]


def test_one_computation_cannot_read_both_versions(make):
    store = went_back(make, over(TWICE))
    plan = store.plan([over(Feature("gap", "twice - total"), name="gaps")])
    [error] = plan.errors
    assert error == (
        "feature 'gap': reads total (rolled back to 1.0.0_rollback) and twice (1.0.0), which one "
        "view can't compute together; roll back or change what was made for the other version "
        "first, or let the definitions say what is current"
    )
    with pytest.raises(DefinitionError, match="one view can't compute together"):
        store.apply(plan)


def test_the_mended_definition_reaches_all(make):
    store = went_back(make, over(TWICE))
    store.apply([over(TWICE, THRICE)])
    store.apply([total("min(amount)")])
    store.materialize(until=NOON)
    assert both(store, "total", "twice", "thrice") == [1.0, 2.0, 3.0]


def test_the_old_definition_again_reaches_those_alone_that_read_the_bad_one(make):
    store = went_back(make, over(TWICE))
    store.apply([over(TWICE, THRICE)])
    store.apply([total()])
    store.materialize(until=NOON)
    assert both(store, "total", "twice", "thrice") == [GOOD, 2 * GOOD, 3 * GOOD]
    assert (current(store, "twice"), current(store, "thrice")) == ("2.0.0", "1.0.0")


def test_a_second_rollback_leaves_what_was_made_between(make):
    store = went_back(make)
    store.apply([total("count(*) * 10.0")])
    store.materialize(until=NOON)
    store.governance.rollback("total", "2.0.0", author=AUTHOR)
    store.apply([over(TWICE)])
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    store.apply([over(TWICE, THRICE)])
    assert both(store, "total", "twice", "thrice") == [GOOD, 2 * BAD, 3 * GOOD]
    assert not store.apply([over(TWICE, THRICE), total("count(*) * 10.0")]).changed


def test_a_rollback_to_what_is_declared_ends_it(make):
    store = went_back(make)
    store.apply([over(TWICE)])
    store.governance.rollback("total", "2.0.0", author=AUTHOR)
    store.apply([over(TWICE, THRICE)])
    assert both(store, "total", "twice", "thrice") == [BAD, 2 * BAD, 3 * BAD]
    assert not store.apply([over(TWICE, THRICE), total("max(amount)")]).changed


def test_what_was_derived_and_rolled_back_too_is_read_as_it_is(make):
    store = make(ROWS)
    store.apply([total(), over(TWICE)])
    store.materialize(until=NOON)
    store.apply([total("max(amount)")])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    store.governance.rollback("twice", "1.0.0", author=AUTHOR)
    store.apply([over(Feature("gap", "twice - total"), name="gaps")])
    assert both(store, "total", "twice", "gap") == [GOOD, 2 * GOOD, GOOD]


def test_a_rollback_of_what_its_view_says_is_not_read_as_something_else(make):
    """The version can't be computed within the view as it is now: nobody guesses."""
    store = make(ROWS)
    store.apply([shop.view("rows", [Feature("last", "amount")], ttl="1d")])
    store.apply([shop.view("rows", [Feature("last", "amount")], ttl="2d")])
    store.governance.rollback("last", "1.0.0", author=AUTHOR)
    [error] = store.plan([over(Feature("twice", "last * 2"))]).errors
    assert error.startswith(
        "feature 'twice': reads last (rolled back to 1.0.0_rollback), and view 'rows' is not what "
    )


def test_the_readers_of_the_bad_version_are_told(make):
    store = went_back(make, over(TWICE), over(Feature("more", "twice + 1"), name="more"))
    store.apply([over(TWICE, THRICE)])
    made = store.governance.version("total", "1.0.0_rollback")
    left = store.governance.left_behind(made)
    assert left.version == "2.0.0"
    assert left.features == (("twice", "1.0.0"), ("more", "1.0.0"))
    again = store.governance.rollback("total", "2.0.0", author=AUTHOR)
    assert store.governance.left_behind(again).features == (("thrice", "1.0.0"),)


def test_lineage_names_the_version_that_is_read(make):
    store = went_back(make, over(TWICE))
    store.apply([over(TWICE, THRICE)])
    lineage = store.lineage
    assert lineage.contents.inputs(("twice", "1.0.0")) == (("total", "2.0.0"),)
    assert lineage.contents.inputs(("thrice", "1.0.0")) == (("total", "1.0.0_rollback"),)
    graph = lineage.graph([lineage.find("twice"), lineage.find("thrice")], direction="up", depth=1)
    labels = {edge.end: edge.labels for edge in graph.edges if edge.start == "feature:total"}
    assert labels == {"feature:twice": ("reads 2.0.0",), "feature:thrice": ()}


def test_gc_keeps_what_was_made_before(make, monkeypatch):
    monkeypatch.setenv("HEADWATER_REGISTRY__ROLLBACK_DAYS", "0")
    store = went_back(make, over(TWICE, update_frequency="hourly"))
    store.apply([over(TWICE, THRICE, update_frequency="hourly")])
    store.materialize(until=NOON)
    store.collect_garbage()
    assert both(store, "twice", "thrice") == [2 * BAD, 3 * GOOD]
