"""Arrow columns to lists of what msgspec encodes. The only part of the room that needs Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa

from headwater.definitions.types import (
    element,
    fields,
    holds,
    is_map,
    is_nested,
    is_struct,
    is_vector,
    key_and_value,
    size,
    to_arrow,
)
from headwater.errors import StoreError

Column: TypeAlias = "pa.Array | pa.ChunkedArray"
Numbers: TypeAlias = "np.ndarray[Any, Any]"

_PLAIN = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
_FIRST_SECOND = -62_135_596_800
"""0001-01-01: Python's datetime, and so a reader of the row, knows nothing before."""
_LAST_SECOND = 253_402_300_799
_FIRST_DAY = _FIRST_SECOND // 86_400
_LAST_DAY = _LAST_SECOND // 86_400


def column(values: Column, dtype: str, name: str) -> list[Any]:
    """The values of one column, ready to encode; null is None.

    Raises StoreError that names the column if the values are not, and can't safely become,
    `dtype`, or hold a time outside the years 1 to 9999.
    """
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    target = to_arrow(dtype)
    if array.type != target:
        try:
            array = array.cast(target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise StoreError(f"{name}: {array.type} can't be stored as {dtype}: {error}") from error
    return _listed(array, dtype, name)


def plain_column(values: Column, what: str, *, floats: bool = False) -> list[Any]:
    """The values of a column that has no declared type: part of a key, or a sequence."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_timestamp(array.type):
        return column(array, "timestamp", what)
    if pa.types.is_date(array.type):
        return column(array, "date", what)
    tests = (*_PLAIN, pa.types.is_floating) if floats else _PLAIN
    if not any(test(array.type) for test in tests):
        raise StoreError(f"{what}: a column of {array.type} can't be used here")
    listed: list[Any] = array.to_pylist()
    return listed


def timestamps(micros: Numbers, name: str) -> list[msgspec.Raw]:
    """Microseconds since the epoch as encoded MessagePack timestamps.

    Each in the shortest of the format's three forms, as msgspec itself would write it; made for
    whole columns at once, since a datetime per value takes ten times as long. Raises StoreError
    outside the years 1 to 9999.
    """
    seconds, rest = np.divmod(micros, 1_000_000)
    if len(seconds) and (seconds.min() < _FIRST_SECOND or seconds.max() > _LAST_SECOND):
        raise StoreError(f"{name}: a time lies outside the years 1 to 9999")
    nanos = rest * 1000
    whole = (nanos == 0) & (seconds >= 0) & (seconds < 1 << 32)
    short = ~whole & (seconds >= 0) & (seconds < 1 << 34)
    forms = ((whole, _whole_seconds), (short, _short_stamps), (~whole & ~short, _long_stamps))
    used = [(mask, form) for mask, form in forms if mask.any()]
    if len(used) == 1:
        return used[0][1](seconds, nanos)
    cells = [msgspec.Raw()] * len(seconds)
    for mask, form in used:
        items = form(seconds[mask], nanos[mask])
        for place, item in zip(np.flatnonzero(mask).tolist(), items, strict=True):
            cells[place] = item
    return cells


def _whole_seconds(seconds: Numbers, _nanos: Numbers) -> list[msgspec.Raw]:
    cells = np.empty(len(seconds), dtype=[("head", "V2"), ("seconds", ">u4")])
    cells["head"] = np.void(b"\xd6\xff")
    cells["seconds"] = seconds
    return list(map(msgspec.Raw, cells.view("V6").tolist()))


def _short_stamps(seconds: Numbers, nanos: Numbers) -> list[msgspec.Raw]:
    cells = np.empty(len(seconds), dtype=[("head", "V2"), ("both", ">u8")])
    cells["head"] = np.void(b"\xd7\xff")
    cells["both"] = (nanos.astype(np.uint64) << np.uint64(34)) | seconds.astype(np.uint64)
    return list(map(msgspec.Raw, cells.view("V10").tolist()))


def _long_stamps(seconds: Numbers, nanos: Numbers) -> list[msgspec.Raw]:
    cells = np.empty(len(seconds), dtype=[("head", "V3"), ("nanos", ">u4"), ("seconds", ">i8")])
    cells["head"] = np.void(b"\xc7\x0c\xff")
    cells["nanos"] = nanos
    cells["seconds"] = seconds
    return list(map(msgspec.Raw, cells.view("V15").tolist()))


def _flat(array: pa.Array, dtype: str, name: str) -> list[Any]:
    listed: list[Any]
    if dtype == "timestamp":
        micros = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        listed = timestamps(micros, name)
        return _with_nulls(listed, array)
    if dtype == "date":
        days = array.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        if len(days) and (days.min() < _FIRST_DAY or days.max() > _LAST_DAY):
            raise StoreError(f"{name}: a date lies outside the years 1 to 9999")
    listed = array.to_pylist()
    return listed


def _with_nulls(listed: list[Any], array: pa.Array) -> list[Any]:
    if array.null_count:
        nulls = array.is_null().to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(nulls).tolist():
            listed[place] = None
    return listed


def _listed(array: pa.Array, dtype: str, name: str) -> list[Any]:
    """The values of an array of exactly this type: nested times all at once, then cut apart."""
    if not is_nested(dtype):
        return _flat(array, dtype, name)
    if is_vector(dtype):
        return _vectors(array, dtype, name)
    if not (holds(dtype, "timestamp") or holds(dtype, "date")):
        listed: list[Any] = array.to_pylist(maps_as_pydicts="strict")
        return listed
    if is_struct(dtype):
        return _structs(array, dtype, name)
    if is_map(dtype):
        key, value = key_and_value(dtype)
        keys, items = _listed(array.keys, key, name), _listed(array.items, value, name)
        flat: list[Any] = list(zip(keys, items, strict=True))
        return _with_nulls([dict(flat[a:b]) for a, b in _spans(array)], array)
    flat = _listed(array.values, element(dtype), name)
    return _with_nulls([flat[a:b] for a, b in _spans(array)], array)


def _vectors(array: pa.FixedSizeListArray, dtype: str, name: str) -> list[Any]:
    """Vectors as bytes: their elements one after the other, little-endian."""
    if array.drop_null().flatten().null_count:
        raise StoreError(f"{name}: an element of a vector is null")
    count, form = size(dtype), "<f4" if element(dtype) == "float32" else "<f8"
    # the elements behind nulls too, which `flatten` would leave out
    flat = array.values.slice(array.offset * count, len(array) * count).fill_null(0)
    numbers = np.ascontiguousarray(flat.to_numpy(zero_copy_only=False), dtype=form)
    return _with_nulls(numbers.view(f"V{count * numbers.itemsize}").tolist(), array)


def _spans(array: pa.ListArray | pa.MapArray) -> Iterator[tuple[int, int]]:
    return pairwise(array.offsets.to_pylist())


def _structs(array: pa.StructArray, dtype: str, name: str) -> list[Any]:
    names = [part for part, _ in fields(dtype)]
    parts = zip(array.flatten(), fields(dtype), strict=True)
    columns = [_listed(column, inner, name) for column, (_, inner) in parts]
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    return _with_nulls(list(rows), array)
