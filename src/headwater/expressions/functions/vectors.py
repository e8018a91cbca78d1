"""Functions of vectors, the fixed-length embeddings.

A sum over the elements is the exact sum, rounded once to float64, as the sums of windows are: it
does not depend on the order of the elements or on how an engine splits them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from operator import mul, sub

from headwater.errors import ComputeError
from headwater.expressions.functions.declare import CANNOT, Function

NAN = math.nan
INF = math.inf
SMALLEST, GREATEST = 1e-280, 1e280
"""Between these a product of squares is exact to the last bit."""
Vector = Sequence[float]


def inner_product(x: Vector, y: Vector) -> float:
    try:
        return math.fsum(map(mul, x, y))
    except (OverflowError, ValueError):
        return _unusual_sum(map(mul, x, y))


def distance(x: Vector, y: Vector) -> float:
    gaps = list(map(sub, x, y))
    return math.sqrt(inner_product(gaps, gaps))


def cosine_similarity(x: Vector, y: Vector) -> float:
    xx, yy = inner_product(x, x), inner_product(y, y)
    squares = xx * yy
    # one root of both is rounded less often: the cosine of a vector and itself is 1
    plain = SMALLEST < squares < GREATEST
    norms = math.sqrt(squares) if plain else math.sqrt(xx) * math.sqrt(yy)
    if norms == 0.0:
        return NAN
    cosine = inner_product(x, y) / norms
    # the rounding of the norms may carry it a last bit too far; NaN is neither
    if cosine > 1.0:
        return 1.0
    return max(cosine, -1.0)


def elements(values: list[float | None]) -> list[float | None]:
    if None in values:
        raise ComputeError("an element of a vector is null")
    return values


def try_elements(values: list[float | None]) -> list[float | None] | None:
    return None if None in values else values


def _unusual_sum(terms: Iterable[float]) -> float:
    """The exact sum, rounded once, of terms of which `fsum` can't make one."""
    values = list(terms)
    infinities = {value for value in values if math.isinf(value)}
    if len(infinities) == 2 or any(map(math.isnan, values)):
        return NAN
    if infinities:
        return infinities.pop()
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return INF if total > 0 else -INF


def _of_two(name: str) -> str:
    """DuckDB's own functions of arrays add float32 up, in an order of their own: we give ours."""
    return f"headwater_{name}(CAST({{0}} AS DOUBLE[]), CAST({{1}} AS DOUBLE[]))"


VECTORS = (
    Function(
        "array_value",
        ("C...",),
        "vector",
        "The vector of these numbers: of float32 where all are, else of float64.",
        lambda *values: list(values),
        (((1.0, 2.5), (1.0, 2.5)), ((1.0, None), None), ((NAN,), (NAN,))),
        duckdb="CASE WHEN {* IS NULL OR } IS NULL THEN NULL ELSE array_value({*}) END",
    ),
    Function(
        "array_inner_product",
        ("vector", "vector"),
        "float64",
        "The sum of the products of the elements: exact, rounded once.",
        inner_product,
        (
            (((1.0, 2.0), (3.0, 4.0)), 11.0),
            (((1e16, 1.0, -1e16), (1.0, 1.0, 1.0)), 1.0),
            (((INF, 1.0), (0.0, 1.0)), NAN),
            (((INF, 1.0), (-1.0, INF)), NAN),
            (((1e308, 1e308, -1e308), (1.0, 1.0, 1.0)), 1e308),
            (((1e308, 1e308), (1.0, 1.0)), INF),
            (((-1e200, 0.0), (1e200, 0.0)), -INF),
            ((None, (1.0, 2.0)), None),
        ),
        spellings=("array_dot_product",),
        duckdb=_of_two("inner_product"),
    ),
    Function(
        "array_cosine_similarity",
        ("vector", "vector"),
        "float64",
        "The cosine of the angle between two vectors, -1 to 1: their inner product over the "
        "product of their lengths; NaN where one of them is 0.",
        cosine_similarity,
        (
            (((1.0, 0.0), (0.0, 2.0)), 0.0),
            (((1.0, 2.0), (2.0, 4.0)), 1.0),
            (((3.0, 4.0), (-3.0, -4.0)), -1.0),
            (((1.0, 0.0), (1.0, 1.0)), 0.7071067811865475),
            (((0.0, 0.0), (1.0, 1.0)), NAN),
            (((NAN, 0.0), (1.0, 1.0)), NAN),
            (((INF, 0.0), (1.0, 1.0)), NAN),
            (((1.0,), None), None),
        ),
        duckdb=_of_two("cosine_similarity"),
    ),
    Function(
        "array_distance",
        ("vector", "vector"),
        "float64",
        "The Euclidean distance of two vectors.",
        distance,
        (
            (((1.0, 2.0), (4.0, 6.0)), 5.0),
            (((1.0, 2.0), (1.0, 2.0)), 0.0),
            (((INF, 0.0), (0.0, 0.0)), INF),
            (((INF, 0.0), (INF, 0.0)), NAN),
            (((1e200, 0.0), (0.0, 0.0)), INF),
            (((1.0,), None), None),
        ),
        duckdb=_of_two("distance"),
    ),
)

CASTS = (
    Function(
        "elements",
        ("list",),
        "list",
        "The list, which is to become a vector; an error where an element is null.",
        elements,
        ((((1.0, 2.0),), (1.0, 2.0)), (((1.0, None),), CANNOT), ((None,), None)),
        duckdb="list_transform({0}, lambda x: "
        "coalesce(x, error('an element of a vector is null')))",
        hidden=True,
    ),
    Function(
        "try_elements",
        ("list",),
        "list",
        "The list, which is to become a vector; null where an element is.",
        try_elements,
        ((((1.0, 2.0),), (1.0, 2.0)), (((1.0, None),), None), ((None,), None)),
        duckdb="CASE WHEN list_count({0}) = len({0}) THEN {0} END",
        hidden=True,
    ),
)
