"""Labels after a delay, and samples of negatives: against plain Python, and by hand."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import Source, label_spine, sample_negatives
from headwater.errors import SpineError
from headwater.spines import calibrated
from pit.checks import examples
from store import shop
from store.shop import HOUR, TIME, day, moment

MINUTE = HOUR // 60
HALF = 30 * MINUTE
LATE = day(400)
"""A time by which everything is known."""


def events(rows, **columns):
    """Rows (id, time[, known]) as a table."""
    names = ["impression_id", "event_time", "available_at"]
    rows = [(*row, row[1])[:3] for row in rows]
    kinds = [pa.string(), TIME, TIME]
    lists = zip(*rows, strict=True) if rows else [[], [], []]
    made = {
        name: pa.array(values, pa.int64()).cast(kind) if kind == TIME else pa.array(values, kind)
        for name, values, kind in zip(names, lists, kinds, strict=True)
    }
    return pa.table({**made, **columns})


def labels(impressions, outcomes, **given):
    options = {"on": "impression_id", "within": "30m", "until": LATE, "keys": ["impression_id"]}
    found = label_spine(impressions, outcomes, **{**options, **given}).to_arrow()
    return found["label"].to_pylist()


@pytest.mark.parametrize(
    ("at", "label"),
    [(-1, False), (0, True), (1, True), (HALF - 1, True), (HALF, True), (HALF + 1, False)],
)
def test_the_edges_of_the_time(at, label):
    """From the impression's own instant to the last one, both included."""
    seen = events([("a", day(0))])
    assert labels(seen, events([("a", day(0) + at)])) == [label]
    assert labels(seen, events([("b", day(0) + at)])) == [False]


@pytest.mark.parametrize(
    ("known", "delay", "label"),
    [(HALF, "0s", True), (HALF + 1, "0s", False), (HALF + 1, "1us", True), (0, "0s", True)],
)
def test_an_outcome_counts_if_it_is_known_when_the_label_is(known, delay, label):
    outcomes = events([("a", day(0), day(0) + known)])
    given = {"available_at": "available_at", "delay": delay}
    assert labels(events([("a", day(0))]), outcomes, **given) == [label]
    assert labels(events([("a", day(0))]), outcomes) == [True]  # known when it happened


def test_the_columns_of_a_spine():
    seen = events([("b", day(1)), ("a", day(0))], item=[7, 8])
    clicks = events([("a", day(0) + 3), ("a", day(0) + 2), ("a", day(0) - 1)])
    found = label_spine(seen, clicks, on="impression_id", within="30m", delay="5m").to_arrow()
    assert found.column_names == [
        "impression_id",
        "available_at",
        "item",
        "event_timestamp",
        "label",
        "label_known_at",
        "outcome_at",
    ]
    assert found.drop_columns("available_at").to_pylist() == [
        {
            "impression_id": "b",
            "item": 7,
            "event_timestamp": moment(day(1)),
            "label": False,
            "label_known_at": moment(day(1) + 35 * MINUTE),
            "outcome_at": None,
        },
        {
            "impression_id": "a",
            "item": 8,
            "event_timestamp": moment(day(0)),
            "label": True,
            "label_known_at": moment(day(0) + 35 * MINUTE),
            "outcome_at": moment(day(0) + 2),
        },
    ]


def test_what_is_not_over_yet_is_left_out_or_marked():
    seen = events([("a", day(0)), ("b", day(0) + 1), ("c", day(0) + HALF + 1)])
    clicks = events([("a", day(0)), ("b", day(0) + 1)])
    until = day(0) + HALF
    assert labels(seen, clicks, until=until) == [True]
    assert labels(seen, clicks, until=moment(until), open_rows="mark") == [True, None]
    assert labels(seen, clicks, until=until + 1, open_rows="mark") == [True, True, None]


def test_doubled_rows_stay_and_doubled_outcomes_count_once():
    seen = events([("a", day(0)), ("a", day(0)), ("a", day(2))])
    clicks = events([("a", day(0) + 1), ("a", day(0) + 1), ("a", day(0) + 2)])
    assert labels(seen, clicks) == [True, True, False]


def test_empty_inputs():
    assert labels(events([]), events([("a", day(0))])) == []
    assert labels(events([("a", day(0))]), events([])) == [False]


