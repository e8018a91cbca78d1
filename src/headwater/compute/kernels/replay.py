"""The rows that a sequence feature is computed over, once for every state of knowledge (C7)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from headwater.compute.kernels.keyed import LAST
from headwater.compute.kernels.rows import Bool, Int64, Rows
from headwater.compute.kernels.timeline import Timeline


@dataclass(frozen=True, eq=False)
class Replay:
    """Rows of one key and one state of knowledge after another, all in C4's order.

    Entry i stands for row `row[i]` of the caller's rows in run `segment[i]` (runs are contiguous,
    numbers ascend). Where `emit` is true, its value is what that row has from `available_at[i]`
    on; other entries are there as predecessors, and `origin[i]` is the earlier entry that emitted
    the same value (-1 for emitted entries).
    """

    row: Int64
    segment: Int64
    available_at: Int64
    emit: Bool
    origin: Int64


def replay(rows: Rows, context: int | None = None) -> Replay:
    """Every version of every row's value, with the rows that it is computed from.

    A key whose rows become known in C4's order is one segment. Otherwise its rows up to the first
    late row or new version of an id are one segment, and each such arrival begins another: with
    the rows known before the earliest changed one as predecessors, then all rows from it on, known
    from that instant, then what arrives in order after it.

    `context` bounds the predecessors repeated at the start of a segment, for values that look
    back no further (a frame of n rows: n - 1, a lag of k: k); None repeats all of them. Late rows
    cost as many entries as they change values, and `context` more.
    """
    timeline = Timeline.of(rows, int(rows.key.max(initial=-1)) + 1)
    messy = _messy_keys(timeline)
    calm = np.flatnonzero(~messy[timeline.key])
    builder = _Builder(context)
    for key in np.flatnonzero(messy):
        begin, end = int(timeline.begin[key]), int(timeline.begin[key + 1])
        builder.add_key(_arrivals(timeline, begin, end))
    return _joined(timeline, calm, builder)


def _messy_keys(timeline: Timeline) -> Bool:
    """Keys of which a row became known before a predecessor, or was replaced."""
    messy = np.zeros(len(timeline.begin) - 1, dtype=np.bool_)
    key, available_at = timeline.key, timeline.available_at
    messy[key[1:][(available_at[1:] < available_at[:-1]) & (key[1:] == key[:-1])]] = True
    if timeline.replaced_at is not None:
        messy[key[timeline.replaced_at != LAST]] = True
    return messy


Arrival = tuple[int, list[int], list[int]]  # instant, rows that come, rows that are replaced


def _arrivals(timeline: Timeline, begin: int, end: int) -> Iterator[Arrival]:
    """What changes in the knowledge of a key, instant by instant."""
    known = timeline.available_at[begin:end].tolist()
    gone = [LAST] * (end - begin)
    if timeline.replaced_at is not None:
        gone = timeline.replaced_at[begin:end].tolist()
    # A version replaced at the instant of its arrival never was known.
    lived = [i for i in range(end - begin) if known[i] < gone[i]]
    events = [(known[i], 0, begin + i) for i in lived]
    events += [(gone[i], 1, begin + i) for i in lived if gone[i] != LAST]
    for instant, group in groupby(sorted(events), key=lambda event: event[0]):
        changes = list(group)
        come = [row for _, is_gone, row in changes if not is_gone]
        yield instant, come, [row for _, is_gone, row in changes if is_gone]


class _Builder:
    """Grows the entries of keys whose rows came late or were replaced."""

    def __init__(self, context: int | None) -> None:
        self.context = context
        self.segments = 0
        self.row, self.segment = array("q"), array("q")
        self.available_at, self.origin = array("q"), array("q")

    def add_key(self, arrivals: Iterable[Arrival]) -> None:
        known: list[int] = []
        latest: dict[int, int] = {}
        for instant, come, gone in arrivals:
            first = min(come + gone)
            if known and known[-1] < first:
                known += come
                self._emit(come, instant, latest)
                continue
            for row in gone:
                del known[bisect_left(known, row)]
            for row in come:
                insort(known, row)
            place = bisect_left(known, first)
            self.segments += 1
            self._repeat(known[self._begin(place) : place], instant, latest)
            self._emit(known[place:], instant, latest)

    def _begin(self, place: int) -> int:
        # One predecessor at least, so that a state carried along finds its origin.
        return 0 if self.context is None else max(place - max(self.context, 1), 0)

    def _emit(self, rows: list[int], instant: int, latest: dict[int, int]) -> None:
        latest.update(zip(rows, range(len(self.row), len(self.row) + len(rows)), strict=True))
        self._append(rows, instant)
        self.origin.extend([-1] * len(rows))

    def _repeat(self, rows: list[int], instant: int, latest: dict[int, int]) -> None:
        self._append(rows, instant)
        self.origin.extend([latest[row] for row in rows])

    def _append(self, rows: list[int], instant: int) -> None:
        self.row.extend(rows)
        self.segment.extend([self.segments] * len(rows))
        self.available_at.extend([instant] * len(rows))


def _joined(timeline: Timeline, calm: Int64, builder: _Builder) -> Replay:
    """The segments of keys in order, then the others."""
    row = np.concatenate([calm, np.array(builder.row, dtype=np.int64)])
    changed = np.diff(timeline.key[calm], prepend=-1) != 0
    segment = np.cumsum(changed) - 1
    count = int(segment[-1]) + 1 if len(segment) else 0
    # The builder counts segments from 1.
    late_segment = np.array(builder.segment, dtype=np.int64) + (count - 1)
    late_known = np.array(builder.available_at, dtype=np.int64)
    late_origin = np.array(builder.origin, dtype=np.int64)
    late_origin[late_origin >= 0] += len(calm)
    origin = np.concatenate([np.full(len(calm), -1, dtype=np.int64), late_origin])
    return Replay(
        row=timeline.row[row],
        segment=np.concatenate([segment, late_segment]),
        available_at=np.concatenate([timeline.available_at[calm], late_known]),
        emit=origin < 0,
        origin=origin,
    )
