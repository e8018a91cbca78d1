"""Join keys as callers give them: checked against the catalogue's types, encoded for the store."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from headwater.definitions.types import (
    element,
    fields,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
    size,
)
from headwater.errors import RequestError
from headwater.online.keys import encode_key
from headwater.serving.plan import KeyColumns

NO_PARTS = encode_key(())
"""The key of a view without entity."""

_encode = msgspec.msgpack.Encoder().encode
_READ_KEYS: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "bool": lambda name: {"true": True, "false": False}[name],
}
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_NO_INTEGER = (1, 0)
_EXACT: dict[str, set[type]] = {
    "int32": {int},
    "int64": {int},
    "float64": {float},
    "string": {str},
    "bool": {bool},
}
"""The types of a column that needs no conversion."""
_WANTED = {
    "bool": "true or false",
    "int32": "an integer of 32 bits",
    "int64": "an integer of 64 bits",
    "string": "a text",
    "bytes": "bytes, in JSON as base64 text",
    "timestamp": "a timestamp, in JSON as RFC 3339 text or seconds since the epoch",
    "date": "a date, in JSON as text like 2026-01-31",
    "float32": "a number",
    "float64": "a number",
}
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""As answers write what JSON has no number for."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Keys(msgspec.Struct):
    """The keys of a request in one set of columns, each distinct one read once.

    `unique` is what the store reads. `places` is None where the rows of the request are just
    these; otherwise it holds each row's key, None where a part of it is null. `nulls` are the
    rows of the latter.
    """

    unique: list[bytes]
    places: list[bytes | None] | None = None
    nulls: Sequence[int] = ()


def keys_of(key: KeyColumns, columns: Mapping[str, Sequence[Any]], count: int) -> Keys:
    """The keys of `count` rows in the columns of a request.

    Raises KeyError for a missing column, RequestError that names column, row and type for a
    value of another type.
    """
    if not key.names:
        return _distinct([NO_PARTS] * count)
    if count == 1:
        return _one_row(key, columns)
    parts = [columns[name] for name in key.names]
    if all(map(_is_exact, key.dtypes, parts)):
        encoded = list(map(_encode, zip(*parts)))  # noqa: B905 (on the hot path)
        if len(parts) == 1 and len(set(parts[0])) == count:  # cheaper than to look at the keys
            return Keys(encoded)
        return _distinct(encoded)
    parts = [check_column(*part) for part in zip(key.names, key.dtypes, parts, strict=True)]
    return _distinct(encode_rows(parts, key.dtypes))


def _one_row(key: KeyColumns, columns: Mapping[str, Sequence[Any]]) -> Keys:
    """The key of a request of one row, the most frequent one, at half the price."""
    parts = []
    for name, dtype in zip(key.names, key.dtypes):  # noqa: B905 (on the hot path)
        value = columns[name][0]
        kind = type(value)
        if kind is int:
            low, high = _RANGES.get(dtype, _NO_INTEGER)
            fits = low <= value <= high
        else:
            fits = kind is str and dtype == "string"
        parts.append(value if fits else check_column(name, dtype, (value,))[0])
    if None in parts:
        return Keys([], [None], [0])
    encoded = encode_key(parts) if "date" in key.dtypes else _encode(parts)
    return Keys([encoded])  # type: ignore[list-item]


def encode_rows(columns: Sequence[Sequence[Any]], dtypes: Sequence[str]) -> list[bytes | None]:
    """The key of each row, equal to `encode_key` of its parts; None where a part is null.

    `columns` are what `check_column` returned, one per part, at least one.
    """
    rows = zip(*columns)  # noqa: B905 (on the hot path)
    if "date" in dtypes:
        return [None if None in parts else encode_key(parts) for parts in rows]
    return [None if None in parts else _encode(parts) for parts in rows]


def _distinct(keys: Sequence[bytes | None]) -> Keys:
    unique = dict.fromkeys(keys)
    if None in unique:
        del unique[None]
        nulls = [row for row, key in enumerate(keys) if key is None]
        return Keys(list(unique), keys, nulls)  # type: ignore[arg-type]
    if len(unique) == len(keys):
        return Keys(keys)  # type: ignore[arg-type]
    return Keys(list(unique), keys)  # type: ignore[arg-type]


def check_column(name: str, dtype: str, values: Sequence[Any]) -> Sequence[Any]:
    """A column of a request in the form that the row codec and closures take; null is None.

    Raises RequestError that names the column, the row and the type.
    """
    if _is_exact(dtype, values):
        return values
    convert = _converter(dtype)
    return [_convert(name, dtype, row, value, convert) for row, value in enumerate(values)]


def _is_exact(dtype: str, values: Sequence[Any]) -> bool:
    """Whether a column needs no conversion and has no null."""
    if set(map(type, values)) != _EXACT.get(dtype):
        return False
    limits = _RANGES.get(dtype)
    return limits is None or (limits[0] <= min(values) and max(values) <= limits[1])


def _convert(
    name: str, dtype: str, row: int, value: Any, convert: Callable[[Any, str], Any]
) -> Any:
    if value is None:
        return None
    try:
        return convert(value, dtype)
    except (TypeError, ValueError, OverflowError, KeyError):
        raise RequestError(
            f"column '{name}', row {row}: {_shown(value)} is not {_wanted(dtype)} "
            f"(the column has the type {dtype})"
        ) from None


def _wanted(dtype: str) -> str:
    if is_list(dtype):
        return f"a list, each item {_wanted(element(dtype))}"
    if is_struct(dtype):
        return f"an object with the fields {', '.join(name for name, _ in fields(dtype))}"
    if is_map(dtype):
        return f"an object, each value {_wanted(key_and_value(dtype)[1])}"
    if is_vector(dtype):
        return f"a list of {size(dtype)} numbers"
    return _WANTED[dtype]


def _converter(dtype: str) -> Callable[[Any, str], Any]:
    if is_list(dtype):
        return _to_list
    if is_struct(dtype):
        return _to_struct
    if is_vector(dtype):
        return _to_vector
    return _to_map if is_map(dtype) else _CONVERT[dtype]


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _to_bool(value: Any, _: str) -> bool:
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
        raise TypeError
    return bool(value)


def _to_int(value: Any, dtype: str) -> int:
    # what has __index__ is an integer (numpy's too); a float, however whole, is not
    if isinstance(value, bool):
        raise TypeError
    number = operator.index(value)
    low, high = _RANGES[dtype]
    if not low <= number <= high:
        raise OverflowError
    return number


def _to_float(value: Any, dtype: str) -> float:
    if isinstance(value, str):
        number = _NOT_FINITE[value]
    elif isinstance(value, bool):
        raise TypeError
    else:
        number = float(value)
        if not isinstance(value, float) and number != value:
            raise ValueError  # an integer that no float is equal to
    if dtype == "float64" or not math.isfinite(number):
        return number
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def _to_list(value: Any, dtype: str) -> list[Any]:
    given = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(given, list | tuple):
        raise TypeError
    return [_part(item, element(dtype)) for item in given]


def _to_vector(value: Any, dtype: str) -> list[float]:
    given = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(given, list | tuple):
        raise TypeError
    if len(given) != size(dtype):
        raise ValueError
    inner = element(dtype)
    if set(map(type, given)) != {float}:
        return [_to_float(item, inner) for item in given]
    if inner == "float64":
        return list(given)
    form = f"<{len(given)}f"  # all at once: they are many
    return list(struct.unpack(form, struct.pack(form, *given)))


def _part(value: Any, dtype: str) -> Any:
    return None if value is None else _converter(dtype)(value, dtype)


def _to_struct(value: Any, dtype: str) -> dict[str, Any]:
    types = dict(fields(dtype))
    if not isinstance(value, Mapping):
        raise TypeError
    if value.keys() != types.keys():
        raise ValueError
    return {name: _part(value[name], inner) for name, inner in types.items()}


def _to_map(value: Any, dtype: str) -> dict[Any, Any]:
    """A mapping, or the pairs as which Arrow gives a map; JSON has all keys as texts."""
    key, inner = key_and_value(dtype)
    pairs = value.items() if isinstance(value, Mapping) else list(value)
    found = {_to_key(name, key): _part(part, inner) for name, part in pairs}
    if len(found) < len(pairs):
        raise ValueError
    return {name: found[name] for name in sorted(found)}


def _to_key(name: Any, dtype: str) -> Any:
    if isinstance(name, str) and dtype in _READ_KEYS:
        name = _READ_KEYS[dtype](name)
    return _CONVERT[dtype](name, dtype)


def _to_text(value: Any, _: str) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _to_bytes(value: Any, _: str) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError from None
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return bytes(value)


def _to_timestamp(value: Any, _: str) -> dt.datetime:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _EPOCH + dt.timedelta(microseconds=round(value * 1_000_000))
    if not isinstance(value, dt.datetime):
        raise TypeError
    zoned = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    # a plain datetime, whatever class of its own a dataframe library has
    return dt.datetime.combine(zoned.date(), zoned.time(), dt.UTC)


def _to_date(value: Any, _: str) -> dt.date:
    if isinstance(value, str):
        return dt.date.fromisoformat(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    raise TypeError


_CONVERT: dict[str, Callable[[Any, str], Any]] = {
    "bool": _to_bool,
    "int32": _to_int,
    "int64": _to_int,
    "float32": _to_float,
    "float64": _to_float,
    "string": _to_text,
    "bytes": _to_bytes,
    "timestamp": _to_timestamp,
    "date": _to_date,
}