def test_a_null_is_no_match():
    assert labels(events([(None, day(0))]), events([(None, day(0))])) == [False]


times = st.integers(0, 12).map(lambda n: day(0) + n * 10 * MINUTE) | st.integers(-3, 3).map(
    lambda n: day(0) + HALF + n
)
rows = st.lists(st.tuples(st.sampled_from("ab"), times, st.integers(0, 4)), max_size=8)


@examples(60)
@given(rows, rows, st.sampled_from((0, 1, HALF)), st.sampled_from((0, 10 * MINUTE)), times)
def test_labels_are_what_plain_python_finds(seen, clicks, within, delay, until):
    clicks = [(key, at, at + late * 10 * MINUTE) for key, at, late in clicks]
    expected = []
    for key, at, _ in seen:
        decided = at + within + delay
        if decided <= until:
            came = [
                t
                for k, t, known in clicks
                if k == key and at <= t <= at + within and known <= decided
            ]
            expected.append((key, moment(at), bool(came), moment(min(came)) if came else None))
    found = label_spine(
        events([row[:2] for row in seen]),
        events(clicks),
        on=["impression_id"],
        keys="impression_id",
        within=f"{within}us",
        delay=f"{delay}us",
        until=until,
        available_at="available_at",
    ).to_arrow()
    found = found.drop_columns("label_known_at").to_pylist()
    assert [tuple(row.values()) for row in found] == expected


FORMS = {
    "arrow": lambda table, _: table,
    "pandas": lambda table, _: table.to_pandas(),
    "polars": lambda table, _: pl.from_arrow(table),
    "path": lambda table, folder: str(written(table, folder)),
    "query": lambda table, folder: f"SELECT * FROM '{written(table, folder)}';",
    "source": lambda table, folder: Source(
        "some", path=str(written(table, folder)), event_time="event_time"
    ),
}


def written(table, folder):
    path = folder / f"rows-{random.getrandbits(40)}.parquet"
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input_and_output(form, tmp_path):
    def given(table):
        return FORMS[form](table, tmp_path)

    seen = events([(str(n % 50), day(0) + n * 1000) for n in range(400)])
    clicks = events([(str(n), day(0) + n * 1000) for n in range(0, 60, 3)])
    options = {"on": "impression_id", "within": "1s", "until": LATE, "keys": ["impression_id"]}
    expected = label_spine(seen, clicks, **options).to_arrow()
    found = label_spine(given(seen), given(clicks), **options)
    assert found.to_arrow() == expected
    assert found.to_polars().to_arrow().num_rows == found.to_pandas().shape[0] == 400
    assert pa.Table.from_batches(found.to_batches()) == expected
    assert pq.read_table(found.to_parquet(tmp_path / "out.parquet")) == expected
    labelled = expected.select(["impression_id", "event_timestamp", "label"])
    labelled = labelled.rename_columns(["impression_id", "event_time", "label"])
    sample = sample_negatives(given(labelled), rate=0.5).to_arrow()
    assert sample == sample_negatives(labelled, rate=0.5).to_arrow()
    assert 100 < sample.num_rows < 400


def test_versions_of_a_fact(tmp_path):
    """A click that is taken back or moved before its label is known counts as it is then."""
    kinds = ["e1", "e1", "e2", "e2", "e3", None]
    clicks = events(
        [
            ("a", day(0) + 1, day(0) + 1),
            ("z", day(0) + 1, day(0) + HALF),  # it was another's, as is known in time
            ("b", day(0) + 1, day(0) + 1),
            ("z", day(0) + 1, day(0) + HALF + 1),  # too late to matter
            ("c", day(0) + 1, day(0) + 1),
            ("d", day(0) + 1, day(0) + 1),
        ],
        event_id=pa.array(kinds),
    )
    source = Source(
        "clicks",
        path=str(written(clicks, tmp_path)),
        event_time="event_time",
        available_at="available_at",
        id="event_id",
    )
    seen = events([(key, day(0)) for key in "abcd"])
    assert labels(seen, source) == [False, True, True, True]
    shown = Source(
        "shown",
        path=str(written(clicks.set_column(1, "event_time", clicks["available_at"]), tmp_path)),
        event_time="event_time",
        available_at="available_at",
        id="event_id",
    )
    found = label_spine(shown, clicks, on="impression_id", within="1s", until=LATE).to_arrow()
    assert found["impression_id"].to_pylist() == ["z", "z", "c", "d"]  # each fact's last version


