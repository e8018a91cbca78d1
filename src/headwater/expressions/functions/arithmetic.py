"""Arithmetic: int64 with overflow as an error, float64 as IEEE 754 has it."""

from __future__ import annotations

import math
from typing import Any

from headwater.errors import ComputeError
from headwater.expressions.functions.declare import CANNOT, Function

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
INF = math.inf
NAN = math.nan


def checked(value: int, what: str) -> int:
    """An integer that fits int64, or ComputeError."""
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise ComputeError(f"the result of {what} does not fit int64")


def add(a: Any, b: Any) -> Any:
    value = a + b
    if value.__class__ is float or INT64_MIN <= value <= INT64_MAX:
        return value
    return checked(value, f"{a} + {b}")


def subtract(a: Any, b: Any) -> Any:
    value = a - b
    if value.__class__ is float or INT64_MIN <= value <= INT64_MAX:
        return value
    return checked(value, f"{a} - {b}")


def multiply(a: Any, b: Any) -> Any:
    value = a * b
    if value.__class__ is float or INT64_MIN <= value <= INT64_MAX:
        return value
    return checked(value, f"{a} * {b}")


def divide(a: float, b: float) -> float:
    if b:
        # int / int would be rounded once, DuckDB rounds the operands first
        return float(a) / float(b)
    if a != a or a == 0.0:  # noqa: PLR0124  (NaN is the value that differs from itself)
        return NAN
    return math.copysign(INF, a) * math.copysign(1.0, b)


def divide_integers(a: int, b: int) -> int:
    if b == 0:
        raise ComputeError(f"division by zero in {a} // {b}; write {a} // nullif(..., 0)")
    quotient = abs(a) // abs(b)
    return checked(quotient if (a < 0) == (b < 0) else -quotient, f"{a} // {b}")


def modulo(a: Any, b: Any) -> Any:
    if a.__class__ is float or b.__class__ is float:
        return NAN if b == 0.0 or a in (INF, -INF) else math.fmod(a, b)
    if b == 0:
        raise ComputeError(f"division by zero in {a} % {b}; write {a} % nullif(..., 0)")
    if b == -1:
        return 0 if a != INT64_MIN else checked(-a, f"{a} % {b}")
    rest = abs(a) % abs(b)
    return rest if a >= 0 else -rest


def negate(a: Any) -> Any:
    return -a if a.__class__ is float else checked(-a, f"-({a})")


ARITHMETIC = (
    Function(
        "add",
        ("N", "N"),
        "N",
        "Sum. An integer that does not fit int64 is an error.",
        add,
        (
            ((1, 2), 3),
            ((0.1, 0.2), 0.30000000000000004),
            ((INT64_MAX, 1), CANNOT),
            ((INF, -INF), NAN),
            ((1, None), None),
        ),
        text="({0} + {1})",
    ),
    Function(
        "subtract",
        ("N", "N"),
        "N",
        "Difference. An integer that does not fit int64 is an error.",
        subtract,
        (
            ((1, 2), -1),
            ((0.3, 0.1), 0.19999999999999998),
            ((INT64_MIN, 1), CANNOT),
            ((INF, INF), NAN),
        ),
        text="({0} - {1})",
    ),
    Function(
        "multiply",
        ("N", "N"),
        "N",
        "Product. An integer that does not fit int64 is an error.",
        multiply,
        (
            ((3, -4), -12),
            ((1e200, 1e200), INF),
            ((INT64_MIN, -1), CANNOT),
            ((INF, 0.0), NAN),
            ((-1.0, 0.0), -0.0),
        ),
        text="({0} * {1})",
    ),
    Function(
        "divide",
        ("N", "N"),
        "float64",
        "Quotient as float64, of integers too. x / 0 is an infinity, 0 / 0 is NaN.",
        divide,
        (
            ((7.0, 2.0), 3.5),
            ((7, 2), 3.5),
            ((2**63 - 1, 3), 3.0744573456182584e18),
            ((1, 0), INF),
            ((1.0, 0.0), INF),
            ((1.0, -0.0), -INF),
            ((0.0, 0.0), NAN),
            ((-1.0, 0.0), -INF),
            ((NAN, 0.0), NAN),
        ),
        text="({0} / {1})",
    ),
    Function(
        "divide_integers",
        ("int64", "int64"),
        "int64",
        "Quotient of integers, truncated towards zero. Division by zero is an error.",
        divide_integers,
        (((7, 2), 3), ((-7, 2), -3), ((7, -2), -3), ((1, 0), CANNOT), ((INT64_MIN, -1), CANNOT)),
        text="({0} // {1})",
    ),
    Function(
        "mod",
        ("N", "N"),
        "N",
        "Rest of the truncated division, with the sign of x. An integer % 0 is an error.",
        modulo,
        (
            ((7, 3), 1),
            ((-7, 3), -1),
            ((7, -3), 1),
            ((7.5, 2.0), 1.5),
            ((1, 0), CANNOT),
            ((1.0, 0.0), NAN),
            ((1.0, INF), 1.0),
        ),
        text="({0} % {1})",
        spellings=("mod",),
    ),
    Function(
        "negate",
        ("N",),
        "N",
        "The number with the other sign.",
        negate,
        (((5,), -5), ((-0.0,), 0.0), ((INT64_MIN,), CANNOT), ((None,), None)),
        text="(- {0})",
        # DuckDB answers with a HUGEINT where the result doesn't fit
        duckdb="({0} * CAST(-1 AS BIGINT))",
    ),
)
