"""Plan and apply through the facade: what changes for training sets and in serving (C14, C15)."""

from __future__ import annotations

import os
import subprocess
import sys

import pyarrow as pa
import pytest

from headwater import (
    Entity,
    Feature,
    FeatureService,
    FeatureStore,
    FeatureView,
    Range,
    ValidationRule,
)
from headwater.errors import ConflictError, DefinitionError, NotFoundError, NotSupportedError
from headwater.expressions import analysis
from store import shop
from store.shop import day, event, moment, view

ROWS = [
    event("a", day(0, 1), amount=1.0),
    event("a", day(0, 2), amount=2.0, kind="click"),
    event("b", day(0, 3), amount=4.0),
]
NOON = day(0, 12)


def served(store: FeatureStore, *features: str, user: str = "a") -> list:
    found = store.get_online_features(list(features), [{"user_id": user}]).to_dict()["values"]
    return [found[name.partition("@")[0]][0] for name in features]


def trained(store: FeatureStore, *features: str, at: int = NOON) -> list:
    row = store.get_historical_features(shop.spine(["a"], [at]), list(features)).to_arrow()
    return [row[name.partition("@")[0]][0].as_py() for name in features]


def total(expression: str = "sum(amount)", *more: Feature, **given) -> FeatureView:
    feature = Feature("total", expression, window="1d", **given)
    return view("totals", [feature, *more], update_frequency="hourly")


def version(store: FeatureStore, feature: str) -> str:
    return store.show("feature", feature)["versions"][0]["version"]


def test_applying_twice_says_no_changes(make):
    store = make(ROWS)
    first = store.apply([shop.activity(), shop.latest()])
    again = store.apply([shop.latest(), shop.activity()])
    assert (first.changed, first.generation) == (True, 1)
    assert (again.changed, again.generation, again.summary) == (False, 1, "no changes")
    plan = make().plan([shop.activity(), shop.latest()])
    assert not plan.has_changes
    assert "no changes" in str(plan)


def test_what_an_apply_does_not_name_stays(make):
    store = make(ROWS)
    store.apply([shop.activity()])
    store.apply([shop.latest()])
    assert {row["name"] for row in store.list("views")} == {"activity", "latest"}
    assert store.plan([shop.latest()]).has_changes is False


def test_prune_removes_what_is_not_given(make):
    store = make(ROWS)
    store.apply([shop.activity(), shop.latest()])
    store.apply([shop.latest()], prune=True)
    assert {row["name"] for row in store.list("views")} == {"latest"}
    with pytest.raises(NotFoundError, match="'clicks_1d' was removed; its last version"):
        store.get_historical_features(shop.spine(["a"], [NOON]), ["clicks_1d"])
    with pytest.raises(NotFoundError, match="clicks_1d"):
        served(store, "clicks_1d")


def test_a_feature_that_comes_back_goes_on_with_its_numbers(make):
    store = make(ROWS)
    store.apply([shop.latest(), total()])
    store.apply([shop.latest()], prune=True)
    assert store.apply([total("sum(amount) + 1")]).changed
    assert version(store, "total") == "2.0.0"


def test_a_plan_that_is_out_of_date_is_a_conflict(make):
    store = make(ROWS)
    mine, yours = store.plan([shop.activity()]), store.plan([shop.latest()])
    make().apply(yours)
    with pytest.raises(
        ConflictError, match=r"(?s)generation 0.*plan again.*generation 1 by"
    ) as told:
        store.apply(mine)
    assert told.value.retryable
    assert {row["name"] for row in store.list("views")} == {"latest"}
    store.apply(store.plan([shop.activity()]))
    assert {row["name"] for row in store.list("views")} == {"activity", "latest"}


def test_a_plan_that_is_applied_already_changes_nothing(make):
    store = make(ROWS)
    plan = store.plan([shop.latest()])
    assert store.apply(plan).changed
    assert make().apply(plan).changed is False


def test_a_description_makes_no_version(make):
    store = make(ROWS)
    store.apply([total(), shop.latest()])
    store.apply([total(description="what was spent", owner="ann", tags=["money"])])
    assert version(store, "total") == "1.0.0"
    assert store.show("feature", "total")["description"] == "what was spent"
    assert len(store.show("feature", "total")["versions"]) == 1


