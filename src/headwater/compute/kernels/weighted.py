"""The linearly weighted moving average."""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.exact import float_sums
from headwater.compute.kernels.rows import Bool, Column, Float64, Int64, Values
from headwater.compute.kernels.sorting import prefix_sums, run_begins


def weighted(segment: Int64, values: Values, valid: Bool | None, n: int) -> Column:
    """The mean of the last n entries of a segment with the weights 1 (the oldest) to n.

    It is the exact sum of the weighted values, rounded once, over n * (n + 1) / 2; null until n
    entries exist, and where one of them is null. O(entries), whatever n.
    """
    begin = run_begins(segment)
    after = np.arange(1, len(segment) + 1)
    low = after - n
    is_full = low >= np.repeat(begin[:-1], np.diff(begin))
    if valid is not None:
        missing = prefix_sums(~valid)
        is_full &= missing[after] == missing[np.maximum(low, 0)]
    given = values.astype(np.float64)
    if valid is not None:
        given[~valid] = 0.0
    full = np.flatnonzero(is_full)
    found = np.zeros(len(segment))
    found[full] = _sums(given, low[full], n) / (n * (n + 1) // 2)
    return Column(found, is_full)


def _sums(values: Float64, low: Int64, n: int) -> Float64:
    """The sum of 1 * values[low] to n * values[low + n - 1] for each low."""
    place = np.arange(1, len(values) + 1)

    def totals(numbers: Int64) -> Int64:
        # modulo 2**64 the difference is right though the prefixes are not
        plain, rising = prefix_sums(numbers), prefix_sums(numbers * place)
        found: Int64 = rising[low + n] - rising[low] - low * (plain[low + n] - plain[low])
        return found

    return float_sums(values, totals, n * (n + 1) // 2)
