"""The row codec: one online row to and from bytes.

A row is a MessagePack array

    [mark, event_time, known_at, values, cut, order]

`mark` is the kind of the row and the layout's id, so that a row of another layout is never
misread; `cut` and `order` serve the rule of writing (`order.py`). The whole format is described
in `docs/reference/online-row.md`. Decoding needs msgspec only.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import logging
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import repeat
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import msgspec

from headwater.definitions.types import (
    element,
    fields,
    holds,
    is_decimal,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
    parse_dtype,
    size,
)
from headwater.errors import StoreError, near_miss
from headwater.online.keys import encode_key, encode_keys
from headwater.online.order import TOMBSTONE, header, is_tombstone

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Kind", "Layout", "Row", "encode_delete", "encode_key", "encode_keys", "from_micros"]

Kind = Literal["value", "state"]

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode

_FORMAT = "headwater row 1"
_MARKS: dict[Kind, str] = {"value": "v", "state": "s"}
_KEYS: dict[str, Any] = {"string": str, "int64": int, "bool": bool, "date": dt.date}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Row(msgspec.Struct, array_like=True, gc=False):
    """One decoded row: its times (aware, UTC) and its values in the layout's order.

    Values are bool, int, float, Decimal, str, bytes, datetime (UTC), date, lists of these (a vector
    is one too), dicts (a struct by the names of its fields, a map in the order of its keys), or
    None.
    """

    event_time: dt.datetime
    known_at: dt.datetime
    values: tuple[Any, ...]


def from_micros(micros: int) -> dt.datetime:
    """Microseconds since the epoch as an aware datetime; StoreError outside the years 1 to 9999."""
    try:
        return _EPOCH + dt.timedelta(microseconds=micros)
    except OverflowError as error:
        raise StoreError(f"{micros} microseconds lies outside the years 1 to 9999") from error


class Layout:
    """Names and types of a view's values, in order: what it takes to write and read its rows.

    Safe to share between threads. `other_layout` counts the rows of another layout that were
    met; such a row reads as missing.
    """

    __slots__ = ("_decode", "_mark", "features", "id", "kind", "names", "other_layout")

    def __init__(self, features: Iterable[tuple[str, str]], kind: Kind = "value") -> None:
        """`features` are (name, dtype) pairs. Raises StoreError for an unknown type."""
        self.features = tuple((name, dtype) for name, dtype in features)
        self.names = tuple(name for name, _ in self.features)
        self.kind: Kind = kind
        if not self.names or len(set(self.names)) < len(self.names):
            raise StoreError(f"a layout needs names, each of them once; got {self.names}")
        for name, dtype in self.features:
            _check_type(name, dtype)
        self.id = _layout_id(self.features)
        self.other_layout = 0
        self._mark = _MARKS[kind] + self.id
        decode = msgspec.msgpack.Decoder(_row_type(self._mark, self.features)).decode
        self._decode = _with_vectors(decode, [dtype for _, dtype in self.features])

    def __repr__(self) -> str:
        return f"Layout({', '.join(f'{name} {dtype}' for name, dtype in self.features)})"

    def decode(self, row: bytes | memoryview) -> Row | None:
        """One row, or None for a tombstone and for a row of another layout.

        Raises StoreError for bytes that are no row, and for a row of the other kind.
        """
        try:
            return self._decode(row)
        except msgspec.DecodeError as error:
            self._explain(row, error)
            return None

    def decode_many(self, rows: Sequence[bytes | None]) -> list[Row | None]:
        """`decode` of each row; None stays None."""
        decode = self._decode
        try:
            return [None if row is None else decode(row) for row in rows]
        except msgspec.DecodeError:
            return [None if row is None else self.decode(row) for row in rows]

    def encode_batch(
        self,
        values: pa.RecordBatch | pa.Table,
        event_time: pa.Array | int,
        known_at: pa.Array | int | None = None,
        *,
        cut: int | None = None,
        sequence: pa.Array | None = None,
        tie: Sequence[bytes | None] | None = None,
        row_id: Sequence[bytes | None] | None = None,
    ) -> list[bytes]:
        """The rows of a batch, in its order.

        `values` has a column per feature (others are ignored). `event_time` and `known_at`
        (`available_at`; event time where None) are timestamp columns without nulls or
        microseconds for all rows. `cut` is the run's cut in microseconds; None for pushed rows.
        `sequence`, `tie` (canonical encoding of the source row) and `row_id` (`encode_keys` of
        the id's columns) are what C4 and C13 compare, where the source has them. Raises
        StoreError that names the column that is missing or does not fit.
        """
        from headwater.online.columns import column

        body = [column(self._column(values, n), dtype, n) for n, dtype in self.features]
        count = values.num_rows
        times = _times(event_time, count, "event_time")
        known = times if known_at is None else _times(known_at, count, "known_at")
        rows = zip(
            repeat(self._mark, count),
            times,
            known,
            zip(*body, strict=True),
            repeat(None if cut is None else from_micros(cut), count),
            _orders(count, sequence, tie, row_id),
            strict=True,
        )
        return list(map(_encode, rows))

    def _column(self, values: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
        found = values.schema.get_field_index(name)
        if found < 0:
            hint = near_miss(name, values.schema.names)
            raise StoreError(f"{name}: the batch has no such column; a row is written whole{hint}")
        return values.column(found)

    def _explain(self, row: bytes | memoryview, error: msgspec.DecodeError) -> None:
        if is_tombstone(row):
            return
        mark = header(row).mark
        if mark == self._mark:
            raise StoreError(f"a row of {self!r} can't be read: {error}") from error
        if mark[:1] != self._mark[:1]:
            raise StoreError(f"a row of kind '{mark[:1]}' can't be read as {self.kind}")
        if not self.other_layout:
            _log.warning("rows of another layout than %r are read as missing", self)
        self.other_layout += 1


def encode_delete(event_time: int, cut: int, known_at: int | None = None) -> bytes:
    """The tombstone by which a run deletes keys; times in microseconds.

    It is a row in all but its values: `event_time` is the tick, and it yields to the same rows.
    """
    known = event_time if known_at is None else known_at
    times = from_micros(event_time), from_micros(known)
    return _encode((TOMBSTONE, *times, (), from_micros(cut), None))


def _check_type(name: str, dtype: str) -> None:
    try:
        known = parse_dtype(dtype)
    except ValueError as error:
        raise StoreError(f"{name}: {error}") from None
    if known != dtype:
        raise StoreError(f"{name}: '{dtype}' is not a type; did you mean '{known}'?")


def _layout_id(features: tuple[tuple[str, str], ...]) -> str:
    told = json.dumps([_FORMAT, features], ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.blake2b(told.encode(), digest_size=6).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _row_type(mark: str, features: tuple[tuple[str, str], ...]) -> type[Row]:
    """A Row whose tag is the mark: msgspec itself refuses rows of another mark, at no cost."""
    types = [_decoded(dtype) for _, dtype in features]
    fields = [("values", tuple[tuple(types)])] if any(t is not Any for t in types) else []  # type: ignore[misc]
    made = msgspec.defstruct("Row", fields, bases=(Row,), array_like=True, tag=mark, gc=False)
    return cast("type[Row]", made)


_Decode = Callable[[bytes | memoryview], Row]


def _with_vectors(decode: _Decode, dtypes: Sequence[str]) -> _Decode:
    """The decoder that makes lists of floats of the bytes as which a row carries vectors."""
    places = [(n, _unpacker(dtype)) for n, dtype in enumerate(dtypes) if is_vector(dtype)]
    if not places:
        return decode

    def run(row: bytes | memoryview) -> Row:
        found = decode(row)
        values = list(found.values)
        for place, unpack in places:
            if values[place] is not None:
                values[place] = list(unpack(values[place]))
        found.values = tuple(values)
        return found

    return run


def _unpacker(dtype: str) -> Callable[[bytes], tuple[float, ...]]:
    return struct.Struct(f"<{size(dtype)}{'f' if element(dtype) == 'float32' else 'd'}").unpack


def _decoded(dtype: str) -> Any:
    """What msgspec has to know of a type: MessagePack carries dates and decimals as text, all else
    as itself.
    """
    if not (holds(dtype, "date") or holds(dtype, "decimal")):
        return Any
    made: Any = Decimal if is_decimal(dtype) else dt.date
    if is_list(dtype):
        made = GenericAlias(list, (_decoded(element(dtype)),))
    elif is_map(dtype):
        key, value = key_and_value(dtype)
        made = GenericAlias(dict, (_KEYS[key], _decoded(value)))
    elif is_struct(dtype):
        parts = {name: _decoded(inner) for name, inner in fields(dtype)}
        made = TypedDict("Fields", parts)  # type: ignore[misc, no-redef]
    return made | None


def _times(times: pa.Array | int, count: int, name: str) -> list[Any]:
    from headwater.online.columns import column

    if isinstance(times, int):
        return [from_micros(times)] * count
    if times.null_count:
        raise StoreError(f"{name} is null in {times.null_count} rows; a row needs its time")
    return column(times, "timestamp", name)


def _orders(
    count: int,
    sequence: pa.Array | None,
    tie: Sequence[bytes | None] | None,
    row_id: Sequence[bytes | None] | None,
) -> Iterator[tuple[Any, bytes | None, bytes | None] | None]:
    if sequence is None and tie is None and row_id is None:
        return repeat(None, count)
    from headwater.online.columns import plain_column

    nothing = [None] * count
    return zip(
        nothing if sequence is None else plain_column(sequence, "sequence", floats=True),
        nothing if tie is None else tie,
        nothing if row_id is None else row_id,
        strict=True,
    )
