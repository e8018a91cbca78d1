"""Expressions over a row and its predecessors: frames, lags and smoothings, from inside out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import Encoded, flags, masked
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.functions import call
from headwater.compute.kernels.rows import Aggregation
from headwater.compute.kernels.sequence import frame, lag, smooth, weighted
from headwater.compute.results import Arguments, aggregation, to_arrow_column
from headwater.compute.values import evaluate, nulled, whole
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Call, Column, Literal, Node, Over
from headwater.expressions.walk import children, columns_of, is_sequence_call, replace, uses

Ints = NDArray[np.int64]
Frame = tuple[int | None, int]


@dataclass(frozen=True)
class Part:
    """An aggregate over its frame (rows, and how many there must be), or a sequence call.

    `name` is that of its column, `feature` the first that holds it, for errors.
    """

    name: str
    feature: str
    node: Aggregate | Call
    frame: Frame | None

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The row-level expressions that it works on."""
        return children(self.node) if isinstance(self.node, Aggregate) else self.node.args[:1]


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
    _inputs: dict[str, pa.Array] = field(default_factory=dict)
    _given: Arguments = field(init=False)
    _count: int = 0

    def values(self, features: Sequence[AnalyzedFeature]) -> dict[str, pa.Array]:
        """The values of each feature, one an entry.

        All framed parts that hold no others are computed together, then those around them, until
        scalar expressions are left: what features share is computed once.
        """
        computed = {f.name: self._function(f) for f in features if f.tree is None}
        trees = {f.name: f.tree for f in features if f.tree is not None}
        frames = {f.name: _frame_of(f) for f in features}
        while parts := self._next(trees, frames):
            self._compute(parts)
            needed = {name for tree in trees.values() for name in columns_of(tree)}
            self.columns = {n: c for n, c in self.columns.items() if n in needed}
        computed |= self._scalars({name: (name, tree) for name, tree in trees.items()})
        least = {f.name: f.feature.min_rows or f.feature.rows or 1 for f in features}
        ordinal = _ordinal(self.segment)
        full = {number: ordinal >= number for number in {*least.values()} - {1}}
        return {
            name: column if least[name] == 1 else nulled(column, full[least[name]])
            for name, column in computed.items()
        }

    def _next(self, trees: dict[str, Node], frames: Mapping[str, Frame]) -> list[Part]:
        """The innermost parts of the trees, each of which becomes a column there."""
        found: dict[tuple[Aggregate | Call, Frame | None], Part] = {}
        for name, tree in trees.items():
            places: dict[Node, Node] = {}
            for node in _innermost(tree):
                framed = _with_frame(name, node, frames[name])
                if framed not in found:
                    found[framed] = Part(f"#part {self._count}", name, *framed)
                    self._count += 1
                places[node] = Column(found[framed].name)
            trees[name] = replace(tree, places.get)
        return list(found.values())

    def _compute(self, parts: Sequence[Part]) -> None:
        inputs = {canonical(node): (part.feature, node) for part in parts for node in part.inputs}
        self._inputs = self._scalars(inputs)
        self._given = Arguments(lambda name: pa.chunked_array([self._inputs[name]]))
        framed: dict[Frame, list[Part]] = {}
        for part in parts:
            if part.frame is None:
                self.columns[part.name] = self._sequence(part)
            else:
                framed.setdefault(part.frame, []).append(part)
        for (rows, least), members in framed.items():
            asked = [self._aggregation(part) for part in members]
            results = frame(self.segment, asked, rows, least)
            for part, result in zip(members, results, strict=True):
                source, encoded = self._argument(part)
                node = part.node
                if isinstance(node, Aggregate):
                    self.columns[part.name] = to_arrow_column(node, result, encoded, source)

    def _scalars(self, trees: Mapping[str, tuple[str, Node]]) -> dict[str, pa.Array]:
        """Scalar expressions by name, each with the feature that an error names."""
        nodes = {name: node for name, (_, node) in trees.items()}
        size = self.segment.size
        try:
            return evaluate(self.engine, nodes, self.columns, size)
        except ComputeError:
            for feature, node in trees.values():
                evaluate(self.engine, {feature: node}, self.columns, size)
            raise

    def _argument(self, part: Part) -> tuple[pa.ChunkedArray | None, Encoded | None]:
        if not part.node.args:
            return None, None
        first = canonical(part.node.args[0])
        return pa.chunked_array([self._inputs[first]]), self._given.of(part.node.name, first)

    def _aggregation(self, part: Part) -> Aggregation:
        node = part.node
        if not isinstance(node, Aggregate):
            raise ComputeError(f"feature '{part.feature}': {canonical(node)} has no frame")
        where = None
        if node.where is not None:
            where = flags(pa.chunked_array([self._inputs[canonical(node.where)]]))
        arguments = [self._given.of(node.name, canonical(arg)) for arg in node.args]
        return aggregation(node, arguments, where, part.feature)

    def _sequence(self, part: Part) -> pa.Array:
        node = part.node
        size = _constant(part.node)
        if node.name == "lag":
            rows = np.arange(self.segment.size, dtype=np.int64)
            found = lag(self.segment, rows, None, size)
            mask = None if found.valid is None else ~found.valid
            column = self._inputs[canonical(node.args[0])]
            return whole(column.take(pa.array(found.values, pa.int64(), mask=mask)))
        encoded = self._given.of(node.name, canonical(node.args[0]))
        values = encoded.values.astype(np.float64)
        if node.name == "wma":
            found = weighted(self.segment, values, encoded.valid, size)
        else:
            alpha = 2 / (size + 1) if node.name == "ema" else 1 / size
            found = smooth(self.segment, values, encoded.valid, size, alpha, origin=self.origin)
        return masked(found.values, found.valid)

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


