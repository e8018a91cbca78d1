"""Aggregates over a list of values (C11), each straight from its definition.

They get the values of the rows that passed FILTER, in C4's order, nulls included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self


class Near(float):
    """A float that is only promised up to a tolerance (variances: 1e-12 of the sum of squares)."""

    tolerance: float

    def __new__(cls, value: float, tolerance: float) -> Self:
        made = super().__new__(cls, value)
        made.tolerance = tolerance
        return made


def aggregate(name: str, values: Sequence[Any], parameter: Any = None) -> Any:
    """The aggregate `name` of the values; `parameter` is the fraction of a quantile or a k."""
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
    if not present:
        return None
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


_OF_VALUES = {
    "sum": lambda values, _: _sum(values),
    "avg": lambda values, _: mean(values),
    "min": lambda values, _: _plus_zero(min(values, key=rank)),
    "max": lambda values, _: _plus_zero(max(values, key=rank)),
    "var_samp": lambda values, _: _var(values, sample=True),
    "var_pop": lambda values, _: _var(values, sample=False),
    "stddev_samp": lambda values, _: _stddev(values, sample=True),
    "stddev_pop": lambda values, _: _stddev(values, sample=False),
    "quantile_cont": _quantile_cont,
    "quantile_disc": _quantile_disc,
}
