"""The bump that a plan proposes by looking at values: what is compared, and what comes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import asdict

from headwater import Entity, Feature, FeatureStore, FeatureView, Source
from headwater.registry.kinds import FeatureVersion
from headwater.registry.plan import decode_plan, encode_plan
from store import shop
from store.conftest import make  # noqa: F401 (a fixture)
from store.shop import DAY, HOUR, day, event, view
from store.test_apply import served, total, trained
from store.test_functions import GOOD, module  # noqa: F401 (a fixture)

EVENTS = shop.random_events(400, users=12)
NOON = day(9)


def change(store: FeatureStore, *views: FeatureView, name: str = "total"):
    return next(found for found in store.plan(views).features if found.name == name)


def counted(found) -> tuple[int, int]:
    return found.comparison.difference.differing, found.comparison.difference.rows


@pytest.fixture
def store(make):  # noqa: F811
    opened = make(EVENTS)
    opened.apply([total()])
    return opened


# --- which bump --------------------------------------------------------------------------


def test_another_spelling_is_no_version_and_is_not_compared(store):
    found = change(store, total("SUM( amount )"))
    assert (found.bump, found.new_version, found.comparison) == (None, "1.0.0", None)


def test_no_difference_on_the_sample_is_a_patch(store):
    found = change(store, total("sum(amount * 1)"))
    assert (found.bump, found.new_version) == ("patch", "1.0.1")
    differing, rows = counted(found)
    assert (differing, found.reason) == (0, f"none of {rows:,} sampled values differs: expression")
    sample = found.comparison.sample
    assert (found.comparison.against, sample.keys, sample.rows) == ("1.0.0", 12, rows)
    assert list(sample.sources) == ["events"]
    assert sample.first < sample.last


def test_a_difference_is_major_and_says_how_large(store):
    found = change(store, total("sum(amount) + 0.5"))
    assert (found.bump, found.new_version) == ("major", "2.0.0")
    difference = found.comparison.difference
    nulls = difference.rows - difference.differing
    assert difference.differing > nulls
    assert difference.max_abs == pytest.approx(0.5)
    assert difference.mean_abs == pytest.approx(0.5)
    example = difference.examples[0]
    assert example.new - example.old == difference.max_abs
    (old,) = trained_at(store, example.key["user_id"], example.at)
    assert old == example.old


def trained_at(store, user, at):
    found = store.get_historical_features(shop.spine([user], [at]), ["total"]).to_arrow()
    return found["total"].to_pylist()


def test_what_becomes_null_is_counted(store):
    found = change(store, total("nullif(sum(amount), sum(amount))"))
    difference = found.comparison.difference
    assert difference.nulls_gained == difference.differing > 0
    assert (difference.nulls_lost, difference.max_abs) == (0, None)
    assert "became null" in str(store.plan([total("nullif(sum(amount), sum(amount))")]))


def test_a_window_that_is_longer_than_the_history_shows_where_rows_leave_it(make):  # noqa: F811
    store = make([event("a", day(0, 1), amount=1.0)])
    store.apply([view("v", [Feature("total", "sum(amount)", window="30d")])])
    found = change(store, view("v", [Feature("total", "sum(amount)", window="60d")]))
    assert found.bump == "major"
    assert found.comparison.difference.nulls_lost > 0


def test_another_type_is_major_and_not_compared(store):
    found = change(store, total("sum(items)"))
    assert (found.bump, found.comparison) == ("major", None)
    assert found.reason == "its values change: expression, dtype"


def test_other_keys_are_major(make):  # noqa: F811
    store = make(EVENTS)
    store.apply([view("v", [Feature("total", "max(amount)", window="1d")])])
    other = Entity("kind", join_keys={"kind": "string"})
    found = change(store, view("v", [Feature("total", "max(amount)", window="1d")], entity=other))
    assert (found.bump, found.comparison.skipped) == ("major", "its keys change")


@pytest.mark.parametrize(
    ("fields", "bump"), [({"default": 0.0}, "minor"), ({"description": "x"}, "patch")]
)
def test_what_else_changes_is_judged_beside_the_values(store, fields, bump):
    found = change(store, total("sum(amount * 1)", **fields))
    assert (found.bump, counted(found)[0]) == (bump, 0)


def test_an_age_that_changes_beside_the_values_is_an_addition(make):  # noqa: F811
    store = make(EVENTS)
    store.apply([view("v", [Feature("total", "amount")])])
    found = change(store, view("v", [Feature("total", "amount * 1")], ttl="1h"))
    assert (found.bump, counted(found)[0]) == ("minor", 0)
    assert found.reason.endswith("expression; served otherwise: ttl of view 'v'")


def test_a_default_alone_is_an_addition_and_not_compared(store):
    found = change(store, total(default=0.0))
    assert (found.bump, found.new_version, found.comparison) == ("minor", "1.1.0", None)


# --- what is compared --------------------------------------------------------------------


def windowed(*features, **given):
    return view("v", features, **{"update_frequency": "hourly", "data_delay": "15m", **given})


BEFORE = {
    "lookup": view("v", [Feature("total", "amount")]),
    "sequence": view("v", [Feature("total", "avg(amount)", rows=3)]),
    "ema": view("v", [Feature("total", "ema(amount, 2)")]),
    "windowed": windowed(Feature("total", "sum(amount)", window="2d")),
    "text": view("v", [Feature("total", "kind")]),
    "list": windowed(Feature("total", "last_k(amount, 2)", window="2d")),
    "ticks": windowed(Feature("total", "sum(amount)", window="2d")),
    "delay": windowed(Feature("total", "sum(amount)", window="2d")),
    "hop": windowed(Feature("total", "sum(amount)", window="1d")),
    "offset": windowed(Feature("total", "sum(amount)", window="1d")),
}
AFTER = {
    "lookup": view("v", [Feature("total", "coalesce(amount, 0)")]),
    "sequence": view("v", [Feature("total", "avg(amount)", rows=4)]),
    "ema": view("v", [Feature("total", "ema(amount, 3)")]),
    "windowed": windowed(Feature("total", "sum(amount) FILTER (WHERE items > 0)", window="2d")),
    "text": view("v", [Feature("total", "upper(kind)")]),
    "list": windowed(Feature("total", "last_k(amount, 3)", window="2d")),
    "ticks": windowed(Feature("total", "sum(amount)", window="2d"), update_frequency="daily"),
    "delay": windowed(Feature("total", "sum(amount)", window="2d"), data_delay="12h"),
    "hop": windowed(Feature("total", "sum(amount)", window="1d", tail_hop="6h")),
    "offset": windowed(Feature("total", "sum(amount)", window="1d", offset="2h")),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_every_kind_of_feature_is_compared(make, kind):  # noqa: F811
    store = make(EVENTS)
    store.apply([BEFORE[kind]])
    found = change(store, AFTER[kind])
    assert found.comparison.skipped == ""
    assert (found.bump, counted(found)[0] > 0) == ("major", True)


def test_examples_are_the_values_that_training_sees_before_and_after(make):  # noqa: F811
    store = make(EVENTS)
    store.apply([BEFORE["ticks"]])
    plan = store.plan([AFTER["windowed"]])
    examples = plan.features[0].comparison.difference.examples
    store.apply(plan)
    spine = shop.spine([e.key["user_id"] for e in examples], [e.at for e in examples])
    refs = ["total@1.0.0", "total"]
    for ref, values in zip(
        refs, ([e.old for e in examples], [e.new for e in examples]), strict=True
    ):
        found = store.get_historical_features(spine, [ref]).to_arrow()
        assert found["total"].to_pylist() == values


def test_what_is_derived_is_compared_with_its_inputs(store):
    share = FeatureView("shares", entity="user", features=[Feature("share", "total / 2")])
    store.apply([share])
    found = change(store, total("sum(amount * 1)"), name="share")
    assert (found.bump, found.new_version, counted(found)[0]) == ("patch", "1.0.1", 0)
    found = change(store, total("sum(amount) + 1"), name="share")
    assert found.bump == "major"
    assert found.comparison.difference.max_abs == pytest.approx(0.5)


def test_a_view_without_keys_is_compared(make):  # noqa: F811
    store = make(EVENTS)
    everybody = {"entity": None, "update_frequency": "hourly"}
    store.apply([view("v", [Feature("total", "count(*)", window="1d")], **everybody)])
    found = change(store, view("v", [Feature("total", "count(*) * 2", window="1d")], **everybody))
    assert (found.bump, found.comparison.sample.keys) == ("major", 1)
    mixed = FeatureView("m", entity=shop.USER, features=[Feature("mixed", "total + own")])
    own = view("w", [Feature("own", "sum(items)", window="1d")], update_frequency="hourly")
    store.apply([own, mixed])
    other = replace_feature(mixed, "own + total * 1")
    found = change(store, other, name="mixed")
    assert (found.bump, counted(found)[0]) == ("patch", 0)


def replace_feature(given: FeatureView, expression: str) -> FeatureView:
    (feature,) = given.features
    return given.model_copy(
        update={"features": (feature.model_copy(update={"expression": expression}),)}
    )


def test_two_keys_of_two_sources_side_by_side(make):  # noqa: F811
    store = make(EVENTS)
    both = Entity("both", join_keys={"user_id": "string", "kind": "string"})
    kind = Entity("kind", join_keys={"kind": "string"})
    per_user = view("u", [Feature("by_user", "count(*)", window="1d")])
    per_kind = view("k", [Feature("by_kind", "count(*)", window="1d")], entity=kind)
    pair = FeatureView("p", entity=both, features=[Feature("pair", "by_user + by_kind")])
    store.apply([per_user, per_kind, pair])
    found = change(store, replace_feature(pair, "by_user + by_kind + 1"), name="pair")
    assert found.comparison.difference.max_abs == 1.0
    assert found.comparison.sample.keys == 12
    assert set(found.comparison.difference.examples[0].key) == {"user_id", "kind"}


def test_rows_that_another_source_lacks_are_seen(make):  # noqa: F811
    store = make([*EVENTS, event("gone", day(1), amount=3.0, items=8)])
    features = [Feature("total", "amount")]
    query = "SELECT * FROM 'events.parquet'"
    times = {"event_time": "event_time", "available_at": "known"}
    store.apply([view("v", features, source=Source("all", query=query, **times))])
    fewer = Source("all", query=f"{query} WHERE user_id <> 'gone'", **times)
    found = change(store, view("v", features, source=fewer))
    assert (found.bump, found.comparison.difference.nulls_gained > 0) == ("major", True)
    assert {e.key["user_id"] for e in found.comparison.difference.examples} == {"gone"}
    same = Source("all", query=f"{query} WHERE true", **times)
    assert change(store, view("v", features, source=same)).bump == "patch"


# --- where nothing can be compared -------------------------------------------------------


def test_the_plan_says_why_nothing_was_compared(make, tmp_path):  # noqa: F811
    store = make(EVENTS)
    old = Source("old", path="old.parquet", event_time="event_time")
    shop.write(tmp_path, EVENTS, "old.parquet")
    store.apply([view("v", [Feature("total", "amount")], source=old)])
    (tmp_path / "old.parquet").unlink()
    store.close()
    moved = Source("old", path="events.parquet", event_time="event_time")
    found = change(make(), view("v", [Feature("total", "amount")], source=moved))
    assert found.bump == "major"
    assert "no file matches 'old.parquet'" in found.comparison.skipped
    plan = str(make().plan([view("v", [Feature("total", "amount")], source=moved)]))
    assert "not compared: source 'old'" in plan


def test_a_source_without_rows_shows_nothing(make):  # noqa: F811
    store = make([])
    store.apply([total()])
    found = change(store, total("sum(amount * 1)"))
    assert (found.bump, found.comparison.skipped) == ("major", "the source holds no rows")


def test_nulls_alone_show_nothing(make):  # noqa: F811
    store = make([event("a", day(0, 1), amount=None)])
    store.apply([total()])
    found = change(store, total("sum(amount * 1)"))
    assert found.bump == "major"
    assert found.comparison.skipped == "all sampled values are null, before and after"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (0, "setting 'registry.compare_rows' is 0"),
        (399, "400 more rows would be read, and 'registry.compare_rows' is 399"),
    ],
)
def test_a_setting_bounds_what_is_read(store, rows, said):
    limited = replace(store.settings.registry, compare_rows=rows)
    store.settings = replace(store.settings, registry=limited)
    found = change(store, total("sum(amount * 1)"))
    assert (found.bump, found.comparison.skipped) == ("major", said)


def test_the_rows_of_one_plan_are_counted_together(store):
    store.apply([view("w", [Feature("other", "sum(items)", window="1d")])])
    limited = replace(store.settings.registry, compare_rows=500)
    store.settings = replace(store.settings, registry=limited)
    second = view("w", [Feature("other", "sum(items * 1)", window="1d")])
    found = {c.name: c for c in store.plan([total("sum(amount * 1)"), second]).features}
    assert sorted(bool(c.comparison.skipped) for c in found.values()) == [False, True]


def test_values_of_the_request_are_not_guessed(make):  # noqa: F811
    store = make(EVENTS)

    def ranked(*features):
        return FeatureView("ranks", entity="user", features=features)

    asked = {"request": {"hour": "int64"}}
    before = ranked(Feature("rank", "total * hour", **asked), Feature("half", "total / 2"))
    store.apply([total(), before])
    after = ranked(Feature("rank", "total + hour", **asked), Feature("half", "total * 0.5"))
    found = {c.name: c for c in store.plan([total(), after]).features}
    assert (found["rank"].bump, found["half"].bump) == ("major", "patch")
    assert found["rank"].comparison.skipped == "it takes values of the request"


def test_a_function_whose_former_code_is_gone_is_not_compared(make, module):  # noqa: F811
    def applied(text):
        function = module(text).row_arrow
        plan = make().plan([view("v", [Feature("total", function), Feature("last", "amount")])])
        return {found.name: found for found in plan.features}, plan

    store = make(EVENTS)
    store.apply(applied(GOOD)[1])
    assert applied(GOOD)[0] == {}
    found, _ = applied(GOOD.replace('rows["amount"], 0.0), 2.0)', 'rows["amount"], 0.0), 3.0)'))
    assert found["total"].bump == "major"
    assert "shop_functions:row_arrow" in found["total"].comparison.skipped


def test_one_that_fails_leaves_the_others(make):  # noqa: F811
    store = make([*EVENTS, event("a", day(1), items=2**62)])
    features = [Feature("total", "amount"), Feature("whole", "items")]
    store.apply([view("v", features)])
    changed = view("v", [Feature("total", "amount * 1"), Feature("whole", "items * 4")])
    found = {c.name: c for c in store.plan([changed]).features}
    assert found["total"].bump == "patch"
    assert found["whole"].bump == "major"
    assert "verflow" in found["whole"].comparison.skipped


# --- what comes of it --------------------------------------------------------------------


def test_the_same_plan_twice_has_the_same_sample_and_what_is_shown_is_stored(store, make):  # noqa: F811
    plan = store.plan([total("sum(amount) * 2")])
    assert encode_plan(plan) == encode_plan(make().plan([total("sum(amount) * 2")]))
    store.apply(decode_plan(encode_plan(plan)))
    entry = store.registry.head("shop").features["total"].versions["2.0.0"]
    kept = store.registry.get("shop", FeatureVersion, entry.object)
    assert kept.comparison == plan.features[0].comparison
    assert kept.reason == plan.features[0].reason
    shown = store.show("feature", "total")["versions"][0]
    assert shown["comparison"]["difference"]["differing"] == counted(plan.features[0])[0]
    assert not store.plan([total("sum(amount) * 2")]).has_changes


def test_a_patch_with_other_data_has_a_home_of_its_own(make):  # noqa: F811
    rows = [event("a", day(0, 1), amount=1.0), event("a", day(0, 2), amount=2.0)]
    store = make(rows)
    store.apply([total()])
    store.materialize(until=day(0, 12))
    store.apply([total("sum(amount * 1)")])
    versions = store.registry.head("shop").features["total"].versions
    assert versions["1.0.1"].home != versions["1.0.0"].home
    assert versions["1.0.1"].earlier == ()
    store.materialize(until=day(0, 12))
    # Rows come that tell the two apart no more than before, and a rollback goes back to the first.
    assert served(store, "total") == [3.0]
    assert trained(store, "total@1.0.0", at=day(0, 12)) == [3.0]
    assert store.governance.rollback("total", "1.0.0", author="ann").version == "1.0.0_rollback"
    assert served(store, "total") == [3.0]
    home = store.registry.head("shop").features["total"].versions["1.0.0_rollback"].home
    assert home == versions["1.0.0"].home


def test_nothing_is_read_where_nothing_changes(store, monkeypatch):
    read = []
    monkeypatch.setattr(
        "headwater.comparison.comparer.points_of", lambda *args: read.append(args) or 1 / 0
    )
    store.plan([total("sum( amount )", description="other", default=1.0), shop.latest()])
    assert read == []


def test_the_sample_is_bounded(make, monkeypatch):  # noqa: F811
    for name, value in (("KEYS", 4), ("POINTS", 12), ("TIMES", range(2, 4))):
        monkeypatch.setattr(f"headwater.comparison.sample.{name}", value)
    store = make(EVENTS)
    store.apply([view("v", [Feature("total", "amount")])])
    found = change(store, view("v", [Feature("total", "amount * 2")]))
    assert (found.comparison.sample.keys, found.comparison.sample.rows) == (4, 12)
    monkeypatch.setattr("headwater.comparison.sample.ROWS", 1)
    found = change(store, view("v", [Feature("total", "amount * 2")]))
    assert found.comparison.sample.keys == 1


def test_the_values_of_a_sample_are_those_on_all_rows(store, monkeypatch):
    """Break it: were rows of the sampled keys left out, the values would be others."""
    from headwater.comparison import comparer

    seen = {}

    def spy(old, new, points):
        seen.update(old=old, keys=points.keys, times=points.times)
        return original(old, new, points)

    original = comparer._difference
    monkeypatch.setattr(comparer, "_difference", spy)
    change(store, total("sum(amount) + 1"))
    spine = shop.spine(seen["keys"]["user_id"].to_pylist(), seen["times"].tolist())
    found = store.get_historical_features(spine, ["total"]).to_arrow()["total"]
    assert found.to_pylist() == seen["old"].to_pylist()
    assert np.ptp(seen["times"]) > DAY > HOUR
    assert asdict(store.registry.head("shop"))["generation"] == 1
