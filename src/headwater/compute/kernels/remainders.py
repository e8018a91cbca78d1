"""Exact sums as a few doubles each, so that they can be added to later."""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.exact import float_sums
from headwater.compute.kernels.rows import Bool, Float64, Int64
from headwater.compute.kernels.sorting import order_by, prefix_sums, ranges


def exact_parts(segment: Int64, values: Float64, count: int) -> tuple[Int64, Float64]:
    """Doubles that stand for the values of each of `count` segments in every sum that they take
    part in: with their segments, which ascend. Segments without values have none.

    A sum that is finite becomes the double nearest to it, that nearest to the rest, and so on
    until nothing is left (Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997); one
    that overflows keeps its values, since others may take it back.
    """
    begin = np.searchsorted(segment, np.arange(count + 1))
    present = np.flatnonzero(np.diff(begin))
    first = _rest(values, begin, present, [])
    is_finite = np.isfinite(first)
    found = [first]
    while True:
        # Nothing can be taken off an infinite sum.
        taken = [np.where(is_finite, part, 0.0) for part in found]
        rest = np.where(is_finite, _rest(values, begin, present, taken), 0.0)
        if not rest.any():
            break
        found.append(rest)
    is_whole = np.isinf(first) & ~_holds_infinity(values, begin)[present]
    kept = present[is_whole]
    rows = ranges(begin[kept], np.diff(begin)[kept])
    chosen = [~is_whole, *((part != 0) & ~is_whole for part in found[1:])]
    owner = np.concatenate([segment[rows], *(present[one] for one in chosen)])
    pairs = zip(found, chosen, strict=True)
    parts = np.concatenate([values[rows], *(part[one] for part, one in pairs)])
    order = order_by(owner)
    return owner[order], parts[order]


def _rest(values: Float64, begin: Int64, present: Int64, taken: list[Float64]) -> Float64:
    """What is left of the sums of segments when some doubles are taken off, rounded once."""
    rows, size = len(values), len(present)

    def totals(numbers: Int64) -> Int64:
        before = prefix_sums(numbers[:rows])
        found: Int64 = before[begin[present + 1]] - before[begin[present]]
        for place in range(len(taken)):
            found += numbers[rows + place * size : rows + (place + 1) * size]
        return found

    weight = int(np.diff(begin).max(initial=0)) + len(taken)
    return float_sums(np.concatenate([values, *(-one for one in taken)]), totals, weight)


def _holds_infinity(values: Float64, begin: Int64) -> Bool:
    before = prefix_sums(np.isinf(values))
    found: Bool = before[begin[1:]] > before[begin[:-1]]
    return found
