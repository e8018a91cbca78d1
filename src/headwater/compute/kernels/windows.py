"""Aggregates over time windows, at any (key, time)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headwater.compute.kernels.covers import Cover, Covers
from headwater.compute.kernels.measures import LISTS, Measure, measure, row_mask
from headwater.compute.kernels.ranges import Ranges
from headwater.compute.kernels.rows import (
    Aggregation,
    Column,
    Frame,
    Int64,
    Queries,
    Result,
    Rows,
)
from headwater.compute.kernels.seen import Seen
from headwater.compute.kernels.sorting import first_behind
from headwater.compute.kernels.timeline import (
    Asked,
    Timeline,
    known_spans,
    window_ranges,
)

_MANY = 0.5  # share of rows seen by any query from which on leaving out the others costs more


@dataclass(frozen=True, eq=False)
class _Wanted:
    frame: int
    place: int
    ask: Aggregation

    def input(self) -> tuple[int, int, bool]:
        """Aggregates with one input share their work.

        Integer sums stand apart, since they may fail, and must not in a frame nobody asked for.
        """
        return id(self.ask.values), id(self.ask.other), self.ask.name == "sum"


def aggregate(
    rows: Rows, queries: Queries, frames: Sequence[tuple[Frame, Sequence[Aggregation]]]
) -> list[list[Result]]:
    """Each aggregation of each frame at each query: a Column, Lists for last_k, Listed for top_k
    and histogram.

    C3 and C6: a row counts from the microsecond after its event time, or from when it became
    known, until it leaves the window or a newer version of its id becomes known. first, last and
    last_k give positions in `rows`, -1 for none.

    All frames share one sort. Counts and sums take O(rows) per input, extremes
    O(rows + queries * log(queries)), distinct counts a sort of the values, quantiles O(rows) per
    bit of the largest key's row count. Modes sort when each row comes and goes, then cost as much
    as extremes, top_k as a quantile per value of its lists, histograms their output. last_k costs
    its output where every row was known in time and none was replaced, otherwise as much as a
    quantile per row that it gives.

    Raises ComputeError when the sum of integers of a window does not fit into int64.
    """
    asked = Asked.of(queries, rows.key)
    timeline = Timeline.of(rows, asked.keys, asked.wanted())
    seen, rows_seen = seen_by(timeline, asked, [frame for frame, _ in frames])
    found: dict[tuple[int, int], Result] = {}
    for wanted in _grouped(_all_wanted(frames), lambda one: id(one.ask.valid)):
        mask = row_mask(wanted[0].ask.valid, rows_seen)
        kept = seen if mask is None else seen.keep(mask)
        row = rows_seen if mask is None else rows_seen[mask]
        for group in _grouped(wanted, _Wanted.input):
            found.update(_answers(group, kept, row, asked.place))
    return [
        [found[frame, place] for place in range(len(asks))]
        for frame, (_, asks) in enumerate(frames)
    ]


def _all_wanted(frames: Sequence[tuple[Frame, Sequence[Aggregation]]]) -> list[_Wanted]:
    return [
        _Wanted(frame, place, ask)
        for frame, (_, asks) in enumerate(frames)
        for place, ask in enumerate(asks)
    ]


def _grouped(wanted: list[_Wanted], by: Callable[[_Wanted], Hashable]) -> list[list[_Wanted]]:
    found: dict[Hashable, list[_Wanted]] = {}
    for one in wanted:
        found.setdefault(by(one), []).append(one)
    return list(found.values())


def seen_by(timeline: Timeline, asked: Asked, frames: Sequence[Frame]) -> tuple[Seen, Int64]:
    """What the windows see, and where each of its rows stands in the caller's rows."""
    low, high = window_ranges(timeline, asked, frames)
    slack = 1 + min((frame.offset for frame in frames), default=0)
    if timeline.replaced_at is None and not timeline.has_late_rows(slack):
        return Ranges(low, high, asked.key, timeline.begin), timeline.row
    known, replaced = known_spans(timeline, asked)
    starts: dict[int, Int64] = {}
    covers = []
    for frame, below, above in zip(frames, low, high, strict=True):
        if frame.offset not in starts:
            starts[frame.offset] = np.maximum(first_behind(above, len(timeline)), known)
        stop = first_behind(below, len(timeline))
        if replaced is not None:
            np.minimum(stop, replaced, out=stop)
        start = starts[frame.offset]
        covers.append(Cover(start, np.maximum(start, stop, out=stop)))
    seen = Covers(covers, asked.key, timeline.begin)
    used = seen.used()
    if np.count_nonzero(used) > _MANY * len(used):
        return seen, timeline.row
    return seen.keep(used), timeline.row[used]


def _answers(
    group: list[_Wanted], kept: Seen, row: Int64, place: Int64
) -> Iterator[tuple[tuple[int, int], Result]]:
    """The columns of aggregations with one input, at the caller's queries."""
    frames = sorted({one.frame for one in group})
    values, other = (
        None if array is None else array[row] for array in (group[0].ask.values, group[0].ask.other)
    )
    measured = Measure(kept.pick(frames), row, values, other)
    queries = len(measured.counts) // len(frames)
    for same in _grouped(group, lambda one: (one.ask.name, one.ask.parameter)):
        ask = same[0].ask
        windows = {one: frames.index(one.frame) * queries + place for one in same}
        if ask.name in LISTS:
            for one, window in windows.items():
                found = measured.lists(ask.name, window, ask.parameter)
                yield (one.frame, one.place), found
            continue
        labels = {one.frame: one.ask.label for one in same}
        column = measure(measured, ask.name, ask.parameter, [labels.get(f, "") for f in frames])
        for one, window in windows.items():
            yield (one.frame, one.place), _at(column, window)


def _at(column: Column, window: Int64) -> Column:
    valid = None if column.valid is None else column.valid[window]
    return Column(column.values[window], valid)
