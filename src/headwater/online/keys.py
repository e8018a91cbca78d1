"""Keys of online rows: MessagePack of the key's parts, in the entity's order.

Parts keep their type (1, "1" and True differ) and each part says its own length, so composite
keys never collide. pyarrow is only needed for whole columns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

DATE_EXT = 1
"""MessagePack extension that marks a date among a key's parts, lest it equal its own text."""

_encode = msgspec.msgpack.Encoder().encode


def encode_key(parts: Sequence[Any]) -> bytes | None:
    """The bytes of one key, or None if a part is null (such a key has no row anywhere).

    Parts are bool, int, str, bytes, date or aware datetime. Raises StoreError for anything else.
    """
    for part in parts:
        if part is None:
            return None
        if type(part) not in _PLAIN:
            return _encode([_plain(part) for part in parts])
    return _encode(parts)


def encode_keys(columns: Sequence[pa.Array]) -> list[bytes | None]:
    """The keys of many rows, a column per part, equal to `encode_key` of each row.

    Raises StoreError for a column of a type that can't be a key.
    """
    from headwater.online.columns import plain_column

    rows = zip(*(_dated(plain_column(column, "key")) for column in columns), strict=True)
    if any(column.null_count for column in columns):
        return [None if None in parts else _encode(parts) for parts in rows]
    return list(map(_encode, rows))


def _dated(values: list[Any]) -> list[Any]:
    """Dates replaced by their extension; a column holds dates only, or none."""
    first = next((value for value in values if value is not None), None)
    if type(first) is dt.date:
        return [None if value is None else _plain(value) for value in values]
    return values


def _plain(part: Any) -> Any:
    if isinstance(part, dt.datetime):
        if part.tzinfo is None:
            raise StoreError("a key's timestamp has no time zone; give it UTC")
        return part
    if isinstance(part, dt.date):
        return msgspec.msgpack.Ext(DATE_EXT, part.isoformat().encode())
    if isinstance(part, bool | int | str | bytes):
        return part
    raise StoreError(
        f"a key's part is {type(part).__name__}; "
        "expected bool, int, str, bytes, date or aware datetime"
    )


_PLAIN = frozenset((int, str, bytes, bool))
