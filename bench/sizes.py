"""The data sets and where they are; no heavy import, so that whoever measures stays small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Shape:
    """One data set: what it holds and how large it is."""

    kind: str
    rows: int
    users: int
    spine: int = 0


FULL = {
    "joins": Shape("events", 5_000_000, 100_000, spine=500_000),
    "windows": Shape("raw", 5_000_000, 100_000, spine=100_000),
    "ads": Shape("ads", 1_000_000, 100_000, spine=100_000),
    "latest": Shape("events", 1_000_000, 100_000),
    "bars": Shape("bars", 12_600_000, 5_000),
    "wide_250k": Shape("events", 1_000_000, 100_000, spine=250_000),
    "wide_1m": Shape("events", 1_000_000, 100_000, spine=1_000_000),
    "load_5m": Shape("events", 5_000_000, 500_000),
    "load_20m": Shape("events", 20_000_000, 2_000_000),
}


def shapes(*, quick: bool) -> dict[str, Shape]:
    """The data sets; `quick` ones have a fiftieth of the rows."""
    if not quick:
        return FULL
    return {
        name: Shape(s.kind, s.rows // 50, s.users // 50, s.spine // 50) for name, s in FULL.items()
    }


def folder_of(name: str, *, quick: bool) -> Path:
    return DATA / f"{name}-{shapes(quick=quick)[name].rows}"


def short(count: int) -> str:
    """5000000 as 5M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:g}{letter}"
    return str(count)
