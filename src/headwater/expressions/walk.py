"""Walks over the tree: children, columns, aggregates, sequence calls, replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headwater.expressions.functions import SEQUENCE_FUNCTIONS
from headwater.expressions.tree import (
    Aggregate,
    Call,
    Case,
    Cast,
    Column,
    Literal,
    Node,
    Over,
    Pack,
)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order in which they are written.

    Below an `Over` is what its aggregate works on: aggregate and frame are one.
    """
    match node:
        case Literal() | Column():
            return ()
        case Call():
            return node.args
        case Pack():
            return node.values
        case Cast():
            return (node.arg,)
        case Case():
            pairs = [part for branch in node.branches for part in branch]
            return (*pairs, *(() if node.otherwise is None else (node.otherwise,)))
        case Aggregate():
            return (*node.args, *(() if node.where is None else (node.where,)))
        case Over():
            return children(node.aggregate)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, each before its children."""
    pending = [node]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(reversed(children(found)))


def columns_of(node: Node) -> tuple[str, ...]:
    """The names that are read, sorted, those inside FILTER too."""
    return tuple(sorted({found.name for found in walk(node) if isinstance(found, Column)}))


def aggregates_of(node: Node) -> tuple[Aggregate, ...]:
    """The distinct aggregates without a frame of their own, in the order of their occurrence."""
    found = (part for part in walk(node) if isinstance(part, Aggregate))
    return tuple(dict.fromkeys(found))


def is_sequence_call(node: Node) -> bool:
    """Whether a node is computed from a row and its predecessors: lag and its like, or OVER."""
    return isinstance(node, Over) or (isinstance(node, Call) and node.name in SEQUENCE_FUNCTIONS)


def sequence_calls_of(node: Node) -> tuple[Node, ...]:
    """The distinct parts that need a row's predecessors, an outer one before those inside it."""
    return tuple(dict.fromkeys(filter(is_sequence_call, walk(node))))


def uses(node: Node, name: str) -> bool:
    """Whether a function of that canonical name is called anywhere."""
    named = (part.aggregate if isinstance(part, Over) else part for part in walk(node))
    return any(isinstance(part, Call | Aggregate) and part.name == name for part in named)


def with_children(node: Node, parts: tuple[Node, ...]) -> Node:
    """The same node over other children, given in the order of `children`."""
    match node:
        case Literal() | Column():
            return node
        case Call():
            return Call(node.name, parts)
        case Pack():
            return Pack(node.names, parts)
        case Cast():
            return Cast(parts[0], node.dtype, node.is_try)
        case Case():
            count = 2 * len(node.branches)
            pairs = tuple(zip(parts[:count:2], parts[1:count:2], strict=True))
            return Case(pairs, parts[count] if len(parts) > count else None)
        case Aggregate():
            count = len(node.args)
            where = parts[count] if len(parts) > count else None
            return Aggregate(node.name, parts[:count], node.distinct, where, node.parameters)
        case Over():
            inner = with_children(node.aggregate, parts)
            return Over(inner, node.rows) if isinstance(inner, Aggregate) else node


def replace(node: Node, f: Callable[[Node], Node | None]) -> Node:
    """The tree in which `f` replaced nodes, top-down: None keeps a node and goes on below it.

    What `f` returns is final: it isn't visited again.
    """
    found = f(node)
    if found is not None:
        return found
    before = children(node)
    after = tuple(replace(part, f) for part in before)
    same = all(new is old for new, old in zip(after, before, strict=True))
    return node if same else with_children(node, after)
