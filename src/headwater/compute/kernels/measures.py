"""The aggregates of one array of values over windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from headwater.compute.kernels.deviations import mean_distances
from headwater.compute.kernels.exact import (
    float_sums,
    int_sums,
    int_sums_as_floats,
    variances,
)
from headwater.compute.kernels.hyperloglog import approximate_counts
from headwater.compute.kernels.pairs import PAIRS, Pairs, pair_aggregate
from headwater.compute.kernels.rounding import from_rounded, rounded_codes
from headwater.compute.kernels.rows import (
    Aggregation,
    Bool,
    Column,
    Float64,
    Int64,
    Listed,
    Lists,
    Result,
    Values,
)
from headwater.compute.kernels.seen import Seen
from headwater.compute.kernels.selection import Ranking, rank_by_code, rank_by_label
from headwater.compute.kernels.sorting import from_codes, to_codes
from headwater.compute.kernels.tallies import Labels, Tallies
from headwater.errors import ComputeError

LISTS = frozenset({"last_k", "top_k", "histogram"})


@dataclass(frozen=True, eq=False)
class Measure:
    """Values of the rows that take part, and the windows that see these rows.

    `row` is where each row stands in the caller's array. Sums, codes and ranks are worked out
    once for all aggregates that need them. Columns hold one value per window. Values are vectors
    where they have two dimensions.
    """

    seen: Seen
    row: Int64
    values: Values | None
    other: Values | None = None

    @cached_property
    def counts(self) -> Int64:
        return self.seen.counts()

    @cached_property
    def most(self) -> int:
        """The number of rows of the largest window."""
        return int(self.counts.max(initial=0))

    @cached_property
    def ends(self) -> tuple[Int64, Int64]:
        return self.seen.ends()

    @cached_property
    def given(self) -> Values:
        if self.values is None:
            raise ComputeError("this aggregate needs values; only count(*) goes without")
        return self.values

    @cached_property
    def codes(self) -> Int64:
        return to_codes(self.given)

    @cached_property
    def ranking(self) -> Ranking:
        return rank_by_code(self.codes, self.seen.begin)

    @cached_property
    def floats(self) -> Float64:
        return self.given.astype(np.float64, copy=False)

    @cached_property
    def float_sums(self) -> Float64:
        """Sums rounded once to float64, of integers too."""
        if self.given.dtype.kind == "f":
            return float_sums(self.floats, self.seen.totals, self.most)
        return int_sums_as_floats(self.given.astype(np.int64), self.seen.totals)

    @cached_property
    def variance_sums(self) -> tuple[Float64, Float64]:
        """Exact sums of x and of x * x, both as float64."""
        with np.errstate(over="ignore"):
            squares = self.floats * self.floats
        return self.float_sums, float_sums(squares, self.seen.totals, self.most)

    @cached_property
    def pairs(self) -> Pairs:
        if self.other is None:
            raise ComputeError("an aggregate of pairs needs two arguments")
        other = self.other.astype(np.float64, copy=False)
        return Pairs.of(self.floats, other, self.counts, self.seen.totals)

    @cached_property
    def rounded(self) -> Labels:
        """The values rounded to few digits."""
        return Labels.of(rounded_codes(self.given), self.seen.begin)

    @cached_property
    def tallies(self) -> Tallies:
        return Tallies.of(self.seen.as_covers(), self.codes)

    def any(self, values: Values) -> Column:
        return Column(values, self.counts > 0)

    def pick(self, at: Int64) -> Int64:
        """Rows of the caller for rows of this measure, -1 for none."""
        if len(self.row) == 0:
            return at
        return np.where(at < 0, -1, self.row[at])

    def lists(self, name: str, window: Int64, parameter: float | None) -> Lists | Listed:
        """One of LISTS of each given window, which all belong to one frame."""
        k = int(parameter or 1)
        if name == "last_k":
            return self._last_rows(window, k)
        offsets, codes, counts = self.tallies.lists(window, k if name == "top_k" else None)
        return Listed(offsets, from_codes(codes, self.given.dtype), counts)

    def _last_rows(self, window: Int64, k: int) -> Lists:
        count = np.minimum(self.counts[window], k)
        offsets = np.zeros(len(window) + 1, dtype=np.int64)
        np.cumsum(count, out=offsets[1:])
        return Lists(offsets, self.row[self.seen.latest(window, count)])


def measure(
    measured: Measure, name: str, parameter: float | None, labels: Sequence[str] = ("",)
) -> Column:
    """The column of one aggregate, none of LISTS; `labels` names it in each frame.

    Raises ComputeError when a sum of integers does not fit into int64.
    """
    if measured.values is not None and measured.values.ndim > 1 and name not in _OF_ROWS:
        return _by_element(measured, measured.values, name)
    if name == "sum":
        return measured.any(_sum(measured, labels))
    if name in PAIRS:
        return pair_aggregate(measured.pairs, name)
    if name in _QUANTILES:
        return _QUANTILES[name](measured, 0.5 if parameter is None else float(parameter))
    try:
        return _PLAIN[name](measured)
    except KeyError:
        raise ComputeError(f"no aggregate named '{name}'") from None


def _by_element(measured: Measure, vectors: Values, name: str) -> Column:
    """The aggregate of each element of vectors, one element after the other: the windows are the
    same for all, and no more than one column of values is worked on at a time.
    """
    size = vectors.shape[1]
    first = _of_element(measured, vectors, 0, name)
    found = np.empty((len(first.values), size), dtype=first.values.dtype)
    found[:, 0] = first.values
    for place in range(1, size):
        found[:, place] = _of_element(measured, vectors, place, name).values
    return Column(found, first.valid)


def _of_element(measured: Measure, vectors: Values, place: int, name: str) -> Column:
    values = np.ascontiguousarray(vectors[:, place])
    return measure(replace(measured, values=values), name, None)


def _sum(measured: Measure, labels: Sequence[str]) -> Values:
    if measured.given.dtype.kind == "f":
        return measured.float_sums
    return int_sums(measured.given.astype(np.int64), measured.seen.totals, labels)


def _avg(measured: Measure) -> Column:
    return measured.any(measured.float_sums / np.maximum(measured.counts, 1))


def _avg_deviation(measured: Measure) -> Column:
    means = _avg(measured).values
    found = mean_distances(measured.seen, measured.floats, measured.counts, means)
    return measured.any(found)


def _variance(measured: Measure, *, sample: bool, root: bool) -> Column:
    sums, squares = measured.variance_sums
    found, valid = variances(sums, squares, measured.counts, sample=sample)
    return Column(np.sqrt(found) if root else found, valid)


def _max(measured: Measure) -> Column:
    codes = measured.seen.greatest(measured.codes)
    return measured.any(_decoded(measured, codes))


def _min(measured: Measure) -> Column:
    codes = ~measured.seen.greatest(~measured.codes)
    return measured.any(_decoded(measured, codes))


def _decoded(measured: Measure, codes: Int64) -> Values:
    return from_codes(np.where(measured.counts > 0, codes, 0), measured.given.dtype)


def _count(measured: Measure) -> Column:
    return Column(measured.counts)


def _count_distinct(measured: Measure) -> Column:
    return Column(measured.seen.distinct(measured.codes))


def _mode(measured: Measure) -> Column:
    return measured.any(from_codes(measured.tallies.modes[0], measured.given.dtype))


def _mode_count(measured: Measure) -> Column:
    return Column(measured.tallies.modes[1])


def _first(measured: Measure) -> Column:
    return measured.any(measured.pick(measured.ends[0]))


def _last(measured: Measure) -> Column:
    return measured.any(measured.pick(measured.ends[1]))


def _quantile_disc(measured: Measure, fraction: float) -> Column:
    found = np.flatnonzero(measured.counts)
    count = measured.counts[found]
    k = np.clip(np.ceil(fraction * count).astype(np.int64) - 1, 0, count - 1)
    row = measured.seen.kth(measured.ranking, found, k)
    codes = np.zeros(len(measured.counts), dtype=np.int64)
    codes[found] = measured.codes[row]
    return measured.any(_decoded(measured, codes))


def _quantile_cont(measured: Measure, fraction: float) -> Column:
    """Linear interpolation between the two nearest ranks (the SQL standard's PERCENTILE_CONT)."""
    found = np.flatnonzero(measured.counts)
    place = (measured.counts[found] - 1) * fraction
    low = np.floor(place).astype(np.int64)
    between = np.flatnonzero(place > low)
    window = np.concatenate([found, found[between]])
    k = np.concatenate([low, low[between] + 1])
    codes = measured.codes[measured.seen.kth(measured.ranking, window, k)]
    picked = from_codes(codes, measured.given.dtype).astype(np.float64)
    below, above = picked[: len(found)], picked[len(found) :]
    values = np.zeros(len(measured.counts))
    values[found] = below
    share = (place - low)[between]
    values[found[between]] = _between(below[between], above, share)
    return measured.any(values)


def _approx_quantile(measured: Measure, fraction: float) -> Column:
    """quantile_disc of the rounded values."""
    found = np.flatnonzero(measured.counts)
    count = measured.counts[found]
    k = np.clip(np.ceil(fraction * count).astype(np.int64) - 1, 0, count - 1)
    labels = measured.rounded
    ranking = rank_by_label(labels.label, measured.seen.begin)
    values = np.zeros(len(measured.counts))
    values[found] = from_rounded(labels.code[measured.seen.kth(ranking, found, k)])
    return measured.any(values)


def _approx_count_distinct(measured: Measure) -> Column:
    return Column(approximate_counts(measured.seen, measured.given.astype(np.int64, copy=False)))


def _between(below: Float64, above: Float64, share: Float64) -> Float64:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(below == above, below, below + (above - below) * share)


_PLAIN: dict[str, Callable[[Measure], Column]] = {
    "count": _count,
    "count_distinct": _count_distinct,
    "approx_count_distinct": _approx_count_distinct,
    "avg": _avg,
    "avg_deviation": _avg_deviation,
    "min": _min,
    "max": _max,
    "mode": _mode,
    "mode_count": _mode_count,
    "first": _first,
    "last": _last,
    "stddev_samp": lambda m: _variance(m, sample=True, root=True),
    "stddev_pop": lambda m: _variance(m, sample=False, root=True),
    "var_samp": lambda m: _variance(m, sample=True, root=False),
    "var_pop": lambda m: _variance(m, sample=False, root=False),
}
_OF_ROWS = frozenset({"count", "first", "last"})  # whatever the values are
_QUANTILES: dict[str, Callable[[Measure, float], Column]] = {
    "quantile_cont": _quantile_cont,
    "quantile_disc": _quantile_disc,
    "approx_quantile": _approx_quantile,
}


def row_mask(valid: Bool | None, row: Int64) -> Bool | None:
    """Which rows take part, in the rows' own order; None for all."""
    if valid is None:
        return None
    mask = valid[row]
    return None if mask.all() else mask


def answers(seen: Seen, asked: Sequence[Aggregation]) -> list[Result]:
    """Each aggregate over the windows of one frame, whose rows are the entries of the arrays.

    Aggregations over one array share their work. first, last and last_k give entries.
    Raises ComputeError when a sum of integers does not fit into int64.
    """
    measures: dict[tuple[int, int, int], Measure] = {}
    found: list[Result] = []
    for ask in asked:
        key = (id(ask.values), id(ask.other), id(ask.valid))
        if key not in measures:
            measures[key] = _of(seen, ask)
        measured = measures[key]
        if ask.name in LISTS:
            window = np.arange(len(measured.counts))
            found.append(measured.lists(ask.name, window, ask.parameter))
        else:
            found.append(measure(measured, ask.name, ask.parameter, [ask.label]))
    return found


def _of(seen: Seen, ask: Aggregation) -> Measure:
    entry = np.arange(int(seen.begin[-1]))
    mask = row_mask(ask.valid, entry)
    if mask is None:
        return Measure(seen, entry, ask.values, ask.other)
    values, other = (None if array is None else array[mask] for array in (ask.values, ask.other))
    return Measure(seen.keep(mask), entry[mask], values, other)
