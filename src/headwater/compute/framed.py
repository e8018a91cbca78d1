"""Expressions over a row and its predecessors: frames, lags and smoothings, from inside out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import Encoded, flags, masked
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.functions import call
from headwater.compute.kernels.rows import Aggregation
from headwater.compute.kernels.sequence import frame, lag, smooth, weighted
from headwater.compute.parts import Frame, Part, Program, alpha, constant, least_rows
from headwater.compute.results import Arguments, aggregation, to_arrow_column
from headwater.compute.values import evaluate, nulled, whole
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Node

Ints = NDArray[np.int64]


@dataclass
class Framing:
    """Parts over entries, segment by segment; `inputs` are their arguments by canonical text.

    With `origin` the entries are those of a Replay.
    """

    segment: Ints
    inputs: Mapping[str, pa.Array]
    origin: Ints | None = None
    _given: Arguments = field(init=False)

    def __post_init__(self) -> None:
        self._given = Arguments(lambda text: pa.chunked_array([self.inputs[text]]))

    def columns(self, parts: Sequence[Part]) -> dict[str, pa.Array]:
        """The values of each part, one an entry, by its name."""
        found = {part.name: self._sequence(part) for part in parts if part.frame is None}
        framed: dict[Frame, list[Part]] = {}
        for part in parts:
            if part.frame is not None:
                framed.setdefault(part.frame, []).append(part)
        for (rows, least), members in framed.items():
            asked = [self._aggregation(part) for part in members]
            results = frame(self.segment, asked, rows, least)
            for part, result in zip(members, results, strict=True):
                source, encoded = self._argument(part)
                node = part.node
                if isinstance(node, Aggregate):
                    found[part.name] = to_arrow_column(node, result, encoded, source)
        return found

    def taking_part(self, part: Part) -> NDArray[np.bool_] | None:
        """Which entries an aggregate looks at: those that pass FILTER, and are not null where
        nulls do not count. None is all.
        """
        return self._aggregation(part).valid

    def _argument(self, part: Part) -> tuple[pa.ChunkedArray | None, Encoded | None]:
        if not part.node.args:
            return None, None
        first = canonical(part.node.args[0])
        return pa.chunked_array([self.inputs[first]]), self._given.of(part.node.name, first)

    def _aggregation(self, part: Part) -> Aggregation:
        node = part.node
        if not isinstance(node, Aggregate):
            raise ComputeError(f"feature '{part.feature}': {canonical(node)} has no frame")
        where = None
        if node.where is not None:
            where = flags(pa.chunked_array([self.inputs[canonical(node.where)]]))
        arguments = [self._given.of(node.name, canonical(arg)) for arg in node.args]
        return aggregation(node, arguments, where, part.feature)

    def _sequence(self, part: Part) -> pa.Array:
        node = part.node
        size = constant(part.node)
        if node.name == "lag":
            rows = np.arange(self.segment.size, dtype=np.int64)
            found = lag(self.segment, rows, None, size)
            mask = None if found.valid is None else ~found.valid
            column = self.inputs[canonical(node.args[0])]
            return whole(column.take(pa.array(found.values, pa.int64(), mask=mask)))
        encoded = self._given.of(node.name, canonical(node.args[0]))
        values = encoded.values.astype(np.float64)
        if node.name == "wma":
            found = weighted(self.segment, values, encoded.valid, size)
        else:
            weight = alpha(node)
            found = smooth(self.segment, values, encoded.valid, size, weight, origin=self.origin)
        return masked(found.values, found.valid)


@dataclass
class Stage:
    """Entries of a replay, segment by segment, and their columns.

    `columns` holds the source's columns; parts join them while they are needed, under names that
    no user has.
    """

    engine: DuckDBEngine
    segment: Ints
    origin: Ints
    columns: dict[str, pa.Array]

    def values(self, features: Sequence[AnalyzedFeature]) -> dict[str, pa.Array]:
        """The values of each feature, one an entry.

        All framed parts that hold no others are computed together, then those around them, until
        scalar expressions are left: what features share is computed once.
        """
        computed = {f.name: self._function(f) for f in features if f.tree is None}
        program = Program.of(features)
        for level in program.levels:
            inputs = scalars(self.engine, inputs_of(level.parts), self.columns, self.segment.size)
            self.columns.update(Framing(self.segment, inputs, self.origin).columns(level.parts))
            self.columns = {n: c for n, c in self.columns.items() if n in level.needed}
        outer = {name: (name, tree) for name, tree in program.outer.items()}
        computed |= scalars(self.engine, outer, self.columns, self.segment.size)
        ordinal = ordinals(self.segment)
        return {f.name: nulled(computed[f.name], ordinal >= least_rows(f)) for f in features}

    def _function(self, feature: AnalyzedFeature) -> pa.Array:
        ends = np.flatnonzero(np.append(self.segment[1:] != self.segment[:-1], True))
        starts = np.append(0, ends[:-1] + 1)
        if self.segment.size == 0:
            return call(self.engine, feature, self.columns, 0)
        parts = []
        for start, end in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
            part = {name: self.columns[name].slice(start, end - start) for name in feature.columns}
            parts.append(call(self.engine, feature, part, end - start))
        return pa.concat_arrays(parts)


def inputs_of(parts: Sequence[Part]) -> dict[str, tuple[str, Node]]:
    """What parts work on, by canonical text, each with a feature that an error names."""
    return {canonical(node): (part.feature, node) for part in parts for node in part.inputs}


def scalars(
    engine: DuckDBEngine,
    trees: Mapping[str, tuple[str, Node]],
    columns: Mapping[str, pa.Array],
    rows: int,
) -> dict[str, pa.Array]:
    """Scalar expressions by name, each with the feature that an error names."""
    nodes = {name: node for name, (_, node) in trees.items()}
    try:
        return evaluate(engine, nodes, columns, rows)
    except ComputeError:
        for feature, node in trees.values():
            evaluate(engine, {feature: node}, columns, rows)
        raise


def ordinals(segment: Ints) -> Ints:
    """The position of each entry within its segment, from 1."""
    index = np.arange(segment.size, dtype=np.int64)
    if not segment.size:
        return index
    starts = np.append(True, segment[1:] != segment[:-1])
    return index - np.maximum.accumulate(np.where(starts, index, 0)) + 1
