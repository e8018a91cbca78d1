"""Functions of numbers. Roots, logarithms and angles come from the C library, as DuckDB's do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from headwater.errors import ComputeError
from headwater.expressions.functions.arithmetic import INT64_MAX, INT64_MIN, checked
from headwater.expressions.functions.declare import CANNOT, Example, Function

INF = math.inf
NAN = math.nan
# from here on every float64 is an integer
_WHOLE = 2.0**52


def absolute(x: Any) -> Any:
    return abs(x) if x.__class__ is float else checked(abs(x), f"abs({x})")


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def floor(x: float) -> float:
    return math.copysign(float(math.floor(x)), x) if abs(x) < _WHOLE else x


def ceil(x: float) -> float:
    return math.copysign(float(math.ceil(x)), x) if abs(x) < _WHOLE else x


def truncate(x: float, digits: int = 0) -> float:
    return _scaled(_trunc, x, digits)


def _trunc(x: float) -> float:
    return math.copysign(float(math.trunc(x)), x) if abs(x) < _WHOLE else x


def round_half_away(x: Any, digits: int = 0) -> Any:
    if x.__class__ is float:
        return _scaled(_nearest, x, digits)
    return x if digits >= 0 else _round_integer(x, -digits)


def _nearest(x: float) -> float:
    if not abs(x) < _WHOLE:
        return x
    whole = float(math.trunc(x))
    if abs(x - whole) >= 0.5:
        whole += math.copysign(1.0, x)
    return math.copysign(whole, x)


def _scaled(f: Callable[[float], float], x: float, digits: int) -> float:
    """`f` at a decimal digit: scaled by a power of ten, and back."""
    if digits == 0 or not math.isfinite(x):
        return f(x)
    power = 10.0 ** abs(digits)
    if digits < 0:
        value = f(x / power) * power
        return value if math.isfinite(value) else 0.0
    value = f(x * power) / power
    return value if math.isfinite(value) else x


def _round_integer(x: int, zeros: int) -> int:
    power = 10**zeros
    if power > INT64_MAX:
        return 0
    quotient, rest = divmod(abs(x), power)
    rounded = (quotient + (2 * rest >= power)) * power
    return checked(rounded if x >= 0 else -rounded, f"round({x}, {-zeros})")


def _guarded(f: Callable[[float], float], at_pole: dict[float, float]) -> Callable[[float], float]:
    """A function of the math module with IEEE 754's answers where that one raises."""

    def run(x: float) -> float:
        try:
            return f(x)
        except ValueError:
            return at_pole.get(x, NAN)
        except OverflowError:
            return INF

    return run


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(INF, x)


def power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except ValueError:
        if x != 0.0:
            return NAN
        odd = y.is_integer() and y % 2.0 == 1.0
        return math.copysign(INF, x) if odd else INF
    except OverflowError:
        odd = y.is_integer() and y % 2.0 == 1.0
        return -INF if x < 0.0 and odd else INF


def greatest_divisor(a: int, b: int) -> int:
    return checked(math.gcd(a, b), f"gcd({a}, {b})")


def shift_left(x: int, n: int) -> int:
    if x < 0 or n < 0:
        raise ComputeError(f"{x} << {n}: negative numbers can't be shifted to the left")
    if x == 0:
        return 0
    if n >= 64:
        raise ComputeError(f"{x} << {n}: the result does not fit int64")
    return checked(x << n, f"{x} << {n}")


def shift_right(x: int, n: int) -> int:
    return x >> n if 0 <= n < 64 else 0


def _real(
    name: str,
    doc: str,
    row: Callable[..., float],
    examples: tuple[Example, ...],
    spellings: tuple[str, ...] = (),
) -> Function:
    rows = (*examples, ((NAN,), NAN), ((None,), None))
    return Function(name, ("float64",), "float64", doc, row, rows, spellings=spellings)


_LOG_POLE = {0.0: -INF}

