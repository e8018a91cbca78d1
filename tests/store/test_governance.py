"""Single features that are computed: activation joins a view, a rollback serves what was (C14)."""

from __future__ import annotations

import pytest

from headwater import Feature, FeatureService
from headwater.errors import DefinitionError, NotFoundError, RefusedError
from headwater.registry.records import FeatureRecord, Transformation
from headwater.registry.versions import Wanted
from store import shop
from store.shop import day, event
from store.test_apply import served, total, trained

ROWS = [
    event("a", day(0, 1), amount=1.0),
    event("a", day(0, 2), amount=2.0, kind="click"),
    event("b", day(0, 3), amount=4.0),
]
NOON = day(0, 12)
AUTHOR = "ann"


def sql(code, **parameters):
    return Transformation("sql", code, parameters)


def record(name, code, *upstream, **fields):
    given = {"entity": "user", "source": "events", "update_frequency": "hourly", **fields}
    given.setdefault("frame", {"window": "1d"})
    return FeatureRecord(
        name, "raw", "float64", transformation=sql(code), upstream_features=upstream, **given
    )


def activate(store, *records):
    for item in records:
        store.governance.create(item, author=AUTHOR)
        store.governance.set_status(item.name, "active", author=AUTHOR)


def ready(make):
    """A project with a view of windows, filled at noon of the first day."""
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    return store


# --- activation --------------------------------------------------------------------------


def test_an_active_feature_with_sql_is_computed_and_served(make):
    store = ready(make)
    activate(store, record("biggest", "max(amount)"))
    assert trained(store, "biggest") == [2.0]
    store.materialize(until=NOON)
    assert served(store, "biggest", "total") == [2.0, 3.0]
    found = store.governance.get("biggest")
    assert (found.entry.status, found.entry.current) == ("active", "1.0.0")


def test_features_of_one_kind_join_one_view(make):
    store = ready(make)
    activate(
        store,
        record("biggest", "max(amount)"),
        record("smallest", "min(amount)"),
        record("daily", "max(amount)", update_frequency="daily"),
        record("newest", "amount", frame={}),
    )
    views = {n: store.governance.get(n).entry.view for n in ("biggest", "smallest", "daily")}
    assert views == {
        "biggest": "api__user__events__hourly",
        "smallest": "api__user__events__hourly",
        "daily": "api__user__events__daily",
    }
    assert store.governance.get("newest").entry.view == "api__user__events__hourly__rows"
    assert trained(store, "biggest", "smallest", "newest") == [2.0, 1.0, 2.0]


def test_a_feature_over_others_needs_no_source(make):
    store = ready(make)
    activate(store, record("biggest", "max(amount)"))
    share = record(
        "share", "biggest / total", "biggest", "total", source=None, entity=None, frame={}
    )
    activate(store, share)
    assert trained(store, "share") == [2.0 / 3.0]
    assert store.governance.get("biggest").downstream == ("share",)


def test_a_mistake_in_the_sql_is_told_at_activation(make):
    store = ready(make)
    store.governance.create(record("biggest", "max(amout)"), author=AUTHOR)
    with pytest.raises(DefinitionError, match="did you mean 'amount'"):
        store.governance.set_status("biggest", "active", author=AUTHOR)
    assert store.governance.get("biggest").entry.status == "draft"
    fixed = {"transformation": sql("max(amount)")}
    store.governance.update("biggest", fixed, author=AUTHOR)
    store.governance.set_status("biggest", "active", author=AUTHOR)
    assert trained(store, "biggest") == [2.0]


def test_an_unknown_source_is_told_at_activation(make):
    store = ready(make)
    store.governance.create(record("x", "max(amount)", source="event"), author=AUTHOR)
    with pytest.raises(DefinitionError, match="no source 'event'; did you mean 'events'"):
        store.governance.set_status("x", "active", author=AUTHOR)


def test_code_of_another_language_is_not_run(make):
    store = ready(make)
    python = Transformation("python", "def f(x): return x")
    draft = FeatureRecord("f", "raw", "float64", transformation=python, source="events")
    store.governance.create(draft, author=AUTHOR)
    with pytest.raises(RefusedError, match="kept and shown, not run"):
        store.governance.set_status("f", "active", author=AUTHOR)


