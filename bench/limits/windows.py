"""Window aggregates by numpy alone: events in file order, one sort, then arrays.

Nothing here knows when a row became known, which version of a row holds, how ties are ordered, or
(but for `exact`) how a sum is rounded. DuckDB reads the file and evaluates the FILTER.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.checks import table_sums
from bench.limits.wavelet import Wavelet
from bench.timing import timed

HOUR = 3_600_000_000
WINDOWS = {"1h": HOUR, "1d": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR}
BLOCK = 64
LIMB = 36


@dataclass(frozen=True)
class Sorted:
    """The events by key and time, and the rows that each query's windows hold."""

    spine: pa.Table
    columns: dict[str, np.ndarray]
    key: np.ndarray
    high: np.ndarray
    low: dict[str, np.ndarray]


def sums(data: str, key: str, calls: int, *, exact: bool = False) -> dict[str, Any]:
    """count(*) FILTER (clicks) and sum(amount), of each window."""

    def work() -> pa.Table:
        read = _sorted(data, key, {"click": "event_type = 'click'", "amount": "amount"})
        total = exact_prefix if exact else _prefix
        clicks, amounts = (
            _prefix(read.columns["click"].astype(np.int64)),
            total(read.columns["amount"]),
        )
        table = read.spine
        for name, low in read.low.items():
            table = table.append_column(f"count_{name}", pa.array(clicks(low, read.high)))
            found = pa.array(amounts(low, read.high), mask=read.high == low)
            table = table.append_column(f"sum_{name}", found)
        return table

    return timed(work, calls, table_sums(_names("count", "sum")))


def greatest(data: str, key: str, calls: int) -> dict[str, Any]:
    """max(amount) of each window: maxima of blocks of 64 in a sparse table, the ends by hand."""

    def work() -> pa.Table:
        read = _sorted(data, key, {"amount": "amount"})
        find = _greatest(read.columns["amount"])
        table = read.spine
        for name, low in read.low.items():
            found = pa.array(find(low, read.high), mask=read.high == low)
            table = table.append_column(f"max_{name}", found)
        return table

    return timed(work, calls, table_sums(_names("max")))


def distinct(data: str, key: str, calls: int) -> dict[str, Any]:
    """count(DISTINCT other key) of each window: rows whose value did not occur in it before."""
    other = "ad_id" if key == "user_id" else "user_id"

    def work() -> pa.Table:
        read = _sorted(data, key, {"value": other})
        before = _previous(read.columns["value"], read.key)
        wavelet = Wavelet(before)
        table = read.spine
        for name, low in read.low.items():
            count = wavelet.smaller(low, read.high, low + 1)
            table = table.append_column(f"distinct_{name}", pa.array(count))
        return table

    return timed(work, calls, table_sums(_names("distinct")))


def quantile(data: str, key: str, calls: int) -> dict[str, Any]:
    """quantile_cont(amount, 0.9) of each window, by selection on ranks."""

    def work() -> pa.Table:
        read = _sorted(data, key, {"amount": "amount"})
        ordered, rank = np.unique(read.columns["amount"], return_inverse=True)
        wavelet = Wavelet(rank)
        table = read.spine
        for name, low in read.low.items():
            place = np.maximum(read.high - low - 1, 0) * 0.9
            below = np.floor(place).astype(np.int64)
            first = ordered[wavelet.kth(low, read.high, below)]
            more = np.minimum(below + 1, np.maximum(read.high - low - 1, 0))
            second = ordered[wavelet.kth(low, read.high, more)]
            values = first + (second - first) * (place - below)
            table = table.append_column(f"quantile_{name}", pa.array(values, mask=read.high == low))
        return table

    return timed(work, calls, table_sums(_names("quantile")))


def frequent(data: str, key: str, calls: int) -> dict[str, Any]:
    """mode_count(event_type) of each window: all counts of its few values, and the greatest."""

    def work() -> pa.Table:
        read = _sorted(data, key, {"value": "event_type"})
        values, code = np.unique(read.columns["value"].astype(str), return_inverse=True)
        counts = [_prefix((code == value).astype(np.int64)) for value in range(len(values))]
        table = read.spine
        for name, low in read.low.items():
            found = np.max([count(low, read.high) for count in counts], axis=0)
            table = table.append_column(f"frequent_{name}", pa.array(found))
        return table

    return timed(work, calls, table_sums(_names("frequent")))