NUMBERS = (
    Function(
        "abs",
        ("N",),
        "N",
        "Absolute value.",
        absolute,
        (((-5,), 5), ((-0.0,), 0.0), ((-INF,), INF), ((INT64_MIN,), CANNOT)),
    ),
    Function(
        "sign",
        ("N",),
        "int64",
        "-1, 0 or 1; 0 of NaN.",
        sign,
        (((-2.5,), -1), ((0,), 0), ((7,), 1), ((NAN,), 0), ((-0.0,), 0)),
        duckdb="CAST(sign({0}) AS BIGINT)",
    ),
    Function(
        "round",
        ("N", "digits?"),
        "N",
        "Nearest number with that many decimal digits (0 unless given), halves away from zero.",
        round_half_away,
        (
            ((2.5,), 3.0),
            ((-2.5,), -3.0),
            ((-0.4,), -0.0),
            ((2.675, 2), 2.68),
            ((0.285, 2), 0.28),
            ((1234.5, -2), 1200.0),
            ((75, -1), 80),
            ((7,), 7),
            ((INT64_MAX, -1), CANNOT),
        ),
    ),
    _real(
        "floor",
        "Greatest whole number that is not greater.",
        floor,
        (((2.5,), 2.0), ((-2.5,), -3.0), ((-0.0,), -0.0), ((INF,), INF), ((7,), 7.0)),
    ),
    _real(
        "ceil",
        "Smallest whole number that is not smaller.",
        ceil,
        (((2.5,), 3.0), ((-0.5,), -0.0), ((7,), 7.0)),
        ("ceiling",),
    ),
    Function(
        "trunc",
        ("float64", "digits?"),
        "float64",
        "The number cut off after that many decimal digits (0 unless given).",
        truncate,
        (((2.7,), 2.0), ((-2.7,), -2.0), ((1234.567, 1), 1234.5), ((INF,), INF)),
    ),
    _real(
        "sqrt",
        "Square root; NaN of negative numbers.",
        _guarded(math.sqrt, {}),
        (((9.0,), 3.0), ((2.0,), 1.4142135623730951), ((-1.0,), NAN), ((-0.0,), -0.0)),
    ),
    _real("cbrt", "Cube root.", math.cbrt, (((0.0,), 0.0), ((-INF,), -INF))),
    _real(
        "exp",
        "e to the power of x.",
        _guarded(math.exp, {}),
        (((0.0,), 1.0), ((1.0,), 2.718281828459045), ((1000.0,), INF), ((-INF,), 0.0)),
    ),
    _real(
        "ln",
        "Natural logarithm; -inf of 0, NaN of negative numbers.",
        _guarded(math.log, _LOG_POLE),
        (((1.0,), 0.0), ((2.0,), 0.6931471805599453), ((0.0,), -INF), ((-1.0,), NAN)),
    ),
    _real(
        "log10",
        "Logarithm to the base of 10.",
        _guarded(math.log10, _LOG_POLE),
        (((1000.0,), 3.0), ((0.0,), -INF), ((-1.0,), NAN)),
        ("log",),
    ),
    _real(
        "log2",
        "Logarithm to the base of 2.",
        _guarded(math.log2, _LOG_POLE),
        (((8.0,), 3.0), ((0.0,), -INF), ((-1.0,), NAN)),
    ),
    Function(
        "pow",
        ("float64", "float64"),
        "float64",
        "x to the power of y; also written `x ** y` and `x ^ y`.",
        power,
        (
            ((2.0, 3.0), 8.0),
            ((2.0, 0.5), 1.4142135623730951),
            ((0.0, -1.0), INF),
            ((-8.0, 0.5), NAN),
            ((NAN, 0.0), 1.0),
            ((-10.0, 309.0), -INF),
        ),
        spellings=("power",),
    ),
    _real(
        "sin",
        "Sine of an angle in radians.",
        _guarded(math.sin, {}),
        (((0.0,), 0.0), ((1.0,), 0.8414709848078965), ((INF,), NAN)),
    ),
    _real(
        "cos",
        "Cosine of an angle in radians.",
        _guarded(math.cos, {}),
        (((0.0,), 1.0), ((INF,), NAN)),
    ),
    _real(
        "tan",
        "Tangent of an angle in radians.",
        _guarded(math.tan, {}),
        (((0.0,), 0.0), ((INF,), NAN)),
    ),
    _real("asin", "Angle of a sine.", _guarded(math.asin, {}), (((0.0,), 0.0), ((2.0,), NAN))),
    _real("acos", "Angle of a cosine.", _guarded(math.acos, {}), (((1.0,), 0.0), ((2.0,), NAN))),
    _real("atan", "Angle of a tangent.", math.atan, (((0.0,), 0.0), ((INF,), math.pi / 2))),
    Function(
        "atan2",
        ("float64", "float64"),
        "float64",
        "Angle of the point with the ordinate y and the abscissa x.",
        math.atan2,
        (((0.0, 1.0), 0.0), ((1.0, 0.0), math.pi / 2), ((0.0, -1.0), math.pi)),
    ),
    _real("sinh", "Hyperbolic sine.", sinh, (((0.0,), 0.0), ((-1000.0,), -INF))),
    _real("cosh", "Hyperbolic cosine.", _guarded(math.cosh, {}), (((0.0,), 1.0), ((-1e3,), INF))),
    _real("tanh", "Hyperbolic tangent.", math.tanh, (((0.0,), 0.0), ((INF,), 1.0))),
    _real("degrees", "Radians as degrees.", math.degrees, (((math.pi,), 180.0),)),
    _real("radians", "Degrees as radians.", math.radians, (((180.0,), math.pi),)),
    Function("pi", (), "float64", "3.14159...", lambda: math.pi, (((), math.pi),)),
    Function(
        "isnan",
        ("float64",),
        "bool",
        "Whether x is NaN.",
        math.isnan,
        (((NAN,), True), ((1.0,), False), ((None,), None)),
    ),
    Function(
        "isinf",
        ("float64",),
        "bool",
        "Whether x is an infinity.",
        math.isinf,
        (((-INF,), True), ((NAN,), False), ((1.0,), False)),
    ),
    Function(
        "isfinite",
        ("float64",),
        "bool",
        "Whether x is neither NaN nor an infinity.",
        math.isfinite,
        (((1.0,), True), ((NAN,), False), ((INF,), False)),
    ),
    Function(
        "gcd",
        ("int64", "int64"),
        "int64",
        "Greatest common divisor.",
        greatest_divisor,
        (((12, -18), 6), ((0, 0), 0), ((0, 5), 5)),
        spellings=("greatest_common_divisor",),
    ),
)

