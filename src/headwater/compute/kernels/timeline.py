"""Rows in C4's order, key by key, beside the queries in the order of key and time.

What a query at t sees of a row is decided by three facts: its event time, when it became known,
and when a newer version of its id did (C3). Both orders being fixed, the queries that see a row
stand side by side, as do the rows of a window where every row was known in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headwater.compute.kernels.keyed import LAST, KeyedTimes, begins
from headwater.compute.kernels.rows import Bool, Frame, Int64, Queries, Rows
from headwater.compute.kernels.sorting import order_by, starts_of_runs

_FIRST = -(2**63)
_WEEK = 7 * 86_400_000_000
_MONDAY = 4 * 86_400_000_000  # 1970-01-05
_FEW = 0.8  # share of rows from which on leaving the others out costs more than it saves


@dataclass(frozen=True, eq=False)
class Asked:
    """Distinct queries, by key and time. `place[i]` is where the caller's query i stands.

    Queries of an unknown key come last, under a code of their own that no row has.
    """

    key: Int64
    time: Int64
    place: Int64
    keys: int

    @classmethod
    def of(cls, queries: Queries, row_keys: Int64) -> Asked:
        known = max(
            (int(keys.max()) + 1 for keys in (queries.key, row_keys) if len(keys)), default=0
        )
        key = np.where(queries.key < 0, known, queries.key)
        order = order_by(key, queries.time)
        key, time = key[order], queries.time[order]
        is_new = starts_of_runs(key, time)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.cumsum(is_new) - 1
        return cls(key[is_new], time[is_new], place, known + 1)

    @cached_property
    def times(self) -> KeyedTimes:
        return KeyedTimes.of(begins(self.key, self.keys), self.time)

    def wanted(self) -> Bool:
        found = np.zeros(self.keys, dtype=np.bool_)
        found[self.key] = True
        return found


@dataclass(frozen=True, eq=False)
class Timeline:
    """Rows sorted by key and C4's order; `row` is where each stood in the caller's rows.

    `replaced_at` is when the next version of the row's id became known (LAST if never), None
    where no id has two versions; `is_moving` tells whether versions of an id differ in event time.
    """

    row: Int64
    times: KeyedTimes
    available_at: Int64
    replaced_at: Int64 | None
    is_moving: bool

    @classmethod
    def of(cls, rows: Rows, keys: int, wanted: Bool | None = None) -> Timeline:
        """The timeline of the rows, without rows of keys that nobody wants."""
        chosen = None if wanted is None else _chosen(rows.key, wanted)
        key, order = _take(rows.key, chosen), _take(rows.order, chosen)
        row = order_by(key, order)
        begin = begins(key, keys)
        row = row if chosen is None else chosen[row]
        event_time = rows.event_time[row]
        is_same = rows.available_at is rows.event_time
        available_at = event_time if is_same else rows.available_at[row]
        times = KeyedTimes.of(begin, event_time)
        replaced_at, is_moving = _versions(rows, row, event_time, available_at)
        return cls(row, times, available_at, replaced_at, is_moving)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def begin(self) -> Int64:
        return self.times.begin

    @cached_property
    def key(self) -> Int64:
        return np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))

    def has_late_rows(self, slack: int) -> bool:
        """Whether a row became known later than `slack` after its event time."""
        known, happened = self.available_at, self.times.time
        if known is happened:
            return False
        late = np.flatnonzero(known > happened)
        return bool((known[late] > _later(happened[late], slack)).any())


def edges(frame: Frame, times: Int64) -> tuple[Int64 | None, Int64]:
    """The event times between which the window of each time lies: left <= event time < right.

    `left` is None for a lifetime (C6).
    """
    right = _earlier(times, frame.offset)
    if frame.size is None:
        return None, right
    hop = frame.tail_hop
    if hop is None:
        return _earlier(right, frame.size), right
    origin = _MONDAY if hop % _WEEK == 0 else 0
    left = _earlier(right, frame.size, room=hop + origin)
    return origin + (left - origin) // hop * hop, right


def window_ranges(timeline: Timeline, asked: Asked, frames: Sequence[Frame]) -> tuple[Int64, Int64]:
    """Which rows lie in each window by event time alone: from `low` up to `high`.

    Arrays of shape [frames, queries]; along each line both never fall.
    """
    low = np.empty((len(frames), len(asked.key)), dtype=np.int64)
    high = np.empty_like(low)
    rights: dict[int, Int64] = {}
    for place, frame in enumerate(frames):
        left, right = edges(frame, asked.time)
        if frame.offset not in rights:
            rights[frame.offset] = timeline.times.before(asked.key, right)
        high[place] = rights[frame.offset]
        if left is None:
            low[place] = timeline.begin[asked.key]
        else:
            low[place] = timeline.times.before(asked.key, left)
    return low, high


def known_spans(timeline: Timeline, asked: Asked) -> tuple[Int64, Int64 | None]:
    """The first query that knows each row, and the first that knows a newer version of it."""
    known = asked.times.before(timeline.key, timeline.available_at)
    if timeline.replaced_at is None:
        return known, None
    replaced = np.full(len(timeline), len(asked.key), dtype=np.int64)
    old = np.flatnonzero(timeline.replaced_at != LAST)
    replaced[old] = asked.times.before(timeline.key[old], timeline.replaced_at[old])
    return known, replaced


def _take(column: Int64, chosen: Int64 | None) -> Int64:
    return column if chosen is None else column[chosen]


def _chosen(key: Int64, wanted: Bool) -> Int64 | None:
    mask = wanted[key]
    return np.flatnonzero(mask) if np.count_nonzero(mask) < _FEW * len(mask) else None


def _earlier(times: Int64, by: int, room: int = 0) -> Int64:
    """Times moved back, stopping short of the first int64 by `room`."""
    return np.maximum(times, _FIRST + by + room) - by if by or room else times


def _later(times: Int64, by: int) -> Int64:
    return np.minimum(times, LAST - by) + by if by else times


def _versions(
    rows: Rows, row: Int64, event_time: Int64, available_at: Int64
) -> tuple[Int64 | None, bool]:
    """When each row is replaced by the next version of its id, and whether a version moved."""
    if rows.fact is None or len(row) == 0:
        return None, False
    fact = rows.fact[row]
    many = _repeated(fact)
    if len(many) == 0:
        return None, False
    key, fact = rows.key[row[many]], fact[many]
    order = order_by(key, fact, available_at[many])
    is_new = starts_of_runs(key[order], fact[order])
    many = many[order]
    old, new = many[:-1][~is_new[1:]], many[1:][~is_new[1:]]
    if len(old) == 0:
        return None, False
    replaced_at = np.full(len(row), LAST, dtype=np.int64)
    replaced_at[old] = available_at[new]
    return replaced_at, bool((event_time[old] != event_time[new]).any())


def _repeated(fact: Int64) -> Int64:
    """Positions of the facts that stand more than once."""
    named = np.flatnonzero(fact >= 0)
    codes = fact[named]
    if len(codes) and int(codes.max()) < 8 * len(fact):
        return named[np.bincount(codes)[codes] > 1]
    order = order_by(codes)
    is_new = starts_of_runs(codes[order])
    is_single = is_new & np.append(is_new[1:], True)
    return np.sort(named[order[~is_single]])
