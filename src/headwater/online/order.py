"""C13, the rule of writing: which of two rows of one key stays. Every store applies this one.

Rows of a key are ordered by (event_time, known_at, sequence with nulls first, tie), contract C4.
A pushed row carries no cut; a run's row carries the run's cut, the instant up to which the run
knew what was known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from headwater.errors import StoreError


class Header(msgspec.Struct, array_like=True, gc=False):
    """What the rule looks at: a whole row of any mark, its values left undecoded."""

    mark: str
    event_time: dt.datetime
    known_at: dt.datetime
    values: msgspec.Raw
    cut: dt.datetime | None
    order: tuple[Any, bytes | None, bytes | None] | None


class _Times(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a header; decoding stops there."""

    mark: str
    event_time: dt.datetime
    known_at: dt.datetime


TOMBSTONE = "d"
"""The mark of a row that stands for a deleted key."""

_TOMBSTONE_HEAD = b"\x96\xa1" + TOMBSTONE.encode()

_decode = msgspec.msgpack.Decoder(Header).decode
_decode_times = msgspec.msgpack.Decoder(_Times).decode


def header(row: bytes | memoryview) -> Header:
    """The header of a row; StoreError for bytes that are no row."""
    try:
        return _decode(row)
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def is_tombstone(row: bytes | memoryview) -> bool:
    """Whether a row says that its key was deleted, told without decoding it."""
    return bytes(row[: len(_TOMBSTONE_HEAD)]) == _TOMBSTONE_HEAD


def too_late(rows: Sequence[bytes], latest: dt.datetime) -> list[int]:
    """Positions of the rows whose event, or its knowledge, lies after `latest`."""
    late = []
    try:
        for place, row in enumerate(rows):
            times = _decode_times(row)
            if times.event_time > latest or times.known_at > latest:
                late.append(place)
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error
    return late


class Settled(NamedTuple):
    """What a batch of rows does to what is stored."""

    changes: dict[bytes, bytes]
    unchanged: int


def settle(stored: Mapping[bytes, bytes], keys: Sequence[bytes], rows: Sequence[bytes]) -> Settled:
    """The rows that take the place of the stored ones, in the order in which keys come first.

    Rows of one key are applied one after the other, as if each had come in a batch of its own.
    """
    changes = {} if stored else dict(zip(keys, rows, strict=True))
    if len(changes) == len(keys):
        return Settled(changes, 0)
    changes.clear()
    unchanged = 0
    for key, row in zip(keys, rows, strict=True):
        current = changes.get(key) or stored.get(key)
        if current is None:
            changes[key] = row
        elif current == row or same(new := header(row), old := header(current)):
            unchanged += 1
        elif replaces(new, old):
            changes[key] = row
    return Settled(changes, unchanged)


def same(new: Header, old: Header) -> bool:
    """Whether `new` says nothing that the stored `old` does not say.

    A later run that found the same row does: from then on no earlier run may replace it.
    """
    if new.cut is not None and (old.cut is None or old.cut < new.cut):
        return False
    return (
        new.event_time == old.event_time
        and new.known_at == old.known_at
        and new.values == old.values
        and new.mark == old.mark
        and new.order == old.order
    )


def replaces(new: Header, old: Header) -> bool:
    """Whether `new` takes the place of the stored `old`."""
    if new.cut is None:
        return _push_replaces(new, old)
    if old.cut is not None and old.cut > new.cut:
        # A run that was overtaken by a later one must not undo it.
        return False
    return old.known_at <= new.cut or not _later(old, new)


def _push_replaces(new: Header, old: Header) -> bool:
    if _same_fact(new, old) and new.known_at != old.known_at:
        # The version known later holds, even if it moves the fact back in time.
        return new.known_at > old.known_at
    if old.cut is not None and (new.event_time, new.known_at) == (old.event_time, old.known_at):
        # The run knew both and has chosen by the whole of C4, so its row needs no tie of its own.
        return False
    return _later(new, old)


def _same_fact(new: Header, old: Header) -> bool:
    if new.order is None or old.order is None:
        return False
    return new.order[2] is not None and new.order[2] == old.order[2]


def _later(a: Header, b: Header) -> bool:
    """Whether `a` comes after `b` in C4's order."""
    if a.event_time != b.event_time:
        return a.event_time > b.event_time
    if a.known_at != b.known_at:
        return a.known_at > b.known_at
    return _rank(a) > _rank(b)


def _rank(row: Header) -> tuple[Any, ...]:
    sequence, tie, _ = row.order or (None, None, None)
    return (False, tie or b"") if sequence is None else (True, sequence, tie or b"")


def _unreadable(error: msgspec.DecodeError) -> StoreError:
    return StoreError(f"an online row can't be read: {error}")
