"""Runs that go on from what the last one left: the same values, to the bit, as from all rows."""

from __future__ import annotations

import os
import random
import re
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from headwater import Feature, Source
from headwater.compute.latest import active_keys
from headwater.compute.reading import Reader
from headwater.errors import StoreError
from headwater.online.codec import Layout, encode_key
from headwater.online.order import is_tombstone
from pipeline.looking import view_of
from store import shop
from store.shop import DAY, HOUR, day, event

AGGREGATES = (
    *("count(*)", "count(amount)", "count(DISTINCT kind)", "count(DISTINCT amount)"),
    *("sum(amount)", "sum(items)", "avg(amount)", "avg(items)", "min(amount)", "max(kind)"),
    *("first(amount)", "last(items)", "last_k(amount, 3)", "stddev(amount)", "median(amount)"),
    *("mode(items)", "top_k(kind, 2)", "histogram(items)", "mode_count(kind)"),
    *("approx_count_distinct(amount)", "approx_quantile(amount, 0.5)"),
    *("avg_deviation(amount)", "covar_samp(amount, items)", "quantile_disc(kind, 0.5)"),
)
FILTERED = ("", " FILTER (WHERE kind = 'click')")
FEATURES = [
    *(
        Feature(f"last_{n}_{f}", f"{text}{where}", rows=5, min_rows=1 + 2 * f)
        for n, text in enumerate(AGGREGATES)
        for f, where in enumerate(FILTERED)
    ),
    *(
        Feature(f"all_{n}_{f}", f"{text}{where} OVER (ROWS UNBOUNDED PRECEDING)")
        for n, text in enumerate(AGGREGATES)
        for f, where in enumerate(FILTERED)
    ),
    Feature("frame", "sum(amount) OVER (ROWS 2 PRECEDING)"),
    Feature("one", "sum(amount)", rows=1),
    Feature("lagged", "lag(amount, 3)"),
    Feature("lag_kind", "lag(kind)"),
    Feature("ema", "ema(amount, 3)"),
    Feature("ema_late", "ema(amount, 3)", rows=6),
    Feature("wilder", "wilder(items, 4)"),
    Feature("weighted", "wma(amount, 3)"),
    Feature("macd", "ema(ema(amount, 2) - ema(amount, 4), 3)"),
    Feature("nested", "max(sum(amount) OVER (ROWS 1 PRECEDING)) OVER (ROWS 3 PRECEDING)"),
    Feature("draw", "amount / max(amount) OVER (ROWS UNBOUNDED PRECEDING)"),
    Feature("obv", "sum(CASE WHEN amount > lag(amount) THEN items ELSE -items END)"
            " OVER (ROWS UNBOUNDED PRECEDING)"),
    Feature("deep", "stddev(amount - wilder(amount, 2)) OVER (ROWS 4 PRECEDING)"),
    Feature("last_amount", "amount"),
    Feature("twice", "ema * 2", default=0.5),
]  # fmt: skip
SPECIAL = [None, None, float("nan"), float("inf"), -float("inf"), -0.0, 1e308, -1e308, 1e-300]
SEEDS = range(int(os.environ.get("CARRIED", "4")))


class Rows:
    """Rows that come over some days: in order, late, as corrections, unknown for some time."""

    def __init__(self, seed: int, *, with_id: bool) -> None:
        self.chance = random.Random(seed)
        self.with_id = with_id
        self.given: list[dict] = []

    def some(self, now: int, count: int) -> list[dict]:
        return [self.one(now) for _ in range(count)]

    def one(self, now: int) -> dict:
        chance = self.chance
        when = now - chance.randrange(DAY) - chance.choice([0, 0, 0, 0, 0, 0, 2 * DAY])
        when -= when % HOUR
        delay = chance.choice([0, 0, 0, 0, 20 * HOUR, -3 * HOUR])
        row = event(
            f"u{chance.randrange(9)}" if chance.random() > 0.03 else None,
            when if chance.random() > 0.02 else None,
            kind=chance.choice(["view", "click", None]),
            amount=chance.choice(SPECIAL) if chance.random() < 0.1 else chance.uniform(-9, 99),
            items=None if chance.random() < 0.1 else chance.randrange(9),
            known=None if chance.random() < 0.1 else when + delay,
            event_id=f"e{len(self.given)}" if chance.random() < 0.9 else None,
        )
        older = [r for r in self.given if r["user_id"] and r["event_id"]]
        if self.with_id and older and chance.random() < 0.1:
            old = chance.choice(older)
            moved = old["event_time"] if chance.random() < 0.5 else row["event_time"]
            same = {"user_id": old["user_id"], "event_id": old["event_id"], "event_time": moved}
            row |= {**same, "known": now - chance.randrange(5) * HOUR}
        self.given.append(row)
        return row


