"""Functions of a row and its predecessors: frames of rows and lags (C7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headwater.compute.kernels.measures import answers
from headwater.compute.kernels.ranges import Ranges
from headwater.compute.kernels.replay import Replay, replay
from headwater.compute.kernels.rows import Aggregation, Bool, Column, Int64, Result, Values
from headwater.compute.kernels.smoothing import smooth
from headwater.compute.kernels.sorting import run_begins
from headwater.compute.kernels.weighted import weighted

__all__ = ["Replay", "frame", "lag", "replay", "smooth", "weighted"]


def frame(
    segment: Int64, asked: Sequence[Aggregation], rows: int | None, min_rows: int
) -> list[Result]:
    """Each aggregate over the last `rows` entries of each segment, the current one included;
    None is all entries up to it.

    Null (an empty list for last_k) until `min_rows` entries exist; min_rows <= rows. The arrays of
    an aggregation are aligned with the entries; first, last and last_k give entry positions.
    Aggregations over one array share their work.
    Raises ComputeError when a sum of integers does not fit into int64.
    """
    begin = run_begins(segment)
    own_begin = np.repeat(begin[:-1], np.diff(begin))
    after = np.arange(1, len(segment) + 1)
    is_filled = after - own_begin >= min_rows
    low = own_begin if rows is None else np.maximum(own_begin, after - rows)
    high = np.where(is_filled, after, low)
    group = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    seen = Ranges(low[None, :], high[None, :], group, begin)
    return [_where(found, is_filled) for found in answers(seen, asked)]


def _where(found: Result, is_filled: Bool) -> Result:
    if not isinstance(found, Column):
        return found
    return Column(found.values, is_filled if found.valid is None else is_filled & found.valid)


def lag(segment: Int64, values: Values, valid: Bool | None, k: int) -> Column:
    """The value k entries before each entry of a segment, null where there is none."""
    begin = run_begins(segment)
    before = np.arange(len(segment)) - k
    exists = before >= np.repeat(begin[:-1], np.diff(begin))
    found = values[np.where(exists, before, 0)] if len(values) else values
    return Column(found, exists if valid is None else exists & valid[np.maximum(before, 0)])
