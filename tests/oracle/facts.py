"""Which rows exist at an instant, and in what order (C2, C3, C4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oracle.encoding import canonical
from oracle.expressions import Row
from oracle.model import Source
from oracle.times import Nanos, from_datetime, source_instant

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Fact:
    """One row of a source with its instants, its place in the order and its identity."""

    row: Row
    event_time: int
    available_at: int
    order: tuple[Any, ...]
    id: tuple[Any, ...] | None

    def is_newer_version_than(self, other: Fact) -> bool:
        same = self.id is not None and self.id == other.id
        return same and (self.available_at, self.order) > (other.available_at, other.order)


def key_of(row: Row, columns: Sequence[str], names: Mapping[str, str] | None = None) -> Key | None:
    """The key of a row; None where a part is null. `names` renames columns."""
    parts = [row[(names or {}).get(column, column)] for column in columns]
    return None if any(part is None for part in parts) else tuple(map(_comparable, parts))


def facts(source: Source, *, key: Key, columns: Sequence[str]) -> list[Fact]:
    """All facts of a key, in C4's order. A row without event time is none: it is quarantined."""
    mine = [row for row in source.rows if key_of(row, columns) == key]
    found = [_fact(source, row) for row in mine if row[source.event_time] is not None]
    return sorted(found, key=lambda fact: fact.order)


def known(candidates: Sequence[Fact], until: int | None) -> list[Fact]:
    """Those that exist at `until`: known by then, the newest version of each id.

    With `until=None` every row is known, whenever it became available.
    """
    arrived = [f for f in candidates if until is None or f.available_at <= until]
    newest = [f for f in arrived if not any(g.is_newer_version_than(f) for g in arrived)]
    # The same version delivered twice is one fact; without an id they are two.
    seen = [(f.id, f.order) for f in newest]
    return [f for i, f in enumerate(newest) if f.id is None or seen[i] not in seen[:i]]


def _fact(source: Source, row: Row) -> Fact:
    event_time = source_instant(row[source.event_time])
    available_at = event_time
    if source.available_at is not None and row[source.available_at] is not None:
        available_at = source_instant(row[source.available_at])
    sequence = None if source.sequence is None else row[source.sequence]
    place = (0,) if sequence is None else (1, sequence)
    order = (event_time, available_at, place, canonical(row))
    identity = key_of(row, source.id) if source.id else None
    return Fact(row, event_time, available_at, order, identity)


def _comparable(value: Any) -> Any:
    if isinstance(value, Nanos):
        return from_datetime(source_instant(value))
    if isinstance(value, datetime):
        return ("timestamp", from_datetime(value))
    return value
