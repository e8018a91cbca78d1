"""Aggregates of pairs (y, x): covariances, correlation, slope of the regression line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from headwater.compute.kernels.exact import Totals, float_sums
from headwater.compute.kernels.rows import Column, Float64, Int64

PAIRS = frozenset({"covar_samp", "covar_pop", "corr", "regr_slope"})
_NOISE = 1e-14  # share of the sum of squares below which a spread may be rounding alone


@dataclass(frozen=True, eq=False)
class Pairs:
    """The exact sums over the pairs of each window, each rounded once, and their number."""

    counts: Int64
    y: Float64
    x: Float64
    yx: Float64
    yy: Float64
    xx: Float64

    @classmethod
    def of(cls, y: Float64, x: Float64, counts: Int64, totals: Totals) -> Self:
        with np.errstate(over="ignore", invalid="ignore"):
            products = (y * x, y * y, x * x)
        most = int(counts.max(initial=0))
        return cls(counts, *(float_sums(values, totals, most) for values in (y, x, *products)))

    def covariance(self, *, sample: bool) -> Column:
        """(Sxy - Sx * Sy / n) / (n - 1 or n), null for fewer pairs than it needs."""
        number = self.counts - 1 if sample else self.counts
        with np.errstate(all="ignore"):
            found = self._spread(self.yx, self.y, self.x) / number
        return Column(found, number > 0)

    def slope(self) -> Column:
        """Of y by x, by least squares; null where x does not vary."""
        with np.errstate(all="ignore"):
            across = self._spread(self.xx, self.x, self.x)
            found = self._spread(self.yx, self.y, self.x) / across
            varies = ~(across <= _NOISE * self.xx)
        return Column(found, (self.counts > 1) & varies)

    def correlation(self) -> Column:
        """Pearson's, from -1 to 1; null where x or y does not vary."""
        with np.errstate(all="ignore"):
            across = self._spread(self.xx, self.x, self.x)
            along = self._spread(self.yy, self.y, self.y)
            found = self._spread(self.yx, self.y, self.x) / (np.sqrt(across) * np.sqrt(along))
            varies = ~((across <= _NOISE * self.xx) | (along <= _NOISE * self.yy))
        return Column(np.clip(found, -1.0, 1.0), (self.counts > 1) & varies)

    def _spread(self, products: Float64, left: Float64, right: Float64) -> Float64:
        finite = np.isfinite(self.x) & np.isfinite(self.y)
        return np.where(finite, products - left * right / self.counts, np.nan)


def pair_aggregate(pairs: Pairs, name: str) -> Column:
    """One of PAIRS."""
    if name == "corr":
        return pairs.correlation()
    if name == "regr_slope":
        return pairs.slope()
    return pairs.covariance(sample=name == "covar_samp")
