"""Functions of a row and its predecessors: frames of rows and lags (C7)."""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.measures import Measure, measure, row_mask
from headwater.compute.kernels.ranges import Ranges
from headwater.compute.kernels.replay import Replay, replay
from headwater.compute.kernels.rows import Aggregation, Bool, Column, Int64, Lists, Values
from headwater.compute.kernels.seen import Seen
from headwater.compute.kernels.smoothing import smooth
from headwater.compute.kernels.sorting import run_begins

__all__ = ["Replay", "frame", "lag", "replay", "smooth"]


def frame(segment: Int64, aggregation: Aggregation, rows: int, min_rows: int) -> Column | Lists:
    """The aggregate over the last `rows` entries of each segment, the current one included.

    Null (an empty list for last_k) until `min_rows` entries exist; min_rows <= rows. The arrays of
    the aggregation are aligned with the entries; first, last and last_k give entry positions.
    Raises ComputeError when a sum of integers does not fit into int64.
    """
    begin = run_begins(segment)
    own_begin = np.repeat(begin[:-1], np.diff(begin))
    after = np.arange(1, len(segment) + 1)
    is_filled = after - own_begin >= min_rows
    low = np.maximum(own_begin, after - rows)
    high = np.where(is_filled, after, low)
    group = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    seen: Seen = Ranges(low[None, :], high[None, :], group, begin)
    entry = np.arange(len(segment))
    mask = row_mask(aggregation.valid, entry)
    row = entry if mask is None else entry[mask]
    values = None if aggregation.values is None else aggregation.values[row]
    measured = Measure(seen if mask is None else seen.keep(mask), row, values)
    if aggregation.name == "last_k":
        return measured.lists(entry, int(aggregation.parameter or 1))
    column = measure(measured, aggregation.name, aggregation.parameter, [aggregation.label])
    return Column(column.values, is_filled if column.valid is None else is_filled & column.valid)


def lag(segment: Int64, values: Values, valid: Bool | None, k: int) -> Column:
    """The value k entries before each entry of a segment, null where there is none."""
    begin = run_begins(segment)
    before = np.arange(len(segment)) - k
    exists = before >= np.repeat(begin[:-1], np.diff(begin))
    found = values[np.where(exists, before, 0)] if len(values) else values
    return Column(found, exists if valid is None else exists & valid[np.maximum(before, 0)])
