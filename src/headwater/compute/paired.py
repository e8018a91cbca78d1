"""Aggregates whose argument or FILTER holds as_of(): evaluated for every pair of a row and a time.

Their cost is the number of rows in all the windows together, where other aggregates take one step
a row, whatever the windows. Memory stays bounded: some windows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from headwater.compute.arrays import flags
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.facts import Facts
from headwater.compute.kernels.expansion import Expansion, Pairs
from headwater.compute.kernels.measures import answers
from headwater.compute.kernels.rows import Aggregation, Frame, Queries
from headwater.compute.progress import OnShare
from headwater.compute.results import Arguments, aggregation, to_arrow_column
from headwater.compute.values import evaluate, whole
from headwater.expressions.functions import SCALAR_FUNCTIONS
from headwater.expressions.tree import Aggregate, Call, Case, Column, Node
from headwater.expressions.walk import children, columns_of, replace, uses, with_children

PAIRS = 1 << 20


@dataclass(frozen=True)
class PairedLeaf:
    """An aggregate over pairs: its output's name, and its argument and FILTER over `columns`.

    `mask` names the column of what FILTER asks of the row alone.
    """

    name: str
    node: Aggregate
    frame: Frame
    args: tuple[Node, ...]
    where: Node | None
    mask: str | None
    feature: str

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the rows that the pairs need."""
        given = (*self.args, *(() if self.where is None else (self.where,)))
        return frozenset(name for node in given for name in columns_of(node))


def paired(
    name: str, node: Aggregate, frame: Frame, feature: str, column: Callable[[Node], str]
) -> PairedLeaf:
    """The leaf of an aggregate; `column` takes what a row alone decides, and names its column."""
    of_rows, of_pairs = _conditions(node.where)
    mask = None if of_rows is None else column(of_rows)
    where = None if of_pairs is None else _hoisted(of_pairs, column)
    args = tuple(_hoisted(arg, column) for arg in node.args)
    return PairedLeaf(name, node, frame, args, where, mask, feature)


def _conditions(where: Node | None) -> tuple[Node | None, Node | None]:
    """FILTER in two parts that must both be true: without as_of(), and with it."""
    if where is None:
        return None, None
    parts = where.args if isinstance(where, Call) and where.name == "and" else (where,)
    late = tuple(part for part in parts if uses(part, "as_of"))
    early = tuple(part for part in parts if not uses(part, "as_of"))
    return _all(early), _all(late)


def _all(parts: tuple[Node, ...]) -> Node | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Call("and", parts)


def _hoisted(node: Node, column: Callable[[Node], str]) -> Node:
    """The expression with columns for what a row alone decides, so it is computed once a row.

    What a condition may leave out stays where it is, since it may fail.
    """
    if not uses(node, "as_of") and columns_of(node):
        return Column(column(node))
    if isinstance(node, Case) or (
        isinstance(node, Call) and node.name in SCALAR_FUNCTIONS and _is_lazy(node)
    ):
        return replace(node, lambda n: Column(column(n)) if isinstance(n, Column) else None)
    return with_children(node, tuple(_hoisted(part, column) for part in children(node)))


def _is_lazy(node: Call) -> bool:
    return SCALAR_FUNCTIONS[node.name].build is not None


def paired_columns(
    engine: DuckDBEngine,
    facts: Facts,
    queries: Queries,
    leaves: Sequence[PairedLeaf],
    on_share: OnShare,
) -> dict[str, pa.Array]:
    """The value of each leaf at each query. `on_share` hears how much of all pairs is done."""
    groups: dict[tuple[Frame, str | None], list[PairedLeaf]] = {}
    for leaf in leaves:
        groups.setdefault((leaf.frame, leaf.mask), []).append(leaf)
    work = [(_expansion(facts, queries, *group), members) for group, members in groups.items()]
    total = max(1, sum(int(expansion.counts.sum()) for expansion, _ in work))
    done, found = 0, {}
    for expansion, members in work:
        names = sorted({name for leaf in members for name in leaf.columns})
        rows = {name: whole(facts.columns[name]) for name in names}
        parts: dict[str, list[pa.Array]] = {leaf.name: [] for leaf in members}
        for pairs in expansion.parts(PAIRS):
            for name, column in _part(engine, rows, pairs, members).items():
                parts[name].append(column)
            done += len(pairs.row)
            on_share(done / total)
        place = pa.array(expansion.place)
        for name, columns in parts.items():
            found[name] = pa.concat_arrays(columns).take(place)
    return found


def _expansion(facts: Facts, queries: Queries, frame: Frame, mask: str | None) -> Expansion:
    valid = None if mask is None else flags(facts.columns[mask])
    return Expansion.of(facts.rows, queries, frame, valid)


def _part(
    engine: DuckDBEngine,
    rows: Mapping[str, pa.Array],
    pairs: Pairs,
    leaves: Sequence[PairedLeaf],
) -> dict[str, pa.Array]:
    """The values of the leaves over the windows of some pairs, from columns of the rows."""
    row = pa.array(pairs.row)
    columns = {name: column.take(row) for name, column in rows.items()}
    nodes = dict.fromkeys(n for leaf in leaves for n in (*leaf.args, leaf.where) if n is not None)
    trees = {f"value {place}": node for place, node in enumerate(nodes)}
    computed = evaluate(engine, trees, columns, len(pairs.row), as_of=pairs.time)
    values = {node: pa.chunked_array([computed[name]]) for name, node in trees.items()}
    given = Arguments(values.__getitem__)

    def wanted(leaf: PairedLeaf) -> Aggregation:
        where = None if leaf.where is None else flags(values[leaf.where])
        arguments = [given.of(leaf.node.name, arg) for arg in leaf.args]
        return aggregation(leaf.node, arguments, where, leaf.feature)

    asked = [wanted(leaf) for leaf in leaves]
    found = {}
    for leaf, result in zip(leaves, answers(pairs.seen, asked), strict=True):
        first = leaf.args[0] if leaf.args else None
        source = None if first is None else values[first]
        argument = None if first is None else given.of(leaf.node.name, first)
        found[leaf.name] = to_arrow_column(leaf.node, result, argument, source)
    return found
