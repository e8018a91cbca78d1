"""The rows about a registry of 10,000 features: bulk writes, and the slowest of a hundred reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.compare import Line
from bench.measure import Log, Task, run

COUNT = 10_000
READS = {
    "get": ("GET /features/{name}", 0.010),
    "list": ("GET /features, three filters", 0.010),
    "search": ("GET /features?q=", 0.030),
}
BULK = {"create": 10.0, "apply": 10.0}


def measure(
    work: Path, *, quick: bool, repeat: int, log: Log, say: Callable[[str], None]
) -> Iterator[Line]:
    """A line for each work; its target is a time, since what is bare does much less."""
    count = COUNT // 50 if quick else COUNT
    for name, most in BULK.items():
        line = _line(f"{name} {count:,} features on SQLite", "sqlite3, one transaction", "s", most)
        tasks = (
            Task.of("limits.registry", "create", root=str(work / "bare"), count=count, calls=2),
            Task.of("product.registry", name, root=str(work / name), count=count, calls=2),
        )
        _fill(line, tasks, repeat, log, say, "seconds", most)
        yield line
    for kind, (title, most) in READS.items():
        line = _line(f"{title}, p99 of {count:,}", "sqlite3 + FTS5, no server", "ms", most)
        given: dict[str, Any] = {"count": count, "kind": kind}
        tasks = (
            Task.of("limits.registry", "ask", root=str(work / "bare"), **given),
            Task.of("product.registry", "ask", root=str(work / "create"), **given),
        )
        _fill(line, tasks, repeat, log, say, "p99", most)
        yield line


def _line(work: str, limit: str, unit: str, most: float) -> Line:
    return Line(work, limit, unit, math.inf, f"{most * 1000:g} ms" if unit == "ms" else f"{most} s")


def _fill(
    line: Line,
    tasks: tuple[Task, Task],
    repeat: int,
    log: Log,
    say: Callable[[str], None],
    figure: str,
    most: float,
) -> None:
    """Measure both in turn; the line's figures are `figure` of each result."""
    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for turn in range(repeat):
        for results, task in zip(found, tasks, strict=True):
            say(f"registry: {line.work}, {turn + 1} of {repeat}")
            done = run(task)
            log.add(block="registry", work=task.argv, turn=turn, **done)
            if "error" in done:
                line.note = done["error"]
                return
            results.append(done)
    line.limit, line.product = ([_one(done[figure]) for done in results] for results in found)
    line.ratio = median(p / q for q, p in zip(line.limit, line.product, strict=True))
    used = [[_one(done["cpu"]) for done in results] for results in found]
    line.cpu_ratio = median(p / q for q, p in zip(*used, strict=True))
    line.limit_mib, line.product_mib = (
        median(done["peak_mib"] for done in results) for results in found
    )
    line.note = f"{median(used[1]) * (1000 if line.unit == 'ms' else 1):.3g} {line.unit} of CPU"
    line.also = median(line.product) <= most


def _one(figure: Any) -> float:
    return float(median(figure)) if isinstance(figure, list) else float(figure)
