"""Rows inside LMDB: their physical keys, sorted chunks, and what is done to them in a transaction.

A physical key is the revision's prefix and the row's key. A key too long for LMDB is replaced by
its hash, under a prefix of its own, and the value is a MessagePack array of whole key and row.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import msgspec

from headwater.errors import StoreError
from headwater.online.order import header, is_tombstone, settle
from headwater.online.store import Written

Page: TypeAlias = tuple[list[bytes], bytes | None]
"""Keys, and the physical key at which to go on, if anywhere."""

_PREFIX = 4
_LONGEST = 511 - _PREFIX
"""LMDB takes keys of 511 bytes."""
_DIGEST = 32
_CHUNK_ROWS = 16_384
_CHUNK_BYTES = 8 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode
_long_of = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode


class Prefix(NamedTuple):
    """The beginnings of a revision's physical keys; `end` lies behind them all."""

    short: bytes
    long: bytes
    end: bytes

    @classmethod
    def of(cls, number: int) -> Prefix:
        return cls(*((2 * number + step).to_bytes(_PREFIX, "big") for step in range(3)))


class Chunk(NamedTuple):
    """Rows for one transaction, in the order of their physical keys.

    `long` has the whole key of each hashed one.
    """

    keys: list[bytes]
    rows: list[bytes]
    long: dict[bytes, bytes]


def fill_long(txn: Any, prefix: Prefix, keys: Sequence[bytes], rows: list[bytes | None]) -> None:
    """Read the rows of long keys, which are not found under the key itself."""
    for place in _places_of_long(keys):
        value = txn.get(_hashed(prefix, keys[place]))
        rows[place] = None if value is None else _unwrap(keys[place], value)


def chunks(
    prefix: Prefix, keys: Sequence[bytes], rows: Sequence[bytes], places: Iterable[int]
) -> Iterator[Chunk]:
    """The rows at `places` in sorted chunks of bounded size; rows of one key keep their order."""
    short = prefix.short
    long: dict[bytes, bytes] = {}
    physical = [short + key for key in keys]
    for place in _places_of_long(keys):
        physical[place] = _hashed(prefix, keys[place])
        long[physical[place]] = keys[place]
    ordered = sorted(places, key=physical.__getitem__)
    step = _rows_per_chunk(rows)
    for start in range(0, len(ordered), step):
        part = ordered[start : start + step]
        found = [physical[place] for place in part]
        whole = {key: long[key] for key in found if key in long} if long else long
        yield Chunk(found, [rows[place] for place in part], whole)


