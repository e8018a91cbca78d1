"""Windowed features: aggregates over [t - W, t), then the expression around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import Encoded, encode, flags, masked, rows_of
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.kernels.rows import Aggregation, Column, Frame, Lists, Queries
from headwater.compute.kernels.windows import aggregate
from headwater.compute.values import Asked, Rules, Values, evaluate, nulled, whole
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Node
from headwater.expressions.tree import Column as ColumnNode
from headwater.expressions.walk import aggregates_of, replace

Ints = NDArray[np.int64]
ROW_RESULTS = ("first", "last")
KEEP_NULLS = frozenset({"first", "last", "last_k"})


@dataclass(frozen=True)
class Leaf:
    """One aggregate over one frame: its output's name and the columns that it needs."""

    name: str
    node: Aggregate
    frame: Frame
    args: tuple[str, ...]
    where: str | None


@dataclass
class Leaves:
    """The distinct aggregates of some expressions, and the row-level expressions under them."""

    leaves: dict[tuple[str, Frame], Leaf] = field(default_factory=dict)
    columns: dict[str, Node] = field(default_factory=dict)
    _aliases: dict[str, str] = field(default_factory=dict)

    def add(self, node: Aggregate, frame: Frame) -> str:
        """The name of the column that will hold the aggregate's values."""
        key = (canonical(node), frame)
        if key not in self.leaves:
            args = tuple(self._column(arg) for arg in node.args)
            where = self._column(node.where) if node.where is not None else None
            self.leaves[key] = Leaf(f"aggregate {len(self.leaves)}", node, frame, args, where)
        return self.leaves[key].name

    def _column(self, node: Node) -> str:
        text = canonical(node)
        if text not in self._aliases:
            self._aliases[text] = f"column {len(self._aliases)}"
            self.columns[self._aliases[text]] = node
        return self._aliases[text]

    def outer(self, tree: Node, frame: Frame) -> Node:
        """The expression with each aggregate replaced by the column that holds it."""

        def named(node: Node) -> Node | None:
            return ColumnNode(self.add(node, frame)) if isinstance(node, Aggregate) else None

        return replace(tree, named)


def frame_of(feature: AnalyzedFeature) -> Frame:
    """The kernel's frame of a windowed feature."""
    window = feature.feature.window
    size = None if window == "lifetime" or window is None else int(window)
    return Frame(size, feature.feature.offset or 0, feature.feature.tail_hop)


def reach(features: Sequence[AnalyzedFeature]) -> int | None:
    """How far back of t a row can still count, in microseconds; None is for ever."""
    longest = 0
    for feature in features:
        frame = frame_of(feature)
        if frame.size is None:
            return None
        longest = max(longest, frame.size + frame.offset + (frame.tail_hop or 0))
    return longest


def windowed_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    asked: Asked,
    rules: Rules,
) -> Values:
    """The values of windowed features at (key, time).

    A query whose key is -1 (a null part) has no value; any other has at least that of the empty
    window.
    """
    leaves = Leaves()
    trees = {f.name: leaves.outer(_tree(f), frame_of(f)) for f in features}
    counts = [leaves.add(Aggregate("count"), frame_of(f)) for f in features if rules.live]
    needs_order = any(leaf.node.name in KEEP_NULLS for leaf in leaves.leaves.values())
    back = reach(features)
    first, last = _bounds(asked.times)
    facts = read_facts(
        engine,
        scan,
        FactQuery(
            asked.keys,
            latest=last,
            columns=leaves.columns,
            earliest=None if back is None else first - back,
            data_delay=rules.data_delay,
            ordered=needs_order,
            knowledge=rules.knowledge,
        ),
    )
    columns = _aggregated(facts, asked.queries, list(leaves.leaves.values()), _owner(features))
    found = asked.queries.key >= 0
    if rules.live:
        found &= np.any([columns[name].to_numpy() > 0 for name in counts], axis=0)
    computed = evaluate(engine, trees, columns, asked.times.size, as_of=asked.times)
    values = {name: nulled(column, found) for name, column in computed.items()}
    return Values(values, asked.times, asked.times, found)


