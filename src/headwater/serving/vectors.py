"""What was served, as a record, and where such records go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from headwater.serving.execute import Cell
from headwater.serving.plan import Output
from headwater.serving.response import OnlineResponse
from headwater.serving.statuses import PRESENT

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Feature(msgspec.Struct, frozen=True):
    """One served column: a value, a status and an event time (microseconds, or None) a row."""

    name: str
    feature: str
    version: str
    revisions: tuple[str, ...]
    dtype: str
    values: Sequence[Any]
    statuses: Sequence[str]
    event_times: Sequence[int | None]


class Vector(msgspec.Struct, frozen=True):
    """One served request: when (`t`, microseconds since the epoch), for whom, and what."""

    t: int
    generation: int
    service: str | None
    entities: dict[str, Sequence[Any]]
    features: tuple[Feature, ...]


class VectorLog(Protocol):
    """Where served vectors go. Called by one thread, never by the one that serves."""

    def write(self, vectors: Sequence[Vector]) -> None:
        """Keep a batch. What it raises is logged, and the batch counts as dropped."""
        ...

    def close(self) -> None:
        """No batch comes any more."""
        ...


def vector_of(response: OnlineResponse, service: str | None) -> Vector:
    """The record of a response."""
    plan = response.plan
    features = tuple(
        _feature(output, cell, response.count)
        for output, cell in zip(plan.outputs, response.cells, strict=True)
    )
    return Vector(response.now, plan.generation, service, dict(response.entities), features)


def _feature(output: Output, cell: Cell, count: int) -> Feature:
    values, statuses, times = cell
    return Feature(
        name=output.name,
        feature=output.feature,
        version=output.version,
        revisions=output.revisions,
        dtype=output.dtype,
        values=values,
        statuses=statuses or [PRESENT] * count,
        event_times=[None if time is None else (time - _EPOCH) // _MICROSECOND for time in times],
    )
