"""Which rows each window sees, in two forms that answer the same questions.

`Ranges`: every window is a run of neighbouring rows. `Covers`: every row is seen by a run of
neighbouring queries, which holds whatever became known late or was replaced. In both, the rows
are sorted by key and C4's order, the queries by key and time; windows are numbered frame by
frame: window = frame * queries + query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np

from headwater.compute.kernels.extremes import greatest_of_covers, greatest_of_ranges
from headwater.compute.kernels.rows import Bool, Int64
from headwater.compute.kernels.selection import Ranking, kth_ranks, rank_by_position
from headwater.compute.kernels.sorting import order_by, ranges, starts_of_runs
from headwater.compute.kernels.timeline import first_queries


class Seen(Protocol):
    """What the aggregates need to know of the windows; `begin` bounds the rows of each group."""

    @property
    def begin(self) -> Int64: ...

    def pick(self, frames: Sequence[int]) -> Self:
        """The windows of these frames alone."""

    def keep(self, mask: Bool) -> Self:
        """The same windows over fewer rows, which are numbered anew."""

    def totals(self, numbers: Int64) -> Int64:
        """The sum of the rows of each window, modulo 2**64."""

    def counts(self) -> Int64:
        """The number of rows of each window."""

    def greatest(self, codes: Int64) -> Int64:
        """The greatest code of each window, NOTHING in an empty one."""

    def distinct(self, codes: Int64) -> Int64:
        """The number of different codes in each window."""

    def ends(self) -> tuple[Int64, Int64]:
        """The first and the last row of each window, -1 in an empty one."""

    def kth(self, ranking: Ranking, window: Int64, k: Int64) -> Int64:
        """The row with the k-th smallest rank in each given window, which has more than k."""

    def latest(self, window: Int64, count: Int64) -> Int64:
        """The last `count` rows of each given window, oldest first, one list after the other."""


@dataclass(frozen=True, eq=False)
class Ranges:
    """Windows that see the rows from `low` up to `high`, both of shape [frames, queries].

    Along each line both never fall. `group` is the group of each query, and `begin` where its
    rows begin.
    """

    low: Int64
    high: Int64
    group: Int64
    begin: Int64

    def pick(self, frames: Sequence[int]) -> Ranges:
        if len(frames) == len(self.low):
            return self
        chosen = list(frames)
        return Ranges(self.low[chosen], self.high[chosen], self.group, self.begin)

    def keep(self, mask: Bool) -> Ranges:
        before = _prefix(mask)
        return Ranges(before[self.low], before[self.high], self.group, before[self.begin])

    def totals(self, numbers: Int64) -> Int64:
        before = _prefix(numbers)
        return (before[self.high] - before[self.low]).reshape(-1)

    def counts(self) -> Int64:
        return (self.high - self.low).reshape(-1)

    def greatest(self, codes: Int64) -> Int64:
        return greatest_of_ranges(codes, self.low.reshape(-1), self.high.reshape(-1))

    def distinct(self, codes: Int64) -> Int64:
        """Each row counts until the next row with its code comes into the window."""
        following = _next_equal(codes)
        found = np.empty_like(self.low)
        queries, rows = len(self.group), len(codes)
        for line, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            start = np.append(first_queries(high, rows), queries)
            stop = first_queries(low, rows)
            at = np.flatnonzero(start[:-1] < stop)
            end = np.minimum(stop[at], start[following[at]])
            found[line] = _count_spans(start[at], end, queries)
        return found.reshape(-1)

    def ends(self) -> tuple[Int64, Int64]:
        is_empty = self.high <= self.low
        first, last = np.where(is_empty, -1, self.low), np.where(is_empty, -1, self.high - 1)
        return first.reshape(-1), last.reshape(-1)

    def kth(self, ranking: Ranking, window: Int64, k: Int64) -> Int64:
        low, high = self.low.reshape(-1)[window], self.high.reshape(-1)[window]
        rank = kth_ranks((ranking.rank, ranking.rank), (high, low), k, ranking.bits)
        return ranking.row(self.group[window % len(self.group)], rank)

    def latest(self, window: Int64, count: Int64) -> Int64:
        return ranges(self.high.reshape(-1)[window] - count, count)


@dataclass(frozen=True, eq=False)
class Cover:
    """For one frame: row `at` (ascending) is seen by the queries from `start` up to `stop`."""

    at: Int64
    start: Int64
    stop: Int64

    @classmethod
    def of(cls, start: Int64, stop: Int64) -> Cover:
        at = np.flatnonzero(start < stop)
        return cls(at, start[at], stop[at])


@dataclass(frozen=True, eq=False)
class Covers:
    """Windows given by the queries that see each row, one cover per frame.

    `group` is the group of each query, and `begin` where its rows begin.
    """

    covers: Sequence[Cover]
    group: Int64
    begin: Int64

    def pick(self, frames: Sequence[int]) -> Covers:
        return Covers([self.covers[frame] for frame in frames], self.group, self.begin)

    def keep(self, mask: Bool) -> Covers:
        before = _prefix(mask)
        kept = []
        for cover in self.covers:
            chosen = mask[cover.at]
            at = before[cover.at[chosen]]
            kept.append(Cover(at, cover.start[chosen], cover.stop[chosen]))
        return Covers(kept, self.group, before[self.begin])

    def totals(self, numbers: Int64) -> Int64:
        return self._lines([self._totals(cover, numbers) for cover in self.covers])

    def _totals(self, cover: Cover, numbers: Int64) -> Int64:
        changes = np.zeros(len(self.group) + 1, dtype=np.int64)
        chosen = numbers[cover.at]
        np.add.at(changes, cover.start, chosen)
        np.subtract.at(changes, cover.stop, chosen)
        return np.cumsum(changes[:-1])

    def counts(self) -> Int64:
        queries = len(self.group)
        return self._lines([_count_spans(c.start, c.stop, queries) for c in self.covers])

    def greatest(self, codes: Int64) -> Int64:
        return self._lines([self._greatest(cover, codes[cover.at]) for cover in self.covers])

    def _greatest(self, cover: Cover, codes: Int64) -> Int64:
        return greatest_of_covers(codes, cover.start, cover.stop, len(self.group))

    def distinct(self, codes: Int64) -> Int64:
        narrow = _narrow(codes)
        return self._lines([self._distinct(cover, narrow[cover.at]) for cover in self.covers])

    def _distinct(self, cover: Cover, codes: Int64) -> Int64:
        """Join the spans of equal codes, then count the joined ones over each query."""
        order = order_by(codes, cover.start)
        start, stop = cover.start[order], cover.stop[order]
        is_new = starts_of_runs(codes[order])
        # Spans of different runs are moved apart, so that one running maximum serves them all.
        apart = (np.cumsum(is_new) - 1) * (len(self.group) + 1)
        reach = np.maximum.accumulate(stop + apart) - apart
        start[1:] = np.where(is_new[1:], start[1:], np.maximum(start[1:], reach[:-1]))
        return _count_spans(start, np.maximum(start, stop), len(self.group))

    def ends(self) -> tuple[Int64, Int64]:
        last = [self._greatest(cover, cover.at) for cover in self.covers]
        first = [~self._greatest(cover, ~cover.at) for cover in self.covers]
        rows = self.begin[-1]
        first_row, last_row = self._lines(first), self._lines(last)
        return np.where(first_row < rows, first_row, -1), np.maximum(last_row, -1)

    def kth(self, ranking: Ranking, window: Int64, k: Int64) -> Int64:
        found = np.empty(len(window), dtype=np.int64)
        frame, query = np.divmod(window, max(len(self.group), 1))
        for number, cover in enumerate(self.covers):
            mine = np.flatnonzero(frame == number)
            found[mine] = self._kth(cover, ranking, query[mine], k[mine])
        return ranking.row(self.group[query], found)

    def _kth(self, cover: Cover, ranking: Ranking, query: Int64, k: Int64) -> Int64:
        rank = ranking.rank[cover.at]
        added, taken = rank[order_by(cover.start)], rank[order_by(cover.stop)]
        added_to = np.cumsum(np.bincount(cover.start, minlength=len(self.group)))[query]
        taken_to = np.cumsum(np.bincount(cover.stop, minlength=len(self.group)))[query]
        return kth_ranks((added, taken), (added_to, taken_to), k, ranking.bits)

    def latest(self, window: Int64, count: Int64) -> Int64:
        oldest = self._counts[window] - count
        return self.kth(
            rank_by_position(self.begin), np.repeat(window, count), ranges(oldest, count)
        )

    @cached_property
    def _counts(self) -> Int64:
        return self.counts()

    def _lines(self, lines: list[Int64]) -> Int64:
        return np.concatenate(lines) if lines else np.zeros(0, dtype=np.int64)


def _prefix(numbers: Int64 | Bool) -> Int64:
    found = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(numbers, out=found[1:])
    return found


def _count_spans(start: Int64, stop: Int64, queries: int) -> Int64:
    """How many of the spans [start, stop) hold each query; empty ones count nothing."""
    begun = np.bincount(start, minlength=queries + 1)
    begun -= np.bincount(stop, minlength=queries + 1)
    return np.cumsum(begun[:queries])


def _next_equal(codes: Int64) -> Int64:
    """The next row with the same code, len(codes) where there is none."""
    order = order_by(codes)
    following = np.full(len(codes), len(codes), dtype=np.int64)
    is_new = starts_of_runs(codes[order])
    again = np.flatnonzero(~is_new)
    following[order[again - 1]] = order[again]
    return following


def _narrow(codes: Int64) -> Int64:
    """Codes numbered from 0 in their order, so that sorting them again is cheaper."""
    order = order_by(codes)
    found = np.empty_like(codes)
    found[order] = np.cumsum(starts_of_runs(codes[order])) - 1
    return found
