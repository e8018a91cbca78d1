"""The last known row of a key at a time (C5 over what C3 lets exist)."""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.extremes import greatest_of_covers
from headwater.compute.kernels.keyed import LAST
from headwater.compute.kernels.rows import Int64, Queries, Rows
from headwater.compute.kernels.sorting import first_behind
from headwater.compute.kernels.timeline import Asked, Timeline, known_spans


def last_row(rows: Rows, queries: Queries) -> Int64:
    """For each query the position in `rows` of the last row in C4's order, -1 for none.

    Rows count whose event time and availability are not after the query's time; of the versions
    of an id only the last one known by then exists. The bound of a ttl is the caller's.
    O(rows) beyond the sort, with binary searches per query, and per row where rows came late.
    """
    asked = Asked.of(queries, rows.key)
    timeline = Timeline.of(rows, asked.keys, asked.wanted())
    begin = timeline.begin[asked.key]
    # No row stands at the end of int64, where infinite times lie, so one step less loses none.
    known_to = timeline.times.before(asked.key, np.minimum(asked.time, LAST - 1) + 1)
    last = _last(timeline, asked, known_to)
    row = np.append(timeline.row, -1)
    return row[np.where(last < begin, -1, last)][asked.place]


def _last(timeline: Timeline, asked: Asked, known_to: Int64) -> Int64:
    """The last row of each query, something smaller than its key's first row if there is none."""
    if not timeline.is_moving and not timeline.has_late_rows(0):
        return known_to - 1
    known, replaced = known_spans(timeline, asked)
    start = np.maximum(first_behind(known_to, len(timeline)), known)
    row = np.arange(len(timeline))
    if timeline.is_moving and replaced is not None:
        stop = np.minimum(replaced, asked.times.begin[timeline.key + 1])
        return greatest_of_covers(row, start, stop, len(asked.key))
    # While versions keep their event time, the newest one is also last in C4's order, so a row
    # that was last stays so until a later one is known.
    last = np.full(len(asked.key) + 1, -1, dtype=np.int64)
    np.maximum.at(last, start, row)
    return np.maximum.accumulate(last[:-1])