def _names(*stems: str) -> list[str]:
    return [f"{stem}_{name}" for name in WINDOWS for stem in stems]


def _sorted(data: str, key: str, columns: dict[str, str]) -> Sorted:
    folder = Path(data)
    listed = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    events = duckdb.connect().sql(
        f"SELECT {key} AS key, epoch_us(event_timestamp) AS time, {listed} "
        f"FROM read_parquet('{folder / 'raw_events.parquet'}')"
    )
    found = {name: array.to_numpy() for name, array in _columns(events.to_arrow_table()).items()}
    key_of, time = found.pop("key"), found.pop("time")
    # The file is in the order of time, so the position in it can stand for the time.
    bits = len(time).bit_length()
    packed = (key_of << bits) | np.arange(len(time))
    packed.sort()
    row = packed & ((1 << bits) - 1)
    spine = pq.ParquetFile(folder / f"spine_{key}.parquet").read()
    asked_key = spine[key].to_numpy()
    asked = spine["event_timestamp"].cast(pa.int64()).to_numpy()
    by_time, by_key = np.argsort(asked), np.lexsort((asked, asked_key))

    def before(instant: np.ndarray) -> np.ndarray:
        # Searching for ascending numbers is several times faster than for numbers in no order.
        rank, found = np.empty_like(instant), np.empty_like(instant)
        rank[by_time] = np.searchsorted(time, instant[by_time])
        wanted = (asked_key << bits) | rank
        found[by_key] = np.searchsorted(packed, wanted[by_key])
        return found

    high = before(asked)
    low = {name: before(asked - size) for name, size in WINDOWS.items()}
    return Sorted(spine, {n: c[row] for n, c in found.items()}, packed >> bits, high, low)


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _prefix(values: np.ndarray) -> Any:
    total = np.concatenate([[0], np.cumsum(values)])
    return lambda low, high: total[high] - total[low]


def exact_prefix(values: np.ndarray) -> Any:
    """Exact sums by two fixed-point limbs: enough for amounts of money, not for every float."""
    top = int(np.frexp(np.abs(values).max())[1])
    whole = np.trunc(np.ldexp(values, LIMB - top))
    rest = np.ldexp(values, LIMB - top) - whole
    first, second = _prefix(whole.astype(np.int64)), _prefix(np.ldexp(rest, LIMB).astype(np.int64))

    def total(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        large, small = first(low, high), second(low, high)
        large += small >> LIMB
        small &= (1 << LIMB) - 1
        return np.ldexp(large.astype(np.float64), top - LIMB) + np.ldexp(
            small.astype(np.float64), top - 2 * LIMB
        )

    return total


def _greatest(values: np.ndarray) -> Any:
    padded = np.append(values, np.full(-len(values) % BLOCK, -np.inf))
    levels = [padded.reshape(-1, BLOCK).max(axis=1)]
    while len(levels[-1]) > 1 << (len(levels) - 1):
        step = 1 << (len(levels) - 1)
        levels.append(np.maximum(levels[-1], np.append(levels[-1][step:], levels[-1][-step:])))
    table = np.stack(levels)

    def find(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        found = np.full(len(low), -np.inf)
        first, last = -(-low // BLOCK), high // BLOCK
        blocks = np.flatnonzero(last > first)
        level = np.frexp((last - first)[blocks].astype(np.float64))[1] - 1
        found[blocks] = np.maximum(
            table[level, first[blocks]], table[level, last[blocks] - (1 << level)]
        )
        left = np.minimum(first * BLOCK, high)
        right = np.maximum(last * BLOCK, low)
        right = np.where(right < left, high, right)
        for step in range(BLOCK):
            for begin, end in ((low, left), (right, high)):
                open_ = np.flatnonzero(begin + step < end)
                place = begin[open_] + step
                found[open_] = np.maximum(found[open_], values[place])
        return found

    return find


def _previous(values: np.ndarray, key: np.ndarray) -> np.ndarray:
    """One more than the place of the same value before, in the same key; 0 for none."""
    rows = len(values)
    bits = rows.bit_length()
    packed = (values << bits) | np.arange(rows)
    packed.sort()
    row, value = packed & ((1 << bits) - 1), packed >> bits
    same = (value[1:] == value[:-1]) & (key[row[1:]] == key[row[:-1]])
    before = np.zeros(rows, dtype=np.int64)
    before[row[1:][same]] = row[:-1][same] + 1
    return before
