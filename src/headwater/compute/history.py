"""The history of a view's values: what a backfill writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from headwater.compute.drift import check_columns
from headwater.compute.keys import EncodedKeys
from headwater.compute.latest import active_keys
from headwater.compute.lookup import row_values
from headwater.compute.reading import Reader
from headwater.compute.sequence import sequence_rows
from headwater.compute.values import Rules, Values, whole
from headwater.expressions.analyzed import AnalyzedView

QUERIES = 2_000_000
TIME = pa.timestamp("us", tz="UTC")


def ticked_history(
    reader: Reader, view: AnalyzedView, ticks: Sequence[int], share: tuple[int, int]
) -> Iterator[pa.RecordBatch]:
    """The values at each tick of one hash part of the keys: join keys, times, features.

    A key has a row at a tick where it has a value there; features are without defaults.
    """
    if not ticks:
        return
    keys = active_keys(reader, view, max(ticks), min(ticks), share)
    per_chunk = max(1, QUERIES // max(keys.count, 1))
    for start in range(0, len(ticks), per_chunk):
        instants = np.array(ticks[start : start + per_chunk], dtype=np.int64)
        yield _batch(reader, view, keys, instants)


def _batch(
    reader: Reader, view: AnalyzedView, keys: EncodedKeys, ticks: np.ndarray
) -> pa.RecordBatch:
    codes = np.tile(np.arange(keys.count, dtype=np.int64), ticks.size)
    times = np.repeat(ticks, keys.count)
    values = _values(reader, view, EncodedKeys(codes, keys.table), times)
    found = np.flatnonzero(values.found)
    kept = values.take(found)
    own = pa.array(codes[found])
    columns = {name: whole(keys.table[name]).take(own) for name in view.join_keys}
    if view.view.ticks is not None:
        columns["tick"] = pa.array(times[found]).cast(TIME)
    columns["event_time"] = pa.array(kept.event_time).cast(TIME)
    columns["known_at"] = pa.array(kept.known_at).cast(TIME)
    columns.update({f.name: kept.columns[f.name] for f in view.stored_features})
    return pa.RecordBatch.from_pydict(columns)


def _values(reader: Reader, view: AnalyzedView, keys: EncodedKeys, times: np.ndarray) -> Values:
    if view.source is not None:
        return reader.plain_at(view, keys, times)
    taken = pa.array(keys.codes)
    columns = {name: whole(keys.table[name]).take(taken) for name in view.join_keys}
    return reader.plain(view, [f.name for f in view.stored_features], columns, times)


def sequence_history(
    reader: Reader,
    view: AnalyzedView,
    interval: tuple[int, int],
    latest: int,
    share: tuple[int, int],
) -> Iterator[pa.RecordBatch]:
    """The rows of a sequence view with event times in [start, end), as known by `latest`: join
    keys, times, features. A replayed row has a row for each version.
    """
    if view.source is None:
        return
    start, end = interval
    keys = active_keys(reader, view, latest, None, share)
    features = [f for f in view.features if f.kind == "sequence"]
    lookups = [f for f in view.features if f.kind == "lookup"]
    scan = reader.scan(view.source)
    check_columns(view, scan, view.features)
    rules = Rules(knowledge=reader.knowledge)
    engine = reader.engine_of(view)
    made = sequence_rows(engine, scan, features, keys.table, latest, rules)
    chosen = np.flatnonzero((made.rows.event_time >= start) & (made.rows.event_time < end))
    times, known = made.rows.event_time[chosen], made.rows.available_at[chosen]
    values = {name: column.take(pa.array(chosen)) for name, column in made.columns.items()}
    values.update(row_values(engine, scan, lookups, made.row_id[chosen], times))
    found = Values(values, times, known, np.ones(chosen.size, dtype=bool))
    plain, _ = reader.finish(view, view.stored_features, found, times)
    own = pa.array(made.rows.key[chosen])
    columns = {name: whole(keys.table[name]).take(own) for name in view.join_keys}
    columns["event_time"] = pa.array(times).cast(TIME)
    columns["known_at"] = pa.array(known).cast(TIME)
    yield pa.RecordBatch.from_pydict({**columns, **plain})
