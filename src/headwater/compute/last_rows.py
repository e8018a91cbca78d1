"""The last row of every key at one instant, found while the files are read.

What a run of lookups needs of a source is one row a key. By the code of a key, arrays hold the
best row seen so far, so memory grows with the keys that are looked for, not with the rows; and the
order of the rows in the files decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.direct import Bounds, Direct, fact_batches
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.fetch import fetch_rows
from headwater.compute.kernels.rows import Rows
from headwater.compute.order import canonical_bytes, order_rows
from headwater.expressions.printing import quote

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_NEVER = np.iinfo(np.int64).min
_SEQUENCE = "sequence"


@dataclass(frozen=True)
class LastRows:
    """One row a key, in the order of the files: the key's code, the row's id and its times.

    `unknown` holds the codes of the keys whose rows have all happened and are not known yet.
    """

    key: Ints
    row_id: Ints
    event_time: Ints
    known_at: Ints
    unknown: Ints

    def cut(self, start: int, stop: int) -> LastRows:
        """Some of the rows; the unknown keys come with the first ones."""
        own = slice(start, stop)
        return LastRows(
            self.key[own],
            self.row_id[own],
            self.event_time[own],
            self.known_at[own],
            self.unknown[: 0 if start else None],
        )


def last_rows(
    engine: DuckDBEngine, scan: Scan, keys: pa.Table, direct: Direct, bounds: Bounds
) -> LastRows:
    """The last row in C4's order of each of the keys (a table, its row number is the code), among
    those whose event, and the knowledge of it, is not later than `bounds.latest`.
    """
    engine.note(direct.text(scan))
    best = _Best.of(keys.num_rows, bounds.latest, has_knowledge=direct.available_at is not None)
    for arrays, _, _ in fact_batches(scan, keys, direct, bounds):
        best.add(*arrays)
    if best.is_tied.any():
        tied = [best.equals(*arrays) for arrays, _, _ in fact_batches(scan, keys, direct, bounds)]
        key, row_id = (np.concatenate(arrays) for arrays in zip(*tied, strict=True))
        best.settle(*_last_of_tied(engine, scan, best, key, row_id))
    return best.found()


def _last_of_tied(
    engine: DuckDBEngine, scan: Scan, best: _Best, key: Ints, row_id: Ints
) -> tuple[Ints, Ints]:
    """Of rows that share their key's last times the last one of each key, with its id."""
    rows = Rows(key, best.event_time[key], best.known_at[key], row_id)
    sequence = None
    if scan.source.sequence is not None:
        column = {_SEQUENCE: quote(scan.source.sequence)}
        sequence = fetch_rows(engine, scan, row_id, column)[_SEQUENCE]
    order = order_rows(rows, sequence, lambda chosen: canonical_bytes(engine, scan, row_id[chosen]))
    ranked = np.lexsort((order, key))
    last = ranked[np.append(key[ranked][1:] != key[ranked][:-1], True)]
    return key[last], row_id[last]


@dataclass
class _Best:
    """By code of the key: the times of the last row so far, its id, and whether others have both
    times too. Without knowledge of their own, `known_at` is `event_time` itself.
    """

    instant: int
    event_time: Ints
    known_at: Ints
    row_id: Ints
    is_tied: Bools
    is_unknown: Bools

    @classmethod
    def of(cls, keys: int, instant: int, *, has_knowledge: bool) -> _Best:
        event_time = np.full(keys, _NEVER, dtype=np.int64)
        known_at = np.full(keys, _NEVER, dtype=np.int64) if has_knowledge else event_time
        row_id = np.full(keys, -1, dtype=np.int64)
        return cls(instant, event_time, known_at, row_id, *np.zeros((2, keys), dtype=np.bool_))

    def add(self, key: Ints, event_time: Ints, known_at: Ints, row_id: Ints) -> None:
        """Take rows of the wanted keys, none of them with an event after the instant."""
        if self.known_at is not self.event_time:
            is_known = known_at <= self.instant
            if not is_known.all():
                self.is_unknown[key[~is_known]] = True
                key, event_time, known_at, row_id = (
                    array[is_known] for array in (key, event_time, known_at, row_id)
                )
        is_newer, chosen = _raise(self.event_time, key, event_time)
        key, row_id = key[chosen], row_id[chosen]
        if self.known_at is not self.event_time:
            self.known_at[key[is_newer]] = _NEVER
            is_known_later, chosen = _raise(self.known_at, key, known_at[chosen])
            key, row_id, is_newer = key[chosen], row_id[chosen], is_newer[chosen] | is_known_later
        self.is_tied[key[is_newer]] = False
        self.row_id[key] = row_id
        # Of several equal rows one was kept; those before them, too, stand at the same times.
        self.is_tied[key[(self.row_id[key] != row_id) | ~is_newer]] = True

    def equals(
        self, key: Ints, event_time: Ints, known_at: Ints, row_id: Ints
    ) -> tuple[Ints, Ints]:
        """Of the rows those that share both times with the last ones of a tied key."""
        chosen = (
            self.is_tied[key]
            & (event_time == self.event_time[key])
            & (known_at == self.known_at[key])
        )
        return key[chosen], row_id[chosen]

    def settle(self, key: Ints, row_id: Ints) -> None:
        """Say which of the rows of tied keys are the last ones."""
        self.row_id[key] = row_id

    def found(self) -> LastRows:
        key = np.flatnonzero(self.row_id >= 0)
        key = key[np.argsort(self.row_id[key])]
        event_time = self.event_time[key]
        known_at = event_time if self.known_at is self.event_time else self.known_at[key]
        unknown = np.flatnonzero(self.is_unknown & (self.row_id < 0))
        return LastRows(key, self.row_id[key], event_time, known_at, unknown)


def _raise(best: Ints, key: Ints, value: Ints) -> tuple[Bools, Ints]:
    """Raise the best value of each key to the greatest of its values; positions of the rows that
    hold it, and whether it is greater than the best one before.
    """
    before = best[key]
    np.maximum.at(best, key, value)
    chosen = np.flatnonzero(value == best[key])
    return value[chosen] > before[chosen], chosen
