"""What each rule kind demands of a column: which types it takes, which values fail it.

A null passes every rule but `not_null`; NaN fails a `range` and an `enum`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headwater.definitions.feature import Feature
from headwater.definitions.rules import BUILT, BUILT_RULES, ValidationRule
from headwater.definitions.types import FLOATS, NUMBERS, is_decimal, is_nested
from headwater.errors import DefinitionError, NotSupportedError, near_miss

_ENUM_TYPES = ("bool", *NUMBERS, "string")


def check_rules(feature: Feature, dtype: str) -> None:
    """Refuse the rules of a feature that can't be checked on values of `dtype`.

    Raises NotSupportedError for a kind that is not built, DefinitionError for one that does not
    fit the type, and for values, bounds or a pattern that can't be used.
    """
    for rule in feature.validation_rules:
        where = f"feature '{feature.name}': rule '{rule.name}'"
        if not rule.is_built:
            hint = near_miss(rule.rule_type, BUILT_RULES)
            raise NotSupportedError(f"{where} can't be checked yet{hint} (kinds: {BUILT})")
        if is_nested(dtype) and rule.rule_type != "not_null":
            kind = dtype.partition("[")[0]
            raise DefinitionError(
                f"{where} does not fit {dtype}; a {kind} takes only 'not_null' ('null_check')"
            )
        problem = _PROBLEMS[rule.rule_type](rule.parameters, dtype)
        if problem is not None:
            raise DefinitionError(f"{where} {problem}")


def failures(column: pa.Array, rule: ValidationRule) -> pa.BooleanArray:
    """For each value of the column whether it fails the rule; never null.

    The rule has passed `check_rules` for the column's type.
    """
    return pc.fill_null(_FAILURES[rule.rule_type](column, rule.parameters), fill_value=False)


def _no_problem(_parameters: dict[str, Any], _dtype: str) -> str | None:
    return None


def _range_problem(_parameters: dict[str, Any], dtype: str) -> str | None:
    return (
        None
        if dtype in NUMBERS or is_decimal(dtype)
        else f"does not fit {dtype}; a range needs one of {', '.join(NUMBERS)}"
    )


def _enum_problem(parameters: dict[str, Any], dtype: str) -> str | None:
    if dtype not in _ENUM_TYPES:
        return f"does not fit {dtype}; an enum needs one of {', '.join(_ENUM_TYPES)}"
    for value in parameters["values"]:
        if not _is_of_type(value, dtype):
            return f"lists {value!r}, which is no {dtype} (a null passes without being listed)"
    return None


def _regex_problem(parameters: dict[str, Any], dtype: str) -> str | None:
    if dtype != "string":
        return f"does not fit {dtype}; a regex needs string"
    try:
        _matches(pa.array([""]), parameters["pattern"])
    except pa.ArrowInvalid as error:
        return f"is not in the syntax of RE2: {error}"
    return None


def _is_of_type(value: Any, dtype: str) -> bool:
    if dtype == "bool" or isinstance(value, bool):
        return dtype == "bool" and isinstance(value, bool)
    if dtype == "string":
        return isinstance(value, str)
    if dtype in FLOATS:
        return isinstance(value, (int, float))
    bits = 31 if dtype == "int32" else 63
    return isinstance(value, int) and -(2**bits) <= value < 2**bits


def _range_failures(column: pa.Array, parameters: dict[str, Any]) -> pa.Array:
    low, high = parameters.get("min"), parameters.get("max")
    if pa.types.is_integer(column.type):
        return _integer_range(column.cast(pa.int64()), low, high)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    failed = pc.is_nan(column)
    if low is not None:
        failed = pc.or_(failed, pc.less(column, _bound(low, column.type)))
    if high is not None:
        failed = pc.or_(failed, pc.greater(column, _bound(high, column.type)))
    return failed


def _bound(value: float, arrow: pa.DataType) -> pa.Scalar:
    """The bound in the column's own precision, so that a float32 0.1 lies within max=0.1."""
    return pa.array([float(value)], pa.float64()).cast(arrow)[0]


def _integer_range(column: pa.Array, low: float | None, high: float | None) -> pa.Array:
    """Integers are compared as integers: as doubles, 2**53 + 1 would lie within max=2**53."""
    smallest, greatest = -(2**63), 2**63 - 1
    least = smallest if low is None else max(math.ceil(low), smallest)
    most = greatest if high is None else min(math.floor(high), greatest)
    if least > greatest or most < smallest:
        return pc.is_valid(column)
    return pc.or_(pc.less(column, least), pc.greater(column, most))


def _null_failures(column: pa.Array, _parameters: dict[str, Any]) -> pa.Array:
    return pc.is_null(column)


def _enum_failures(column: pa.Array, parameters: dict[str, Any]) -> pa.Array:
    values = pa.array(parameters["values"], _value_type(column.type)).cast(column.type)
    if pa.types.is_floating(column.type):
        # is_in looks at the bits, and -0.0 must equal 0.0
        column, values = pc.add(column, 0.0), pc.add(values, 0.0)
    return pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, value_set=values)))


def _value_type(arrow: pa.DataType) -> pa.DataType:
    return pa.float64() if pa.types.is_floating(arrow) else arrow


def _regex_failures(column: pa.Array, parameters: dict[str, Any]) -> pa.Array:
    return pc.invert(_matches(column, parameters["pattern"]))


def _matches(column: pa.Array, pattern: str) -> pa.Array:
    r"""Whether the whole text matches. `\z`, since a pattern may switch on `(?m)`."""
    return pc.match_substring_regex(column, rf"\A(?:{pattern})\z")


_PROBLEMS: dict[str, Callable[[dict[str, Any], str], str | None]] = {
    "range": _range_problem,
    "not_null": _no_problem,
    "enum": _enum_problem,
    "regex": _regex_problem,
}
_FAILURES: dict[str, Callable[[pa.Array, dict[str, Any]], pa.Array]] = {
    "range": _range_failures,
    "not_null": _null_failures,
    "enum": _enum_failures,
    "regex": _regex_failures,
}
