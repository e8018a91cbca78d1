"""Reaching every node of a graph from one, over plain dictionaries."""

from __future__ import annotations

from typing import Any

from bench.timing import timed


def upstream(number: int) -> int:
    """What a node of the benchmark's graph depends on: chains and wide fans, no cycle."""
    return number // 2 if number % 3 else number - 1


def reach(nodes: int, calls: int) -> dict[str, Any]:
    """Breadth first, from the node on which all others depend."""
    below: dict[str, list[str]] = {}
    for number in range(1, nodes):
        below.setdefault(f"f{upstream(number)}", []).append(f"f{number}")

    def walk() -> list[str]:
        seen = {"f0": None}
        level = ["f0"]
        while level:
            found = dict.fromkeys(other for name in level for other in below.get(name, ()))
            level = [name for name in found if name not in seen]
            seen.update(dict.fromkeys(level))
        return list(seen)

    return timed(walk, calls, lambda found: [float(len(found) - 1)])