def bits(value):
    """A value such that equal ones are equal to the bit."""
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value)
    if isinstance(value, dict):
        value = list(value.items())
    return [bits(v) for v in value] if isinstance(value, (list, tuple)) else value


def computed(store, view, instant):
    """All values of a view at an instant, each key's from all of its rows by C7's replay."""
    reader = Reader(store.engine, store.analyzed())
    keys = active_keys(reader, view, instant, None, (0, 1))
    found = reader.plain_at(view, keys, np.full(keys.count, instant, dtype=np.int64))
    rows = {}
    for place in np.flatnonzero(found.found):
        values = [found.columns[f.name][int(place)].as_py() for f in view.row_features]
        known = int(found.known_at[place]) + view.view.data_delay
        key = keys.table["user_id"][int(place)].as_py()
        rows[key] = (int(found.event_time[place]), known, bits(values))
    return rows


def stored(store, view):
    """The same as the online store holds it."""
    keys = [*(f"u{n}" for n in range(9)), "a", "b", "c"]
    encoded = [encode_key([key]) or b"" for key in keys]
    [rows], _ = store.online.read(store.project, [(view.revision, encoded)])
    layout = Layout(view.row_columns)
    found = {}
    for key, row in zip(keys, rows, strict=True):
        if row is not None and not is_tombstone(row):
            decoded = layout.decode(row)
            values = [v.timestamp() if hasattr(v, "timestamp") else v for v in decoded.values]
            micros = [round((t - shop.moment(0)).total_seconds() * 1e6)
                      for t in (decoded.event_time, decoded.known_at)]  # fmt: skip
            found[key] = (*micros, bits(values[: len(view.row_features)]))
    return found


@pytest.mark.parametrize("ticked", [False, True])
@pytest.mark.parametrize("with_id", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_split_anyhow_the_values_are_those_of_all_rows(make, tmp_path, seed, with_id, ticked):
    rows = Rows(seed, with_id=with_id)
    chance = rows.chance
    store = make(rows.some(day(2), 60))
    source = shop.SOURCE.model_copy(update={"id": "event_id"} if with_id else {})
    ticks = {"update_frequency": "6h", "data_delay": "2h"} if ticked else {}
    store.apply([shop.view("carried", FEATURES, source=source, **ticks)])
    view = view_of(store, "carried")
    carried = 0
    for number in range(7):
        now = day(2, 12 * number)
        [report] = store.materialize("carried", until=now)
        if report.skipped is None:
            carried += report.anew is None and number > 0
            assert stored(store, view) == computed(store, view, report.tick), number
        if chance.random() < 0.8:
            shop.write(
                tmp_path,
                rows.some(now + 12 * HOUR, chance.randrange(12)),
                f"events_{number}.parquet",
            )
    assert carried > 3


@pytest.fixture
def trend(make, tmp_path):
    """A materialized view of sequences, and what a run of it at an instant reports."""
    store = make([event("a", day(0, h), amount=float(h)) for h in range(9)])
    store.apply([shop.trend()])
    store.materialize(until=day(1))

    def run(at, rows=None, name="events_2.parquet"):
        if rows is not None:
            shop.write(tmp_path, rows, name)
        [report] = store.materialize("trend", until=at)
        view = view_of(store, "trend")
        assert stored(store, view) == computed(store, view, report.tick)
        return report

    run.store = store
    return run


def test_a_run_reads_what_has_come_since(trend):
    report = trend(day(2), [event("a", day(1, 1)), event("b", day(1, 2))])
    assert (report.anew, report.rows, report.written) == (None, 2, 2)
    assert report.read == 2 + 2  # for keys, and for rows
    report = trend(day(3), [event("b", day(2, 2))], "events_3.parquet")
    assert (report.anew, report.rows, report.read) == (None, 1, 1 + 1)


def test_a_late_row_replays_its_key_alone(trend):
    trend(day(2), [event("b", day(1, 1)), event("a", day(1, 1))])
    report = trend(day(3), [event("a", day(0, 2, 5))], "events_3.parquet")
    assert (report.anew, report.rows, report.read) == (None, 1, 1 + 1 + 12)


def test_rows_that_nobody_knew_yet_are_taken_when_they_are_known(trend):
    trend(day(1, 5), [event("a", day(1, 1), known=day(1, 9)), event("a", day(1, 2))])
    report = trend(day(1, 8), [event("b", day(1, 7))], "events_3.parquet")
    assert (report.anew, report.rows) == (None, 1)
    report = trend(day(1, 10), [event("b", day(1, 9, 5))], "events_4.parquet")
    assert (report.anew, report.rows) == (None, 2)


def rewritten(folder, _store):
    shop.write(folder, [event("a", day(0, 1)), event("c", day(0, 1))])


def taken_away(folder, _store):
    (folder / "events_2.parquet").unlink()


def forgotten(folder, _store):
    for path in folder.rglob("states/*/*.arrow"):
        path.unlink()


def spoilt(folder, _store):
    for path in folder.rglob("states/*/*.state"):
        path.write_bytes(b"?")


def with_a_column_more(folder, _store):
    table = shop.table([event("a", day(1, 3))])
    pq.write_table(table.append_column("more", pa.array([1])), folder / "events_5.parquet")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (rewritten, "file 'events.parquet' of the source has changed"),
        (taken_away, "file 'events_2.parquet' of the source has gone"),
        (forgotten, "what the last run left can't be read"),
        (spoilt, "what the last run left can't be read"),
        (with_a_column_more, "columns of the source have changed"),
    ],
)
def test_what_can_not_be_carried_on_is_computed_anew(trend, tmp_path, change, why):
    trend(day(2), [event("b", day(1, 1))])
    change(tmp_path, trend.store)
    report = trend(day(3), [event("b", day(2, 2))], "events_3.parquet")
    assert report.anew == why
    assert trend(day(4), [event("a", day(3, 2))], "events_4.parquet").anew is None


