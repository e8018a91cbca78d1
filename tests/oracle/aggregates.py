"""Aggregates over a list of values (C11), each straight from its definition.

They get the values of the rows that passed FILTER, in C4's order, nulls included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self

from oracle.sketches import approximate_count, hashed, rounded


class Near(float):
    """A float that is only promised up to a tolerance (variances: 1e-12 of the sum of squares)."""

    tolerance: float

    def __new__(cls, value: float, tolerance: float) -> Self:
        made = super().__new__(cls, value)
        made.tolerance = tolerance
        return made


def aggregate(name: str, values: Sequence[Any], parameter: Any = None) -> Any:
    """The aggregate `name` of the values; `parameter` is the fraction of a quantile or a k.

    Those of pairs get (y, x) as each value.
    """
    if name in _OF_PAIRS:
        pairs = [pair for pair in values if None not in pair]
        return _OF_PAIRS[name](pairs) if pairs else None
    if name == "first":
        return values[0] if values else None
    if name == "last":
        return values[-1] if values else None
    if name == "last_k":
        return list(values[-parameter:]) if values else None
    present = [value for value in values if value is not None]
    if name == "count":
        return len(present)
    if name == "count_distinct":
        return len({_identity(value) for value in present})
    if name == "mode_count":
        return max(_frequencies(present).values(), default=0)
    if name == "approx_count_distinct":
        return approximate_count(map(hashed, present))
    if not present:
        return None
    if isinstance(present[0], list):  # vectors: of each element
        return [aggregate(name, element) for element in zip(*present, strict=True)]
    return _OF_VALUES[name](present, parameter)


def exact_sum(values: Sequence[float]) -> float:
    """The exact sum, rounded once; NaN and infinities as in SQL; a zero is +0."""
    if any(math.isnan(value) for value in values):
        return math.nan
    infinite = {value for value in values if math.isinf(value)}
    if infinite:
        return infinite.pop() if len(infinite) == 1 else math.nan
    return to_float(sum(map(Fraction, values), Fraction(0)))


def to_float(number: Fraction) -> float:
    """The nearest float, half to even; an infinity where the number is too large."""
    try:
        return number.numerator / number.denominator + 0.0
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def mean(values: Sequence[float]) -> float:
    return float(_sum(values)) / len(values)


def rank(value: Any) -> Any:
    """A sort key: NaN is the greatest, text goes by code points, false before true."""
    return (math.isnan(value), value) if isinstance(value, float) else value


def _identity(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return _plus_zero(value)


def _frequencies(values: Sequence[Any]) -> dict[Any, int]:
    """How often each value occurs; the smallest value comes first."""
    found: dict[Any, int] = {}
    for value in sorted(values, key=rank):
        found[_identity(value)] = found.get(_identity(value), 0) + 1
    return {math.nan if value == "NaN" else value: n for value, n in found.items()}


def _top_k(values: Sequence[Any], k: int) -> list[Any]:
    frequencies = _frequencies(values)
    return sorted(frequencies, key=lambda value: -frequencies[value])[:k]


def _plus_zero(value: Any) -> Any:
    return 0.0 if isinstance(value, float) and value == 0 else value


def _sum(values: Sequence[Any]) -> int | float:
    if isinstance(values[0], int):
        return sum(values)
    return exact_sum(values)


def _variance(values: Sequence[float], *, sample: bool) -> tuple[float, float] | None:
    """The variance and its tolerance; of fewer values than it needs, None."""
    if len(values) < 1 + sample:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan, 0.0
    exact = [Fraction(value) for value in values]
    centre = sum(exact) / len(exact)
    squares = sum(value * value for value in exact)
    spread = sum((value - centre) ** 2 for value in exact) / (len(exact) - sample)
    return to_float(spread), max(to_float(squares * Fraction(1, 10**12)), 1e-300)


def _var(values: Sequence[float], *, sample: bool) -> Near | None:
    found = _variance(values, sample=sample)
    if found is None:
        return None
    return Near(found[0], math.inf if _overflows(values) else found[1])


def _stddev(values: Sequence[float], *, sample: bool) -> Near | None:
    found = _variance(values, sample=sample)
    if found is None:
        return None
    variance, tolerance = found
    low, middle, high = (
        math.sqrt(max(part, 0.0)) for part in (variance - tolerance, variance, variance + tolerance)
    )
    spread = max(high - middle, middle - low) + math.ulp(middle)
    return Near(middle, math.inf if _overflows(values) else spread)


def _overflows(values: Sequence[float]) -> bool:
    """Whether the sum of squares leaves the floats, so that nothing is promised."""
    if not all(map(math.isfinite, values)):
        return False
    return math.isinf(to_float(sum((Fraction(v) ** 2 for v in values), Fraction(0))))


def _quantile_cont(values: Sequence[float], fraction: float) -> float:
    ordered = sorted(map(float, values), key=rank)
    position = (len(ordered) - 1) * fraction
    low, high = ordered[math.floor(position)], ordered[math.ceil(position)]
    if math.floor(position) == math.ceil(position):
        return _plus_zero(low)
    return _plus_zero(low + (high - low) * (position - math.floor(position)))


def _quantile_disc(values: Sequence[Any], fraction: float) -> Any:
    place = max(1, math.ceil(fraction * len(values)))
    return _plus_zero(sorted(values, key=rank)[place - 1])


def _avg_deviation(values: Sequence[float]) -> float:
    centre = mean(values)
    total = 0.0
    for value in values:
        total += abs(float(value) - centre)
    return total / len(values)


def _spread(left: Sequence[float], right: Sequence[float]) -> tuple[Fraction, Fraction]:
    """The exact sum of products of distances from the means, and its tolerance."""
    xs, ys = [Fraction(x) for x in left], [Fraction(y) for y in right]
    centre = sum(xs) / len(xs), sum(ys) / len(ys)
    exact = sum((x - centre[0]) * (y - centre[1]) for x, y in zip(xs, ys, strict=True))
    size = max(sum(x * x for x in xs), sum(y * y for y in ys))
    return exact, max(size * Fraction(1, 10**12), Fraction(1, 10**300))


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]] | None:
    """The two columns as floats, or None where one holds what is not finite."""
    ys, xs = ([float(value) for value in column] for column in zip(*pairs, strict=True))
    return (ys, xs) if all(map(math.isfinite, (*ys, *xs))) else None


def _covariance(pairs: Sequence[tuple[float, float]], *, sample: bool) -> Near | None:
    number = len(pairs) - sample
    if number < 1:
        return None
    columns = _columns(pairs)
    if columns is None:
        return Near(math.nan, 0.0)
    exact, tolerance = _spread(*columns)
    overflows = _overflows(columns[0]) or _overflows(columns[1])
    return Near(to_float(exact / number), math.inf if overflows else to_float(tolerance / number))


def _ratio(pairs: Sequence[tuple[float, float]], *, slope: bool) -> Near | None:
    """The slope or the correlation; anything goes where rounding may be all that is left."""
    if len(pairs) < 2:
        return None
    columns = _columns(pairs)
    if columns is None:
        return Near(math.nan, math.inf)
    ys, xs = columns
    across, along = _spread(xs, xs), _spread(ys, ys)
    if across[0] == 0 or (not slope and along[0] == 0):
        return None
    (both, tolerance), floor = _spread(ys, xs), 1000
    unsure = across[0] < floor * across[1] or (not slope and along[0] < floor * along[1])
    if unsure or _overflows(ys) or _overflows(xs):
        return Near(0.0, math.inf)
    below = across[0] if slope else Fraction(math.sqrt(across[0]) * math.sqrt(along[0]))
    error = tolerance / below + abs(both / below) * Fraction(1, 100)
    return Near(to_float(both / below), to_float(error))


_OF_PAIRS = {
    "covar_samp": lambda pairs: _covariance(pairs, sample=True),
    "covar_pop": lambda pairs: _covariance(pairs, sample=False),
    "regr_slope": lambda pairs: _ratio(pairs, slope=True),
    "corr": lambda pairs: _ratio(pairs, slope=False),
}
_OF_VALUES = {
    "sum": lambda values, _: _sum(values),
    "avg": lambda values, _: mean(values),
    "avg_deviation": lambda values, _: _avg_deviation(values),
    "min": lambda values, _: _plus_zero(min(values, key=rank)),
    "max": lambda values, _: _plus_zero(max(values, key=rank)),
    "var_samp": lambda values, _: _var(values, sample=True),
    "var_pop": lambda values, _: _var(values, sample=False),
    "stddev_samp": lambda values, _: _stddev(values, sample=True),
    "stddev_pop": lambda values, _: _stddev(values, sample=False),
    "approx_quantile": lambda values, fraction: rounded(float(_quantile_disc(values, fraction))),
    "mode": lambda values, _: _top_k(values, 1)[0],
    "top_k": _top_k,
    "histogram": lambda values, _: list(_frequencies(values).items()),
    "quantile_cont": _quantile_cont,
    "quantile_disc": _quantile_disc,
}
