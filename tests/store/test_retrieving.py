"""Training sets without a spine: which keys are there, when, and in which order."""

from __future__ import annotations

import gc
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureRef, FeatureView
from headwater.compute import pieces
from headwater.compute.values import Values
from headwater.errors import SpineError
from store import shop
from store.shop import DAY, HOUR, SOURCE, USER, day, event, moment, view

ROWS = [
    event("b", day(0), amount=1.0),
    event("a", day(1), amount=2.0, known=day(1, hours=6)),
    event("b", day(2), amount=3.0),
    event(None, day(0)),
    event("c", None),
]
ITEM = Entity("item", join_keys={"items": "int64"})
PAIR = Entity("pair", join_keys={"user_id": "string", "items": "int64"})
ITEMS = FeatureView("by_item", entity=ITEM, source=SOURCE, features=[Feature("item_kind", "kind")])
PAIRS = FeatureView("by_pair", entity=PAIR, source=SOURCE, features=[Feature("pair_kind", "kind")])
WORLD = FeatureView("world", source=SOURCE, features=[Feature("newest", "amount")])
ASKED = FeatureView(
    "asked",
    entity=USER,
    features=[Feature("more", "last_amount + plus", request={"plus": "float64"})],
)
ALL = [shop.activity(), shop.latest(), shop.trend(), ITEMS, PAIRS, WORLD, ASKED]


@pytest.fixture
def store(make):
    found = make(ROWS)
    found.apply(ALL)
    return found


def rows_of(job):
    """The rows, their times as microseconds."""
    table = job.to_arrow()
    place = table.column_names.index("event_timestamp")
    times = table["event_timestamp"].cast(pa.int64())
    return [tuple(row.values()) for row in table.set_column(place, "t", times).to_pylist()]


def test_all_keys_at_a_time(store):
    job = store.get_features_at(["last_amount"], day(1, hours=6))
    assert job.to_arrow().column_names == ["user_id", "event_timestamp", "last_amount"]
    assert rows_of(job) == [("a", day(1, hours=6), 2.0), ("b", day(1, hours=6), 1.0)]
    before = store.get_features_at(["last_amount"], at=day(1, hours=6, micros=-1))
    assert [row[0] for row in rows_of(before)] == ["b"]
    hindsight = store.get_features_at(["last_amount"], at=moment(day(1)), knowledge=False)
    assert [row[0] for row in rows_of(hindsight)] == ["a", "b"]


def test_before_all_rows_there_are_none(store):
    found = store.get_features_at(["last_amount", "events_2d"], at=day(0, micros=-1)).to_arrow()
    assert found.num_rows == 0
    assert [str(kind) for kind in found.schema.types] == [
        "string",
        "timestamp[us, tz=UTC]",
        "double",
        "int64",
    ]


def test_now_unless_a_time_is_given(store):
    now = time.time_ns() // 1000
    [(_, at, _), *_] = rows_of(store.get_features_at(["last_amount"]))
    assert now <= at <= time.time_ns() // 1000


def test_a_range_of_times(store):
    job = store.get_features_at(
        ["last_amount", "events_2d"], start="2024-01-01", end=moment(day(2)), every="12h"
    )
    assert rows_of(job) == [
        ("b", day(0), 1.0, 0),
        ("b", day(0, hours=12), 1.0, 1),
        ("b", day(1), 1.0, 1),
        ("a", day(1, hours=12), 2.0, 1),
        ("b", day(1, hours=12), 1.0, 1),
    ]


def test_where_rows_took_effect(store):
    job = store.get_features_at(["last_amount", "mean_3"], start=day(0), end=day(2, micros=1))
    assert rows_of(job) == [
        ("b", day(0), 1.0, 1.0),
        ("a", day(1, hours=6), 2.0, 2.0),
        ("b", day(2), 3.0, 2.0),
    ]
    within = store.get_features_at(["last_amount"], start=day(0, micros=1), end=day(2))
    assert [row[0] for row in rows_of(within)] == ["a"]


def test_views_of_one_entity_list_their_keys_together(make, tmp_path):
    store = make([event("a", day(0)), event("b", day(3))])
    shop.write(tmp_path, [event("c", day(1)), event("a", day(1))], "more.parquet")
    other = SOURCE.model_copy(update={"name": "more", "path": "more.parquet"})
    views = [shop.latest(), view("more", [Feature("kind_there", "kind")], source=other)]
    store.apply(views)
    found = rows_of(store.get_features_at(["last_kind", "kind_there"], at=day(2)))
    assert found == [("a", day(2), "view", "view"), ("c", day(2), None, "view")]
    derived = view("over", [Feature("both", "last_kind || kind_there")], source=None)
    store.apply([derived])
    assert len(rows_of(store.get_features_at(["both"], at=day(4)))) == 3


def test_features_of_a_part_of_the_key_are_read_beside(store):
    found = rows_of(store.get_features_at(["newest", "last_amount", "pair_kind"], at=day(3)))
    assert found == [("a", 1, day(3), 3.0, 2.0, "view"), ("b", 1, day(3), 3.0, 3.0, "view")]


