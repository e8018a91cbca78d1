"""How events reach the log: some late, some corrected, some twice."""

from __future__ import annotations

import numpy as np

from ad_log.happening import CLICK, INVALID, TRANSACTION, Events
from ad_log.settings import DAY, HOUR, Settings

Generator = np.random.Generator
Delivered = tuple[Events, np.ndarray, np.ndarray]
"""Events, their numbers (the same for versions of one event), and when each became known."""


def deliver(rng: Generator, events: Events, settings: Settings) -> Delivered:
    """The rows of the log in the order of their delivery."""
    count = len(events.when)
    number = np.arange(count)
    known = events.when + rng.integers(0, 5_000_000, count)
    late = rng.random(count) < settings.late
    known[late] += 60_000_000 + rng.exponential(12 * HOUR, int(late.sum())).astype(np.int64)
    corrected = _corrections(rng, events, settings)
    again = rng.random(count) < settings.duplicated
    rows = Events.together(events, events.take(np.flatnonzero(again)), corrected[0])
    numbers = np.concatenate([number, number[again], corrected[1]])
    times = np.concatenate([known, known[again], known[corrected[1]] + corrected[2]])
    order = np.argsort(times, kind="stable")
    return rows.take(order), numbers[order], times[order]


def _corrections(rng: Generator, events: Events, settings: Settings) -> Delivered:
    """Later versions: transactions of which a part was refunded, clicks that were no clicks."""
    chosen = rng.random(len(events.when)) < settings.corrected
    places = np.flatnonzero(chosen & np.isin(events.kind, (TRANSACTION, CLICK)))
    rows = events.take(places)
    rows.amount = np.round(rows.amount * rng.uniform(0.3, 0.9, len(places)), 2)
    rows.kind = np.where(rows.kind == CLICK, INVALID, rows.kind)
    rows.cost = np.where(rows.kind == INVALID, 0.0, rows.cost)
    return rows, places, rng.integers(DAY // 4, 3 * DAY, len(places))
