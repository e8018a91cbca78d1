"""Functions of lists, such as `last_k` returns."""

from __future__ import annotations

from typing import Any

from headwater.expressions.functions.conditionals import greatest, least
from headwater.expressions.functions.declare import Function
from headwater.expressions.functions.logic import equal


def list_contains(values: list[Any], x: Any) -> bool:
    return any(value is not None and equal(value, x) for value in values)


def list_position(values: list[Any] | None, x: Any) -> int | None:
    if values is None:
        return None
    for place, value in enumerate(values, 1):
        if value is x or (value is not None and x is not None and equal(value, x)):
            return place
    return None


def list_extract(values: list[Any], index: int) -> Any:
    place = index - 1 if index > 0 else len(values) + index
    return values[place] if index and 0 <= place < len(values) else None


LISTS = (
    Function(
        "list_contains",
        ("list", "E"),
        "bool",
        "Whether a value is among the elements.",
        list_contains,
        (
            (((1, 2), 2), True),
            (((1, None), 2), False),
            (((1, None), None), None),
            (((), 1), False),
            ((None, 1), None),
        ),
        spellings=("list_has", "array_contains", "array_has"),
    ),
    Function(
        "list_position",
        ("list", "E"),
        "int64",
        "Where a value is first among the elements, 1 for the first; null if nowhere.",
        list_position,
        ((((1, 2), 2), 2), (((1, 2), 3), None), (((1, None), None), 2), ((None, 1), None)),
        spellings=("list_indexof", "array_position"),
        strict=False,
        duckdb="CAST(list_position({0}, {1}) AS BIGINT)",
    ),
    Function(
        "list_extract",
        ("list", "int64"),
        "E",
        "The n-th element (1 is the first, -1 the last), null if none; also written `x[n]`.",
        list_extract,
        ((((1, 2), 2), 2), (((1, 2), -1), 2), (((1, 2), 0), None), (((1, 2), 3), None)),
        spellings=("list_element", "array_extract"),
    ),
    Function(
        "list_min",
        ("list",),
        "E",
        "The smallest element that is not null.",
        lambda values: least(*values),
        ((((2, None, 1),), 1), (((None,),), None), (((),), None)),
        spellings=("array_min",),
    ),
    Function(
        "list_max",
        ("list",),
        "E",
        "The greatest element that is not null.",
        lambda values: greatest(*values),
        ((((2, None, 1),), 2), (((None,),), None), (((),), None)),
        spellings=("array_max",),
    ),
)
