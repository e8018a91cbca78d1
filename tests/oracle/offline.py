"""The value of a feature at an instant, and training sets (C1, C5 to C10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from oracle.expressions import Row, of_inputs, of_row, of_rows, of_sequence
from oracle.facts import Fact, Key, facts, key_of, known
from oracle.model import Feature, Ref, View
from oracle.times import Time, floor_hop, microseconds, spine_instant

Status = Literal["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"]


class Reading(NamedTuple):
    value: Any
    status: Status
    event_time: int | None


class Evaluation(NamedTuple):
    """When a view is evaluated: at an instant, over the rows known by another.

    Ages count from `read_at`. `known_until` is None where knowledge is switched off.
    """

    at: int
    known_until: int | None
    read_at: int


NOTHING = Reading(None, "NOT_FOUND", None)


class Oracle:
    """A project, computed row by row.

    `knowledge=False` switches C3's knowledge off: every row exists from its event time on.
    """

    def __init__(self, views: Sequence[View], *, knowledge: bool = True) -> None:
        self.views = {view.name: view for view in views}
        self.knowledge = knowledge
        self._homes = {f.name: (view, f) for view in views for f in view.features}
        self._facts: dict[tuple[str, Key], list[Fact]] = {}

    def find(self, feature: str) -> tuple[View, Feature]:
        return self._homes[feature]

    def value(self, feature: str, row: Row, at: Time) -> Reading:
        """A feature for the join keys in `row` at an instant: value (or default), true status."""
        view, found = self.find(feature)
        instant = spine_instant(at)
        evaluation = self.evaluation(view, instant)
        return with_default(found, self.evaluate(view, found, row, evaluation))

    def training_set(
        self, spine: Sequence[Row], refs: Sequence[str | Ref], timestamp: str = "event_timestamp"
    ) -> list[dict[str, Any]]:
        """The spine's rows, in their order, with the requested features in theirs.

        Raises ValueError where two outputs have one name.
        """
        wanted = [Ref(ref) if isinstance(ref, str) else ref for ref in refs]
        columns = [*(spine[0] if spine else ()), *(ref.output for ref in wanted)]
        if len(set(columns)) < len(columns):
            raise ValueError("two outputs have one name; give one of them an alias=")
        return [
            {**row, **{ref.output: self._of_ref(ref, row, row[timestamp]) for ref in wanted}}
            for row in spine
        ]

    def _of_ref(self, ref: Ref, row: Row, at: Time) -> Any:
        renamed = {key: row[column] for key, column in ref.join_keys.items()}
        return self.value(ref.feature, {**row, **renamed}, at).value

    def evaluation(self, view: View, instant: int) -> Evaluation:
        """At the instant itself, or at the latest tick that is visible by then."""
        delay = microseconds(view.data_delay)
        at = instant if view.ticks is None else view.ticks.latest(instant - delay)
        return Evaluation(at, at + delay if self.knowledge else None, instant)

    def evaluate(self, view: View, feature: Feature, row: Row, evaluation: Evaluation) -> Reading:
        """A feature's value before its default."""
        if key_of(row, view.keys) is None:
            return NOTHING
        if feature.kind == "derived":
            return self._derived(view, feature, row, evaluation)
        rows = known(self.facts(view, row), evaluation.known_until)
        if feature.kind == "windowed":
            return _windowed(feature, rows, evaluation)
        return aged(view, latest(feature, rows, evaluation.at), evaluation.read_at)

    def facts(self, view: View, row: Row) -> list[Fact]:
        key = key_of(row, view.keys)
        if (view.name, key) not in self._facts:
            self._facts[view.name, key] = facts(view.source, key=key, columns=view.keys)
        return self._facts[view.name, key]

    def _derived(self, view: View, feature: Feature, row: Row, evaluation: Evaluation) -> Reading:
        keys = {key: self._input(view, name, row, evaluation) for key, name in feature.via.items()}
        readings = {
            name: self._input(view, name, self.row_of(view, name, row, keys), evaluation)
            for name in feature.inputs
        }
        return derived(feature, readings, evaluation.at, keys.values())

    def row_of(self, view: View, name: str, row: Row, keys: Mapping[str, Reading]) -> Row:
        """The keys at which a feature is read: those of a feature of the same view are its own."""
        if self.find(name)[0] is view:
            return row
        return {**row, **{key: reading.value for key, reading in keys.items()}}

    def _input(self, view: View, name: str, row: Row, evaluation: Evaluation) -> Reading:
        """An input at the tick (or instant): one of the same view is what its reader sees now."""
        home, feature = self.find(name)
        if home is not view:
            return self.value(name, row, evaluation.at)
        return with_default(feature, self.evaluate(view, feature, row, evaluation))


def derived(
    feature: Feature, readings: Mapping[str, Reading], at: int, keys: Iterable[Reading] = ()
) -> Reading:
    """An expression over readings: as old as the oldest of them and of the keys by which they were
    read; null where it is, or nothing was there.
    """
    value = of_inputs(feature.expression, {n: r.value for n, r in readings.items()}, at)
    read = [*readings.values(), *keys]
    times = [r.event_time for r in read if r.event_time is not None]
    oldest = min(times, default=None)
    if value is not None:
        return Reading(value, "PRESENT", oldest)
    statuses = {r.status for r in readings.values()}
    missing = statuses.pop() if len(statuses) == 1 else "NULL_VALUE"
    if missing == "NOT_FOUND":
        return NOTHING
    return Reading(None, "NULL_VALUE" if missing == "PRESENT" else missing, oldest)


def with_default(feature: Feature, reading: Reading) -> Reading:
    if reading.status == "PRESENT" or feature.default is None:
        return reading
    return reading._replace(value=feature.default)


def latest(feature: Feature, rows: Sequence[Fact], at: int) -> Reading:
    """A lookup or sequence: the value at the last row with `event_time <= at`, of any age."""
    past = [fact for fact in rows if fact.event_time <= at]
    if not past:
        return NOTHING
    if feature.kind == "lookup":
        value = of_row(feature.expression, past[-1].row, at)
    else:
        least = feature.min_rows or feature.rows or 1
        value = of_sequence(feature.expression, [f.row for f in past], feature.rows, least)
    return _present(value, past[-1].event_time)


def aged(view: View, reading: Reading, read_at: int) -> Reading:
    """C9: null where the source row is older than the ttl; the bound itself is inside."""
    if view.ttl is None or reading.event_time is None:
        return reading
    if reading.event_time < read_at - microseconds(view.ttl):
        return Reading(None, "OUTSIDE_MAX_AGE", reading.event_time)
    return reading


def _windowed(feature: Feature, rows: Sequence[Fact], evaluation: Evaluation) -> Reading:
    end = evaluation.at - microseconds(feature.offset or "0s")
    inside = [fact.row for fact in rows if fact.event_time < end]
    if feature.window != "lifetime":
        start = end - microseconds(feature.window)
        if feature.tail_hop is not None:
            start = floor_hop(start, microseconds(feature.tail_hop))
        inside = [fact.row for fact in rows if start <= fact.event_time < end]
    return _present(of_rows(feature.expression, inside, evaluation.at), evaluation.at)


def _present(value: Any, event_time: int) -> Reading:
    return Reading(value, "NULL_VALUE" if value is None else "PRESENT", event_time)
