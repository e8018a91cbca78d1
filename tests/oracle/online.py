"""What an online store holds and answers (C8, C9, C10, C12, C13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oracle.expressions import Row
from oracle.facts import Fact, Key, key_of, known
from oracle.facts import facts as facts_of
from oracle.model import Feature, View
from oracle.offline import (
    NOTHING,
    Evaluation,
    Oracle,
    Reading,
    aged,
    derived,
    latest,
    with_default,
)
from oracle.times import Time, microseconds, spine_instant


class Rejected(Exception):  # noqa: N818
    """A write that the contracts refuse."""


class Online:
    """The online side of a project: publish runs, push rows, read.

    A ticked view is known by its latest published tick; a `real_time` view holds one row of its
    source for each key.
    """

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self._ticks: dict[str, int] = {}
        self._rows: dict[tuple[str, Key], Fact] = {}
        self._cuts: dict[str, int] = {}

    def publish(self, view: str, now: Time) -> int | None:
        """A run at the time `now`; a ticked view gets its latest visible tick, the answer."""
        found, instant = self.oracle.views[view], spine_instant(now)
        if found.ticks is not None:
            tick = self.oracle.evaluation(found, instant).at
            self._ticks[view] = max(tick, self._ticks.get(view, tick))
            return self._ticks[view]
        if any(feature.kind == "windowed" for feature in found.features):
            raise Rejected("a windowed real_time view is served from a stream or computed on read")
        if found.source is not None:
            self._cuts[view] = instant
            for key in {key_of(row, found.keys) for row in found.source.rows} - {None}:
                self._run_row(found, key, instant)
        return None

    def push(self, view: str, rows: Sequence[Row]) -> None:
        """Rows that somebody writes directly, in this order."""
        found = self.oracle.views[view]
        if found.ticks is not None:
            raise Rejected("a ticked view takes no direct push")
        for row in rows:
            missing = set(found.source.rows[0] if found.source.rows else row) - set(row)
            if missing:
                raise Rejected(f"the row lacks {sorted(missing)}")
            self._pushed_row(found, row)

    def read(self, feature: str, row: Row, at: Time) -> Reading:
        """A feature for the join keys in `row`: value (or default), true status, event time."""
        view, found = self.oracle.find(feature)
        instant = spine_instant(at)
        if key_of(row, view.keys) is None:
            reading = NOTHING
        elif view.ticks is not None:
            reading = self._at_tick(view, found, row, instant)
        elif found.kind == "derived":
            keys = {key: self.read(name, row, instant) for key, name in found.via.items()}
            inputs = {
                name: self.read(name, self.oracle.row_of(view, name, row, keys), instant)
                for name in found.inputs
            }
            reading = derived(found, inputs, instant, keys.values())
        else:
            reading = self._stored(view, found, row, instant)
        return with_default(found, reading)

    def _at_tick(self, view: View, feature: Feature, row: Row, instant: int) -> Reading:
        if view.name not in self._ticks:
            return NOTHING
        tick = self._ticks[view.name]
        known_until = tick + microseconds(view.data_delay) if self.oracle.knowledge else None
        reading = self.oracle.evaluate(view, feature, row, Evaluation(tick, known_until, instant))
        windowed = any(other.kind == "windowed" for other in view.features)
        if windowed and view.ttl is not None and tick < instant - microseconds(view.ttl):
            return Reading(None, "OUTSIDE_MAX_AGE", reading.event_time)
        return reading

    def _stored(self, view: View, feature: Feature, row: Row, instant: int) -> Reading:
        key = key_of(row, view.keys)
        if feature.kind == "sequence":
            cut = self._cuts.get(view.name)
            rows = [] if cut is None else known(self.oracle.facts(view, row), cut)
            return aged(view, latest(feature, rows, cut or 0), instant)
        stored = self._rows.get((view.name, key))
        rows = [] if stored is None else [stored]
        return aged(view, latest(feature, rows, instant), instant)

    def _run_row(self, view: View, key: Key, cut: int) -> None:
        rows = known(facts_of(view.source, key=key, columns=view.keys), cut)
        past = [fact for fact in rows if fact.event_time <= cut]
        stored = self._rows.get((view.name, key))
        if not past:
            # Its only row may have been corrected to a time that is still to come.
            if stored is not None and stored.available_at <= cut:
                del self._rows[view.name, key]
            return
        if stored is None or stored.available_at <= cut or stored.order <= past[-1].order:
            self._rows[view.name, key] = past[-1]

    def _pushed_row(self, view: View, row: Row) -> None:
        key = key_of(row, view.keys)
        if key is None:
            return
        for fact in facts_of(replace(view.source, rows=(row,)), key=key, columns=view.keys):
            stored = self._rows.get((view.name, key))
            if stored is None or _replaces(fact, stored):
                self._rows[view.name, key] = fact


def _replaces(fact: Fact, stored: Fact) -> bool:
    """C13, and an old version of the stored row never comes back, however late it arrives."""
    if stored.is_newer_version_than(fact):
        return False
    return fact.is_newer_version_than(stored) or fact.order > stored.order
