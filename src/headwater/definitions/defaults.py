"""Defaults of features whose values have parts, in the form in which such values are held."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from headwater.definitions.types import (
    element,
    fields,
    is_list,
    is_map,
    is_nested,
    is_struct,
    is_vector,
    key_and_value,
    size,
)

_BITS = {"int32": 31, "int64": 63}


def held_default(value: Any, dtype: str) -> Any:
    """A default that fits its type, as values are held; those without parts are as given."""
    return typed(value, dtype) if is_nested(dtype) else value


def typed(value: Any, dtype: str) -> Any:
    """The value that a default, as JSON holds it, stands for; the keys of a map are texts there.

    Raises ValueError where it does not fit the type.
    """
    if value is None:
        return None
    if is_list(dtype) and isinstance(value, list):
        return [typed(item, element(dtype)) for item in value]
    if is_struct(dtype) and isinstance(value, dict):
        return _struct(value, dict(fields(dtype)))
    if is_map(dtype) and isinstance(value, dict):
        key, inner = key_and_value(dtype)
        found = {_key(name, key): typed(part, inner) for name, part in value.items()}
        return {name: found[name] for name in sorted(found)}
    if is_vector(dtype) and isinstance(value, list):
        return _vector(value, dtype)
    if is_nested(dtype) or dtype not in _READERS:
        raise ValueError(f"{value!r} is no {dtype}")
    return _READERS[dtype](value)


def _vector(value: list[Any], dtype: str) -> list[float]:
    if len(value) != size(dtype):
        raise ValueError(f"it has {len(value)} elements")
    numbers = list(map(_float, value))
    if element(dtype) == "float64":
        return numbers
    form = f"<{len(numbers)}f"
    try:
        return list(struct.unpack(form, struct.pack(form, *numbers)))
    except OverflowError:
        raise ValueError("a number is too great for float32") from None


def _struct(value: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    if value.keys() != types.keys():
        raise ValueError(f"a struct needs all its fields: {', '.join(types)}")
    return {name: typed(value[name], inner) for name, inner in types.items()}


def _key(name: Any, dtype: str) -> Any:
    if dtype == "int64":
        return int(name)
    if dtype == "bool":
        return {"true": True, "false": False}[str(name).lower()]
    if dtype != "string":
        raise ValueError(f"a key of type {dtype} has no default")
    return name


def _integer(dtype: str) -> Callable[[Any], int]:
    limit = 2 ** _BITS[dtype]

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
            raise ValueError(f"{value!r} is no {dtype}")
        return value

    return read


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004 (one error for all)
        return value

    return read


def _float(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no number")  # noqa: TRY004
    return float(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "bool": _exactly(bool),
    "int32": _integer("int32"),
    "int64": _integer("int64"),
    "float32": _float,
    "float64": _float,
    "string": _exactly(str),
}
