"""An explanation shows the rows that make a value: with these alone it is the same."""

from __future__ import annotations

import random

import pytest

from headwater import Feature, FeatureView, Source
from headwater.errors import RequestError
from headwater.explaining import explain
from store import shop
from store.shop import HOUR, USER, day, event

SOURCE = Source(
    "events",
    path="events*.parquet",
    event_time="event_time",
    available_at="known",
    id="event_id",
)
VIEWS = (
    FeatureView(
        "ticked",
        entity=USER,
        source=SOURCE,
        features=[
            Feature("events_2d", "count(*)", window="2d"),
            Feature("before_1d", "sum(amount)", window="1d", offset="1d"),
            Feature("hopped", "max(items)", window="1d", tail_hop="6h"),
            Feature("ever", "last_k(kind, 3)", window="lifetime"),
            Feature(
                "decayed",
                "sum(amount * exp((epoch(event_time) - epoch(as_of())) / 86400))",
                window="2d",
            ),
            Feature("rate", "before_1d / nullif(events_2d, 0)"),
        ],
        update_frequency="hourly",
        data_delay="15m",
    ),
    FeatureView(
        "rows",
        entity=USER,
        source=SOURCE,
        features=[
            Feature("last_kind", "kind"),
            Feature("mean_3", "avg(amount)", rows=3, min_rows=1),
            Feature(
                "best_mean", "max(avg(amount) OVER (ROWS 2 PRECEDING)) OVER (ROWS 1 PRECEDING)"
            ),
            Feature("weighted", "wma(amount, 2)"),
            Feature("smooth", "ema(amount, 2)"),
        ],
    ),
    FeatureView("both", entity=USER, features=[Feature("summed", "rate + mean_3")]),
)
OF_ROWS = (
    "events_2d",
    "before_1d",
    "hopped",
    "ever",
    "decayed",
    "last_kind",
    "mean_3",
    "best_mean",
    "weighted",
    "smooth",
)


def corrected_events(count: int = 120, seed: int = 3) -> list[dict]:
    """Events of which some are corrected later: in value, in time, or both."""
    chance = random.Random(seed)
    rows = shop.random_events(count, users=3, seed=seed)
    for row in rows[::4]:
        moved = row["event_time"] + chance.choice([0, -HOUR, 30 * HOUR])
        later = row["known"] + chance.choice([1, HOUR, 40 * HOUR])
        rows.append({**row, "amount": 7.5, "event_time": moved, "known": later})
    return rows


def value(store, name, user, at):
    found = store.get_historical_features(shop.spine([user], [at]), [name]).to_arrow()
    return found[name].to_pylist()[0]


def shown(found):
    """The rows of an explanation, by id and when they became known."""
    rows = found.rows.rows.to_pylist()
    return [(row["event_id"], row["known_at"]) for row in rows]


@pytest.mark.parametrize("name", OF_ROWS)
def test_the_rows_shown_are_those_that_make_the_value(make, tmp_path, name):
    rows = corrected_events()
    store = make(rows)
    store.apply(VIEWS)
    chance = random.Random(name)
    for _ in range(4):
        user, at = f"u{chance.randrange(3)}", day(0) + chance.randrange(8 * 24 * HOUR)
        found = explain(store, name, {"user_id": user}, at, rows=1000)
        assert found.value == value(store, name, user, at)
        kept = set(shown(found))
        assert len(kept) == found.rows.count
        shop.write(tmp_path, [r for r in rows if (r["event_id"], shop.moment(r["known"])) in kept])
        assert value(store, name, user, at) == found.value
        shop.write(tmp_path, rows)


def test_a_count_is_of_the_rows_shown(make):
    store = make(corrected_events())
    store.apply(VIEWS)
    found = explain(store, "events_2d", {"user_id": "u1"}, day(4), rows=5)
    assert found.value == found.rows.count > 5
    assert found.rows.rows.num_rows == 5
    assert found.rows.known > found.rows.count


def test_a_derived_feature_is_explained_by_what_it_reads(make):
    store = make(corrected_events())
    store.apply(VIEWS)
    at = day(4, hours=3.3)
    found = explain(store, "summed", {"user_id": "u1"}, at)
    mean, rate = found.inputs
    assert (found.version, found.rows, rate.rows) == ("1.0.0", None, None)
    assert found.value == rate.value + mean.value
    assert {item.feature for item in rate.inputs} == {"before_1d", "events_2d"}
    assert rate.evaluated_at == day(4, hours=3)  # the tick that is visible a quarter later
    assert mean.evaluated_at == at
    assert "SELECT" in found.sql[0]


def test_versions_and_values_of_the_request(make):
    store = make([event("u1", day(1), amount=4.0, event_id="a")])
    rows = FeatureView("rows", entity=USER, source=SOURCE, features=[Feature("spent", "amount")])
    asked = Feature("scaled", "spent * factor", request={"factor": "float64"})
    store.apply([rows, FeatureView("asked", entity=USER, features=[asked])])
    found = explain(store, "scaled", {"user_id": "u1", "factor": 0.5}, day(2))
    assert (found.value, found.request) == (2.0, {"factor": 0.5})
    changed = Feature("spent", "amount * 10")
    store.apply([FeatureView("rows", entity=USER, source=SOURCE, features=[changed])])
    earlier = explain(store, "spent@1.0.0", {"user_id": "u1"}, day(2))
    now = explain(store, "spent", {"user_id": "u1"}, day(2))
    assert (earlier.value, earlier.version) == (4.0, "1.0.0")
    assert (now.value, now.version) == (40.0, "2.0.0")


def test_no_rows_and_no_key(make):
    store = make([event("u1", day(1), event_id="a")])
    store.apply(VIEWS)
    nobody = explain(store, "last_kind", {"user_id": "nobody"}, day(2))
    assert (nobody.value, nobody.status, nobody.rows.count) == (None, "NOT_FOUND", 0)
    null = explain(store, "last_kind", {"user_id": None}, day(2))
    assert (null.value, null.status, null.rows) == (None, "NOT_FOUND", None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"join key 'user_id' \(string\) is missing"),
        ({"user": "u1"}, r"takes no 'user'; did you mean 'user_id'\?"),
        ({"user_id": 3}, "column 'user_id', row 0: int 3 is not a text"),
    ],
)
def test_keys_that_are_wrong(make, given, said):
    store = make([])
    store.apply(VIEWS)
    with pytest.raises(RequestError, match=said):
        explain(store, "last_kind", given, day(2))
