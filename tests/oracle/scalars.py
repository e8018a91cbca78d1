"""Scalar functions with SQL's nulls and DuckDB's floats (C11), one value at a time.

`template` is how the same function is written in a feature's expression; the oracle never reads
it, a test that compares the product with the oracle does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from oracle.aggregates import exact_sum
from oracle.encoding import Map
from oracle.times import from_datetime


@dataclass(frozen=True, repr=False)
class Function:
    template: str
    call: Callable[..., Any]

    def __call__(self, *values: Any) -> Any:
        return self.call(*values)

    def __repr__(self) -> str:
        return self.template


def strict(call: Callable[..., Any]) -> Callable[..., Any]:
    """Null in, null out."""
    return lambda *values: None if any(v is None for v in values) else call(*values)


def divide(left: float, right: float) -> float:
    left, right = float(left), float(right)
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def same(left: Any, right: Any) -> bool:
    """SQL's equality, where NaN equals NaN."""
    return left == right or (_is_nan(left) and _is_nan(right))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _greater(left: Any, right: Any) -> bool:
    """NaN is greater than every other value and not greater than itself."""
    if _is_nan(left) or _is_nan(right):
        return _is_nan(left) and not _is_nan(right)
    return left > right


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _null_if(value: Any, other: Any) -> Any:
    if value is None or (other is not None and same(value, other)):
        return None
    return value


def _and(left: bool | None, right: bool | None) -> bool | None:  # noqa: FBT001
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _inner_product(left: Sequence[float], right: Sequence[float]) -> float:
    return exact_sum([a * b for a, b in zip(left, right, strict=True)])


def _distance(left: Sequence[float], right: Sequence[float]) -> float:
    gaps = [a - b for a, b in zip(left, right, strict=True)]
    return math.sqrt(_inner_product(gaps, gaps))


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    squares = _inner_product(left, left), _inner_product(right, right)
    lengths = math.sqrt(squares[0] * squares[1])
    if not 1e-280 < squares[0] * squares[1] < 1e280:
        lengths = math.sqrt(squares[0]) * math.sqrt(squares[1])
    found = divide(_inner_product(left, right), lengths) if lengths else math.nan
    return found if math.isnan(found) else min(1.0, max(-1.0, found))


ADD = Function("({} + {})", strict(lambda a, b: a + b))
SUBTRACT = Function("({} - {})", strict(lambda a, b: a - b))
MULTIPLY = Function("({} * {})", strict(lambda a, b: a * b))
DIVIDE = Function("({} / {})", strict(divide))
GREATER = Function("({} > {})", strict(_greater))
EQUAL = Function("({} = {})", strict(same))
AND = Function("({} AND {})", _and)
EPOCH = Function("epoch_us({})", strict(from_datetime))
IS_NULL = Function("({} IS NULL)", lambda a: a is None)
COALESCE = Function("coalesce({}, {})", _coalesce)
NULL_IF = Function("nullif({}, {})", _null_if)
PACK = Function("{{'x': {}, 'y': {}}}", lambda x, y: {"x": x, "y": y})
FIELD_A = Function("{}.a", strict(lambda struct: struct["a"]))
UNDER_A = Function("{}['a']", strict(lambda found: found.get("a")))
CARDINALITY = Function("cardinality({})", strict(len))
MAP_KEYS = Function("map_keys({})", strict(lambda found: [*found]))
MAKE_MAP = Function("map(['b', 'a'], [{}, {}])", lambda x, y: Map({"a": y, "b": x}))
INNER_PRODUCT = Function("array_inner_product({}, {})", strict(_inner_product))
DISTANCE = Function("array_distance({}, {})", strict(_distance))
COSINE = Function("array_cosine_similarity({}, {})", strict(_cosine))
SECOND_ELEMENT = Function("{}[2]", strict(lambda a: a[1]))
CASE = Function("CASE WHEN {} THEN {} ELSE {} END", lambda c, a, b: a if c is True else b)
