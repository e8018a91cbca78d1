"""Values in the form in which JSON, or Feast, has them, where msgspec itself would write others."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from headwater.definitions.types import (
    FLOATS,
    element,
    fields,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
)

Convert = Callable[[Sequence[Any]], Sequence[Any]]
_One = Callable[[Any], Any]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@lru_cache(4_000)
def converter(dtype: str) -> Convert | None:
    """What the values of a type go through before they are encoded; None where nothing is."""
    one = _of(dtype, with_nan=False)
    return None if one is None else _each(one)


def json_values(values: Sequence[Any], dtype: str) -> Sequence[Any]:
    """The values of a feature in the form in which they are encoded as JSON, NaN among them."""
    convert = _with_nan(dtype)
    return values if convert is None else convert(values)


@lru_cache(4_000)
def _with_nan(dtype: str) -> Convert | None:
    if dtype in FLOATS:
        return _floats
    one = _of(dtype, with_nan=True)
    return None if one is None else _each(one)


def _each(convert: _One) -> Convert:
    return lambda values: [convert(value) for value in values]


def _of(dtype: str, *, with_nan: bool) -> _One | None:
    """What one value of a type goes through, nulls and parts included."""
    if dtype == "timestamp":
        return _seconds
    if dtype in FLOATS:
        return _float if with_nan else None
    if is_list(dtype) or is_vector(dtype):
        return _of_list(dtype, with_nan=with_nan)
    if is_struct(dtype):
        return _of_struct(dtype, with_nan=with_nan)
    return _of_map(dtype, with_nan=with_nan) if is_map(dtype) else None


def _of_list(dtype: str, *, with_nan: bool) -> _One | None:
    if with_nan and element(dtype) in FLOATS:
        return lambda values: None if values is None else _floats(values)
    one = _of(element(dtype), with_nan=with_nan)
    if one is None:
        return None
    return lambda values: None if values is None else [one(value) for value in values]


def _of_struct(dtype: str, *, with_nan: bool) -> _One | None:
    found = ((name, _of(inner, with_nan=with_nan)) for name, inner in fields(dtype))
    parts = [(name, one) for name, one in found if one is not None]
    if not parts:
        return None

    def convert(value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else value | {name: one(value[name]) for name, one in parts}

    return convert


def _of_map(dtype: str, *, with_nan: bool) -> _One | None:
    key, inner = key_and_value(dtype)
    one = _of(inner, with_nan=with_nan)
    if one is None and key != "bool":
        return None

    def convert(value: dict[Any, Any] | None) -> dict[Any, Any] | None:
        if value is None:
            return None
        return {_name(k): part if one is None else one(part) for k, part in value.items()}

    return convert


def _name(key: Any) -> Any:
    """The key of a map as JSON has it; msgspec writes all but truths as texts."""
    return ("true" if key else "false") if isinstance(key, bool) else key


def _floats(values: Sequence[float | None]) -> Sequence[Any]:
    """JSON has no NaN and no infinities: they are sent as Feast sends them, as text."""
    try:
        if math.isfinite(sum(values)):  # type: ignore[arg-type]
            return values
    except TypeError:
        pass  # a null among the values
    return [_float(value) for value in values]


def _float(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _seconds(value: dt.datetime | None) -> float | None:
    """Seconds since the epoch: an integer where they are whole, as Feast's UnixTimestamp."""
    if value is None:
        return None
    micros = (value - _EPOCH) // _MICROSECOND
    return micros // 1_000_000 if micros % 1_000_000 == 0 else micros / 1_000_000
