"""Walks over the tree: children, columns, aggregates, sequence calls, replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headwater.expressions.functions import SEQUENCE_FUNCTIONS
from headwater.expressions.tree import Aggregate, Call, Case, Cast, Column, Literal, Node


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below, in the order in which they are written."""
    match node:
        case Literal() | Column():
            return ()
        case Call():
            return node.args
        case Cast():
            return (node.arg,)
        case Case():
            pairs = [part for branch in node.branches for part in branch]
            return (*pairs, *(() if node.otherwise is None else (node.otherwise,)))
        case Aggregate():
            return (*node.args, *(() if node.where is None else (node.where,)))


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
    """The distinct aggregates, in the order of their first occurrence."""
    found = (part for part in walk(node) if isinstance(part, Aggregate))
    return tuple(dict.fromkeys(found))


def sequence_calls_of(node: Node) -> tuple[Call, ...]:
    """The distinct calls of lag, ema and wilder, an outer one before those inside it."""
    found = (
        part for part in walk(node) if isinstance(part, Call) and part.name in SEQUENCE_FUNCTIONS
    )
    return tuple(dict.fromkeys(found))


def uses(node: Node, name: str) -> bool:
    """Whether a function of that canonical name is called anywhere."""
    return any(isinstance(part, Call | Aggregate) and part.name == name for part in walk(node))


def with_children(node: Node, parts: tuple[Node, ...]) -> Node:
    """The same node over other children, given in the order of `children`."""
    match node:
        case Literal() | Column():
            return node
        case Call():
            return Call(node.name, parts)
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
