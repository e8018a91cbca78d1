"""Single values are computed from the sources as training computes them, and say what they are."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from headwater import Entity, Feature, FeatureRef, FeatureValue, FeatureView, Source
from headwater.errors import NotFoundError, RequestError
from store import shop
from store.shop import HOUR, SOURCE, USER, day, moment, view

ASKED = FeatureView(
    "asked",
    entity=USER,
    features=[Feature("scaled", "events_2d * factor", request={"factor": "float64"})],
)
MIXED = FeatureView(
    "mixed", entity=USER, features=[Feature("mixed", "events_2d + coalesce(last_amount, 0)")]
)
ALL = (shop.activity(), shop.latest(), shop.trend(), MIXED)
AT = day(3, hours=5.5)


@pytest.fixture
def store(make):
    found = make(shop.random_events(300))
    found.apply([*ALL, ASKED])
    return found


def test_one_feature_of_one_entity(store):
    found = store.compute_feature("events_2d", {"user_id": "u1"}, at=moment(AT))
    assert isinstance(found, FeatureValue)
    spine = shop.spine(["u1"], [AT])
    [value] = store.get_historical_features(spine, ["events_2d"]).to_arrow()["events_2d"]
    assert (found.value, found.entity_id, found.feature_name) == (value.as_py(), "u1", "events_2d")
    assert found.timestamp == moment(day(3, hours=5))  # the tick of 5:00, visible since 5:15
    assert found.version == "1.0.0"
    about = found.metadata
    assert (about["status"], about["view"], about["sources"]) == ("PRESENT", "activity", ["events"])
    assert (about["as_of"], about["evaluated_at"]) == (moment(AT), moment(day(3, hours=5)))
    assert (about["data_type"], about["keys"]) == ("int64", {"user_id": "u1"})
    assert about["computed_at"] <= dt.datetime.now(dt.UTC)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.value = 0


def test_sets_and_batches_are_what_training_sets_are(store):
    names = shop.values_of(*ALL)
    users = ["u1", "nobody", None, "u1", "u3"]
    rows = [{"user_id": user} for user in users]
    found = store.compute_features_batch(names, rows, at=AT)
    table = store.get_historical_features(shop.spine(users, [AT] * 5), names).to_arrow()
    assert [{n: v.value for n, v in row.items()} for row in found] == table.select(
        names
    ).to_pylist()
    assert store.compute_feature_set(names, rows[0], at=AT).keys() == dict.fromkeys(names).keys()


def test_statuses_and_times(store):
    def status(feature, user):
        found = store.compute_feature(feature, {"user_id": user}, at=AT)
        return found.value, found.metadata["status"], found.timestamp

    assert status("last_amount", "nobody") == (-1.0, "NOT_FOUND", None)
    assert status("events_2d", "nobody") == (0, "PRESENT", moment(day(3, hours=5)))
    assert status("events_2d", None) == (None, "NOT_FOUND", None)
    value, told, at = status("last_kind", "u1")
    assert value is not None
    assert (told, at <= moment(AT)) == ("PRESENT", True)


def test_values_too_old(make):
    store = make([shop.event("u1", day(0))])
    store.apply([shop.latest(ttl="1d")])
    found = store.compute_feature("last_kind", {"user_id": "u1"}, at=day(2))
    assert (found.value, found.metadata["status"]) == (None, "OUTSIDE_MAX_AGE")
    assert found.timestamp == moment(day(0))


def test_now_unless_a_time_is_given(make):
    recent = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    micros = int(recent.timestamp()) * 1_000_000
    store = make([shop.event("u1", micros), shop.event("u1", micros + 10 * HOUR, kind="later")])
    store.apply([shop.latest()])
    assert store.compute_feature("last_kind", {"user_id": "u1"}).value == "view"


def test_values_of_the_request(store):
    row = {"user_id": "u1", "factor": 0.5}
    found = store.compute_feature_set(["scaled", "events_2d"], row, at=AT)
    assert found["scaled"].value == found["events_2d"].value * 0.5
    assert found["scaled"].metadata["request"] == {"factor": 0.5}
    assert found["scaled"].metadata["keys"] == {"user_id": "u1"}
    assert found["events_2d"].metadata["request"] == {}


def test_versions_aliases_and_renamed_keys(make):
    store = make(shop.random_events(50))
    store.apply([shop.latest()])
    store.apply([view("latest", [Feature("last_kind", "upper(kind)"), shop.LOOKUPS[1]])])
    ref = FeatureRef("last_kind", alias="kind", join_keys={"user_id": "buyer"}, version="1.0.0")
    found = store.compute_feature_set([ref, "last_kind"], {"buyer": "u1", "user_id": "u1"}, at=AT)
    assert found["last_kind"].value == found["kind"].value.upper()
    assert (found["kind"].version, found["last_kind"].version) == ("1.0.0", "2.0.0")
    assert (found["kind"].feature_name, found["kind"].metadata["keys"]) == (
        "last_kind",
        {"user_id": "u1"},
    )


def test_entities_of_several_keys_and_of_none(make):
    store = make([shop.event("a,b", day(0))])
    pair = Entity("pair", join_keys={"user_id": "string", "items": "int64"})
    store.apply(
        [
            FeatureView("pairs", entity=pair, source=SOURCE, features=[Feature("seen", "kind")]),
            FeatureView("world", source=SOURCE, features=[Feature("newest", "kind")]),
        ]
    )
    found = store.compute_feature_set(["seen", "newest"], {"items": 1, "user_id": "a,b"}, at=day(1))
    assert found["seen"].entity_id == '{"user_id":"a,b","items":1}'
    assert (found["newest"].entity_id, found["newest"].value) == ("", "view")
    assert store.compute_feature("newest", {}, at=day(1)).value == "view"


@pytest.mark.parametrize(
    ("feature", "row", "said"),
    [
        ("last_kind", {}, r"'user_id' \(string\) is missing"),
        ("last_kind", {"user": "u1"}, r"take no 'user'; did you mean 'user_id'\?"),
        ("last_kind", {"user_id": 3}, "column 'user_id', row 0: int 3 is not a text"),
        ("scaled", {"user_id": "u1"}, r"'factor' \(float64\) is missing"),
    ],
)
def test_rows_that_are_wrong(store, feature, row, said):
    with pytest.raises(RequestError, match=said):
        store.compute_feature(feature, row)


def test_features_that_are_not_there(store):
    with pytest.raises(NotFoundError, match="events_2d"):
        store.compute_feature("events_2", {"user_id": "u1"})


def test_no_entities_at_all(store):
    assert store.compute_features_batch(["events_2d"], []) == []


def test_a_source_that_is_corrected_at_an_instant(make):
    bars = [
        shop.event("u1", day(1), amount=1.0, event_id="a"),
        shop.event("u1", day(1), amount=2.0, event_id="a", known=day(3)),
    ]
    source = Source(
        "events",
        path="events*.parquet",
        event_time="event_time",
        available_at="known",
        id="event_id",
    )
    store = make(bars)
    store.apply([view("latest", [Feature("amount")], source=source)])
    assert store.compute_feature("amount", {"user_id": "u1"}, at=day(3, micros=-1)).value == 1.0
    assert store.compute_feature("amount", {"user_id": "u1"}, at=day(3)).value == 2.0