def _rows_per_chunk(rows: Sequence[bytes]) -> int:
    """A transaction holds up to a page per row in memory; large rows come in smaller chunks."""
    size = sum(map(len, rows))
    return max(1, min(_CHUNK_ROWS, _CHUNK_BYTES * len(rows) // max(size, 1)))


def _places_of_long(keys: Sequence[bytes]) -> list[int]:
    if max(map(len, keys), default=0) <= _LONGEST:
        return []
    return [place for place, key in enumerate(keys) if len(key) > _LONGEST]


def put(txn: Any, chunk: Chunk, swept: dt.datetime | None) -> Written:
    """Put the rows of a chunk where the rule says so.

    Rows of runs with a cut before `swept` are left out: what they wrote may have been deleted
    by a run whose tombstones are gone.
    """
    count = len(chunk.keys)
    chunk = _since(chunk, swept)
    if not chunk.keys:
        return Written(older=count)
    cursor = txn.cursor()
    append = not cursor.set_range(chunk.keys[0])
    stored: dict[bytes, bytes] = {}
    if not append and cursor.key() <= chunk.keys[-1]:
        stored = dict(cursor.getmulti(chunk.keys))
    for key, whole in chunk.long.items():
        if key in stored:
            stored[key] = _unwrap(whole, stored[key])
    changes, unchanged = settle(stored, chunk.keys, chunk.rows)
    for key, whole in chunk.long.items():
        if key in changes:
            changes[key] = _encode((whole, changes[key]))
    if changes:
        cursor.putmulti(list(changes.items()), append=append)
    return Written(len(changes), unchanged, count - len(changes) - unchanged)


def _since(chunk: Chunk, swept: dt.datetime | None) -> Chunk:
    if swept is None:
        return chunk
    cuts = [header(row).cut for row in chunk.rows]
    kept = [place for place, cut in enumerate(cuts) if cut is None or cut >= swept]
    keys, rows, long = chunk
    return Chunk([keys[place] for place in kept], [rows[place] for place in kept], long)


def delete_some(prefix: Prefix, count: int, txn: Any) -> int:
    """Delete at most `count` rows of a revision; returns how many there were to delete."""
    cursor = txn.cursor()
    deleted = 0
    found = cursor.set_range(prefix.short)
    while found and deleted < count and cursor.key() < prefix.end:
        found = cursor.delete() and bool(cursor.key())
        deleted += 1
    return deleted


def some_keys(start: bytes, end: bytes, count: int, txn: Any) -> Page:
    """Keys of the next `count` rows at or behind the physical key `start`, before `end`."""
    cursor = txn.cursor()
    if not cursor.set_range(start):
        return [], None
    found = list(islice(cursor.iternext(values=False), count))
    following = found[-1] + b"\0" if len(found) == count and found[-1] < end else None
    del found[bisect_left(found, end) :]
    return [key[_PREFIX:] for key in found], following


def some_long_keys(start: bytes, end: bytes, count: int, txn: Any) -> Page:
    """The same for keys that are hashed; they come in the order of their hashes."""
    cursor = txn.cursor()
    if not cursor.set_range(start):
        return [], None
    found: list[bytes] = []
    for key, value in cursor:
        if key >= end:
            return found, None
        if len(found) == count:
            return found, key
        found.append(_long_of(value)[0])
    return found, None


def some_sizes(prefix: Prefix, start: bytes, count: int, txn: Any) -> tuple[int, int, bytes | None]:
    """How many of the next `count` rows belong to a revision, their bytes, and where to go on."""
    rows = size = 0
    cursor = txn.cursor()
    if cursor.set_range(start):
        for key, value in cursor:
            if key >= prefix.end:
                break
            if rows == count:
                return rows, size, key
            rows += 1
            size += len(key) + len(value)
    return rows, size, None


def some_tombstones(prefix: Prefix, start: bytes, count: int, txn: Any) -> Page:
    """Physical keys of tombstones among the next `count` rows, and where to go on, if anywhere."""
    found: list[bytes] = []
    cursor = txn.cursor()
    if not cursor.set_range(start):
        return found, None
    for seen, (key, value) in enumerate(cursor):
        if key >= prefix.end:
            return found, None
        if seen == count:
            return found, key
        if is_tombstone(_row(prefix, key, value)):
            found.append(key)
    return found, None


def delete_tombstones(prefix: Prefix, keys: list[bytes], before: dt.datetime, txn: Any) -> int:
    """Delete those of the rows that are tombstones of a run with a cut earlier than `before`."""
    deleted = 0
    for key in keys:
        value = txn.get(key)
        if value is None:
            continue
        row = _row(prefix, key, value)
        if is_tombstone(row) and (cut := header(row).cut) is not None and cut < before:
            deleted += txn.delete(key)
    return deleted


def _hashed(prefix: Prefix, key: bytes) -> bytes:
    return prefix.long + hashlib.blake2b(key, digest_size=_DIGEST).digest()


def _row(prefix: Prefix, key: bytes, value: bytes) -> bytes:
    return value if key < prefix.long else _long_of(value)[1]


def _unwrap(key: bytes, value: bytes) -> bytes:
    whole, row = _long_of(value)
    if whole != key:
        raise StoreError("two long keys have one hash; the row of the first one is kept")
    return row
