"""Short spellings for the hand-computed cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oracle import Aggregate, Column, Feature, Oracle, Reading, Source, View
from oracle.times import from_datetime

X = Column("x")
COUNT = Aggregate("count")
SUM = Aggregate("sum", X)


def at(text: str) -> int:
    """Microseconds of an ISO text; without an offset it is UTC."""
    return from_datetime(datetime.fromisoformat(text))


def rows(columns: str, *values: tuple[Any, ...]) -> tuple[dict[str, Any], ...]:
    """Rows from the names of their columns and tuples of values."""
    return tuple(dict(zip(columns.split(), row, strict=True)) for row in values)


def view_of(feature: Feature, source: Source, **fields: Any) -> View:
    return View("v", (feature,), source, keys=fields.pop("keys", ("k",)), **fields)


def read(feature: Feature, source: Source, t: Any, *, k: Any = "a", **fields: Any) -> Reading:
    """The feature for key `k` at `t`; other fields are the view's."""
    knowledge = fields.pop("knowledge", True)
    oracle = Oracle([view_of(feature, source, **fields)], knowledge=knowledge)
    return oracle.value(feature.name, {"k": k}, t)


def lookup(source: Source, t: Any, **fields: Any) -> Any:
    return read(Feature("f", X), source, t, **fields).value


def events(*values: tuple[Any, ...]) -> Source:
    """Rows of (k, event_time, x)."""
    return Source("s", rows("k event_time x", *values))


def arriving(*values: tuple[Any, ...]) -> Source:
    """Rows of (k, event_time, available_at, x)."""
    source_rows = rows("k event_time available_at x", *values)
    return Source("s", source_rows, available_at="available_at")


def versions(*values: tuple[Any, ...]) -> Source:
    """Rows of (k, id, event_time, available_at, x)."""
    source_rows = rows("k id event_time available_at x", *values)
    return Source("s", source_rows, available_at="available_at", id=("id",))
