"""The rows that a sequence feature is computed over, once for every state of knowledge (C7)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

from headwater.compute.kernels.keyed import LAST
from headwater.compute.kernels.rows import Bool, Int64, Rows
from headwater.compute.kernels.sorting import order_by, starts_of_runs
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
    builder.add(_Events.of(timeline, messy))
    return _joined(timeline, calm, builder)


def _messy_keys(timeline: Timeline) -> Bool:
    """Keys of which a row became known before a predecessor, or was replaced."""
    messy = np.zeros(len(timeline.begin) - 1, dtype=np.bool_)
    key, available_at = timeline.key, timeline.available_at
    messy[key[1:][(available_at[1:] < available_at[:-1]) & (key[1:] == key[:-1])]] = True
    if timeline.replaced_at is not None:
        messy[key[timeline.replaced_at != LAST]] = True
    return messy


@dataclass(frozen=True, eq=False)
class _Events:
    """What changes in the knowledge of some keys, key by key and instant by instant.

    Row `row[i]` comes, or is replaced where `is_gone[i]`. The events fall into pieces, bounded by
    `edge`: what comes in C4's order, or else what comes and goes at one instant; where `is_new`
    is true, a piece begins another key.
    """

    row: Int64
    instant: Int64
    is_gone: Bool
    edge: Int64
    in_order: Bool
    is_new: Bool

    @classmethod
    def of(cls, timeline: Timeline, messy: Bool) -> _Events:
        known = timeline.available_at
        gone = np.full(len(known), LAST) if timeline.replaced_at is None else timeline.replaced_at
        # A version replaced at the instant of its arrival never was known.
        lived = np.flatnonzero(messy[timeline.key] & (known < gone))
        left = lived[gone[lived] != LAST]
        row = np.concatenate([lived, left])
        instant = np.concatenate([known[lived], gone[left]])
        is_gone = np.arange(len(row)) >= len(lived)
        key = timeline.key[row]
        order = order_by(key, instant, is_gone.astype(np.int64), row)
        row, instant, key, is_gone = row[order], instant[order], key[order], is_gone[order]
        return cls(row, instant, is_gone, *_pieces(key, instant, row, is_gone))


def _pieces(key: Int64, instant: Int64, row: Int64, is_gone: Bool) -> tuple[Int64, Bool, Bool]:
    """Where the pieces of sorted events begin and the last ends, which come in order, and which
    begin another key.
    """
    begin = np.flatnonzero(starts_of_runs(key, instant))
    # Rows are numbered key by key, so those of the keys before are smaller.
    furthest = np.maximum.accumulate(np.where(is_gone, -1, row))
    before = np.where(begin > 0, furthest[begin - 1], -1)
    first = np.minimum.reduceat(row, begin) if len(begin) else begin
    in_order = first > before
    is_new = starts_of_runs(key[begin])
    is_cut = is_new | ~in_order
    is_cut[1:] |= ~in_order[:-1]
    return np.append(begin[is_cut], len(row)), in_order[is_cut], is_new[is_cut]


class _Builder:
    """Grows the entries of keys whose rows came late or were replaced."""

    def __init__(self, context: int | None) -> None:
        self.context = context
        self.segments = 0
        self.row, self.available_at = array("q"), array("q")
        self.parts: list[tuple[int, int, bool]] = []  # entries, their segment, whether emitted

    def add(self, events: _Events) -> None:
        row, instant, is_gone = (a.tolist() for a in (events.row, events.instant, events.is_gone))
        edge = events.edge.tolist()
        known: list[int] = []
        for piece, (in_order, is_new) in enumerate(
            zip(events.in_order.tolist(), events.is_new.tolist(), strict=True)
        ):
            begin, end = edge[piece], edge[piece + 1]
            if is_new:
                known = []
            if in_order:
                self.segments += not known
                known += row[begin:end]
                self._append(row[begin:end], instant[begin:end], is_emitted=True)
            else:
                gone = [
                    r for r, left in zip(row[begin:end], is_gone[begin:end], strict=True) if left
                ]
                self._change(known, row[begin : end - len(gone)], gone, instant[begin])

    def _change(self, known: list[int], come: list[int], gone: list[int], instant: int) -> None:
        """Rows that come or go before others that are known: these are emitted anew."""
        first = min(come + gone)
        for row in gone:
            del known[bisect_left(known, row)]
        if known and known[-1] < first and not gone:
            known += come
            self._append(come, [instant] * len(come), is_emitted=True)
            return
        for row in come:
            insort(known, row)
        place = bisect_left(known, first)
        self.segments += 1
        # One predecessor at least, so that a state carried along finds its origin.
        back = 0 if self.context is None else max(place - max(self.context, 1), 0)
        self._append(known[back:place], [instant] * (place - back), is_emitted=False)
        self._append(known[place:], [instant] * (len(known) - place), is_emitted=True)

    def _append(self, rows: list[int], instants: list[int], *, is_emitted: bool) -> None:
        self.row.extend(rows)
        self.available_at.extend(instants)
        self.parts.append((len(rows), self.segments, is_emitted))

    def columns(self) -> tuple[Int64, Int64, Int64, Bool]:
        """Row, segment and availability of each entry, and whether it is emitted."""
        counts, segments, emitted = np.array(self.parts, dtype=np.int64).reshape(-1, 3).T
        return (
            np.array(self.row, dtype=np.int64),
            np.repeat(segments, counts),
            np.array(self.available_at, dtype=np.int64),
            np.repeat(emitted, counts).astype(np.bool_),
        )


def _origins(row: Int64, is_emitted: Bool) -> Int64:
    """For each entry that is not emitted the last one before it that is, of the same row; -1."""
    order = order_by(row)
    place = np.arange(len(row))
    # Places grow with the rows here, so that one running maximum serves them all.
    runs = np.cumsum(starts_of_runs(row[order])) * (len(row) + 1)
    latest = np.maximum.accumulate(np.where(is_emitted[order], place[order], -1) + runs) - runs
    origin = np.full(len(row), -1, dtype=np.int64)
    origin[order] = np.where(is_emitted[order], -1, latest)
    return origin


def _joined(timeline: Timeline, calm: Int64, builder: _Builder) -> Replay:
    """The segments of keys in order, then the others."""
    late_row, late_segment, late_known, is_emitted = builder.columns()
    changed = np.diff(timeline.key[calm], prepend=-1) != 0
    segment = np.cumsum(changed) - 1
    count = int(segment[-1]) + 1 if len(segment) else 0
    late_origin = _origins(late_row, is_emitted)
    late_origin[late_origin >= 0] += len(calm)
    origin = np.concatenate([np.full(len(calm), -1, dtype=np.int64), late_origin])
    return Replay(
        row=timeline.row[np.concatenate([calm, late_row])],
        # The builder counts segments from 1.
        segment=np.concatenate([segment, late_segment + (count - 1)]),
        available_at=np.concatenate([timeline.available_at[calm], late_known]),
        emit=origin < 0,
        origin=origin,
    )