def test_a_delta_table_is_carried_on_until_its_files_are_rewritten(make, tmp_path):
    path = tmp_path / "table"
    write_deltalake(path, shop.table([event("a", day(0, h), amount=float(h)) for h in range(9)]))
    source = Source("bars", path="table", event_time="event_time", available_at="known")
    store = make()
    store.apply([shop.trend(source=source)])
    view = view_of(store, "trend")
    reasons = []
    for number in range(1, 5):
        if number == 3:
            DeltaTable(path).optimize.compact()
        write_deltalake(path, shop.table([event("a", day(number))]), mode="append")
        [report] = store.materialize("trend", until=day(number, 1))
        assert stored(store, view) == computed(store, view, report.tick)
        reasons.append(report.anew)
    assert reasons[:2] == [None, None]
    assert re.fullmatch("file 'table/.*' of the source has gone", reasons[2])
    assert reasons[3] is None


def test_a_folder_that_can_not_be_written(make, tmp_path):
    store = make([event("a", day(0, 1))])
    store.apply([shop.trend()])
    folder = tmp_path / ".headwater/offline/shop"
    folder.mkdir(parents=True)
    (folder / "states").write_text("")
    with pytest.raises(StoreError, match="what a run leaves for the next one can't be written"):
        store.materialize("trend", until=day(1))
    (folder / "states").unlink()
    [report] = store.materialize("trend", until=day(1))
    assert (report.rows, report.anew) == (1, None)


def test_of_two_runs_at_once_the_next_one_trusts_neither(trend, tmp_path, monkeypatch):
    """The one that began first ends last: what it left does not hold what the other wrote."""
    from headwater.pipeline import carrying

    keep, kept = carrying.Carrying.keep, []

    def keep_late(work):
        if not kept:
            kept.append(work)
            trend(day(2, 1), [event("b", day(2, 0, 5))], "events_3.parquet")
        keep(work)

    monkeypatch.setattr(carrying.Carrying, "keep", keep_late)
    shop.write(tmp_path, [event("b", day(1, 1))], "events_2.parquet")
    trend.store.materialize("trend", until=day(2))
    report = trend(day(3), [event("a", day(2, 2))], "events_4.parquet")
    assert report.anew == "nothing was left by the last run"
    assert trend(day(4), [event("a", day(3, 2))], "events_5.parquet").anew is None


def test_views_that_are_computed_from_all_rows_each_time(make):
    store = make([event("a", day(0, 1))])
    store.apply([shop.latest(), shop.activity()])
    assert [(r.read, r.anew) for r in store.materialize(until=day(1))] == [(None, None)] * 2
