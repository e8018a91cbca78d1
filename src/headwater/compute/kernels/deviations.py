"""The mean distance of the values of each window from their mean."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headwater.compute.kernels.rows import Float64, Int64
from headwater.compute.kernels.seen import Seen
from headwater.compute.kernels.sorting import prefix_sums

_CHUNK = 1 << 17  # values whose temporary arrays stay in the cache
_FEW = 32  # windows below which a sum for each beats one step over all


def mean_distances(seen: Seen, values: Float64, counts: Int64, means: Float64) -> Float64:
    """The sum of |x - mean|, from the oldest value on, over the count; 0 in an empty window.

    It takes O(values seen by all windows).
    """
    found = np.zeros(len(counts))
    windows = np.flatnonzero(counts)
    for part in _chunks(windows, counts):
        size = counts[part]
        distance = values[seen.latest(part, size)]
        with np.errstate(invalid="ignore", over="ignore"):
            distance -= np.repeat(means[part], size)
            np.abs(distance, out=distance)
            found[part] = _sums_in_order(distance, size) / size
    return found


def _chunks(windows: Int64, counts: Int64) -> Iterator[Int64]:
    """Windows that see so many values together as the cache holds, or one that sees more."""
    ends = np.cumsum(counts[windows])
    begin = 0
    while begin < len(windows):
        before = int(ends[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(ends, before + _CHUNK, side="right")), begin + 1)
        yield windows[begin:end]
        begin = end


def _sums_in_order(values: Float64, sizes: Int64) -> Float64:
    """The sum of each run of values, added from the first to the last."""
    by = np.argsort(-sizes, kind="stable")
    at, left = prefix_sums(sizes)[by], sizes[by]
    total = values[at]
    step = 1
    while (active := int(np.searchsorted(-left, -step))) >= _FEW:
        total[:active] += values[at[:active] + step]
        step += 1
    for run in range(active):
        rest = values[at[run] + step : at[run] + left[run]]
        total[run] = np.add.accumulate(np.append(total[run], rest))[-1]
    found = np.empty(len(sizes))
    found[by] = total
    return found