BITS = (
    Function(
        "bit_and",
        ("int64", "int64"),
        "int64",
        "Bits that are set in both.",
        lambda a, b: a & b,
        (((6, 3), 2), ((-1, 5), 5)),
        text="({0} & {1})",
    ),
    Function(
        "bit_or",
        ("int64", "int64"),
        "int64",
        "Bits that are set in either.",
        lambda a, b: a | b,
        (((6, 3), 7), ((-8, 5), -3)),
        text="({0} | {1})",
    ),
    Function(
        "xor",
        ("int64", "int64"),
        "int64",
        "Bits that are set in one of both.",
        lambda a, b: a ^ b,
        (((6, 3), 5), ((5, -1), -6)),
    ),
    Function(
        "shift_left",
        ("int64", "int64"),
        "int64",
        "Bits moved to the left; an error for negative numbers and on overflow.",
        shift_left,
        (((1, 62), 2**62), ((1, 63), CANNOT), ((-1, 1), CANNOT), ((0, 70), 0)),
        text="({0} << {1})",
    ),
    Function(
        "shift_right",
        ("int64", "int64"),
        "int64",
        "Bits moved to the right, the sign kept; 0 where n is outside 0 to 63.",
        shift_right,
        (((5, 1), 2), ((-5, 63), -1), ((-5, 64), 0)),
        text="({0} >> {1})",
    ),
)
