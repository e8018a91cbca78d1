"""Sequence features: functions of a row and its predecessors, read as lookups (C7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import encode, flags
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.functions import call
from headwater.compute.kernels.asof import last_row
from headwater.compute.kernels.rows import Rows
from headwater.compute.kernels.sequence import Replay, frame, lag, replay, smooth
from headwater.compute.values import Asked, Rules, Values, evaluate, nulled, whole
from headwater.compute.windowed import aggregation, to_arrow_column
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.functions import SEQUENCE_FUNCTIONS
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Call, Column, Literal, Node
from headwater.expressions.walk import children, replace

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
    stage = _Stage.of(engine, facts, run, needed)
    kept = pa.array(emitted)
    columns = {f.name: whole(stage.feature(f).take(kept)) for f in features}
    rows = _emitted(facts.rows, run, emitted)
    return SequenceRows(rows, facts.row_id[run.row[emitted]], columns)


def look_back(features: Sequence[AnalyzedFeature]) -> int | None:
    """How many rows before a changed one its new value may depend on; None is all of them.

    A smoothed value carries its state on, so it looks back no further than its argument.
    """
    furthest = 0
    for feature in features:
        if feature.tree is None:
            return None
        rows = feature.feature.rows or 1
        furthest = max(furthest, rows - 1, _look_back(feature.tree, rows))
    return furthest


def _look_back(node: Node, rows: int) -> int:
    inner = max((_look_back(child, rows) for child in children(node)), default=0)
    if isinstance(node, Aggregate):
        return rows - 1 + inner
    if isinstance(node, Call) and node.name == "lag":
        return _constant(node, 1, 1) + inner
    return inner


def _emitted(rows: Rows, run: Replay, emitted: Ints) -> Rows:
    """The rows of a replay as facts: a replayed row is a new version of itself."""
    row, known = run.row[emitted], run.available_at[emitted]
    key, event_time = rows.key[row], rows.event_time[row]
    if emitted.size == np.unique(row).size and rows.fact is None:
        return Rows(key, event_time, known, rows.order[row], None)
    identity = row + 0
    if rows.fact is not None:
        identity = np.where(rows.fact[row] >= 0, rows.fact[row] + rows.key.size, row)
    order = np.empty(row.size, dtype=np.int64)
    order[np.lexsort((known, rows.order[row], key))] = np.arange(row.size)
    return Rows(key, event_time, known, order, identity)


@dataclass(frozen=True)
class _Stage:
    """The rows of a replay, segment by segment, and the columns computed so far."""

    engine: DuckDBEngine
    segment: Ints
    origin: Ints
    ordinal: Ints
    columns: dict[str, pa.Array]

    @classmethod
    def of(cls, engine: DuckDBEngine, facts: Facts, run: Replay, names: Sequence[str]) -> _Stage:
        rows = pa.array(run.row)
        columns = {name: whole(facts.columns[f"column {name}"].take(rows)) for name in names}
        return cls(engine, run.segment, run.origin, _ordinal(run.segment), columns)

    def feature(self, feature: AnalyzedFeature) -> pa.Array:
        """The feature's values, one a replayed row."""
        least = feature.feature.min_rows or feature.feature.rows or 1
        if feature.tree is None:
            value = self._function(feature)
        else:
            value = self._tree(feature, feature.tree)
        return nulled(value, self.ordinal + 1 >= least)

    def _tree(self, feature: AnalyzedFeature, tree: Node) -> pa.Array:
        """Innermost framed parts first: each becomes a column, until a scalar is left."""
        while (inner := _innermost(tree)) is not None:
            frame_of = (feature.feature.rows, feature.feature.min_rows or feature.feature.rows)
            name = f"part {canonical(inner)} over {frame_of}"
            if name not in self.columns:
                self.columns[name] = self._part(feature, inner)
            tree = _put(tree, inner, Column(name))
        return self._scalar(feature.name, tree)

    def _scalar(self, name: str, tree: Node) -> pa.Array:
        return evaluate(self.engine, {name: tree}, self.columns, self.segment.size)[name]

    def _part(self, feature: AnalyzedFeature, node: Node) -> pa.Array:
        if isinstance(node, Aggregate):
            return self._aggregate(feature, node)
        if not isinstance(node, Call):
            raise ComputeError(f"feature '{feature.name}': {canonical(node)} has no frame")
        column = pa.chunked_array([self._scalar(feature.name, node.args[0])])
        if node.name == "lag":
            return self._lag(node, column)
        encoded = encode(column)
        size = _constant(node, 1, None)
        alpha = 2 / (size + 1) if node.name == "ema" else 1 / size
        values = encoded.values.astype(np.float64)
        found = smooth(self.segment, values, encoded.valid, size, alpha, origin=self.origin)
        return pa.array(found.values, mask=None if found.valid is None else ~found.valid)

    def _lag(self, node: Call, column: pa.ChunkedArray) -> pa.Array:
        rows = np.arange(self.segment.size, dtype=np.int64)
        found = lag(self.segment, rows, None, _constant(node, 1, 1))
        mask = None if found.valid is None else ~found.valid
        return whole(column.take(pa.array(found.values, pa.int64(), mask=mask)))

    def _aggregate(self, feature: AnalyzedFeature, node: Aggregate) -> pa.Array:
        source = encoded = where = None
        if node.args:
            source = pa.chunked_array([self._scalar(feature.name, node.args[0])])
            encoded = encode(source)
        if node.where is not None:
            where = flags(pa.chunked_array([self._scalar(feature.name, node.where)]))
        rows = feature.feature.rows
        if rows is None:
            raise ComputeError(f"feature '{feature.name}': an aggregate needs rows=")
        result = frame(
            self.segment,
            aggregation(node, encoded, where, feature.name),
            rows,
            feature.feature.min_rows or rows,
        )
        return to_arrow_column(node, result, encoded, source)

    def _function(self, feature: AnalyzedFeature) -> pa.Array:
        ends = np.flatnonzero(np.append(self.segment[1:] != self.segment[:-1], True))
        starts = np.append(0, ends[:-1] + 1)
        if self.segment.size == 0:
            return call(feature, self.columns, 0)
        parts = []
        for start, end in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
            part = {name: self.columns[name].slice(start, end - start) for name in feature.columns}
            parts.append(call(feature, part, end - start))
        return pa.concat_arrays(parts)


def _put(tree: Node, part: Node, column: Column) -> Node:
    return replace(tree, lambda node: column if node == part else None)


def _ordinal(segment: Ints) -> Ints:
    """The position of each row within its segment, from 0."""
    index = np.arange(segment.size, dtype=np.int64)
    starts = np.append(True, segment[1:] != segment[:-1]) if segment.size else np.array([], bool)
    return index - np.maximum.accumulate(np.where(starts, index, 0)) if segment.size else index


def _innermost(tree: Node) -> Node | None:
    """A framed part that holds no other framed part."""
    for child in children(tree):
        found = _innermost(child)
        if found is not None:
            return found
    framed = isinstance(tree, Aggregate) or (
        isinstance(tree, Call) and tree.name in SEQUENCE_FUNCTIONS
    )
    return tree if framed else None


def _constant(node: Call, position: int, default: int | None) -> int:
    """An argument that must be a whole number above zero, as in ema(x, 12)."""
    if len(node.args) <= position and default is not None:
        return default
    found = node.args[position]
    value = found.value if isinstance(found, Literal) else None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ComputeError(f"function '{node.name}': argument {position + 1} must be 1 or more")
    return value
