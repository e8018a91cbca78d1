"""C4: the order of a key's rows, by content alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.fetch import fetch_rows
from headwater.compute.kernels.rows import Rows
from headwater.expressions.printing import quote

Ints = NDArray[np.int64]
_MIX = np.uint64(0x9E3779B97F4A7C15)


def order_rows(
    rows: Rows,
    sequence: pa.ChunkedArray | None,
    canonical: Callable[[Ints], list[bytes]],
) -> Ints:
    """Numbers that order the rows of each key as C4 says: (event_time, available_at, sequence
    with nulls first, canonical encoding).

    Where no key has two rows of one event time, the event times are the answer. `canonical`
    is asked only for the rows that all else leaves tied.
    """
    if not _may_tie(rows.key, rows.event_time):
        return rows.event_time
    columns = [rows.key, rows.event_time, rows.available_at]
    if sequence is not None:
        present = np.asarray(pc.is_valid(sequence).to_numpy(zero_copy_only=False))
        columns.append(present.astype(np.int64))
        columns.append(pc.fill_null(sequence.cast(pa.int64()), 0).to_numpy())
    ranked = np.lexsort(columns[::-1])
    same = np.ones(max(ranked.size - 1, 0), dtype=bool)
    for column in columns:
        ordered = column[ranked]
        same &= ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if tied.size:
        group = np.cumsum(np.append(True, ~same))[tied]
        content = canonical(ranked[tied])
        inside = sorted(range(tied.size), key=lambda i: (group[i], content[i]))
        ranked[tied] = ranked[tied][inside]
    order = np.empty(ranked.size, dtype=np.int64)
    order[ranked] = np.arange(ranked.size)
    return order


def _may_tie(key: Ints, event_time: Ints) -> bool:
    """Whether two rows may share key and event time; never false where two do."""
    if (event_time[1:] >= event_time[:-1]).all():
        # Rows that come in the order of time tie with a neighbour's time, and those are few.
        same = event_time[1:] == event_time[:-1]
        if not same.any():
            return False
        near = np.append(same, False) | np.append(False, same)
        key, event_time = key[near], event_time[near]
    mixed = event_time.astype(np.uint64) ^ (key.astype(np.uint64) * _MIX)
    mixed.sort()
    return bool((mixed[1:] == mixed[:-1]).any())


def canonical_bytes(engine: DuckDBEngine, scan: Scan, row_id: Ints) -> list[bytes]:
    """The canonical encoding of rows: all columns by name, in MessagePack.

    Timestamps are microseconds and dates days since the epoch.
    """
    names = sorted(scan.columns)
    sql = {name: _plain(name, scan.columns[name]) for name in names}
    table = fetch_rows(engine, scan, row_id, sql)
    encode = msgspec.msgpack.Encoder().encode
    return [encode(row) for row in zip(*(table[n].to_pylist() for n in names), strict=True)]


def _plain(name: str, dtype: str) -> str:
    if dtype == "timestamp":
        return f"epoch_us({quote(name)})"
    if dtype == "date":
        return f"date_diff('day', DATE '1970-01-01', {quote(name)})"
    return quote(name)