def test_what_has_no_values_says_so(make):
    store = ready(make)
    activate(store, FeatureRecord("idea", "raw", "float64"))
    store.governance.create(FeatureRecord("draft", "raw", "float64"), author=AUTHOR)
    with pytest.raises(NotFoundError, match="'idea' is an entry of the catalogue"):
        trained(store, "idea")
    with pytest.raises(NotFoundError, match="'draft' is a draft"):
        trained(store, "draft")


def test_applying_definitions_leaves_single_features_alone(make):
    store = ready(make)
    activate(store, record("biggest", "max(amount)"))
    plan = store.plan([total()], prune=True)
    assert not plan.has_changes
    store.apply([total("avg(amount)")], prune=True)
    assert trained(store, "biggest", "total") == [2.0, 1.5]


def test_a_definition_takes_a_single_feature_over(make):
    store = ready(make)
    activate(store, record("biggest", "max(amount)"), record("smallest", "min(amount)"))
    mine = Feature("biggest", "max(amount)", window="1d", dtype="float64")
    plan = store.plan([total("sum(amount)", mine)])
    (change,) = [found for found in plan.features if found.name == "biggest"]
    assert (change.old_version, change.new_version) == ("1.0.0", "1.0.0")
    store.apply(plan)
    assert store.governance.get("biggest").entry.view == "totals"
    assert trained(store, "biggest", "smallest", "total") == [2.0, 1.0, 3.0]


# --- edition -----------------------------------------------------------------------------


def test_other_sql_is_another_version_with_other_values(make):
    store = ready(make)
    store.governance.update("total", {"transformation": sql("max(amount)")}, author=AUTHOR)
    assert trained(store, "total") == [2.0]
    assert trained(store, "total@1.0.0") == [3.0]
    assert store.governance.get("total").entry.current == "2.0.0"
    store.materialize(until=NOON)
    assert served(store, "total") == [2.0]


def test_a_description_reaches_the_definition(make):
    store = ready(make)
    store.governance.update("total", {"description": "a sum", "tags": ("x",)}, author=AUTHOR)
    shown = store.show("feature", "total")
    assert (shown["description"], shown["tags"]) == ("a sum", ["x"])
    assert store.governance.get("total").entry.current == "1.0.0"


def test_a_version_by_number_has_to_reach_what_the_change_deserves(make):
    store = ready(make)
    snapshot = {"transformation": sql("max(amount)")}
    with pytest.raises(RefusedError, match=r"this change deserves 2\.0\.0"):
        store.governance.create_version("total", Wanted("1.5.0", ""), snapshot, author=AUTHOR)
    made = store.governance.create_version(
        "total", Wanted("3.0.0", "the greatest"), snapshot, author=AUTHOR
    )
    assert (made.version, made.content.changelog) == ("3.0.0", "the greatest")
    assert trained(store, "total") == [2.0]


# --- rollback ----------------------------------------------------------------------------


def bad(make):
    """`total` at 2.0.0, whose values are served; 1.0.0 was served before."""
    store = ready(make)
    store.apply([total("max(amount)")])
    store.materialize(until=NOON)
    assert served(store, "total") == [2.0]
    return store


def test_a_rollback_serves_at_once_what_the_old_version_served(make):
    store = bad(make)
    back = store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert back.version == "1.0.0_rollback"
    assert served(store, "total") == [3.0]
    assert trained(store, "total") == [3.0]
    assert trained(store, "total@2.0.0") == [2.0]


def test_what_was_replaced_is_kept_up_to_date_for_a_rollback(make):
    store = bad(make)
    shop.write(store.settings.root, [*ROWS, event("a", day(0, 13), amount=8.0)])
    store.materialize(until=day(0, 14))
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total") == [11.0]


def test_after_its_days_nothing_is_kept_up_to_date(make, monkeypatch):
    monkeypatch.setenv("HEADWATER_REGISTRY__ROLLBACK_DAYS", "0")
    store = bad(make)
    shop.write(store.settings.root, [*ROWS, event("a", day(0, 13), amount=8.0)])
    done = store.materialize(until=day(0, 14))
    assert len(done) == 1
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total") == [3.0]
    store.materialize(until=day(0, 14))
    assert served(store, "total") == [11.0]


def test_applying_the_bad_definition_again_does_not_bring_it_back(make):
    store = bad(make)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    again = store.apply([total("max(amount)")], prune=True)
    assert not again.changed
    store.apply([total("max(amount)"), shop.latest()])
    store.materialize(until=NOON)
    assert served(store, "total") == [3.0]
    assert store.governance.get("total").entry.current == "1.0.0_rollback"


