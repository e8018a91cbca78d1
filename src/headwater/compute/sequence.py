"""Sequence features: functions of a row and its predecessors, read as lookups (C7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.abreast import abreast
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.framed import Stage
from headwater.compute.kernels.asof import last_row
from headwater.compute.kernels.rows import Rows
from headwater.compute.kernels.sequence import Replay, replay
from headwater.compute.parts import look_back
from headwater.compute.values import Asked, Rules, Values, whole
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.tree import Column

Ints = NDArray[np.int64]
_COLUMN = "column "
PART_ENTRIES = 1 << 20
"""Entries that are computed together: arrays beyond 32 MB cost new pages each time."""


def sequence_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    asked: Asked,
    rules: Rules,
) -> Iterator[tuple[Ints, Values]]:
    """The values of sequence features at (key, time), from all rows known by then.

    They come piece by piece, each with the queries that it answers.
    """
    latest = int(asked.times.max()) if asked.times.size else 0
    replayed = _replayed(engine, scan, features, asked.keys, latest, rules)
    rows, position = replayed.rows, last_row(replayed.rows, asked.queries)
    begin = 0
    for columns, count in replayed.computed(engine, features):
        here = np.flatnonzero((position >= begin) & (position < begin + count))
        row = position[here]
        taken = pa.array(row - begin)
        found = np.ones(here.size, dtype=np.bool_)
        values = {name: column.take(taken) for name, column in columns.items()}
        yield here, Values(values, rows.event_time[row], rows.available_at[row], found)
        begin += count


@dataclass(frozen=True)
class SequenceRows:
    """Every row that a sequence produces, new versions of replayed rows included; `row_id` names
    the source's row behind each.
    """

    rows: Rows
    row_id: Ints
    columns: dict[str, pa.Array]


def sequence_rows(  # noqa: PLR0917
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    keys: pa.Table,
    latest: int,
    rules: Rules,
) -> SequenceRows:
    """The rows of the given keys up to `latest`, with the values of the features."""
    if not features:
        facts = _facts(engine, scan, features, keys, latest, rules)
        return SequenceRows(facts.rows, facts.row_id, {})
    replayed = _replayed(engine, scan, features, keys, latest, rules)
    parts = [columns for columns, _ in replayed.computed(engine, features)]
    columns = {f.name: whole(pa.chunked_array([part[f.name] for part in parts])) for f in features}
    run = replayed.run
    return SequenceRows(replayed.rows, replayed.facts.row_id[run.row[run.emit]], columns)


def _replayed(  # noqa: PLR0917
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    keys: pa.Table,
    latest: int,
    rules: Rules,
) -> _Replayed:
    facts = _facts(engine, scan, features, keys, latest, rules)
    run = replay(facts.rows, look_back(features))
    source = {name.removeprefix(_COLUMN): whole(found) for name, found in facts.columns.items()}
    return _Replayed(run, _emitted(facts.rows, run), facts, source)


def _facts(  # noqa: PLR0917
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    keys: pa.Table,
    latest: int,
    rules: Rules,
) -> Facts:
    """The facts of the given keys up to `latest`, with the columns that the features read."""
    needed = sorted({name for feature in features for name in feature.columns})
    wanted = FactQuery(
        keys,
        latest=latest,
        columns={_COLUMN + name: Column(name) for name in needed},
        data_delay=rules.data_delay,
        knowledge=rules.knowledge,
    )
    return read_facts(engine, scan, wanted)


@dataclass(frozen=True)
class _Replayed:
    """A replay of facts: `rows` are those that it emits, `source` the columns of the facts."""

    run: Replay
    rows: Rows
    facts: Facts
    source: Mapping[str, pa.Array]

    def computed(
        self, engine: DuckDBEngine, features: Sequence[AnalyzedFeature]
    ) -> Iterator[tuple[dict[str, pa.Array], int]]:
        """The values of the emitted rows in their order, part by part, and how many there are."""

        def compute(run: Replay) -> tuple[dict[str, pa.Array], int]:
            taken = pa.array(run.row)
            columns = {name: column.take(taken) for name, column in self.source.items()}
            values = Stage(engine, run.segment, run.origin, columns).values(features)
            emitted = np.flatnonzero(run.emit)
            if emitted.size < run.emit.size:
                kept = pa.array(emitted)
                values = {name: column.take(kept) for name, column in values.items()}
            return values, emitted.size

        parts = _parts(self.run, self.facts.rows.key)
        if any(feature.tree is None for feature in features):
            return map(compute, parts)  # a user's function may not be made for threads
        return abreast(engine, compute, parts)


def _parts(run: Replay, key: Ints) -> Iterator[Replay]:
    """A replay, some keys at a time: entries of one key are never parted."""
    owner = key[run.row]
    ends = np.append(np.flatnonzero(owner[1:] != owner[:-1]) + 1, owner.size)
    begin, is_first = 0, True
    while begin < owner.size or is_first:
        place = int(np.searchsorted(ends, begin + PART_ENTRIES))
        end = int(ends[min(place, ends.size - 1)])
        own = slice(begin, end)
        origin = run.origin[own]
        yield Replay(
            run.row[own],
            run.segment[own],
            run.available_at[own],
            run.emit[own],
            np.where(origin < 0, origin, origin - begin),
        )
        begin, is_first = end, False


def _emitted(rows: Rows, run: Replay) -> Rows:
    """The rows of a replay as facts: a replayed row is a new version of itself."""
    emitted = np.flatnonzero(run.emit)
    row, known = run.row[emitted], run.available_at[emitted]
    key, event_time = rows.key[row], rows.event_time[row]
    once = int(np.bincount(row).max(initial=0)) <= 1
    if once and rows.fact is None:
        return Rows(key, event_time, known, rows.order[row], None)
    identity = row + 0
    if rows.fact is not None:
        identity = np.where(rows.fact[row] >= 0, rows.fact[row] + rows.key.size, row)
    order = np.empty(row.size, dtype=np.int64)
    order[np.lexsort((known, rows.order[row], key))] = np.arange(row.size)
    return Rows(key, event_time, known, order, identity)
