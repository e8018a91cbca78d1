"""Arrow columns for the kernels and back: numbers as they are, the rest as ordered codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.kernels.hashing import hash_bytes, hash_numbers
from headwater.compute.kernels.rows import Column
from headwater.compute.values import whole
from headwater.errors import ComputeError

Decode = Callable[[NDArray[Any], NDArray[np.bool_] | None], pa.Array]


@dataclass(frozen=True)
class Encoded:
    """A column as a numpy array, where it is not null, and how its values turn back."""

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None
    decode: Decode


def encode(column: pa.ChunkedArray) -> Encoded:
    """Numbers and booleans as they are, times and decimals as integers, text as codes in its own
    order.

    Of a list, a struct or a map no kernel asks more than whether it is null, and where it stands.
    """
    kind, kinds = column.type, pa.types
    valid = None if column.null_count == 0 else pc.is_valid(column).to_numpy()
    if kinds.is_fixed_size_list(kind):
        return Encoded(matrix(column), valid, lambda v, ok: masked(v, ok, kind.value_type))
    if kinds.is_nested(kind):
        return Encoded(np.zeros(len(column), dtype=np.int64), valid, _no_decode)
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind):
        values = _filled(column, 0)
        return Encoded(values, valid, lambda v, ok: masked(v.astype(values.dtype), ok, kind))
    if kinds.is_decimal128(kind):
        return Encoded(_units(column), valid, lambda v, ok: decimals(v, ok, kind))
    if kinds.is_timestamp(kind) or kinds.is_date32(kind):
        as_int = pa.int64() if kinds.is_timestamp(kind) else pa.int32()
        values = _filled(pc.cast(column, as_int), 0).astype(np.int64)
        return Encoded(
            values,
            valid,
            lambda v, ok: masked(v.astype(as_int.to_pandas_dtype()), ok, as_int).cast(kind),
        )
    return _codes(column, valid)


def _units(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Decimals of at most 18 digits in units of their last one."""
    array = whole(column)
    words = np.frombuffer(array.buffers()[1], np.int64).reshape(-1, 2)  # 128 bits, low ones first
    found = words[array.offset : array.offset + len(array), 0].copy()
    if array.null_count:
        found[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def decimals(
    units: NDArray[np.int64],
    valid: NDArray[np.bool_] | None,
    kind: pa.Decimal128Type,
    what: str = "a value",
) -> pa.Array:
    """Decimals from units of their last digit, null wherever `valid` is false.

    Raises ComputeError where one, of `what`, has more digits than the type.
    """
    known = units if valid is None else units[valid]
    limit = 10**kind.precision
    if known.size and not -limit < int(known.min()) <= int(known.max()) < limit:
        raise ComputeError(f"{what} does not fit decimal({kind.precision}, {kind.scale})")
    words = np.stack([units, units >> 63], axis=1)
    mask = None if valid is None else pa.array(valid).buffers()[1]
    return pa.Array.from_buffers(kind, len(units), [mask, pa.py_buffer(words)])


def _no_decode(_codes: NDArray[Any], _valid: NDArray[np.bool_] | None) -> pa.Array:
    raise ComputeError("a list, a struct or a map is not made of codes")


def hashed(column: pa.ChunkedArray) -> Encoded:
    """Single values by a hash of 64 bits, which does not turn back."""
    kind, kinds = column.type, pa.types
    valid = None if column.null_count == 0 else pc.is_valid(column).to_numpy()
    if kinds.is_primitive(kind) or kinds.is_boolean(kind) or kinds.is_decimal(kind):
        return Encoded(hash_numbers(encode(column).values), valid, masked)
    array = whole(column).cast(pa.large_binary())
    if len(array) == 0:
        return Encoded(np.zeros(0, dtype=np.int64), valid, masked)
    _, places, data = array.buffers()
    offsets = np.frombuffer(places, dtype=np.int64)[array.offset :][: len(array) + 1]
    octets = np.frombuffer(data, dtype=np.uint8) if data else np.zeros(0, dtype=np.uint8)
    return Encoded(hash_bytes(octets, offsets), valid, masked)


def _filled(column: pa.ChunkedArray, value: Any) -> NDArray[Any]:
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(value).cast(column.type))
    found: NDArray[Any] = column.to_numpy()
    return found


def _codes(column: pa.ChunkedArray, valid: NDArray[np.bool_] | None) -> Encoded:
    encoded = whole(pc.dictionary_encode(column).unify_dictionaries())
    words = encoded.dictionary
    ordered = pc.array_sort_indices(words.cast(pa.binary()) if _is_text(words) else words)
    rank = np.empty(len(words), dtype=np.int64)
    rank[ordered.to_numpy()] = np.arange(len(words))
    indices = pc.fill_null(encoded.indices, 0).to_numpy().astype(np.int64)
    values = rank[indices] if len(words) else np.zeros(len(column), dtype=np.int64)
    sorted_words = words.take(ordered)

    def decode(codes: NDArray[Any], ok: NDArray[np.bool_] | None) -> pa.Array:
        mask = None if ok is None else ~ok
        return sorted_words.take(pa.array(codes.astype(np.int64), mask=mask))

    return Encoded(values, valid, decode)


def _is_text(words: pa.Array) -> bool:
    return bool(pa.types.is_string(words.type) or pa.types.is_large_string(words.type))


def matrix(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """A column of vectors as an array of shape [rows, size], zeros where one is null."""
    array = whole(column)
    size = array.type.list_size
    # the elements, those behind nulls too, which `flatten` would leave out
    flat = array.values.slice(array.offset * size, len(array) * size)
    return _filled(pa.chunked_array([flat]), 0).reshape(len(array), size)


def masked(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, kind: pa.DataType | None = None
) -> pa.Array:
    """An Arrow array with null wherever `valid` is false; of vectors, whose elements are `kind`,
    where the values have two dimensions.
    """
    mask = None if valid is None else ~valid
    if values.ndim == 1:
        return pa.array(values, kind, mask=mask)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind)
    nulls = None if mask is None else pa.array(mask)
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=nulls)


def flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """A boolean column as numpy, null as false."""
    return np.asarray(pc.fill_null(column, False).to_numpy(), dtype=bool)


def rows_of(column: Column, source: pa.ChunkedArray) -> pa.Array:
    """The values of `source` at the row positions that a kernel gave; -1 is null."""
    positions = column.values
    return whole(source.take(masked(positions, positions >= 0, pa.int64())))
