"""Which intervals of a table were computed, each from which state of its source (C16)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from headwater.errors import StoreError


class Interval(NamedTuple):
    """The times [start, end), in microseconds."""

    start: int
    end: int


class Span(NamedTuple):
    """An interval that was computed from one snapshot of the source."""

    start: int
    end: int
    snapshot: str


def check_interval(interval: Interval) -> Interval:
    if interval.start >= interval.end:
        raise StoreError(f"interval [{interval.start}, {interval.end}) is empty")
    return interval


def paint(spans: Iterable[Span], new: Span) -> list[Span]:
    """The spans after `new` has replaced what it covers: disjoint, in order, joined."""
    found = [new]
    for span in spans:
        if span.start < new.start:
            found.append(span._replace(end=min(span.end, new.start)))
        if span.end > new.end:
            found.append(span._replace(start=max(span.start, new.end)))
    return joined(found)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Disjoint spans in order, those that touch and have one snapshot made one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and found[-1].end == span.start and found[-1].snapshot == span.snapshot:
            span = found.pop()._replace(end=span.end)  # noqa: PLW2901
        found.append(span)
    return found


def missing(spans: Iterable[Span], interval: Interval, snapshot: str) -> list[Interval]:
    """The parts of the interval that no span of that snapshot covers, in order.

    `spans` are disjoint and in order.
    """
    found: list[Interval] = []
    position = interval.start
    for span in spans:
        if span.snapshot != snapshot or span.end <= position or span.start >= interval.end:
            continue
        if span.start > position:
            found.append(Interval(position, span.start))
        position = span.end
    if position < interval.end:
        found.append(Interval(position, interval.end))
    return found
