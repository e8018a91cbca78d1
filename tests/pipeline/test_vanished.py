"""Keys all of whose rows are taken out of the source: the next run takes them out online (C8)."""

from __future__ import annotations

import pytest

from headwater import Entity, Feature, FeatureView
from headwater.online.codec import Layout, encode_key
from headwater.online.order import is_tombstone
from pipeline import projects
from pipeline.looking import served, statuses, stored, trained, view_of
from pipeline.test_parts import CutShortError, cut_off, small_parts
from store import shop
from store.shop import day, event, view

__all__ = ["small_parts"]

USERS = [f"u{number}" for number in range(26)]
WORTH = FeatureView(
    "mixed",
    entity=shop.USER,
    update_frequency="6h",
    features=[Feature("worth", "coalesce(amount_2d, 0) * coalesce(last_amount, 1)")],
)
VIEWS = (shop.activity(), shop.latest(), shop.trend(), WORTH)
NAMES = [*shop.values_of(*VIEWS)]
ROWS = shop.random_events(200, users=25, days=3)
LEFT = [row for row in ROWS if row["user_id"] not in ("u3", "u24")]


def live(store, name, users=USERS):
    """The keys that have a row which is no tombstone."""
    found = stored(store, name, users)
    return {user for user, row in found.items() if row is not None and not is_tombstone(row)}


@pytest.mark.parametrize("later", [day(3), day(3, 7)], ids=["the same tick", "a later tick"])
def test_a_key_without_rows_is_served_as_one_that_never_had_any(make, tmp_path, later):
    store = make(ROWS)
    store.apply(VIEWS)
    store.materialize(until=day(3))
    assert statuses(store, "last_kind", ["u3"]) == ["PRESENT"]
    shop.write(tmp_path, LEFT)
    store.materialize(until=later)
    assert served(store, NAMES, USERS) == trained(store, NAMES, USERS, later)
    assert statuses(store, "last_kind", ["u3", "u24", "u4"]) == [
        "NOT_FOUND",
        "NOT_FOUND",
        "PRESENT",
    ]
    for name in ("activity", "latest", "trend", "mixed"):
        assert not live(store, name) & {"u3", "u24"}, name


def test_it_comes_back_with_its_rows(make, tmp_path):
    store = make(ROWS)
    store.apply(VIEWS)
    store.materialize(until=day(3))
    for rows in (LEFT, ROWS, [], ROWS):
        shop.write(tmp_path, rows)
        store.materialize(until=day(3))
        assert served(store, NAMES, USERS) == trained(store, NAMES, USERS, day(3))


def test_tombstones_of_vanished_keys_do_not_pile_up(make, tmp_path):
    store = make(ROWS)
    store.apply([shop.activity()])
    store.materialize(until=day(3))
    shop.write(tmp_path, LEFT)
    store.materialize(until=day(3, 2))
    assert is_tombstone(stored(store, "activity", ["u3"])["u3"])
    store.materialize(until=day(3, 4))
    assert stored(store, "activity", ["u3", "u24"]) == {"u3": None, "u24": None}


def test_composite_and_long_keys(make, tmp_path):
    pair = Entity("pair", join_keys={"user_id": "string", "items": "int64"})
    features = [Feature("pair_amount", "amount")]
    long = "x" * 600
    rows = [event(user, day(0), items=n) for user in ("a", long, "c" * 700) for n in (1, 2)]
    store = make(rows)
    store.apply([view("pairs", features, entity=pair)])
    store.materialize(until=day(1))
    shop.write(tmp_path, [row for row in rows if (row["user_id"], row["items"]) != (long, 2)])
    store.materialize(until=day(1))
    keys = {"user_id": ["a", "a", long, long, "c" * 700], "items": [1, 2, 1, 2, 2]}
    found = store.get_online_features(["pair_amount"], keys).to_dict()
    assert found["values"]["pair_amount"] == [1.0, 1.0, 1.0, None, 1.0]


def test_a_view_without_entity(make, tmp_path):
    store = make([event("a", day(0, 1))])
    store.apply([view("last", [Feature("newest", "kind")], entity=None)])
    store.materialize(until=day(1))
    assert store.get_online_features(["newest"], [{}]).to_dict()["values"] == {"newest": ["view"]}
    shop.write(tmp_path, [])
    store.materialize(until=day(1))
    assert store.get_online_features(["newest"], [{}]).to_dict()["values"] == {"newest": [None]}


def test_a_key_whose_row_is_refused_keeps_the_one_before(make, tmp_path):
    store = make([event("a", day(0), amount=1.0), event("b", day(0), amount=2.0)])
    guarded = Feature("amount_now", "amount", validation_rules=[projects.NEVER_50])
    store.apply([view("guarded", [guarded])])
    store.materialize(until=day(1))
    shop.write(tmp_path, [event("a", day(0, 5), amount=99.0)])
    store.materialize(until=day(1))
    assert served(store, ["amount_now"], ["a", "b"]) == [{"amount_now": 1.0}, {"amount_now": None}]


def test_what_was_pushed_since_stays(make, tmp_path):
    """The source has not seen it yet: that it has no rows of the key says nothing (C13)."""
    import pyarrow as pa

    store = make([event("a", day(0, 1)), event("b", day(0, 2))])
    store.apply([shop.latest()])
    store.materialize(until=day(1))
    found = view_of(store, "latest")
    layout = Layout((f.name, f.dtype) for f in found.row_features)
    batch = pa.record_batch({"last_kind": ["pushed"], "last_amount": [9.0]})
    rows = layout.encode_batch(batch, day(0, 5), day(0, 5))
    for user in ("a", "new"):
        store.online.write("shop", found.revision, [encode_key([user])], rows)
    shop.write(tmp_path, [event("b", day(0, 2))])
    store.materialize(until=day(1))
    expected = [{"last_kind": kind} for kind in ("pushed", "pushed", "view")]
    assert served(store, ["last_kind"], ["a", "new", "b"]) == expected


@pytest.mark.parametrize("name", ["activity", "latest", "trend", "mixed"])
def test_a_run_that_goes_on_knows_the_keys_of_the_parts_before(make, small_parts, tmp_path, name):
    store = make(ROWS)
    store.apply(VIEWS)
    store.materialize(until=day(3))
    shop.write(tmp_path, LEFT)
    with pytest.MonkeyPatch.context() as patched:
        cut_off(patched, after=3)
        with pytest.raises(CutShortError):
            store.materialize(name, until=day(3, 7))
    with pytest.MonkeyPatch.context() as patched:
        second = cut_off(patched, after=None)
        store.materialize(name, until=day(3, 7))
    assert second[0] > 0
    names = [feature.name for feature in view_of(store, name).features]
    assert served(store, names, USERS) == trained(store, names, USERS, day(3, 7))
    assert not live(store, name) & {"u3", "u24"}


def test_many_small_pieces_give_the_same(make, small_parts, tmp_path, monkeypatch):
    from headwater.online import lmdb_store, sorted_keys

    monkeypatch.setattr(sorted_keys, "_RUN_KEYS", 3)
    monkeypatch.setattr(sorted_keys, "_PAGE_KEYS", 2)
    monkeypatch.setattr(lmdb_store, "_SCANNED_ROWS", 4)
    store = make(ROWS)
    store.apply(VIEWS)
    store.materialize(until=day(3))
    shop.write(tmp_path, LEFT)
    store.materialize(until=day(3, 7))
    assert served(store, NAMES, USERS) == trained(store, NAMES, USERS, day(3, 7))
