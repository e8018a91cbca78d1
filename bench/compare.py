"""Rows of the table, and how each is measured: limit and Headwater in turn, several times."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.checks import agree
from bench.measure import Log, Work, run

Measured = dict[Work, list[dict[str, Any]]]


@dataclass(frozen=True)
class Row:
    """One line: a work, what it is measured against, and how large the ratio may be.

    `bound` is the most that Headwater's time may be of the limit's, or, of a `rate`, the least.
    `absolute` is the target that the design states for its own machine. Results that are
    `comparable` have to be equal.
    """

    work: str
    limit_name: str
    limit: Work
    product: Work
    bound: float
    unit: str = "s"
    absolute: str = ""
    peer: Work | None = None
    comparable: bool = True


@dataclass(frozen=True)
class Block:
    """Rows that share what they measure, and what has to be there first."""

    name: str
    rows: tuple[Row, ...]
    prepare: tuple[Work, ...] = ()
    repeat: int | None = None


@dataclass
class Line:
    """A row with its figures; `note` says why there are none, or what to know about them."""

    work: str
    limit_name: str
    unit: str
    bound: float
    absolute: str = ""
    rate: bool = False
    limit: list[float] = field(default_factory=list)
    product: list[float] = field(default_factory=list)
    ratio: float | None = None
    cpu_ratio: float | None = None
    limit_mib: float | None = None
    product_mib: float | None = None
    peer: float | None = None
    note: str = ""
    also: bool = True

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None where it was not measured."""
        if self.ratio is None:
            return None
        inside = self.ratio >= self.bound if self.rate else self.ratio <= self.bound
        return inside and self.also


def measure(
    block: Block, repeat: int, log: Log, say: Callable[[str], None], *, peers: bool
) -> list[Line]:
    """Run the works of a block in turn, so that what else the machine does hits all of them."""
    for work in block.prepare:
        done = run(work)
        log.add(block=block.name, prepare=work.argv, **done)
        if "error" in done:
            return [_failed(row, done["error"]) for row in block.rows]
    works = list(dict.fromkeys(_works(block.rows, peers=peers)))
    found: Measured = {work: [] for work in works}
    times = block.repeat or repeat
    for turn in range(times):
        for work in works:
            say(f"{block.name}: {turn + 1} of {times}")
            done = run(work)
            log.add(block=block.name, work=work.argv, turn=turn, **done)
            found[work].append(done)
    return [line_of(row, found) for row in block.rows]


def _works(rows: Iterable[Row], *, peers: bool) -> Iterable[Work]:
    for row in rows:
        yield row.limit
        yield row.product
        if peers and row.peer is not None:
            yield row.peer


def _failed(row: Row, why: str) -> Line:
    return Line(row.work, row.limit_name, row.unit, row.bound, row.absolute, note=why)


def line_of(row: Row, found: Measured) -> Line:
    """The figures of one row out of all that was measured."""
    limits, products = found[row.limit], found[row.product]
    broken = next((one["error"] for one in (*limits, *products) if "error" in one), None)
    if broken is not None:
        return _failed(row, broken)
    line = Line(row.work, row.limit_name, row.unit, row.bound, row.absolute)
    line.limit = [median(one["seconds"]) for one in limits]
    line.product = [median(one["seconds"]) for one in products]
    line.ratio = _ratio(line.limit, line.product)
    if "cpu" in limits[0] and "cpu" in products[0]:
        used = [[median(one["cpu"]) for one in ones] for ones in (limits, products)]
        line.cpu_ratio = _ratio(*used)
    line.limit_mib = median(one["peak_mib"] for one in limits)
    line.product_mib = median(one["peak_mib"] for one in products)
    line.note = _differs(limits[0], products[0]) if row.comparable else ""
    line.also = not line.note
    peers = found.get(row.peer, []) if row.peer is not None else []
    told = [median(one["seconds"]) for one in peers if "seconds" in one]
    line.peer = median(told) if told else None
    return line


def _ratio(limits: list[float], products: list[float]) -> float:
    """The median of the ratios of each turn: what slows a whole turn down cancels out."""
    return median(p / q for q, p in zip(limits, products, strict=True))


def _differs(limit: dict[str, Any], product: dict[str, Any]) -> str:
    first, second = limit.get("check"), product.get("check")
    if first is None or second is None or agree(first, second):
        return ""
    return "the results DIFFER"
