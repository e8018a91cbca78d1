"""Windows that are runs of neighbouring rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headwater.compute.kernels.covers import Cover, Covers
from headwater.compute.kernels.extremes import greatest_of_ranges
from headwater.compute.kernels.rows import Bool, Int64
from headwater.compute.kernels.selection import Ranking, kth_ranks
from headwater.compute.kernels.sorting import (
    count_spans,
    first_behind,
    order_by,
    prefix_sums,
    ranges,
    starts_of_runs,
)


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
        before = prefix_sums(mask)
        return Ranges(before[self.low], before[self.high], self.group, before[self.begin])

    def seen_by(self, windows: Bool) -> Bool:
        rows = int(self.begin[-1])
        low, high = (side.reshape(-1)[windows] for side in (self.low, self.high))
        return count_spans(low, high, rows) > 0

    def as_covers(self) -> Covers:
        rows, starts, covers = int(self.begin[-1]), {}, []
        for low, high in zip(self.low, self.high, strict=True):
            edge = high.tobytes()
            if edge not in starts:
                starts[edge] = first_behind(high, rows)
            start = starts[edge]
            covers.append(Cover(start, np.maximum(start, first_behind(low, rows))))
        return Covers(covers, self.group, self.begin)

    def totals(self, numbers: Int64) -> Int64:
        before = prefix_sums(numbers)
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
            start = np.append(first_behind(high, rows), queries)
            stop = first_behind(low, rows)
            at = np.flatnonzero(start[:-1] < stop)
            end = np.minimum(stop[at], start[following[at]])
            found[line] = count_spans(start[at], end, queries)
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


def _next_equal(codes: Int64) -> Int64:
    """The next row with the same code, len(codes) where there is none."""
    order = order_by(codes)
    following = np.full(len(codes), len(codes), dtype=np.int64)
    is_new = starts_of_runs(codes[order])
    again = np.flatnonzero(~is_new)
    following[order[again - 1]] = order[again]
    return following
