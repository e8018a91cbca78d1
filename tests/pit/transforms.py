"""Changes to a scenario that must change no value: more rows, other orders, another time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from math import lcm
from random import Random
from typing import Any

from oracle import DAY, WEEK, Nanos
from oracle.times import microseconds, spine_instant, to_datetime
from pit.scenario import Scenario
from pit.tables import Table

Row = Mapping[str, Any]


def more_spine_rows(scenario: Scenario, order: Random) -> tuple[Scenario, list[int]]:
    """Other rows before, between and after; the positions of the old ones."""
    extra = [
        {**a, scenario.timestamp: b[scenario.timestamp]}
        for a in scenario.spine
        for b in scenario.spine
    ][:20]
    tagged: list[tuple[int | None, Row]] = [*enumerate(scenario.spine), *((None, r) for r in extra)]
    order.shuffle(tagged)
    positions = {old: new for new, (old, _) in enumerate(tagged) if old is not None}
    changed = replace(scenario, spine=tuple(row for _, row in tagged))
    return changed, [positions[old] for old in range(len(scenario.spine))]


def permuted(scenario: Scenario, order: Random) -> Scenario:
    """The source's rows in another order, in other files."""

    def change(table: Table) -> Table:
        rows = list(table.source.rows)
        order.shuffle(rows)
        files = tuple(order.randrange(4) for _ in rows)
        return _with_rows(table, rows, files)

    return scenario.with_tables(map(change, scenario.tables))


def with_other_keys(scenario: Scenario) -> Scenario:
    """Each keyed row once more under a key that the spine lacks."""
    strangers = {
        "string": "stranger",
        "int64": 999,
        "int32": 999,
        "bytes": b"stranger",
        "date": date(1999, 9, 9),
        "timestamp": to_datetime(999),
    }

    def change(table: Table) -> Table:
        rows = list(table.source.rows)
        kinds = [(n, table.types[n]) for n in table.keys if table.types[n] in strangers]
        if kinds:
            name, kind = kinds[0]
            other = {name: strangers[kind]}
            rows += [_fresh(table, {**row, **other}, i) for i, row in enumerate(table.source.rows)]
        return _with_rows(table, rows)

    return scenario.with_tables(map(change, scenario.tables))


def with_future_rows(scenario: Scenario) -> Scenario:
    """A canary for each row: its key, its values, and an event time after the whole spine."""
    later = _last(scenario) + 2 * DAY
    return _with_canaries(scenario, later, None)


def with_late_rows(scenario: Scenario) -> Scenario:
    """A canary for each row of a source with `available_at`: in its past, known after the spine."""
    return _with_canaries(scenario, None, _last(scenario) + 3 * DAY)


def shifted(scenario: Scenario) -> Scenario | None:
    """All times moved by a whole number of weeks, ticks and hops; None where no such shift is."""
    periods = [WEEK]
    for view in scenario.views:
        if view.ticks is not None:
            if view.ticks.timezone is not None:
                return None
            periods.append(microseconds(view.ticks.every))
        periods += [microseconds(f.tail_hop) for f in view.features if f.tail_hop is not None]
    if "AsOf" in repr(scenario.views):
        return None
    distance = 3 * lcm(*periods)

    def change(table: Table) -> Table:
        rows = [_moved(row, ("event_time", "available_at"), distance) for row in table.source.rows]
        return _with_rows(table, rows, table.files)

    spine = tuple(_moved(row, (scenario.timestamp,), distance) for row in scenario.spine)
    return replace(scenario.with_tables(map(change, scenario.tables)), spine=spine)


def _with_canaries(scenario: Scenario, event_time: int | None, known: int | None) -> Scenario:
    def canary(table: Table, row: Row, number: int) -> Row:
        changed = dict(row)
        if event_time is not None:
            changed["event_time"] = _stamp(event_time, table.types["event_time"])
        if known is not None:
            changed["available_at"] = _stamp(known, table.types["available_at"])
        keep_id = known is not None and number % 2
        return changed if keep_id else _fresh(table, changed, number)

    def change(table: Table) -> Table:
        rows = list(table.source.rows)
        if known is None or table.source.available_at is not None:
            rows += [canary(table, row, i) for i, row in enumerate(table.source.rows)]
        return _with_rows(table, rows)

    return scenario.with_tables(map(change, scenario.tables))


def _with_rows(table: Table, rows: Sequence[Row], files: tuple[int, ...] | None = None) -> Table:
    source = replace(table.source, rows=tuple(rows))
    return replace(table, source=source, files=files or (0,) * len(rows))


def _fresh(table: Table, row: Row, number: int) -> Row:
    """A row that is a fact of its own."""
    if not table.source.id:
        return row
    new = 1_000 + number if table.types["id"] == "int64" else f"new {number}"
    return {**row, "id": new}


def _last(scenario: Scenario) -> int:
    return max(spine_instant(row[scenario.timestamp]) for row in scenario.spine)


def _stamp(instant: int, form: str) -> Any:
    if form == "date":
        return to_datetime(instant).date()
    if form == "ns":
        return Nanos(instant * 1_000)
    return to_datetime(instant // 1_000 * 1_000)


def _moved(row: Row, columns: Sequence[str], distance: int) -> Row:
    moves: dict[type, Callable[[Any], Any]] = {
        Nanos: lambda v: Nanos(v.value + distance * 1_000),
        datetime: lambda v: v + timedelta(microseconds=distance),
        date: lambda v: v + timedelta(microseconds=distance),
    }
    return {
        name: moves[type(value)](value) if name in columns and value is not None else value
        for name, value in row.items()
    }