def test_a_default_is_a_version_without_new_data(make):
    store = make(ROWS)
    store.apply([shop.latest(), total()])
    store.materialize(until=NOON)
    revision = store.show("view", "totals")["revision"]
    plan = store.plan([total(default=-1.0)])
    assert plan.backfills == ()
    store.apply(plan)
    assert version(store, "total") == "1.1.0"
    assert store.show("view", "totals")["revision"] == revision
    assert served(store, "total") == [3.0]
    assert served(store, "total", user="nobody") == [-1.0]
    spine = shop.spine(["nobody"], [NOON])
    found = store.get_historical_features(spine, ["total"]).to_arrow()
    assert found["total"].to_pylist() == [-1.0]


def test_a_ttl_is_a_version_without_new_data(make):
    store = make(ROWS)
    store.apply([shop.latest()])
    store.materialize(until=NOON)
    plan = store.plan([shop.latest(ttl="1h")])
    assert plan.backfills == ()
    store.apply(plan)
    assert version(store, "last_amount") == "1.1.0"
    found = store.get_online_features(["last_kind"], [{"user_id": "a"}]).to_dict()
    assert found["statuses"]["last_kind"] == ["OUTSIDE_MAX_AGE"]
    assert trained(store, "last_kind", at=day(0, 2.5)) == ["click"]
    assert trained(store, "last_kind") == [None]
    assert trained(store, "last_kind@1.0.0") == ["click"]


def test_both_versions_of_a_default_are_served_from_one_row(make):
    store = make(ROWS)
    pinned = FeatureService("model", ["total@1.0.0"])
    store.apply([total(default=5.0), pinned])
    store.materialize(until=NOON)
    store.apply([total(default=7.0)])
    assert served(store, "total", user="zz") == [7.0]
    found = store.get_online_features("model", [{"user_id": "zz"}]).to_dict()
    assert found["values"]["total"] == [5.0]
    assert trained(store, "total@1.0.0") == [3.0]


def test_another_expression_is_a_major_version_and_the_old_one_stays_readable(make):
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    plan = store.plan([total("sum(amount * 10)")])
    (change,) = plan.features
    assert (change.bump, change.old_version, change.new_version) == ("major", "1.0.0", "2.0.0")
    assert [backfill.view for backfill in plan.backfills] == ["totals"]
    store.apply(plan)
    assert trained(store, "total") == [30.0]
    assert trained(store, "total@1.0.0") == [3.0]
    assert trained(store, "total@2.0.0") == [30.0]


def test_a_new_major_version_is_not_served_from_the_old_rows(make):
    """Until it has its own, the old version is served, as what it is."""
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    store.apply([total("sum(amount * 10)")])
    assert served(store, "total@2.0.0") == [None]
    found = store.get_online_features(["total"], [{"user_id": "a"}]).to_dict()
    assert (found["values"]["total"], found["versions"]["total"]) == ([3.0], "1.0.0")
    store.materialize(until=NOON)
    assert served(store, "total") == [30.0]


def in_a_row(count):
    return [Feature(f"f{n}", f"f{n - 1} + 1") for n in range(1, count + 1)]


def test_what_would_be_read_through_too_many_features_is_refused(make):
    store = make(ROWS)
    first = view("first", [Feature("f0", "amount")])
    store.apply([first, view("others", in_a_row(150), source=None)])
    store.materialize()
    assert served(store, "f150") == [152.0]
    with pytest.raises(DefinitionError, match=r"'f151': is computed on read, from 150 others"):
        store.plan([first, view("others", in_a_row(151), source=None)])


def test_views_in_a_row_are_counted_too(make):
    daily = {"source": None, "update_frequency": "daily"}
    views = [view(f"v{n}", [f], **daily) for n, f in enumerate(in_a_row(150), start=1)]
    with pytest.raises(DefinitionError, match=r"view 'v150': reads 150 views, one behind"):
        make(ROWS).plan([view("v0", [Feature("f0", "amount")]), *views])


