"""Choices among values, nulls among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headwater.expressions.functions.declare import Constant, Function, Row
from headwater.expressions.functions.logic import equal, less

NAN = math.nan


def coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def build_coalesce(args: Sequence[Row]) -> Row:
    if len(args) != 2:
        return lambda row: next((x for arg in args if (x := arg(row)) is not None), None)
    first, second = args

    def run(row: Sequence[Any]) -> Any:
        value = first(row)
        return value if value is not None else second(row)

    return run


def null_if(a: Any, b: Any) -> Any:
    return None if a is not None and b is not None and equal(a, b) else a


def build_null_if(args: Sequence[Row]) -> Row:
    first, second = args
    if not isinstance(second, Constant) or second.value is None:
        return lambda row: null_if(first(row), second(row))
    unwanted = second.value

    def run(row: Sequence[Any]) -> Any:
        value = first(row)
        return None if value == unwanted else value

    return run


def least(*values: Any) -> Any:
    found = None
    for value in values:
        if value is not None and (found is None or less(value, found)):
            found = value
    return found


def greatest(*values: Any) -> Any:
    found = None
    for value in values:
        if value is not None and (found is None or less(found, value)):
            found = value
    return found


CONDITIONALS = (
    Function(
        "coalesce",
        ("V...",),
        "V",
        "The first value that is not null; later ones are not evaluated.",
        coalesce,
        (((None, 2, 3), 2), ((1, 2), 1), ((None, None), None), ((NAN, 1.0), NAN)),
        strict=False,
        build=build_coalesce,
        spellings=("ifnull",),
    ),
    Function(
        "nullif",
        ("T", "T"),
        "T",
        "Null where both are equal, else the first.",
        null_if,
        (((1, 1), None), ((1, 2), 1), ((1, None), 1), ((None, 1), None), ((NAN, NAN), None)),
        strict=False,
        build=build_null_if,
    ),
    Function(
        "least",
        ("O...",),
        "O",
        "The smallest of the values that are not null.",
        least,
        (
            ((3, 1, 2), 1),
            ((None, 1), 1),
            ((None, None), None),
            ((NAN, 1.0), 1.0),
            (("b", "a"), "a"),
        ),
        strict=False,
    ),
    Function(
        "greatest",
        ("O...",),
        "O",
        "The greatest of the values that are not null; NaN is the greatest number.",
        greatest,
        (((3, 1, 2), 3), ((None, 1), 1), ((None, None), None), ((NAN, 1.0), NAN)),
        strict=False,
    ),
)
