"""Rows for tests: small facts, written through the codec, read back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from headwater.online.codec import Layout, Row, encode_delete, encode_key
from headwater.online.store import OnlineStore, Written

LAYOUT = Layout([("value", "string")])
MICROS = pa.timestamp("us", tz="UTC")


class Fact(NamedTuple):
    """A row of one key; the times are microseconds, `cut` is None for a pushed row.

    Its value tells all that it is, so equal facts have equal values. A fact that `deletes` is
    written as a tombstone and needs a cut.
    """

    key: str
    event_time: int
    known_at: int
    sequence: int | None = None
    tie: bytes | None = None
    id: str | None = None
    cut: int | None = None
    deletes: bool = False

    @property
    def value(self) -> str:
        return repr(self._replace(cut=None))


def key_of(text: str) -> bytes:
    key = encode_key((text,))
    assert key is not None
    return key


def row_of(fact: Fact) -> bytes:
    if fact.deletes:
        assert fact.cut is not None
        return encode_delete(fact.event_time, fact.cut, fact.known_at)
    (row,) = LAYOUT.encode_batch(
        pa.table({"value": [fact.value]}),
        fact.event_time,
        fact.known_at,
        cut=fact.cut,
        sequence=None if fact.sequence is None else pa.array([fact.sequence]),
        tie=[fact.tie],
        row_id=[None if fact.id is None else encode_key((fact.id,))],
    )
    return row


def write(
    store: OnlineStore, revision: str, facts: Sequence[Fact], project: str = "p", **options: Any
) -> Written:
    keys = [key_of(fact.key) for fact in facts]
    return store.write(project, revision, keys, [row_of(fact) for fact in facts], **options)


def rows(
    store: OnlineStore, revision: str, keys: Iterable[str], project: str = "p"
) -> list[Row | None]:
    (found,), _ = store.read(project, [(revision, [key_of(key) for key in keys])])
    return LAYOUT.decode_many(found)


def values(
    store: OnlineStore, revision: str, keys: Iterable[str], project: str = "p"
) -> list[str | None]:
    """The stored value of each key, None where there is none."""
    found = rows(store, revision, keys, project)
    return [None if row is None else row.values[0] for row in found]