def test_two_versions_of_one_feature_in_one_training_set_need_an_alias(make):
    from headwater import FeatureRef

    store = make(ROWS)
    store.apply([total()])
    store.apply([total("sum(amount * 10)")])
    refs = ["total", FeatureRef("total@1.0.0", alias="total_before")]
    found = store.get_historical_features(shop.spine(["a"], [NOON]), refs).to_arrow()
    assert found.select(["total", "total_before"]).to_pylist() == [
        {"total": 30.0, "total_before": 3.0}
    ]


def test_a_revision_that_is_no_longer_current_is_analysed_once(make, monkeypatch):
    from headwater import store as facade

    store = make(ROWS)
    for factor in (1, 10):
        features = [
            Feature(f"total_{n}", f"sum(amount * {n * factor})", window="1d") for n in range(5)
        ]
        store.apply([view("totals", features, update_frequency="hourly")])
    calls, analyze = [], facade.analyze

    def counted(*arguments):
        calls.append(1)
        return analyze(*arguments)

    store = make()  # a new process, as it were
    store.analyzed()
    monkeypatch.setattr(facade, "analyze", counted)
    pinned = [f"total_{n}@1.0.0" for n in range(5)]
    for _ in range(2):
        found = store.get_historical_features(shop.spine(["a"], [NOON]), pinned).to_arrow()
    assert [found[f"total_{n}"].to_pylist() for n in range(5)] == [[3.0 * n] for n in range(5)]
    assert len(calls) == 1


def test_a_service_pinned_to_an_old_version_is_served_and_kept_up_to_date(make, tmp_path):
    store = make(ROWS)
    store.apply([total(), FeatureService("model", ["total@1.0.0"])])
    store.materialize(until=NOON)
    store.apply([total("sum(amount * 10)")])
    shop.write(tmp_path, [event("a", day(0, 13), amount=8.0)], "events_2.parquet")
    reports = store.materialize("totals", until=day(0, 15))
    assert [report.view for report in reports] == ["totals", "totals"]
    assert len({report.revision for report in reports}) == 2
    assert served(store, "total") == [110.0]
    found = store.get_online_features("model", [{"user_id": "a"}]).to_dict()
    assert found["values"]["total"] == [11.0]
    assert served(store, "total@1.0.0") == [11.0]


def test_a_version_that_nothing_reads_any_more_is_not_run(make, monkeypatch):
    monkeypatch.setenv("HEADWATER_REGISTRY__ROLLBACK_DAYS", "0")
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    store.apply([total("sum(amount * 10)")])
    assert len(store.materialize(until=NOON)) == 1


def test_a_version_that_was_replaced_is_run_for_some_days_where_it_ever_was(make):
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    store.apply([total("sum(amount * 10)")])
    store.apply([total("sum(amount * 20)")])
    now, before = store.materialize(until=day(0, 13))
    assert now.revision == store.show("view", "totals")["revision"]
    assert (before.tick, before.skipped) == (day(0, 13), None)


def test_a_sibling_moves_the_home_and_the_old_rows_serve_until_the_new_are_there(make):
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    before = store.show("view", "totals")["revision"]
    store.apply([total("sum(amount)", Feature("count_1d", "count(*)", window="1d"))])
    assert store.show("view", "totals")["revision"] != before
    assert version(store, "total") == "1.0.0"
    # a row of the old revision has another layout: it must not be read as one of the new
    assert served(store, "total") == [3.0]
    found = store.get_online_features(["count_1d"], [{"user_id": "a"}]).to_dict()
    assert found["statuses"]["count_1d"] == ["NOT_FOUND"]
    store.materialize(until=day(0, 13))
    assert served(store, "total", "count_1d") == [3.0, 2]


def test_a_sibling_that_goes_leaves_the_others_as_they_are(make):
    store = make(ROWS)
    store.apply([total("sum(amount)", Feature("count_1d", "count(*)", window="1d"))])
    store.materialize(until=NOON)
    store.apply([total()])
    assert version(store, "total") == "1.0.0"
    assert served(store, "total") == [3.0]
    with pytest.raises(NotFoundError, match="count_1d"):
        served(store, "count_1d")


