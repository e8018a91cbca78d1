"""Comparison and three-valued logic. NaN equals itself and is the greatest number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from headwater.expressions.functions.declare import Constant, Function, Row

NAN = math.nan
INF = math.inf


def equal(a: Any, b: Any) -> Any:
    return a == b or (a != a and b != b)  # noqa: PLR0124


def unequal(a: Any, b: Any) -> Any:
    return a != b and (a == a or b == b)  # noqa: PLR0124


def less(a: Any, b: Any) -> Any:
    return a < b or (b != b and a == a)  # noqa: PLR0124


def less_or_equal(a: Any, b: Any) -> Any:
    return a <= b or b != b  # noqa: PLR0124


def greater(a: Any, b: Any) -> Any:
    return less(b, a)


def greater_or_equal(a: Any, b: Any) -> Any:
    return less_or_equal(b, a)


def distinct(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return a is not b
    return unequal(a, b)


def not_distinct(a: Any, b: Any) -> Any:
    return not distinct(a, b)


def contained(x: Any, *among: Any) -> bool | None:
    if x is None:
        return None
    if any(item is not None and equal(x, item) for item in among):
        return True
    return None if None in among else False


def build_in(args: Sequence[Row]) -> Row:
    first, *others = args
    if not all(isinstance(item, Constant) for item in others):
        return lambda row: contained(*[arg(row) for arg in args])
    values = [item.value for item in others if isinstance(item, Constant)]
    among = frozenset(value for value in values if value is not None)
    missing = None if None in values else False

    def run(row: Sequence[Any]) -> bool | None:
        x = first(row)
        if x is None:
            return None
        return True if x in among else missing

    # constants hold no NaN, which a set wouldn't find
    return run


def negated(a: bool) -> bool:  # noqa: FBT001
    return not a


def conjunction(*values: bool | None) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def disjunction(*values: bool | None) -> bool | None:
    if True in values:
        return True
    return None if None in values else False


def build_and(args: Sequence[Row]) -> Row:
    if len(args) != 2:
        return lambda row: conjunction(*[arg(row) for arg in args])
    first, second = args

    def run(row: Sequence[Any]) -> bool | None:
        a, b = first(row), second(row)
        if a and b:
            return True
        return False if a is False or b is False else None

    return run


def build_or(args: Sequence[Row]) -> Row:
    if len(args) != 2:
        return lambda row: disjunction(*[arg(row) for arg in args])
    first, second = args

    def run(row: Sequence[Any]) -> bool | None:
        a, b = first(row), second(row)
        if a or b:
            return True
        return None if a is None or b is None else False

    return run


def _comparison(name: str, sign: str, doc: str, row: Callable[..., Any], results: str) -> Function:
    pairs = ((1, 2), (2, 2), (2.5, NAN), (NAN, NAN), (INF, NAN), (-0.0, 0.0), ("a", "é"), ("", "a"))
    values = tuple(letter == "t" for letter in results)
    return Function(
        name,
        ("T", "T"),
        "bool",
        doc,
        row,
        (*zip(pairs, values, strict=True), ((None, 1), None), ((1, None), None)),
        text=f"({{0}} {sign} {{1}})",
    )


LOGIC = (
    _comparison("eq", "=", "Equal; NaN equals NaN.", equal, "ftftftff"),
    _comparison("ne", "<>", "Not equal; also written !=.", unequal, "tftftftt"),
    _comparison("lt", "<", "Less; NaN is greater than all numbers.", less, "tftftftt"),
    _comparison("le", "<=", "Less or equal.", less_or_equal, "tttttttt"),
    _comparison("gt", ">", "Greater.", greater, "ffffffff"),
    _comparison("ge", ">=", "Greater or equal.", greater_or_equal, "ftftftff"),
    Function(
        "is_distinct",
        ("T", "T"),
        "bool",
        "Not equal, where two nulls are equal; never null.",
        distinct,
        (((1, None), True), ((None, None), False), ((1, 1), False), ((NAN, NAN), False)),
        text="({0} IS DISTINCT FROM {1})",
        strict=False,
    ),
    Function(
        "is_not_distinct",
        ("T", "T"),
        "bool",
        "Equal, where two nulls are equal; never null.",
        not_distinct,
        (((1, None), False), ((None, None), True), ((1, 1), True), ((NAN, NAN), True)),
        text="({0} IS NOT DISTINCT FROM {1})",
        strict=False,
    ),
    Function(
        "in",
        ("T", "T..."),
        "bool",
        "Whether x equals one of the values; null where only a null could be it.",
        contained,
        (
            ((1, 1, 2), True),
            ((3, 1, 2), False),
            ((3, 1, None), None),
            ((1, 1, None), True),
            ((None, 1), None),
            ((NAN, 1.0, NAN), True),
        ),
        text="({0} IN ({1*}))",
        strict=False,
        build=build_in,
    ),
    Function(
        "is_null",
        ("any",),
        "bool",
        "Whether x is null; never null itself.",
        lambda x: x is None,
        (((None,), True), ((0,), False), ((NAN,), False)),
        text="({0} IS NULL)",
        strict=False,
    ),
    Function(
        "not",
        ("bool",),
        "bool",
        "The opposite truth; null stays null.",
        negated,
        (((True,), False), ((False,), True), ((None,), None)),
        text="(NOT {0})",
    ),
    Function(
        "and",
        ("bool", "bool..."),
        "bool",
        "True where all are true, false where one is false, else null.",
        conjunction,
        (
            ((True, True), True),
            ((True, False), False),
            ((None, False), False),
            ((None, True), None),
            ((True, True, False), False),
        ),
        text="({* AND })",
        strict=False,
        build=build_and,
    ),
    Function(
        "or",
        ("bool", "bool..."),
        "bool",
        "True where one is true, false where all are false, else null.",
        disjunction,
        (
            ((False, True), True),
            ((False, False), False),
            ((None, True), True),
            ((None, False), None),
            ((False, False, True), True),
        ),
        text="({* OR })",
        strict=False,
        build=build_or,
    ),
)
