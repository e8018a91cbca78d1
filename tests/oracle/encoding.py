"""The canonical encoding of a row (C4): all its columns by name, in MessagePack.

Values follow https://github.com/msgpack/msgpack/blob/master/spec.md in the shortest form. Floats
take 64 bits, a timestamp is the integer of its microseconds (rounded as C2 says), a date that of
its days since 1970-01-01, a struct a map in the order of its fields, a map an array of pairs in the
order of its keys.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from oracle.times import FIRST_DAY, Nanos, from_datetime, source_instant


class Map(dict[Any, Any]):
    """The value of a map column, in the order of its keys; a plain dict is a struct."""


def canonical(row: Mapping[str, Any]) -> bytes:
    columns = sorted(row)
    body = b"".join(_text(name) + encode(row[name]) for name in columns)
    return _length(len(columns), (0x80, 15), (None, 0xDE, 0xDF)) + body


def encode(value: Any) -> bytes:
    """MessagePack of one value of a source's column."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes):
        return _length(len(value), None, (0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, datetime):
        return _integer(from_datetime(value))
    if isinstance(value, Nanos):
        return _integer(source_instant(value))
    if isinstance(value, date):
        return _integer((value - FIRST_DAY).days)
    if isinstance(value, Map):
        return encode(list(value.items()))
    if isinstance(value, dict):
        parts = b"".join(_text(name) + encode(part) for name, part in value.items())
        return _length(len(value), (0x80, 15), (None, 0xDE, 0xDF)) + parts
    items = b"".join(encode(item) for item in value)
    return _length(len(value), (0x90, 15), (None, 0xDC, 0xDD)) + items


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b", value)
    if value >= 0:
        forms = ((0xCC, ">B", 2**8), (0xCD, ">H", 2**16), (0xCE, ">I", 2**32), (0xCF, ">Q", 2**64))
        code, form = next((c, f) for c, f, limit in forms if value < limit)
    else:
        forms = ((0xD0, ">b", 2**7), (0xD1, ">h", 2**15), (0xD2, ">i", 2**31), (0xD3, ">q", 2**63))
        code, form = next((c, f) for c, f, limit in forms if -limit <= value)
    return bytes([code]) + struct.pack(form, value)


def _text(value: str) -> bytes:
    data = value.encode()
    return _length(len(data), (0xA0, 31), (0xD9, 0xDA, 0xDB)) + data


def _length(size: int, short: tuple[int, int] | None, codes: tuple[int | None, int, int]) -> bytes:
    """The head of a text, bytes, array or map: one byte where it fits, else a code and 1, 2, 4."""
    if short is not None and size <= short[1]:
        return bytes([short[0] | size])
    widths = ((codes[0], ">B", 2**8), (codes[1], ">H", 2**16), (codes[2], ">I", 2**32))
    code, form = next((c, f) for c, f, limit in widths if c is not None and size < limit)
    return bytes([code]) + struct.pack(form, size)