def test_a_derived_feature_gets_a_major_version_with_its_input(make):
    store = make(ROWS)
    twice = FeatureView("twice", entity=shop.USER, features=[Feature("double", "total * 2")])
    store.apply([total(), twice])
    store.materialize(until=NOON)
    assert served(store, "double") == [6.0]
    plan = store.plan([total("sum(amount * 10)")])
    assert {change.name: change.bump for change in plan.features} == {
        "total": "major",
        "double": "major",
    }
    store.apply(plan)
    assert trained(store, "double") == [60.0]
    assert trained(store, "double@1.0.0") == [6.0]


@pytest.mark.parametrize("ticks", ["real_time", "hourly"])
def test_a_pinned_derived_version_goes_on_reading_its_inputs_as_they_were(make, tmp_path, ticks):
    store = make(ROWS)
    double = Feature("double", "total * 2")
    twice = FeatureView("twice", entity=shop.USER, features=[double], update_frequency=ticks)
    store.apply([total(), twice, FeatureService("model", ["double@1.0.0"])])
    store.materialize(until=NOON)
    store.apply([total("sum(amount * 10)")])
    shop.write(tmp_path, [event("a", day(0, 13), amount=8.0)], "events_2.parquet")
    store.materialize(until=day(0, 15))
    assert served(store, "double") == [220.0]
    found = store.get_online_features("model", [{"user_id": "a"}]).to_dict()
    assert found["values"]["double"] == [22.0]


def test_definitions_that_another_version_understood_otherwise_are_applied_again(make, monkeypatch):
    make(ROWS).apply([shop.activity()])
    as_it_was = analysis.revision
    monkeypatch.setattr(analysis, "revision", lambda *given: as_it_was(*given)[::-1])
    store = make()
    with pytest.raises(DefinitionError, match=r"another version of Headwater.*apply again"):
        store.materialize(until=moment(NOON))
    assert store.apply([shop.activity()]).changed
    store.materialize(until=moment(NOON))
    assert served(store, "clicks_1d") == [1]


def test_a_rule_makes_a_patch(make):
    store = make(ROWS)
    store.apply([total()])
    store.apply([total(validation_rules=[Range(min=0)])])
    assert version(store, "total") == "1.0.1"


def test_a_rule_that_is_not_built_is_refused_at_plan(make):
    store = make(ROWS)
    with pytest.raises(NotSupportedError, match="'total': rule 'uniqueness' can't be checked yet"):
        store.plan([total(validation_rules=[ValidationRule("uniqueness")])])
    assert store.list("views") == []


def test_a_feature_that_others_read_is_not_removed(make):
    store = make(ROWS)
    twice = FeatureView("twice", entity=shop.USER, features=[Feature("double", "total * 2")])
    store.apply([total(), shop.latest(), twice])
    with pytest.raises(DefinitionError, match="total"):
        store.apply([shop.latest(), twice], prune=True)
    assert len(store.list("views")) == 3


def test_a_service_keeps_the_features_that_it_reads(make):
    store = make(ROWS)
    service = FeatureService("model", ["total", "last_kind"])
    store.apply([total(), shop.latest(), service])
    with pytest.raises(DefinitionError, match="total"):
        store.apply([shop.latest(), service], prune=True)


def test_a_source_without_the_column_is_told_with_the_near_miss(make):
    store = make(ROWS)
    with pytest.raises(DefinitionError, match="did you mean 'amount'"):
        store.apply([total("sum(amout)")])
    assert store.list("views") == []


def test_another_join_key_is_another_view(make):
    store = make(ROWS)
    store.apply([total()])
    kinds = Entity("kind", join_keys={"kind": "string"})
    store.apply([total("sum(amount)").model_copy(update={"entity": kinds})])
    assert version(store, "total") == "2.0.0"
    spine = pa.table({"kind": ["click"], "event_timestamp": [shop.moment(NOON)]})
    assert store.get_historical_features(spine, ["total"]).to_arrow()["total"][0].as_py() == 2.0


def test_services_are_listed_shown_and_removed(make):
    store = make(ROWS)
    store.apply([total(), shop.latest(), FeatureService("model", ["total"])])
    assert [row["name"] for row in store.list("services")] == ["model"]
    store.apply([total(), shop.latest()], prune=True)
    assert store.list("services") == []
    with pytest.raises(NotFoundError):
        store.get_online_features("model", [{"user_id": "a"}])


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get_historical_features(shop.spine([], []), ["last_kind"]),
        lambda store: store.get_historical_features(shop.spine([], []), "model"),
        lambda store: store.get_online_features(["last_kind"], [{"user_id": "a"}]),
        lambda store: store.materialize(),
        lambda store: store.materialize("latest"),
        lambda store: store.backfill("latest", day(0), day(1)),
        lambda store: store.show("feature", "last_kind"),
    ],
)
def test_before_the_first_apply_all_say_so(make, ask):
    with pytest.raises(NotFoundError, match="no features are applied yet to project 'shop'; run"):
        ask(make())


