"""Inner products, cosines and distances of vectors, pair by pair.

To the bit what `headwater.expressions.functions.vectors` computes of one pair: each product is
rounded to float64, their sum is exact and rounded once.
"""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.exact import float_sums
from headwater.compute.kernels.rows import Float64, Int64
from headwater.expressions.functions.vectors import GREATEST, SMALLEST

_CHUNK = 1 << 18  # products whose temporary arrays are held at once


def inner_products(x: Float64, y: Float64) -> Float64:
    """The inner product of each row of `x` with that of `y`; both of shape [rows, size]."""
    rows, size = x.shape
    found = np.empty(rows)
    step = max(_CHUNK // max(size, 1), 1)
    for begin in range(0, rows, step):
        part = slice(begin, begin + step)
        with np.errstate(over="ignore", invalid="ignore"):
            products = x[part] * y[part]
        found[part] = _row_sums(products)
    return found


def distances(x: Float64, y: Float64) -> Float64:
    """The Euclidean distance of each row of `x` to that of `y`."""
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = x - y
    return np.sqrt(inner_products(gaps, gaps))


def cosine_similarities(x: Float64, y: Float64) -> Float64:
    """The cosine of the angle between each row of `x` and that of `y`; NaN for a row of zeros."""
    xx, yy = inner_products(x, x), inner_products(y, y)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        squares = xx * yy
        plain = (squares > SMALLEST) & (squares < GREATEST)
        norms = np.where(plain, np.sqrt(squares), np.sqrt(xx) * np.sqrt(yy))
        found = inner_products(x, y) / norms
    found[norms == 0.0] = np.nan
    clipped: Float64 = np.clip(found, -1.0, 1.0)
    return clipped


def _row_sums(products: Float64) -> Float64:
    rows, size = products.shape

    def totals(numbers: Int64) -> Int64:
        found: Int64 = numbers.reshape(rows, size).sum(axis=1)
        return found

    return float_sums(products.reshape(-1), totals, size)
