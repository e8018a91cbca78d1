"""Sequence features: functions of a row and its predecessors, read as lookups (C7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.framed import Stage, look_back
from headwater.compute.kernels.asof import last_row
from headwater.compute.kernels.rows import Rows
from headwater.compute.kernels.sequence import Replay, replay
from headwater.compute.values import Asked, Rules, Values, whole
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.tree import Column

Ints = NDArray[np.int64]


def sequence_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    asked: Asked,
    rules: Rules,
) -> Values:
    """The values of sequence features at (key, time), from all rows known by then."""
    latest = int(asked.times.max()) if asked.times.size else 0
    rows = sequence_rows(engine, scan, features, asked.keys, latest, rules)
    position = last_row(rows.rows, asked.queries)
    found = position >= 0
    chosen = position[found]
    places = np.zeros(position.size, dtype=np.int64)
    places[found] = chosen
    taken = pa.array(places, mask=~found)
    columns = {name: whole(column.take(taken)) for name, column in rows.columns.items()}
    event_time, known_at = np.zeros((2, position.size), dtype=np.int64)
    event_time[found] = rows.rows.event_time[chosen]
    known_at[found] = rows.rows.available_at[chosen]
    return Values(columns, event_time, known_at, found)


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
    needed = sorted({name for feature in features for name in feature.columns})
    wanted = FactQuery(
        keys,
        latest=latest,
        columns={f"column {name}": Column(name) for name in needed},
        data_delay=rules.data_delay,
        knowledge=rules.knowledge,
    )
    facts = read_facts(engine, scan, wanted)
    if not features:
        return SequenceRows(facts.rows, facts.row_id, {})
    run = replay(facts.rows, look_back(features))
    emitted = np.flatnonzero(run.emit)
    stage = Stage(engine, run.segment, run.origin, _taken(facts, run, needed))
    kept = None if emitted.size == run.row.size else pa.array(emitted)
    columns = {
        name: column if kept is None else whole(column.take(kept))
        for name, column in stage.values(features).items()
    }
    rows = _emitted(facts.rows, run, emitted)
    return SequenceRows(rows, facts.row_id[run.row[emitted]], columns)


def _taken(facts: Facts, run: Replay, names: Sequence[str]) -> dict[str, pa.Array]:
    """The source's columns of the rows that the entries of a replay stand for."""
    rows = pa.array(run.row)
    return {name: whole(facts.columns[f"column {name}"].take(rows)) for name in names}


def _emitted(rows: Rows, run: Replay, emitted: Ints) -> Rows:
    """The rows of a replay as facts: a replayed row is a new version of itself."""
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
