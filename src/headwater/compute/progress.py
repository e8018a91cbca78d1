"""How far long work is: what it tells to whom it may concern."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a view's work is: rows done, parts done of all parts."""

    view: str
    rows: int
    done: int
    total: int


OnProgress = Callable[[Progress], None]
