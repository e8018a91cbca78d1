"""Functions of lists."""

from __future__ import annotations

import math
from typing import Any

from headwater.errors import ComputeError
from headwater.expressions.functions.conditionals import greatest, least
from headwater.expressions.functions.declare import CANNOT, Function
from headwater.expressions.functions.logic import equal

NAN = math.nan


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


def list_value(*values: Any) -> list[Any]:
    return [*values]


def _known(values: list[Any]) -> list[Any]:
    """The values that are not null, each once, ascending; NaN last."""
    present = [value for value in values if value is not None]
    distinct = {value for value in present if value == value}  # noqa: PLR0124
    nan = [NAN] if any(value != value for value in present) else []  # noqa: PLR0124
    return sorted(distinct) + nan


def list_intersect(values: list[Any], others: list[Any]) -> list[Any]:
    return [value for value in _known(values) if list_contains(others, value)]


def list_has_any(values: list[Any], others: list[Any]) -> bool:
    return any(list_contains(others, value) for value in _known(values))


def list_has_all(values: list[Any], others: list[Any]) -> bool:
    return all(list_contains(values, value) for value in _known(others))


def list_sum(values: list[Any]) -> Any:
    present = [value for value in values if value is not None]
    if not present:
        return None
    if isinstance(present[0], int):
        total = sum(present)
        if not -(2**63) <= total < 2**63:
            raise ComputeError(f"the sum {total} of a list does not fit int64")
        return total
    return _added(present)


def _added(values: list[float]) -> float:
    """One after the other: the builtin `sum` would compensate for what rounding loses."""
    total = 0.0
    for value in values:
        total += value
    return total


def list_avg(values: list[Any]) -> float | None:
    present = [value for value in values if value is not None]
    return _added(present) / len(present) if present else None


def positive_zeros(values: list[Any]) -> list[Any]:
    return [None if value is None else value + 0.0 for value in values]


def string_split(text: str, separator: str) -> list[str]:
    if not text:
        return [""]
    return text.split(separator) if separator else [*text]


LISTS = (
    Function(
        "list_value",
        ("V?...",),
        "list[V]",
        "The list of these values.",
        list_value,
        (((1, 2), (1, 2)), ((1, None), (1, None)), (("a",), ("a",)), ((None, 0.5), (None, 0.5))),
        text="[{*}]",
        spellings=("list_value", "list_pack"),
        strict=False,
    ),
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
        ("lists", "int64"),
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
    Function(
        "list_distinct",
        ("list",),
        "list",
        "The elements that are not null, each once, in ascending order.",
        _known,
        ((((2, None, 1, 2),), (1, 2)), (((None,),), ()), (((NAN, 1.0, NAN),), (1.0, NAN))),
        duckdb="list_sort(list_distinct({0}))",
        spellings=("array_distinct",),
    ),
    Function(
        "list_intersect",
        ("list", "list"),
        "list",
        "The elements that both have and that are not null, each once, in ascending order.",
        list_intersect,
        (
            (((3, 1, 2, 2), (2, 3)), (2, 3)),
            (((1, None), (None, 2)), ()),
            (((NAN, 0.0), (NAN,)), (NAN,)),
        ),
        duckdb="CASE WHEN {1} IS NOT NULL THEN list_sort(list_distinct(list_intersect({*}))) END",
        spellings=("array_intersect",),
    ),
    Function(
        "list_has_any",
        ("list", "list"),
        "bool",
        "Whether both have an element in common that is not null.",
        list_has_any,
        ((((1, 2), (2, 3)), True), (((1, None), (None, 3)), False), (((1,), ()), False)),
        spellings=("array_has_any",),
    ),
    Function(
        "list_has_all",
        ("list", "list"),
        "bool",
        "Whether the first has all elements of the second that are not null.",
        list_has_all,
        ((((1, 2), (2, None)), True), (((1, None), (1, 3)), False), (((1,), ()), True)),
        spellings=("array_has_all",),
    ),
    Function(
        "list_sum",
        ("numbers",),
        "S",
        "The sum of the elements that are not null, added from the first to the last; null if "
        "there is none. Integers give int64.",
        list_sum,
        (
            (((1, None, 2),), 3),
            (((0.1, 0.2, 0.3),), 0.6000000000000001),
            (((None,),), None),
            (((2**63 - 1, 1),), CANNOT),
        ),
        spellings=("array_sum",),
    ),
    Function(
        "list_avg",
        ("reals",),
        "float64",
        "The mean of the elements that are not null; null if there is none.",
        list_avg,
        ((((1, None, 2),), 1.5), (((None,),), None), (((NAN, 1.0),), NAN)),
        duckdb="(list_sum({0}) / list_aggregate({0}, 'count'))",
        spellings=("array_avg",),
    ),
    Function(
        "string_split",
        ("string", "text"),
        "list[string]",
        "The parts between separators; the letters, where the separator is empty.",
        string_split,
        (
            (("a,b,,c", ","), ("a", "b", "", "c")),
            (("añb", ""), ("a", "ñ", "b")),
            (("", ","), ("",)),
        ),
        spellings=("str_split", "split", "string_to_array"),
    ),
)

HIDDEN_LISTS = (
    Function(
        "positive_zeros",
        ("floats",),
        "floats",
        "The list in which 0.0 stands for -0.0.",
        positive_zeros,
        ((((-0.0, None, 1.5),), (0.0, None, 1.5)),),
        text="{0}",
        duckdb="list_transform({0}, lambda e: e + CAST(0 AS FLOAT))",
        hidden=True,
    ),
)
