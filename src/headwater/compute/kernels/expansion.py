"""Windows written out: every pair of a time and a row that it sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from headwater.compute.kernels.measures import row_mask
from headwater.compute.kernels.ranges import Ranges
from headwater.compute.kernels.rows import Bool, Frame, Int64, Queries, Rows
from headwater.compute.kernels.seen import Seen
from headwater.compute.kernels.sorting import bounded_slices, prefix_sums
from headwater.compute.kernels.timeline import Asked, Timeline
from headwater.compute.kernels.windows import seen_by


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of some windows, one after another, the rows of each in C4's order.

    `row` is where the row of each pair stands among the caller's rows, `time` the instant of its
    window. `seen` holds the windows over the pairs.
    """

    row: Int64
    time: Int64
    seen: Ranges


@dataclass(frozen=True, eq=False)
class Expansion:
    """The windows of one frame, one for each distinct (key, time); `place[i]` is that of query i.

    `row` is where each row that they may see stands among the caller's rows.
    """

    seen: Seen
    row: Int64
    time: Int64
    place: Int64

    @classmethod
    def of(cls, rows: Rows, queries: Queries, frame: Frame, valid: Bool | None) -> Self:
        """The windows of `frame` (C3, C6) over the rows that are `valid`."""
        asked = Asked.of(queries, rows.key)
        timeline = Timeline.of(rows, asked.keys, asked.wanted())
        seen, row = seen_by(timeline, asked, [frame])
        mask = row_mask(valid, row)
        if mask is not None:
            seen, row = seen.keep(mask), row[mask]
        return cls(seen, row, asked.time, asked.place)

    @cached_property
    def counts(self) -> Int64:
        """The number of pairs of each window."""
        return self.seen.counts()

    def parts(self, most: int) -> Iterator[Pairs]:
        """All windows in their order: as many at a time as have `most` pairs together, or one
        that has more. There is one part at least.
        """
        window = np.arange(len(self.counts))
        parts = list(bounded_slices(self.counts, most)) or [slice(0, 0)]
        for part in parts:
            count = self.counts[part]
            row = self.row[self.seen.latest(window[part], count)]
            begin = prefix_sums(count)
            group = np.arange(len(count))
            seen = Ranges(begin[None, :-1], begin[None, 1:], group, begin)
            yield Pairs(row, np.repeat(self.time[part], count), seen)
