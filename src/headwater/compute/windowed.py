"""Windowed features: aggregates over [t - W, t), then the expression around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import flags
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.kernels.rows import Aggregation, Frame, Queries
from headwater.compute.kernels.windows import aggregate
from headwater.compute.paired import PairedLeaf, paired, paired_columns
from headwater.compute.progress import OnShare
from headwater.compute.results import ORDERED, Arguments, aggregation, to_arrow_column
from headwater.compute.values import Asked, Rules, Values, evaluate, nulled
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Node
from headwater.expressions.tree import Column as ColumnNode
from headwater.expressions.walk import replace, uses

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Leaf:
    """One aggregate over one frame: its output's name and the columns that it needs.

    `feature` is the first that holds it, for errors.
    """

    name: str
    node: Aggregate
    frame: Frame
    args: tuple[str, ...]
    where: str | None
    feature: str


@dataclass
class Leaves:
    """The distinct aggregates of some expressions, and the row-level expressions under them.

    `paired` are those that depend on the time at which a row is seen.
    """

    plain: list[Leaf] = field(default_factory=list)
    paired: list[PairedLeaf] = field(default_factory=list)
    columns: dict[str, Node] = field(default_factory=dict)
    _names: dict[tuple[str, Frame], str] = field(default_factory=dict)
    _aliases: dict[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> Iterator[Aggregate]:
        yield from (leaf.node for leaf in self.plain)
        yield from (leaf.node for leaf in self.paired)

    def add(self, node: Aggregate, frame: Frame, feature: str) -> str:
        """The name of the column that will hold the aggregate's values."""
        key = (canonical(node), frame)
        if key not in self._names:
            name = self._names[key] = f"aggregate {len(self._names)}"
            if uses(node, "as_of"):
                self.paired.append(paired(name, node, frame, feature, self._column))
            else:
                args = tuple(self._column(arg) for arg in node.args)
                where = self._column(node.where) if node.where is not None else None
                self.plain.append(Leaf(name, node, frame, args, where, feature))
        return self._names[key]

    def _column(self, node: Node) -> str:
        text = canonical(node)
        if text not in self._aliases:
            self._aliases[text] = f"column {len(self._aliases)}"
            self.columns[self._aliases[text]] = node
        return self._aliases[text]

    def outer(self, feature: AnalyzedFeature) -> Node:
        """The expression with each aggregate replaced by the column that holds it."""
        if feature.tree is None:
            raise ComputeError(f"feature '{feature.name}': a windowed feature has no expression")
        frame = frame_of(feature)

        def named(node: Node) -> Node | None:
            if not isinstance(node, Aggregate):
                return None
            return ColumnNode(self.add(node, frame, feature.name))

        return replace(feature.tree, named)


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
    *,
    on_share: OnShare = lambda _: None,
) -> Values:
    """The values of windowed features at (key, time). `on_share` hears how much of them is done,
    where that takes time.

    A query whose key is -1 (a null part) has no value; any other has at least that of the empty
    window.
    """
    leaves = Leaves()
    trees = {f.name: leaves.outer(f) for f in features}
    counts = [leaves.add(Aggregate("count"), frame_of(f), f.name) for f in features if rules.live]
    needs_order = any(node.name in ORDERED for node in leaves.nodes)
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
    columns = _aggregated(facts, asked.queries, leaves.plain)
    if leaves.paired:
        columns |= paired_columns(engine, facts, asked.queries, leaves.paired, on_share)
    found = asked.queries.key >= 0
    if rules.live:
        found &= np.any([columns[name].to_numpy() > 0 for name in counts], axis=0)
    computed = evaluate(engine, trees, columns, asked.times.size, as_of=asked.times)
    values = {name: nulled(column, found) for name, column in computed.items()}
    return Values(values, asked.times, asked.times, found)


def _bounds(times: Ints) -> tuple[int, int]:
    return (int(times.min()), int(times.max())) if times.size else (0, 0)


def _aggregated(facts: Facts, queries: Queries, leaves: Sequence[Leaf]) -> dict[str, pa.Array]:
    given = Arguments(facts.columns.__getitem__)
    masks = {name: flags(facts.columns[name]) for name in {x.where for x in leaves if x.where}}
    by_frame: dict[Frame, list[Leaf]] = {}
    for leaf in leaves:
        by_frame.setdefault(leaf.frame, []).append(leaf)

    def wanted(leaf: Leaf) -> Aggregation:
        arguments = [given.of(leaf.node.name, arg) for arg in leaf.args]
        return aggregation(leaf.node, arguments, masks.get(leaf.where or ""), leaf.feature)

    frames = [(frame, [wanted(leaf) for leaf in members]) for frame, members in by_frame.items()]
    results = aggregate(facts.rows, queries, frames)
    found: dict[str, pa.Array] = {}
    for members, columns in zip(by_frame.values(), results, strict=True):
        for leaf, result in zip(members, columns, strict=True):
            first = leaf.args[0] if leaf.args else None
            source = None if first is None else facts.columns[first]
            argument = None if first is None else given.of(leaf.node.name, first)
            found[leaf.name] = to_arrow_column(leaf.node, result, argument, source)
    return found