RATE = Feature("rate", "clicks_1d / nullif(views_1d, 0)")
CLICKS = Feature("clicks_1d", "count(*) FILTER (WHERE kind = 'click')", window="1d")
VIEWS = Feature("views_1d", "count(*)", window="1d")
_SERVED = """
import sys
from headwater import FeatureStore
store = FeatureStore(sys.argv[1])
store.materialize(until="2024-01-03")
found = store.get_online_features(["rate", "clicks_1d", "views_1d"], {"user_id": ["a"]})
print(found.to_dict()["values"])
"""


def test_the_order_of_features_is_no_matter_of_their_rows(make):
    """It is none of the revision's: rows that are there must be read as they were written."""
    rows = [event("a", day(1), kind="click"), event("a", day(1, 2)), event("a", day(1, 3))]
    store = make(rows)
    store.apply([view("counts", [RATE, CLICKS, VIEWS], update_frequency="daily")])
    store.materialize(until=day(2))
    names = ["rate", "clicks_1d", "views_1d"]
    before = store.get_online_features(names, {"user_id": ["a"]}).to_dict()
    assert before["values"]["views_1d"] == [3]
    store.apply([view("counts", [VIEWS, CLICKS, RATE], update_frequency="daily")])
    after = store.get_online_features(names, {"user_id": ["a"]}).to_dict()
    assert after["values"] == before["values"]


def test_rows_are_read_as_they_were_written_in_every_process(make, tmp_path):
    """A feature before the two that it reads: which of these comes first is no matter of chance."""
    store = make([event("a", day(1), kind="click"), event("a", day(1, 2))])
    store.apply([view("counts", [RATE, CLICKS, VIEWS], update_frequency="daily")])
    store.close()
    told = set()
    for seed in "12345":
        done = subprocess.run(
            [sys.executable, "-c", _SERVED, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    expected = {"user_id": ["a"], "rate": [0.5], "clicks_1d": [1], "views_1d": [2]}
    assert told == {f"{expected}\n"}


def test_the_order_of_features_is_no_matter_of_what_runs_leave(make, tmp_path):
    """A run of sequences goes on from the state of one before the features changed places."""
    features = [
        Feature("zig", "ema(amount, 2)"),
        Feature("mean", "avg(amount)", rows=3, min_rows=1),
        Feature("alpha", "wilder(amount, 3)"),
        Feature("total", "sum(amount) OVER (ROWS UNBOUNDED PRECEDING)"),
    ]
    names = [feature.name for feature in features]
    store = make([event("a", day(0, n), amount=float(n * n)) for n in range(6)])
    store.apply([view("steps", features)])
    store.materialize(until=day(1))
    store.apply([view("steps", features[::-1])])
    shop.write(tmp_path, [event("a", day(1, 2), amount=7.0)], "events_2.parquet")
    (report,) = store.materialize(until=day(2))
    assert report.anew is None
    assert report.read < 6
    assert served(store, *names) == trained(store, *names, at=day(2))


def test_the_order_of_features_is_no_matter_of_offline_tables(make):
    store = make([event("a", day(1), kind="click"), event("a", day(1, 2))])
    store.apply([view("counts", [RATE, CLICKS, VIEWS], update_frequency="daily")])
    store.backfill("counts", day(1), day(3))
    store.apply([view("counts", [VIEWS, CLICKS, RATE], update_frequency="daily")])
    store.backfill("counts", day(3), day(5))
    revision = store.analyzed().views["counts"].revision
    found = store.tables.read(revision).read_all()
    assert set(found["views_1d"].to_pylist()) <= {0, 2}
    assert all((r["clicks_1d"], r["rate"]) == (1, 0.5) for r in found.to_pylist() if r["views_1d"])