def look_back(features: Sequence[AnalyzedFeature]) -> int | None:
    """How many rows before a changed one its new value may depend on; None is all of them.

    A smoothed value carries its state on, so it looks back no further than its argument.
    """
    furthest = 0
    for feature in features:
        reach = None if feature.tree is None else _look_back(feature.tree, _frame_of(feature))
        if reach is None:
            return None
        furthest = max(furthest, (feature.feature.rows or 1) - 1, reach)
    return furthest


def rows_read(feature: AnalyzedFeature) -> int | None:
    """How many last rows a feature's value is made of; None is all rows up to its own."""
    tree = feature.tree
    if tree is None or uses(tree, "ema") or uses(tree, "wilder"):
        return None
    reach = look_back([feature])
    return None if reach is None else reach + 1


def _look_back(node: Node, frame_: Frame) -> int | None:
    below = [_look_back(child, frame_) for child in children(node)]
    own: int | None = 0
    if isinstance(node, Aggregate):
        own = None if frame_[0] is None else frame_[0] - 1
    elif isinstance(node, Over):
        own = None if node.rows is None else node.rows - 1
    elif isinstance(node, Call) and node.name in ("lag", "wma"):
        own = _constant(node) - (node.name == "wma")
    if own is None or None in below:
        return None
    return own + max((reach for reach in below if reach is not None), default=0)


def _frame_of(feature: AnalyzedFeature) -> Frame:
    rows = feature.feature.rows
    return rows, feature.feature.min_rows or rows or 1


def _with_frame(feature: str, node: Node, frame_: Frame) -> tuple[Aggregate | Call, Frame | None]:
    if isinstance(node, Over):
        return node.aggregate, (node.rows, 1)
    if isinstance(node, Aggregate):
        return node, frame_
    if isinstance(node, Call):
        return node, None
    raise ComputeError(f"feature '{feature}': {canonical(node)} has no frame")


def _innermost(tree: Node) -> Iterator[Node]:
    """The framed parts that hold no other framed part."""
    below = [part for child in children(tree) for part in _innermost(child)]
    if below:
        yield from below
    elif isinstance(tree, Aggregate) or is_sequence_call(tree):
        yield tree


def _ordinal(segment: Ints) -> Ints:
    """The position of each entry within its segment, from 1."""
    index = np.arange(segment.size, dtype=np.int64)
    if not segment.size:
        return index
    starts = np.append(True, segment[1:] != segment[:-1])
    return index - np.maximum.accumulate(np.where(starts, index, 0)) + 1


def _constant(node: Node) -> int:
    """The number of rows of a sequence call, as in ema(x, 12)."""
    found = node.args[1] if isinstance(node, Call) else None
    if not isinstance(found, Literal) or not isinstance(found.value, int):
        raise ComputeError(f"{canonical(node)}: the number of rows should be a constant")
    return found.value
