"""Windows given by the queries that see each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headwater.compute.kernels.extremes import greatest_of_covers
from headwater.compute.kernels.rows import Bool, Int64
from headwater.compute.kernels.selection import Ranking, kth_ranks, rank_by_position
from headwater.compute.kernels.sorting import (
    bounded_slices,
    count_spans,
    is_sorted,
    order_by,
    prefix_sums,
    ranges,
    starts_of_runs,
)

_ROUNDS = 6
_CHUNK = 1 << 21


@dataclass(frozen=True, eq=False)
class Cover:
    """For one frame: each row is seen by the queries from `start` up to `stop`, start <= stop."""

    start: Int64
    stop: Int64


@dataclass(frozen=True, eq=False)
class Covers:
    """Windows given by the queries that see each row, one cover per frame.

    `group` is the group of each query, and `begin` where its rows begin. Frames of one offset
    share one `start` array, and by that their work.
    """

    covers: Sequence[Cover]
    group: Int64
    begin: Int64

    def pick(self, frames: Sequence[int]) -> Covers:
        return Covers([self.covers[frame] for frame in frames], self.group, self.begin)

    def keep(self, mask: Bool) -> Covers:
        starts = {id(cover.start): cover.start[mask] for cover in self.covers}
        kept = [Cover(starts[id(cover.start)], cover.stop[mask]) for cover in self.covers]
        return Covers(kept, self.group, prefix_sums(mask)[self.begin])

    def as_covers(self) -> Covers:
        return self

    def used(self) -> Bool:
        """The rows that any query sees."""
        found = np.zeros(int(self.begin[-1]), dtype=np.bool_)
        for cover in self.covers:
            found |= cover.start < cover.stop
        return found

    def seen_by(self, windows: Bool) -> Bool:
        found = np.zeros(int(self.begin[-1]), dtype=np.bool_)
        lines = windows.reshape(len(self.covers), -1)
        for cover, line in zip(self.covers, lines, strict=True):
            before = prefix_sums(line)
            found |= before[cover.stop] > before[cover.start]
        return found

    def totals(self, numbers: Int64) -> Int64:
        return self._lines([self._totals(cover, numbers) for cover in self.covers])

    def _totals(self, cover: Cover, numbers: Int64) -> Int64:
        changes = np.zeros(len(self.group) + 1, dtype=np.int64)
        np.add.at(changes, cover.start, numbers)
        np.subtract.at(changes, cover.stop, numbers)
        return np.cumsum(changes[:-1])

    def counts(self) -> Int64:
        return self._counts

    @cached_property
    def _counts(self) -> Int64:
        queries = len(self.group)
        return self._lines([count_spans(c.start, c.stop, queries) for c in self.covers])

    def greatest(self, codes: Int64) -> Int64:
        return self._lines([self._greatest(cover, codes) for cover in self.covers])

    def _greatest(self, cover: Cover, codes: Int64) -> Int64:
        return greatest_of_covers(codes, cover.start, cover.stop, len(self.group))

    def distinct(self, codes: Int64) -> Int64:
        orders: dict[int, Int64] = {}
        found = []
        for cover in self.covers:
            if id(cover.start) not in orders:
                orders[id(cover.start)] = order_by(codes, cover.start)
            order = orders[id(cover.start)]
            found.append(self._distinct(codes[order], cover.start[order], cover.stop[order]))
        return self._lines(found)

    def _distinct(self, codes: Int64, start: Int64, stop: Int64) -> Int64:
        """Join the spans of equal codes, then count the joined ones over each query."""
        is_new = starts_of_runs(codes)
        # Spans of different runs are moved apart, so that one running maximum serves them all.
        apart = (np.cumsum(is_new) - 1) * (len(self.group) + 1)
        reach = np.maximum.accumulate(stop + apart) - apart
        start[1:] = np.where(is_new[1:], start[1:], np.maximum(start[1:], reach[:-1]))
        return count_spans(start, np.maximum(start, stop), len(self.group))

    def ends(self) -> tuple[Int64, Int64]:
        row = np.arange(self.begin[-1])
        first = ~self.greatest(~row)
        return np.where(first < len(row), first, -1), self._last

    @cached_property
    def _last(self) -> Int64:
        return np.maximum(self.greatest(np.arange(self.begin[-1])), -1)

    def kth(self, ranking: Ranking, window: Int64, k: Int64) -> Int64:
        frame, query = np.divmod(window, max(len(self.group), 1))
        found = np.empty(len(window), dtype=np.int64)
        for frames in self._alike():
            mine = np.flatnonzero(np.isin(frame, frames))
            covers = [self.covers[number] for number in frames]
            line = np.searchsorted(frames, frame[mine])
            found[mine] = self._kth(covers, ranking, (line, query[mine]), k[mine])
        return ranking.row(self.group[query], found)

    def _alike(self) -> list[list[int]]:
        """Frames whose rows come and go in one order: they share a descent."""
        found: dict[tuple[int, int], list[int]] = {}
        for number, cover in enumerate(self.covers):
            own = -1 if is_sorted(cover.stop) else number
            found.setdefault((id(cover.start), own), []).append(number)
        return list(found.values())

    def _kth(
        self, covers: list[Cover], ranking: Ranking, at: tuple[Int64, Int64], k: Int64
    ) -> Int64:
        line, query = at
        queries = len(self.group)
        start, stop = covers[0].start, covers[0].stop
        added, taken = ranking.rank[order_by(start)], ranking.rank[order_by(stop)]
        come = np.cumsum(np.bincount(start, minlength=queries))
        gone = np.array([np.cumsum(np.bincount(c.stop, minlength=queries + 1)) for c in covers])
        return kth_ranks((added, taken), (come[query], gone[line, query]), k, ranking.bits)

    def latest(self, window: Int64, count: Int64) -> Int64:
        """Walk back from the last row of each window; where many rows are unseen, rank them."""
        ends = np.cumsum(count)
        found = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
        walk = _Walk(self, window, count, ends, found)
        left = walk.run(self._last[window])
        if len(left):
            number = count[left]
            oldest = self._counts[window[left]] - number
            rows = self.kth(
                rank_by_position(self.begin),
                np.repeat(window[left], number),
                ranges(oldest, number),
            )
            found[ranges(ends[left] - number, number)] = rows
        return found

    def _lines(self, lines: list[Int64]) -> Int64:
        return np.concatenate(lines) if lines else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Walk:
    """Collects the last `count` rows of each window into `found`, up to `ends`."""

    covers: Covers
    window: Int64
    count: Int64
    ends: Int64
    found: Int64

    def run(self, last: Int64) -> Int64:
        """Look at twice as many rows in every round. Gives the places that are not done."""
        taken = np.zeros(len(self.window), dtype=np.int64)
        left = np.flatnonzero(self.count)
        for step in range(_ROUNDS):
            width = self.count[left] << (step + 1)
            for part in bounded_slices(width, _CHUNK):
                self._look(left[part], last, taken, width[part])
            last[left] -= width
            left = left[taken[left] < self.count[left]]
        return left

    def _look(self, at: Int64, last: Int64, taken: Int64, width: Int64) -> None:
        """Take the rows seen among the next `width` rows before `last`, newest first.

        A window that is not done has rows left, so `last` is never before its group.
        """
        frame, query = np.divmod(self.window[at], len(self.covers.group))
        width = np.minimum(width, last[at] + 1 - self.covers.begin[self.covers.group[query]])
        owner = np.repeat(np.arange(len(at)), width)
        row = last[at][owner] - ranges(np.zeros_like(width), width)
        is_seen = self._is_seen(frame[owner], query[owner], row)
        owner, row = owner[is_seen], row[is_seen]
        seen = np.bincount(owner, minlength=len(at))
        nth = taken[at][owner] + ranges(np.zeros_like(seen), seen)
        is_wanted = nth < self.count[at][owner]
        self.found[(self.ends[at][owner] - 1 - nth)[is_wanted]] = row[is_wanted]
        taken[at] += seen

    def _is_seen(self, frame: Int64, query: Int64, row: Int64) -> Bool:
        found = np.empty(len(row), dtype=np.bool_)
        for number, cover in enumerate(self.covers.covers):
            mine = np.flatnonzero(frame == number)
            start, stop = cover.start[row[mine]], cover.stop[row[mine]]
            found[mine] = (start <= query[mine]) & (query[mine] < stop)
        return found
