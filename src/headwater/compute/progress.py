"""How far long work is: what it tells to whom it may concern."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a view's work is: rows done, parts done of all parts.

    A part that is under way counts as far as it is. Work that follows upon other work has a
    `step` of its own: its name.
    """

    view: str
    rows: int
    done: float
    total: int
    step: str = ""


OnProgress = Callable[[Progress], None]
OnShare = Callable[[float], None]
"""Hears how much of one piece of work is done, from 0 to 1."""
