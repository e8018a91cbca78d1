"""Values that somebody gives, as JSON, against the rules of a feature."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from headwater.definitions.feature import Feature
from headwater.definitions.rules import ValidationRule
from headwater.definitions.types import (
    FLOATS,
    NUMBERS,
    digits,
    element,
    fields,
    is_decimal,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
    size,
    to_arrow,
)
from headwater.errors import HeadwaterError
from headwater.quality.conditions import check_rules, failures

_SHOWN = 5
_BITS = {"int32": 31, "int64": 63}


@dataclass(frozen=True)
class ValuesChecked:
    """What the rules of a feature say of some values.

    They are valid when every value has the feature's type, every rule could be checked, and no
    blocking rule failed. `errors` says what is wrong, of failed rules that don't block too.
    """

    is_valid: bool
    passed_rules: tuple[str, ...]
    failed_rules: tuple[str, ...]
    errors: tuple[str, ...]


def check_values(
    name: str, dtype: str, rules: Iterable[ValidationRule], values: Sequence[Any]
) -> ValuesChecked:
    """Check values, as JSON holds them, by the same rules that runs check columns by.

    Times are texts in ISO form, bytes in base64; null is no value.
    """
    column, errors = _column(dtype, values)
    is_valid = not errors
    passed: list[str] = []
    failed: list[str] = []
    for rule in rules:
        problem = _unchecked(name, dtype, rule)
        if problem is not None:
            errors.append(problem)
            is_valid = False
            continue
        where = [at for at, fails in enumerate(failures(column, rule).to_pylist()) if fails]
        (failed if where else passed).append(rule.name)
        if where:
            errors.append(_told(rule, where, values))
            is_valid = is_valid and not rule.is_blocking
    return ValuesChecked(is_valid, tuple(passed), tuple(failed), tuple(errors))


def _unchecked(name: str, dtype: str, rule: ValidationRule) -> str | None:
    """Why a rule can't be checked on values of a type, or None."""
    try:
        check_rules(Feature(name, validation_rules=[rule]), dtype)
    except HeadwaterError as error:
        return str(error)
    return None


def _told(rule: ValidationRule, where: Sequence[int], values: Sequence[Any]) -> str:
    shown = ", ".join(f"values[{at}] = {values[at]!r:.100}" for at in where[:_SHOWN])
    more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
    kind = "blocking rule" if rule.is_blocking else "rule"
    return f"{kind} '{rule.name}': {len(where)} of {len(values)} fail: {shown}{more}"


def _column(dtype: str, values: Sequence[Any]) -> tuple[pa.Array, list[str]]:
    """The values as a column, null for each that is of another type, and what is wrong."""
    found, wrong = [], []
    for at, value in enumerate(values):
        try:
            found.append(_read(dtype, value))
        except ValueError:
            found.append(None)
            wrong.append(at)
    errors = [f"values[{at}]: {values[at]!r:.100} is no {dtype}" for at in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        errors.append(f"{len(wrong) - _SHOWN} more values are no {dtype}")
    return pa.array(found, to_arrow(dtype)), errors


def _read(dtype: str, value: Any) -> Any:
    """The value that a JSON value stands for. Raises ValueError where it is of another type."""
    if value is None:
        return None
    if is_list(dtype) and isinstance(value, list):
        return [_read(element(dtype), item) for item in value]
    if is_vector(dtype) and isinstance(value, list) and len(value) == size(dtype):
        if None in value:
            raise ValueError(value)
        return [_read(element(dtype), item) for item in value]
    if is_struct(dtype) and isinstance(value, dict) and set(value) == set(dict(fields(dtype))):
        return {name: _read(inner, value[name]) for name, inner in fields(dtype)}
    if is_map(dtype) and isinstance(value, dict):
        key, inner = key_and_value(dtype)
        return {_key(key, name): _read(inner, part) for name, part in value.items()}
    if isinstance(value, bool):
        if dtype == "bool":
            return value
    elif isinstance(value, int | float | str) and is_decimal(dtype):
        return _decimal(dtype, value)
    elif isinstance(value, int | float) and dtype in NUMBERS:
        return _number(dtype, value)
    elif isinstance(value, str) and dtype in _READERS:
        return _READERS[dtype](value)
    raise ValueError(value)


def _key(dtype: str, name: str) -> Any:
    """The key of a map, which JSON has as a text."""
    if dtype == "int64":
        return _number(dtype, int(name))
    if dtype == "bool" and name in ("true", "false"):
        return name == "true"
    return _read(dtype, name)


def _decimal(dtype: str, value: float | str) -> Decimal:
    precision, scale = digits(dtype)
    try:
        found = Decimal(str(value))
        exact = found.quantize(Decimal(1).scaleb(-scale))
    except InvalidOperation:
        raise ValueError(value) from None
    if exact != found or abs(exact) >= 10 ** (precision - scale):
        raise ValueError(value)
    return exact


def _number(dtype: str, value: Any) -> Any:
    if dtype in FLOATS:
        return float(value)
    if isinstance(value, float) or not -(2 ** _BITS[dtype]) <= value < 2 ** _BITS[dtype]:
        raise ValueError(value)
    return value


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "timestamp": _moment,
    "date": date.fromisoformat,
    "bytes": _bytes,
}
