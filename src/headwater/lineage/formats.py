"""Writes a graph: as a tree of text, as plain data, for Mermaid and for Graphviz."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headwater.lineage.graph import Direction, Edge, Graph, Node

_DOT_SHAPES = {
    "table": "cylinder",
    "source": "folder",
    "column": "note",
    "feature": "box",
    "service": "component",
    "model": "ellipse",
}
_MERMAID_SHAPES = {
    "table": ("[(", ")]"),
    "source": ("[/", "/]"),
    "column": ("([", "])"),
    "feature": ("[", "]"),
    "service": ("[[", "]]"),
    "model": ("((", "))"),
}


def to_dict(graph: Graph) -> dict[str, Any]:
    """Nodes and edges, JSON-ready, without what is not set."""
    nodes = []
    for node in graph.nodes.values():
        said = {"id": node.id, "kind": node.kind, "name": node.name}
        told = {"version": node.version, "status": node.status}
        nodes.append({**said, **{key: value for key, value in told.items() if value}})
    edges = [{"from": e.start, "to": e.end, "labels": list(e.labels)} for e in graph.edges]
    return {"starts": list(graph.starts), "nodes": nodes, "edges": edges}


def to_dot(graph: Graph) -> str:
    """The graph in the language of Graphviz."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    for node in graph.nodes.values():
        style = ", style=bold" if node.id in graph.starts else ""
        shape = _DOT_SHAPES[node.kind]
        lines.append(f"  {_dot(node.id)} [label={_dot(label(node))}, shape={shape}{style}];")
    for edge in graph.edges:
        told = f" [label={_dot(', '.join(edge.labels))}]" if edge.labels else ""
        lines.append(f"  {_dot(edge.start)} -> {_dot(edge.end)}{told};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    """A quoted string; in one, Graphviz reads backslashes of its own."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def to_mermaid(graph: Graph) -> str:
    """The graph as a flowchart of Mermaid. Its nodes have numbers: a name may be a word of its."""
    numbers = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for name, node in graph.nodes.items():
        left, right = _MERMAID_SHAPES[node.kind]
        lines.append(f'  {numbers[name]}{left}"{_mermaid(label(node))}"{right}')
    for edge in graph.edges:
        told = f'|"{_mermaid(", ".join(edge.labels))}"|' if edge.labels else ""
        lines.append(f"  {numbers[edge.start]} -->{told} {numbers[edge.end]}")
    lines += [f"  style {numbers[name]} stroke-width:3px" for name in graph.starts]
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """Text inside quotes, with its special letters as numbered entities."""
    return "".join(
        letter if letter.isalnum() or letter in " _.-/,:@()+*=" else f"#{ord(letter)};"
        for letter in text
    )


def label(node: Node) -> str:
    """A node's name, with what has to be said of it."""
    if node.kind in ("service", "model"):
        return f"{node.kind} {node.name}"
    told = [node.version, node.status if node.status != "active" else None]
    return " ".join([node.name, *(part for part in told if part)])


Lead = Callable[[Edge], str]


# --- as a tree ------------------------------------------------------------------------------


def to_tree(graph: Graph, direction: Direction = "both") -> str:
    """Lists for each start, of what it comes from and leads to, indented by distance.

    A feature that was told before ends in `...`, so that no graph grows beyond its nodes and
    edges. Columns stand together, in a line for each source.
    """
    lines: list[str] = []
    ways: list[tuple[str, dict[str, list[Edge]], Lead]] = []
    if direction != "down":
        ways.append(("comes from", graph.above(), _upward))
    if direction != "up":
        ways.append(("leads to", graph.below(), _downward))
    for start in graph.starts:
        for title, edges, lead in ways:
            found = _lines(graph, start, edges, lead)
            nothing = "" if found else " nothing"
            lines += [f"{label(graph.nodes[start])} {title}{nothing or ':'}", *found]
    return "\n".join(lines) + "\n"


def _upward(edge: Edge) -> str:
    return edge.start


def _downward(edge: Edge) -> str:
    return edge.end


def _lines(graph: Graph, start: str, edges: Mapping[str, list[Edge]], lead: Lead) -> list[str]:
    lines: list[str] = []
    seen = {start}
    waiting: list[tuple[str | Edge, int]] = [(line, 1) for line in _next(graph, start, edges, lead)]
    waiting.reverse()
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            lines.append(f"{'  ' * depth}{item}")
            continue
        name = lead(item)
        inner = _next(graph, name, edges, lead)
        more = " ..." if inner and name in seen else ""
        lines.append(f"{'  ' * depth}{label(graph.nodes[name])}{_told(item.labels)}{more}")
        if name not in seen:
            seen.add(name)
            waiting += [(line, depth + 1) for line in reversed(inner)]
    return lines


def _next(graph: Graph, name: str, edges: Mapping[str, list[Edge]], lead: Lead) -> list[str | Edge]:
    """What stands under a node: edges to go on with, and whole lines for columns above it."""
    found: list[str | Edge] = []
    columns: dict[str, list[str]] = {}
    for edge in edges.get(name, ()):
        node = graph.nodes[lead(edge)]
        if node.kind == "column" and graph.nodes[name].kind == "feature":
            source, _, column = node.name.partition(".")
            columns.setdefault(source, []).append(column + _told(edge.labels, hidden=("value",)))
        else:
            found.append(edge)
    return [*found, *(f"{source}: {', '.join(all_)}" for source, all_ in columns.items())]


def _told(labels: Iterable[str], hidden: Iterable[str] = ()) -> str:
    shown = [text for text in labels if text not in hidden]
    return f" ({', '.join(shown)})" if shown else ""
