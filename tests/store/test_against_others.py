"""Features of an entity that read those of entities with fewer keys, and of everybody (C10)."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headwater import Entity, Feature, FeatureView
from headwater.errors import NotSupportedError
from headwater.explaining import explain
from headwater.serving.reader import OnlineReader
from store.shop import TIME, day, event, view

BOTH = Entity("both", join_keys={"user_id": "string", "kind": "string"})
KIND = Entity("kind", join_keys={"kind": "string"})
HOURLY = {"update_frequency": "hourly"}
INPUTS = [
    view("of_user", [Feature("user_n", "count(*)", window="7d")], **HOURLY),
    view("of_kind", [Feature("kind_sum", "sum(amount)", window="7d")], entity=KIND, **HOURLY),
    view("of_both", [Feature("both_sum", "sum(amount)", window="7d")], entity=BOTH, **HOURLY),
    view(
        "of_all",
        [
            Feature("all_mean", "avg(amount)", window="7d"),
            Feature("all_deviation", "stddev_pop(amount)", window="7d"),
        ],
        entity=None,
        **HOURLY,
    ),
]
ROWS = [
    event("a", day(0, 1), kind="view", amount=1.0),
    event("a", day(0, 2), kind="click", amount=3.0),
    event("b", day(0, 3), kind="view", amount=5.0),
    event("a", day(1, 1), kind="view", amount=7.0, known=day(1, 9)),
]
KEYS = {
    "user_id": ["a", "a", "b", "b", "nobody", "a", None],
    "kind": ["view", "click", "view", "click", "view", "none", "view"],
}
STANDING = (
    Feature("z", "(both_sum - all_mean) / nullif(all_deviation, 0)"),
    Feature("share", "both_sum / kind_sum"),
    Feature("per_row", "both_sum / user_n"),
)


def of_both(name, *features, **given):
    return FeatureView(name, entity=BOTH, features=features, **given)


def trained(store, names, at, **given):
    times = pa.array([at] * 7).cast(TIME)
    spine = pa.table({**KEYS, "event_timestamp": times, **given})
    return store.get_historical_features(spine, names).to_arrow().select(names).to_pydict()


def served(store, names, at, **given):
    reader = OnlineReader(store.online, store.project, refresh=0, clock=lambda: at)
    found = reader.get(names, {**KEYS, **given}).to_dict()["values"]
    return {name: found[name] for name in names}


@pytest.mark.parametrize("ticks", [{}, {"update_frequency": "2h"}], ids=["on read", "ticks"])
def test_a_user_at_a_kind_against_both_and_all(make, ticks):
    store = make(ROWS)
    store.apply([*INPUTS, of_both("standing", *STANDING, **ticks)])
    names = ["z", "share", "per_row"]
    for at in (day(0, 6), day(1, 6), day(1, 10), day(8, 3)):
        store.materialize(until=at)
        known = trained(store, names, at)
        assert served(store, names, at) == known, at
        if at == day(1, 6):  # the row of seven is not known yet
            assert known["share"] == [1 / 6, 1.0, 5 / 6, None, None, None, None]
            assert known["per_row"] == [0.5, 1.5, 5.0, None, None, None, None]
            assert known["z"][1] == 0.0
            assert known["z"][0] == -known["z"][2] < 0


def test_values_of_the_request_beside_features_of_both(make):
    store = make(ROWS)
    offered = Feature("offered", "price / all_mean + user_n", request={"price": "float64"})
    store.apply([*INPUTS, of_both("offer", offered)])
    store.materialize(until=day(0, 6))
    price = [3.0, 6.0, None, 3.0, 3.0, 3.0, 3.0]
    known = trained(store, ["offered"], day(0, 6), price=pa.array(price))
    assert known["offered"] == [3.0, 4.0, None, 2.0, 1.0, 3.0, None]
    assert served(store, ["offered"], day(0, 6), price=price) == known


def test_what_is_known_of_some_keys_is_not_stored_for_pairs(make):
    """The user is known and the pair is not: no run lists it."""
    store = make(ROWS)
    store.apply([*INPUTS, of_both("sums", Feature("v", "user_n + 0"), update_frequency="2h")])
    with pytest.raises(NotSupportedError, match="'v' has a value for keys of which"):
        store.materialize("sums", until=day(0, 6))


def test_explained_and_traced(make):
    store = make(ROWS)
    store.apply([*INPUTS, of_both("standing", *STANDING)])
    found = explain(store, "z", {"user_id": "a", "kind": "click"}, day(0, 6))
    assert {one.feature: one.value for one in found.inputs} == {
        "all_deviation": pytest.approx((8 / 3) ** 0.5),
        "all_mean": 3.0,
        "both_sum": 3.0,
    }
    lineage = store.lineage
    columns = lineage.columns.of(lineage.version("z")).columns
    assert {(use.source, use.column): use.roles for use in columns}["events", "amount"] == (
        "value",
    )
