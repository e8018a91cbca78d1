"""How often each value occurs in each window: modes, the most frequent values, histograms.

What a window holds of one value changes only where a row with that value comes or goes. So over
the queries each value falls into spans in which its count stands still, at most two a row, and
whatever is asked of the counts is asked of the spans that hold a query.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headwater.compute.kernels.covers import Cover, Covers
from headwater.compute.kernels.extremes import greatest_of_covers
from headwater.compute.kernels.keyed import begins
from headwater.compute.kernels.rows import Int64
from headwater.compute.kernels.selection import Ranking, rank_by_code
from headwater.compute.kernels.sorting import (
    bounded_slices,
    order_by,
    prefix_sums,
    ranges,
    starts_of_runs,
)

_CHUNK = 1 << 20  # pairs of a span and a query whose temporary arrays are held at once


@dataclass(frozen=True, eq=False)
class Labels:
    """The distinct values of each group, numbered by group and value: `label` of each row, and the
    `code` behind each label.
    """

    label: Int64
    code: Int64

    @classmethod
    def of(cls, codes: Int64, begin: Int64) -> Labels:
        group = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
        order = order_by(group, codes)
        is_new = starts_of_runs(group[order], codes[order])
        label = np.empty(len(codes), dtype=np.int64)
        label[order] = np.cumsum(is_new) - 1
        return cls(label, codes[order][is_new])


@dataclass(frozen=True, eq=False)
class Tally:
    """For one frame: from query `start` up to `stop`, a window holds a label `count` times.

    Spans of a label never overlap; they are sorted by label, so by group too. `group` is that of
    each query.
    """

    label: Int64
    count: Int64
    start: Int64
    stop: Int64
    group: Int64
    labels: int

    @classmethod
    def of(cls, cover: Cover, labels: Labels, group: Int64) -> Tally:
        """O(rows), and a sort of when each row comes and goes."""
        seen = np.flatnonzero(cover.start < cover.stop)
        label = np.tile(labels.label[seen], 2)
        query = np.concatenate([cover.start[seen], cover.stop[seen]])
        change = np.repeat(np.array([1, -1]), len(seen))
        order = order_by(label, query)
        query, label = query[order], label[order]
        count = np.cumsum(change[order])
        # Each label ends with nothing left of it, so spans never reach into the next label.
        lasts = np.flatnonzero((count[:-1] > 0) & (query[:-1] < query[1:]))
        known = len(labels.code)
        return cls(label[lasts], count[lasts], query[lasts], query[lasts + 1], group, known)

    @cached_property
    def scores(self) -> Int64:
        """Numbers that grow with the count, among equal ones with a smaller value."""
        return (self.count << self._bits) | (self.labels - 1 - self.label)

    @property
    def _bits(self) -> int:
        return self.labels.bit_length()

    def _read(self, scores: Int64) -> tuple[Int64, Int64]:
        """The label and the count behind scores."""
        mask = (1 << self._bits) - 1
        return self.labels - 1 - (scores & mask), scores >> self._bits

    def modes(self) -> tuple[Int64, Int64]:
        """The label that each window holds most often, the smallest of several, and how often.

        Where a window is empty, the label means nothing and the count is 0.
        """
        queries = len(self.group)
        best = greatest_of_covers(self.scores, self.start, self.stop, queries)
        label, count = self._read(np.maximum(best, 0))
        return np.clip(label, 0, max(self.labels - 1, 0)), count

    @cached_property
    def _spans(self) -> Covers:
        groups = int(self.group.max(initial=-1)) + 1
        begin = begins(self.group[self.start], groups)
        return Covers([Cover(self.start, self.stop)], self.group, begin)

    @cached_property
    def _ranking(self) -> Ranking:
        return rank_by_code(self.scores, self._spans.begin)

    def most_frequent(self, query: Int64, k: int) -> tuple[Int64, Int64, Int64]:
        """Of each given query up to k labels, the most frequent first: where the list of each
        query begins and the last ends, then labels and counts.
        """
        different = self._spans.counts()[query]
        size = np.minimum(different, k)
        place = ranges(np.zeros_like(size), size)
        best = np.repeat(different - 1, size) - place
        span = self._spans.kth(self._ranking, np.repeat(query, size), best)
        return prefix_sums(size), self.label[span], self.count[span]

    def all_of(self, query: Int64) -> tuple[Int64, Int64, Int64]:
        """All labels of each given query in their order; the same arrays."""
        spans, begin = self._by_query
        size = np.diff(begin)[query]
        span = spans[ranges(begin[query], size)]
        return prefix_sums(size), self.label[span], self.count[span]

    @cached_property
    def _by_query(self) -> tuple[Int64, Int64]:
        """The spans that hold each query, and where those of each begin and the last end."""
        size = self._spans.counts()
        begin = prefix_sums(size)
        found = np.empty(int(begin[-1]), dtype=np.int64)
        for part in bounded_slices(size, _CHUNK):
            some = np.flatnonzero((self.start < part.stop) & (self.stop > part.start))
            low = np.maximum(self.start[some], part.start)
            length = np.minimum(self.stop[some], part.stop) - low
            order = order_by(ranges(low - part.start, length))
            found[begin[part.start] : begin[part.stop]] = np.repeat(some, length)[order]
        return found, begin


@dataclass(frozen=True, eq=False)
class Tallies:
    """The tallies of all frames; windows are numbered frame by frame."""

    frames: list[Tally]
    labels: Labels

    @classmethod
    def of(cls, seen: Covers, codes: Int64) -> Tallies:
        labels = Labels.of(codes, seen.begin)
        return cls([Tally.of(cover, labels, seen.group) for cover in seen.covers], labels)

    @cached_property
    def modes(self) -> tuple[Int64, Int64]:
        """The code that each window holds most often, the smallest of several, and how often.

        An empty window has any code, 0 times.
        """
        found = [tally.modes() for tally in self.frames]
        label, count = (np.concatenate(parts) for parts in zip(*found, strict=True))
        code = self.labels.code[label] if len(self.labels.code) else np.zeros_like(label)
        return code, count

    def lists(self, window: Int64, k: int | None) -> tuple[Int64, Int64, Int64]:
        """Of each given window, all of one frame, the k most frequent codes, the most frequent
        first, or all codes in their order: where each list begins and the last ends, codes, counts.
        """
        queries = max(len(self.frames[0].group), 1)
        frame = int(window[0]) // queries if len(window) else 0
        tally, query = self.frames[frame], window - frame * queries
        found = tally.all_of(query) if k is None else tally.most_frequent(query, k)
        offsets, label, count = found
        return offsets, self.labels.code[label], count
