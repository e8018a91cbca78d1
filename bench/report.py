"""The table, as text."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from statistics import median
from typing import Any

from bench.compare import Line

SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "1/s": 1.0, "MiB": 1.0}
HEADS = ("work", "limit", "", "Headwater", "ratio", "CPU", "target", "reached", "MiB")


def table(lines: Sequence[Line], *, peers: bool, judge: bool) -> str:
    """All lines under one head; the column MiB holds peaks of memory, limit / Headwater."""
    heads = [*HEADS, "Feast"] if peers else list(HEADS)
    cells = [heads, *(_cells(line, peers=peers, judge=judge) for line in lines)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    text = []
    for row in cells:
        padded = [
            cell.ljust(width) if i in (0, 2) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text.append("  ".join(padded).rstrip())
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def _cells(line: Line, *, peers: bool, judge: bool) -> list[str]:
    target = f"{'>=' if line.rate else '<='} {line.bound:.3g} x"
    if line.bound == inf:
        target = f"<= {line.absolute}"
    elif line.absolute:
        target += f" ({line.absolute})"
    if line.ratio is None:
        cells = [line.work, "", line.limit_name, "", "", "", target, "not measured", ""]
        return [*cells, ""] if peers else cells
    cells = [
        line.work,
        _figure(line.limit, line.unit),
        line.limit_name,
        _figure(line.product, line.unit),
        f"{line.ratio:.2f} x",
        "" if line.cpu_ratio is None else f"{line.cpu_ratio:.2f} x",
        target,
        _verdict(line) if judge else "",
        _memory(line),
    ]
    if peers:
        cells.append("" if line.peer is None else _number(line.peer, line.unit))
    return cells


def _verdict(line: Line) -> str:
    return "yes" if line.reached else "NO"


def _figure(values: Sequence[float], unit: str) -> str:
    """The median, and the smallest and the largest where there were several."""
    middle = _number(median(values), unit)
    if len(values) == 1:
        return middle
    scale = SCALES[unit]
    return f"{middle} ({_short(min(values) * scale)}-{_short(max(values) * scale)})"


def _number(value: float, unit: str) -> str:
    return f"{_short(value * SCALES[unit])} {unit}"


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _memory(line: Line) -> str:
    if line.limit_mib is None or line.product_mib is None:
        return ""
    return f"{line.limit_mib:.0f}/{line.product_mib:.0f}"


def notes(lines: Sequence[Line]) -> str:
    """What is to be known about single lines."""
    return "\n".join(f"{line.work}: {line.note}" for line in lines if line.note)


def facts(machine: dict[str, Any]) -> str:
    """The machine in one or two lines."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cpus']} x {machine['cpu']}, {machine['memory_gib']} GiB, Linux "
        f"{machine['kernel']}, Python {machine['python']}, load {machine['load']} at the start\n"
        f"{packages}"
    )