def test_the_mended_definition_is_the_next_version(make):
    store = bad(make)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    store.apply([total("min(amount)")])
    store.materialize(until=NOON)
    assert served(store, "total") == [1.0]
    assert store.governance.get("total").entry.current == "3.0.0"
    assert trained(store, "total@2.0.0") == [2.0]
    assert trained(store, "total@1.0.0") == [3.0]


def test_the_old_definition_again_stays_the_rollback(make):
    store = bad(make)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    store.apply([total()])
    found = store.governance.get("total").entry
    assert (found.current, found.held) == ("1.0.0_rollback", None)
    assert served(store, "total") == [3.0]


def test_what_reads_a_feature_reads_the_version_that_it_was_made_for(make):
    """A rollback computes nothing again: what is derived goes back by a rollback of its own."""
    store = make(ROWS)
    half = Feature("half", "total / 2")
    store.apply([total("sum(amount)", half)])
    store.materialize(until=NOON)
    store.apply([total("max(amount)", half)])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total", "half") == [3.0, 1.0] == trained(store, "total", "half")
    store.governance.rollback("half", "1.0.0", author=AUTHOR)
    assert served(store, "total", "half") == [3.0, 1.5] == trained(store, "total", "half")


def test_what_is_computed_on_read_reads_the_version_that_it_was_made_for(make):
    store = make(ROWS)
    rates = shop.view("rates", [Feature("half", "total / 2")], source=None)
    store.apply([total(), rates])
    store.materialize(until=NOON)
    store.apply([total("max(amount)"), rates])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total", "half") == [3.0, 1.0] == trained(store, "total", "half")


def test_a_default_goes_back_with_its_version(make):
    store = make(ROWS)
    store.apply([total(default=-1.0)])
    store.materialize(until=NOON)
    store.apply([total(default=-2.0)])
    assert served(store, "total", user="nobody") == [-2.0]
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total", user="nobody") == [-1.0]
    assert store.governance.get("total").record.frame["default"] == -1.0


def test_a_service_that_follows_goes_back_too(make):
    store = make(ROWS)
    store.apply([total(), FeatureService("ranker", ["total"])])
    store.materialize(until=NOON)
    store.apply([total("max(amount)")])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    found = store.get_online_features("ranker", [{"user_id": "a"}]).to_dict()["values"]
    assert found["total"] == [3.0]


def test_what_is_computed_on_read_goes_back_with_what_it_reads(make):
    """The versions that the earlier one reads are served again too."""
    store = make(ROWS)

    def rates(expression):
        return shop.view("rates", [Feature("half", expression)], source=None)

    store.apply([total(), rates("total / 2")])
    store.materialize(until=NOON)
    store.apply([total("max(amount)"), rates("total / 4")])
    store.materialize(until=NOON)
    store.governance.rollback("half", "1.0.0", author=AUTHOR)
    assert served(store, "total", "half") == [2.0, 1.5] == trained(store, "total", "half")


def test_code_that_is_only_written_otherwise_makes_a_patch(make):
    store = ready(make)
    activate(store, record("biggest", "max(amount)"))
    spelled = {"transformation": sql("max( amount )")}
    proposed = store.governance.propose("biggest", spelled, author=AUTHOR)
    assert (proposed.version, proposed.bump) == ("1.0.1", "patch")
    made = store.governance.update("biggest", spelled, author=AUTHOR)
    assert made.entry.current == "1.0.1"
    assert (
        store.governance.version("biggest", "1.0.1").content.transformation.code == "max( amount )"
    )
    assert store.governance.version("biggest", "1.0.0").content.transformation.code == "max(amount)"
    assert trained(store, "biggest") == trained(store, "biggest@1.0.0") == [2.0]
    store.materialize(until=NOON)
    assert served(store, "biggest") == [2.0]


def test_what_was_archived_by_request_stays_so(make):
    store = ready(make)
    activate(store, record("biggest", "max(amount)"), record("smallest", "min(amount)"))
    for status in ("deprecated", "archived"):
        store.governance.set_status("biggest", status, author=AUTHOR)
    other = Feature("last_kind", "kind")
    store.apply([shop.view("others", [other])])
    store.governance.update("smallest", {"transformation": sql("min(amount) + 1")}, author=AUTHOR)
    assert store.governance.get("biggest").entry.status == "archived"
    assert store.governance.get("smallest").entry.current == "2.0.0"