def test_the_order_of_impressions_is_kept_where_duckdb_loses_it(tmp_path):
    """Versions of facts are told apart by sorting; many rows are written by several threads."""
    count = 300_000
    order = np.random.default_rng(3).permutation(count).astype(str).tolist()
    table = events([(name, day(0)) for name in order], event_id=pa.array(order))
    source = Source(
        "shown", path=str(written(table, tmp_path)), event_time="event_time", id="event_id"
    )
    for shown in (table, source):
        found = label_spine(
            shown, events([("7", day(0))]), on="impression_id", within="1s", keys="impression_id"
        ).to_arrow()
        assert found.column_names[0] == "impression_id"
        assert found["impression_id"].to_pylist() == order
        assert sum(found["label"].to_pylist()) == 1


def test_labels_go_into_a_training_set(make):
    store = make(shop.random_events(200))
    store.apply([shop.latest()])
    users = [f"u{n}" for n in range(10)]
    seen = pa.table({"user_id": users, "event_time": pa.array([day(3)] * 10).cast(TIME)})
    query = "SELECT user_id, event_time FROM 'events.parquet' WHERE kind = 'click'"
    spine = label_spine(seen, query, on="user_id", within="6h", store=store)
    found = store.get_historical_features(spine, ["last_kind"]).to_arrow()
    assert found.num_rows == 10
    assert 0 < sum(found["label"].to_pylist()) < 10
    kept = sample_negatives(spine, ratio=1, seed=3, keys="user_id")
    assert store.get_historical_features(kept, ["last_kind"]).to_arrow().num_rows <= 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"on": "impresion_id"}, "no column 'impresion_id' .*; did you mean 'impression_id'"),
        ({"on": []}, "on= names no column"),
        ({"keys": ["user"]}, "impressions: no column 'user'"),
        ({"within": 30}, "within=: 30 is not a duration"),
        ({"event_time": "at"}, "no column 'at'"),
        ({"event_time": "impression_id"}, "'impression_id' is string; a timestamp or a date"),
        ({"open_rows": "keep"}, "give 'drop' or 'mark'"),
        ({"timestamp": "impression_id"}, "'impression_id' would be there twice"),
    ],
)
def test_what_is_refused(given, said):
    with pytest.raises(SpineError, match=said):
        labels(events([("a", day(0))]), events([]), **given)


def test_types_and_times_that_are_refused():
    numbers = events([("a", day(0))]).set_column(0, "impression_id", pa.array([1]))
    with pytest.raises(SpineError, match="int64 in the impressions and string in the outcomes"):
        labels(numbers, events([]))
    with pytest.raises(SpineError, match="outcomes: 1 rows have no time"):
        labels(events([]), events([("a", None)]))


# --- negatives --------------------------------------------------------------------------


def spine(count=4000, rate=0.05, seed=1):
    chance = np.random.default_rng(seed)
    return pa.table(
        {
            "user_id": [f"u{n}" for n in range(count)],
            "event_timestamp": pa.array(np.arange(count) + day(0)).cast(TIME),
            "label": chance.random(count) < rate,
        }
    )


def test_positives_stay_and_negatives_are_drawn_with_their_probability():
    rows = spine()
    found = sample_negatives(rows, rate=0.1, seed=7).to_arrow()
    positive = [row for row in rows.to_pylist() if row["label"]]
    kept = found.to_pylist()
    assert [{n: r[n] for n in rows.column_names} for r in kept if r["label"]] == positive
    assert {(r["label"], r["propensity"], r["weight"]) for r in kept} == {
        (True, 1.0, 1.0),
        (False, 0.1, 10.0),
    }
    negatives = rows.num_rows - len(positive)
    assert abs(len(kept) - len(positive) - 0.1 * negatives) < 4 * (negatives * 0.09) ** 0.5


