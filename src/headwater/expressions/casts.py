"""Casts of one value, as DuckDB does them on a tree that `resolve` returned."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from headwater.definitions.types import (
    FLOATS,
    NUMBERS,
    digits,
    element,
    fields,
    is_decimal,
    is_list,
    is_map,
    is_nested,
    is_struct,
    is_vector,
    key_and_value,
    size,
)
from headwater.errors import ComputeError
from headwater.expressions.widening import unify

_PLAIN = (*NUMBERS, "bool")
_LIMITS = {"int32": 2**31, "int64": 2**63}
_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


def can_cast(before: str, after: str) -> bool:
    """Whether CAST is allowed between two types; nested ones only widen, save rows of floats."""
    if before in ("null", after):
        return True
    if is_vector(after) or is_vector(before) or (is_list(after) and element(after) in FLOATS):
        return _can_be_floats(before, after)
    if is_nested(before) or is_nested(after):
        return unify([before, after]) == after
    if is_decimal(before) or is_decimal(after):
        return unify([before, after]) == after
    if before in _PLAIN:
        return after in (*_PLAIN, "string")
    if before == "string":
        return after in (*_PLAIN, "date", "timestamp")
    return before in ("date", "timestamp") and after in ("date", "timestamp", "string")


def _can_be_floats(before: str, after: str) -> bool:
    """Whether a list or vector may become the list or vector `after`; lengths show in the rows."""
    if is_vector(before) and is_vector(after):
        return size(before) == size(after)
    if is_vector(before):
        return is_list(after) and element(after) in FLOATS
    return is_list(before) and element(before) in NUMBERS


def caster(dtype: str, *, is_try: bool = False) -> Callable[[Any], Any]:
    """A function that casts one value that is not null.

    It raises ComputeError where the value has no form in `dtype`; where `is_try`, it gives None.
    """
    if is_nested(dtype):
        return _nested(dtype, is_try=is_try)
    cast = _decimal(dtype) if is_decimal(dtype) else _CASTS[dtype]
    if not is_try:
        return cast

    def attempt(value: Any) -> Any:
        try:
            return cast(value)
        except ComputeError:
            return None

    return attempt


def _nested(dtype: str, *, is_try: bool) -> Callable[[Any], Any]:
    if is_vector(dtype):
        return _vector(dtype, is_try=is_try)
    if is_list(dtype):
        one = _or_null(element(dtype), is_try=is_try)
        return lambda values: [one(value) for value in values]
    if is_map(dtype):
        of_value = _or_null(key_and_value(dtype)[1], is_try=is_try)
        return lambda values: {key: of_value(value) for key, value in values.items()}
    assert is_struct(dtype)  # noqa: S101
    casts = [(name, _or_null(inner, is_try=is_try)) for name, inner in fields(dtype)]
    return lambda values: {name: of_field(values[name]) for name, of_field in casts}


def _vector(dtype: str, *, is_try: bool) -> Callable[[Any], Any]:
    """From elements that are of the vector's type already, and not null."""
    wanted = size(dtype)

    def cast(values: Any) -> Any:
        if len(values) == wanted:
            return values
        if is_try:
            return None
        raise ComputeError(f"a list of {len(values)} can't be cast to {dtype}")

    return cast


def _or_null(dtype: str, *, is_try: bool) -> Callable[[Any], Any]:
    cast = caster(dtype, is_try=is_try)
    return lambda value: None if value is None else cast(value)


def _impossible(value: Any, dtype: str) -> ComputeError:
    return ComputeError(f"{value!r} can't be cast to {dtype}")


def _integer(dtype: str) -> Callable[[Any], int]:
    limit = _LIMITS[dtype]

    def cast(value: Any) -> int:
        if isinstance(value, str):
            value = _read_integer(value, dtype)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise _impossible(value, dtype)
            value = round(value)
        if not -limit <= value < limit:
            raise _impossible(value, dtype)
        return int(value)

    return cast


def _read_integer(text: str, dtype: str) -> int:
    """The integer nearest to a decimal number, halves away from zero."""
    try:
        number = Decimal(text.strip(" "))
    except InvalidOperation:
        raise _impossible(text, dtype) from None
    if not number.is_finite() or number.adjusted() > 20:
        raise _impossible(text, dtype)
    return int(number.to_integral_value(ROUND_HALF_UP))


def _decimal(dtype: str) -> Callable[[Any], Decimal]:
    """From a decimal with no more digits on either side of the point."""
    step = Decimal(1).scaleb(-digits(dtype)[1])
    return lambda value: value.quantize(step)


def _double(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise _impossible(value, "float64") from None


def _single(value: Any) -> float:
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        raise _impossible(value, "float32") from None
    return rounded


def _truth(value: Any) -> bool:
    if not isinstance(value, str):
        return bool(value != 0)
    truth = _TRUTHS.get(value.lower())
    if truth is None:
        raise _impossible(value, "bool")
    return truth


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(sep=" ")
        return text.rstrip("0") if "." in text else text
    return value.isoformat() if isinstance(value, date) else str(value)


def _day(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC)


_CASTS: dict[str, Callable[[Any], Any]] = {
    "bool": _truth,
    "int32": _integer("int32"),
    "int64": _integer("int64"),
    "float32": _single,
    "float64": _double,
    "string": _text,
    "bytes": lambda value: value,
    "timestamp": _moment,
    "date": _day,
}
