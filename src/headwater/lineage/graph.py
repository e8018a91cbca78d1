"""A graph of what values pass through, from columns of tables to models."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

NodeKind = Literal["table", "source", "column", "feature", "service", "model"]
T = TypeVar("T", bound=Hashable)
Direction = Literal["up", "down", "both"]


@dataclass(frozen=True)
class Node:
    """Something that values pass through; a column's name is `source.column`.

    `version` and `status` are those of a feature; one that nothing is registered under is
    `unresolved`.
    """

    kind: NodeKind
    name: str
    version: str | None = None
    status: str | None = None

    @cached_property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Edge:
    """From what is read to what reads it, by their ids; `labels` says as what."""

    start: str
    end: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A part of a project's lineage; `starts` are the ids from which it was walked."""

    starts: tuple[str, ...]
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]

    def above(self) -> dict[str, list[Edge]]:
        """The edges that lead to each node."""
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.end, []).append(edge)
        return found

    def below(self) -> dict[str, list[Edge]]:
        """The edges that lead from each node."""
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.start, []).append(edge)
        return found


class Drawing:
    """A graph while it is put together; a node or edge that comes again is the same."""

    def __init__(self, starts: Iterable[Node]) -> None:
        self._nodes = {node.id: node for node in starts}
        self._starts = tuple(self._nodes)
        self._edges: dict[tuple[str, str], Edge] = {}

    def edge(self, start: Node, end: Node, labels: tuple[str, ...] = ()) -> None:
        place = start.id, end.id
        for name, node in zip(place, (start, end), strict=True):
            self._nodes.setdefault(name, node)
        known = self._edges.get(place)
        if known is None:
            self._edges[place] = Edge(*place, labels)
        elif known.labels != labels:
            told = dict.fromkeys((*known.labels, *labels))
            self._edges[place] = Edge(*place, tuple(told))

    def graph(self) -> Graph:
        return Graph(self._starts, self._nodes, tuple(self._edges.values()))


def reach(
    starts: Iterable[T],
    step: Callable[[T], Iterable[T]],
    depth: int | None = None,
    met: Callable[[T, T], None] = lambda _one, _next: None,
) -> list[T]:
    """What is reached in `depth` steps at the most, the nearest first, the starts among them.

    Level by level, without recursion: a chain may be longer than Python's stack. `met` is told
    of each step that was gone.
    """
    seen = dict.fromkeys(starts)
    level, gone = list(seen), 0
    while level and (depth is None or gone < depth):
        following: dict[T, None] = {}
        for one in level:
            for other in step(one):
                met(one, other)
                if other not in seen:
                    following[other] = None
        seen.update(following)
        level, gone = list(following), gone + 1
    return list(seen)