def _tree(feature: AnalyzedFeature) -> Node:
    if feature.tree is None:
        raise ComputeError(f"feature '{feature.name}': a windowed feature has no expression")
    return feature.tree


def _bounds(times: Ints) -> tuple[int, int]:
    return (int(times.min()), int(times.max())) if times.size else (0, 0)


def _owner(features: Sequence[AnalyzedFeature]) -> dict[str, str]:
    return {canonical(node): f.name for f in features if f.tree for node in aggregates_of(f.tree)}


def _aggregated(
    facts: Facts, queries: Queries, leaves: Sequence[Leaf], owner: dict[str, str]
) -> dict[str, pa.Array]:
    args = {name for leaf in leaves for name in leaf.args}
    encoded = {name: encode(facts.columns[name]) for name in args}
    masks = {name: flags(facts.columns[name]) for name in {x.where for x in leaves if x.where}}
    by_frame: dict[Frame, list[Leaf]] = {}
    for leaf in leaves:
        by_frame.setdefault(leaf.frame, []).append(leaf)

    def wanted(leaf: Leaf) -> Aggregation:
        name = owner.get(canonical(leaf.node), "")
        arguments = [encoded[arg] for arg in leaf.args]
        return aggregation(leaf.node, arguments, masks.get(leaf.where or ""), name)

    frames = [(frame, [wanted(leaf) for leaf in members]) for frame, members in by_frame.items()]
    results = aggregate(facts.rows, queries, frames)
    found: dict[str, pa.Array] = {}
    for members, columns in zip(by_frame.values(), results, strict=True):
        for leaf, result in zip(members, columns, strict=True):
            first = leaf.args[0] if leaf.args else ""
            source, argument = facts.columns.get(first), encoded.get(first)
            found[leaf.name] = to_arrow_column(leaf.node, result, argument, source)
    return found


def aggregation(
    node: Aggregate, arguments: Sequence[Encoded], where: NDArray[np.bool_] | None, feature: str
) -> Aggregation:
    """The kernel's form of an aggregate: nulls and FILTER become one mask.

    `feature` is named in errors.
    """
    name = "count_distinct" if node.name == "count" and node.distinct else node.name
    valid = where
    for argument in arguments:
        if argument.valid is not None and name not in KEEP_NULLS:
            valid = argument.valid if valid is None else valid & argument.valid
    parameter = node.parameters[0] if node.parameters else None
    given = () if name == "count" else tuple(argument.values for argument in arguments)
    values, other = (*given, None, None)[:2]
    if isinstance(parameter, (str, bool)):
        raise ComputeError(f"aggregate '{node.name}': {parameter!r} is no number")
    return Aggregation(name, values, valid, parameter, f"feature '{feature}'", other)


def to_arrow_column(
    node: Aggregate,
    result: Column | Lists,
    argument: Encoded | None,
    source: pa.ChunkedArray | None,
) -> pa.Array:
    """A kernel's result as Arrow: row positions become values, codes become text."""
    if isinstance(result, Lists):
        return _lists(result, source)
    if node.name in ROW_RESULTS and source is not None:
        return rows_of(result, source)
    if node.name in ("min", "max", "quantile_disc") and argument is not None:
        return argument.decode(result.values, result.valid)
    return masked(result.values, result.valid)


def _lists(result: Lists, source: pa.ChunkedArray | None) -> pa.Array:
    if source is None:
        raise ComputeError("aggregate 'last_k' needs an argument")
    values = whole(source.take(pa.array(result.rows)))
    lengths = np.diff(result.offsets)
    lists = pa.ListArray.from_arrays(pa.array(result.offsets.astype(np.int32)), values)
    return nulled(lists, lengths > 0)