def test_without_an_entity_there_is_one_row_a_time(store):
    job = store.get_features_at(["newest"], start=day(0), end=day(3), every="1d")
    assert rows_of(job) == [(day(0), 1.0), (day(1), 1.0), (day(2), 3.0)]


def test_renamed_keys(store):
    ref = FeatureRef("last_amount", join_keys={"user_id": "buyer"})
    found = store.get_features_at([ref], at=day(3)).to_arrow()
    assert found.column_names == ["buyer", "event_timestamp", "last_amount"]
    assert found["buyer"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("cells", [1, 2, 7])
def test_pieces_are_the_whole(store, tmp_path, monkeypatch, cells):
    """Piece by piece, of few rows, the same rows come in the same order."""
    options = {"start": day(0), "end": day(4), "every": "5h"}
    names = ["last_amount", "events_2d", "newest"]
    whole = store.get_features_at(names, **options).to_arrow()
    monkeypatch.setattr(pieces, "PIECE_CELLS", cells * len(names))
    job = store.get_features_at(names, **options)
    batches = list(job.to_batches())
    assert pa.Table.from_batches(batches) == whole
    assert max(batch.num_rows for batch in batches) <= cells
    assert pq.read_table(job.to_parquet(tmp_path / "out.parquet")).equals(whole)
    assert (job.rows, job.columns) == (whole.num_rows, whole.column_names)
    spine = whole.select(["user_id", "event_timestamp"])
    given = store.get_historical_features(spine, names)
    assert pa.Table.from_batches(given.to_batches()) == whole
    assert pq.read_table(given.to_parquet(tmp_path / "given.parquet")).equals(whole)
    assert "SELECT" in given.sql()


def test_a_piece_is_let_go_when_the_next_one_comes(store, monkeypatch):
    """Without help of the garbage collector, which seldom comes where arrays are all that is."""
    monkeypatch.setattr(pieces, "PIECE_CELLS", 4)
    job = store.get_features_at(["last_amount"], start=day(0), end=day(4), every="6h")
    gc.collect()
    gc.disable()
    try:
        batches = 0
        for _ in job.to_batches():
            assert not [one for one in gc.get_objects() if isinstance(one, Values)]
            batches += 1
        assert batches > 3
    finally:
        gc.enable()


def test_progress_goes_on_from_piece_to_piece(store, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_CELLS", 4)
    told = []
    options = {"start": day(0), "end": day(4), "every": "6h", "on_progress": told.append}
    list(store.get_features_at(["last_amount"], **options).to_batches())
    shares = [progress.done / progress.total for progress in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_pieces_of_a_long_spine_are_the_whole(make):
    store = make(shop.random_events(500))
    store.apply([shop.activity(), shop.latest()])
    users = [f"u{n % 14}" for n in range(3000)]
    spine = shop.spine(users, [day(0) + n * 3 * HOUR % (7 * DAY) for n in range(3000)])
    job = store.get_historical_features(spine, ["events_2d", "last_kind"])
    in_pieces = pa.concat_tables(job._retrieval.pieces(701))
    assert in_pieces.equals(job.to_arrow())


@pytest.mark.parametrize(
    ("features", "times", "said"),
    [
        (
            ["last_amount", "item_kind"],
            {},
            "'item_kind' is keyed by 'items', and others by user_id",
        ),
        (["more"], {}, "'more' takes plus with each request"),
        (["events_2d"], {"start": day(0), "end": day(1)}, "has ticks, .* with every="),
        (["last_amount"], {"start": day(0)}, "both ends of the range"),
        (["last_amount"], {"start": day(1), "end": day(1)}, "both ends of the range"),
        (["last_amount"], {"at": day(1), "start": day(1), "end": day(2)}, "either one time"),
        (["last_amount"], {"at": day(1), "every": "1d"}, "every= needs a range"),
        (["last_amount"], {"start": day(0), "end": day(1), "every": "x"}, "every=: 'x' is not a"),
        (["last_amount"], {"start": day(0), "end": day(1), "every": "0s"}, "too often"),
        (["last_amount"], {"start": day(0), "end": day(9), "every": "1us"}, "too often"),
        (["last_amount"], {"timestamp": "user_id"}, "'user_id' is a join key"),
    ],
)
def test_what_is_refused(store, features, times, said):
    with pytest.raises(SpineError, match=said):
        store.get_features_at(features, **times).to_arrow()


def test_windows_at_every_instant_are_no_changes(make):
    store = make(ROWS)
    store.apply([view("live", [Feature("live_1d", "count(*)", window="1d")])])
    with pytest.raises(SpineError, match="has windows"):
        store.get_features_at(["live_1d"], start=day(0), end=day(1)).to_arrow()
    assert rows_of(store.get_features_at(["live_1d"], at=day(1))) == [("b", day(1), 1)]