def test_a_row_is_drawn_by_what_it_holds():
    """As documented, in plain Python; whatever the order of rows and the others beside it."""
    rows = spine(600)
    drawn = set()
    for row in rows.to_pylist():
        at = str(int(row["event_timestamp"].timestamp() * 1_000_000))
        text = f"11|{len(at)}:{at}|{len(row['user_id'])}:{row['user_id']}"
        number = int(hashlib.md5(text.encode()).hexdigest()[:16], 16)
        if row["label"] or number < int(0.3 * 2**64):
            drawn.add(row["user_id"])
    order = np.random.default_rng(0).permutation(600)
    for part in (rows, rows.take(pa.array(order)), rows[:300], rows[300:]):
        kept = sample_negatives(part, rate=0.3, seed=11).to_arrow()["user_id"].to_pylist()
        assert kept == [user for user in part["user_id"].to_pylist() if user in drawn]
    wider = rows.append_column("more", pa.array(range(600)))
    by_keys = sample_negatives(wider, rate=0.3, seed=11, keys=["event_timestamp", "user_id"])
    assert set(by_keys.to_arrow()["user_id"].to_pylist()) == drawn


def test_weighted_rates_are_those_of_all_rows():
    """Over many seeds the weighted positive rate of a group is its rate, and so is its count."""
    rows = spine(3000, rate=0.1)
    true = rows["label"].to_numpy(zero_copy_only=False)
    group = np.arange(3000) % 2 == 0
    rates, counts = [], []
    for seed in range(60):
        kept = sample_negatives(rows.append_column("even", pa.array(group)), rate=0.2, seed=seed)
        frame = kept.to_pandas()
        even = frame[frame["even"]]
        counts.append(even["weight"].sum())
        rates.append((even["label"] * even["weight"]).sum() / even["weight"].sum())
    spread = (1500 * 0.9 * (1 - 0.2) / 0.2) ** 0.5 / 60**0.5
    assert abs(np.mean(counts) - 1500) < 4 * spread
    assert abs(np.mean(rates) - true[group].mean()) < 0.003
    assert len(set(counts)) > 20  # another seed is another sample


def test_predictions_are_calibrated_back():
    """Among the rows kept a share p of positives stands for the share that there is."""
    positives, negatives = 300, 9_700
    for rate in (1.0, 0.5, 0.01):
        learned = positives / (positives + negatives * rate)
        assert calibrated(learned, rate) == pytest.approx(0.03)
    several = calibrated(np.array([0.0, 0.5, 1.0]), 0.1)
    assert several.tolist() == pytest.approx([0.0, 1 / 11, 1.0])


def test_so_many_negatives_for_each_positive():
    rows = spine(5000)
    positives = sum(rows["label"].to_pylist())
    found = sample_negatives(rows, ratio=3, seed=2).to_arrow()
    share = 3 * positives / (5000 - positives)
    assert min(found["propensity"].to_pylist()) == pytest.approx(share)
    assert abs(found.num_rows - 4 * positives) < 5 * (3 * positives) ** 0.5
    everything = sample_negatives(rows, ratio=1e9).to_arrow()
    assert everything.num_rows == 5000
    assert set(everything["propensity"].to_pylist()) == {1.0}


def test_labels_of_zero_and_one_and_other_names():
    rows = pd.DataFrame({"id": range(100), "bought": [1, *[0] * 99]})
    found = sample_negatives(rows, label="bought", rate=0.5)
    assert 20 < found.to_pandas().shape[0] < 80


@pytest.mark.parametrize(
    ("change", "given", "said"),
    [
        ({}, {}, "one of them"),
        ({}, {"rate": 0.1, "ratio": 1}, "one of them"),
        ({}, {"rate": 0}, "above 0, up to 1"),
        ({}, {"rate": 1.1}, "above 0, up to 1"),
        ({}, {"ratio": 0}, "a number above 0"),
        ({}, {"rate": 0.5, "label": "lable"}, "no column 'lable' .*; did you mean 'label'"),
        ({}, {"rate": 0.5, "keys": ["x"]}, "no column 'x'"),
        ({"label": ["yes", "no"]}, {"rate": 0.5}, "'label' is string"),
        ({"label": [True, None]}, {"rate": 0.5}, "1 rows have no label"),
        ({"label": [0, 2]}, {"rate": 0.5}, "1 another than 0 and 1"),
        ({"label": [False, False]}, {"ratio": 2}, "no row of 'label' is positive"),
        ({"weight": [1, 1]}, {"rate": 0.5}, "'weight' would be there twice"),
    ],
)
def test_samples_that_are_refused(change, given, said):
    rows = pa.table({"id": ["a", "b"], "label": [True, False], **change})
    with pytest.raises(SpineError, match=said):
        sample_negatives(rows, **given).to_arrow()
