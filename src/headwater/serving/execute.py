"""Runs a compiled request: keys in, stored rows through the rules of age and absence, cells out.

A cell is three parallel sequences: values (defaults applied), statuses (None where all are
PRESENT) and event times (None where nothing was found). Cells of one read share their times.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from headwater.errors import ComputeError, RequestError, near_miss
from headwater.online.codec import Layout, from_micros
from headwater.online.store import Reads, Rows, Ticks
from headwater.serving.keys import NO_PARTS, Keys, check_column, encode_rows
from headwater.serving.plan import DerivedCell, KeyColumns, Plan, StoredCell, Timing

PRESENT = "PRESENT"
NULL_VALUE = "NULL_VALUE"
NOT_FOUND = "NOT_FOUND"
OUTSIDE_MAX_AGE = "OUTSIDE_MAX_AGE"

Statuses = list[str] | None
Times = Sequence[dt.datetime | None]
Cell = tuple[Sequence[Any], Statuses, Times]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Frame(NamedTuple):
    """The rows of one read: columns, times, places without a row, places with a null key."""

    columns: list[tuple[Any, ...]]
    times: Times
    missing: Sequence[int]
    nulls: Sequence[int]


class _Aged(NamedTuple):
    """A frame at t, for values of one kind and ttl; `is_total`: a missing row has its value."""

    frame: _Frame
    times: Times
    statuses: Statuses
    is_total: bool


def prepare(plan: Plan, columns: Mapping[str, Sequence[Any]], count: int) -> list[Keys]:
    """The keys of `count` rows, one `Keys` per `plan.keys`.

    Raises RequestError that names the column that is missing or doesn't fit.
    """
    return [_keys(plan, key, columns, count) for key in plan.keys]


def reads(plan: Plan, keys: Sequence[Keys]) -> Reads:
    """What the store has to read for them."""
    return [(read.revision, keys[read.keys].unique) for read in plan.reads]


def execute(
    plan: Plan, keys: Sequence[Keys], found: tuple[Rows, Ticks], count: int, now: int
) -> list[Cell]:
    """The cells of a plan for `count` rows at `now` (microseconds), in the plan's order.

    Raises ComputeError where a derived feature can't be computed.
    """
    rows, ticks = found
    t = _EPOCH + dt.timedelta(microseconds=now)
    frames = [
        _frame(read.layout, keys[read.keys], raw)
        for read, raw in zip(plan.reads, rows, strict=True)
    ]
    aged = [_aged(timing, frames[timing.read], ticks, t) for timing in plan.timings]
    cells: list[Cell] = []
    for cell in plan.cells:
        if isinstance(cell, StoredCell):
            cells.append(_stored(cell, aged[cell.timing]))
        else:
            inputs = [cells[place] for place in cell.inputs]
            nulls = {row for key in cell.keys for row in keys[key].nulls}
            cells.append(_derived(cell, inputs, nulls, count, t))
    return cells


def _keys(plan: Plan, key: KeyColumns, columns: Mapping[str, Sequence[Any]], count: int) -> Keys:
    if not key.names:
        return Keys([NO_PARTS] * count)
    try:
        parts = [
            check_column(name, dtype, columns[name])
            for name, dtype in zip(key.names, key.dtypes, strict=True)
        ]
    except KeyError as error:
        raise _missing_column(plan, str(error.args[0]), columns) from None
    return Keys(encode_rows(parts, key.dtypes))


def _missing_column(plan: Plan, name: str, columns: Mapping[str, Any]) -> RequestError:
    place = next(i for i, key in enumerate(plan.keys) if name in key.names)
    needs = [revision for revision in plan.reads if revision.keys == place]
    wanted = {read.revision for read in needs}
    feature = next(o.feature for o in plan.outputs if wanted.intersection(o.revisions))
    hint = near_miss(name, (given for given in columns if given not in plan.columns))
    given = ", ".join(f"'{column}'" for column in columns) or "none"
    return RequestError(
        f"column '{name}' ({plan.columns[name]}), a join key of feature '{feature}', is missing"
        f"{hint or f' (columns given: {given})'}"
    )


def _frame(layout: Layout, keys: Keys, raw: Sequence[bytes | None]) -> _Frame:
    rows = layout.decode_many(raw)
    if keys.places is not None:
        by_key = dict(zip(keys.unique, rows, strict=True))
        # a null key is in no dict of keys, and so finds nothing
        rows = [by_key.get(key) for key in keys.places]  # type: ignore[arg-type]
    if all(rows):
        values = [row.values for row in rows]  # type: ignore[union-attr]
        return _Frame(list(zip(*values)), [row.event_time for row in rows], (), ())  # type: ignore[union-attr]  # noqa: B905
    blank = (None,) * len(layout.names)
    return _Frame(
        columns=list(zip(*(blank if row is None else row.values for row in rows), strict=True)),
        times=[None if row is None else row.event_time for row in rows],
        missing=[place for place, row in enumerate(rows) if row is None],
        nulls=keys.nulls,
    )


def _aged(timing: Timing, frame: _Frame, ticks: Ticks, t: dt.datetime) -> _Aged:
    published = None if timing.tick is None else ticks[timing.tick]
    times, absent = frame.times, frame.missing
    if published is not None:
        times, absent = _at_least(from_micros(published), frame), frame.nulls
    statuses: Statuses = None
    if absent:
        statuses = [PRESENT] * len(times)
        for place in absent:
            statuses[place] = NOT_FOUND
    if timing.ttl is not None:
        statuses = _outdated(times, statuses, timing.ttl, t)
    return _Aged(frame, times, statuses, published is not None)


def _at_least(tick: dt.datetime, frame: _Frame) -> Times:
    """The tick as of which each row holds: a row that no later run rewrote still holds."""
    times: list[dt.datetime | None] = [
        tick if time is None or time < tick else time for time in frame.times
    ]
    for place in frame.nulls:
        times[place] = None
    return times


def _outdated(times: Times, statuses: Statuses, ttl: dt.timedelta, t: dt.datetime) -> Statuses:
    try:
        oldest = t - ttl
    except OverflowError:
        return statuses
    if statuses is None:
        if min(times) >= oldest:  # type: ignore[type-var, operator]
            return None
        statuses = [PRESENT] * len(times)
    for place, time in enumerate(times):
        if time is not None and time < oldest:
            statuses[place] = OUTSIDE_MAX_AGE
    return statuses


def _stored(cell: StoredCell, aged: _Aged) -> Cell:
    frame, times, statuses, is_total = aged
    values: Sequence[Any] = frame.columns[cell.place]
    if is_total and frame.missing:
        filled = list(values)
        for place in frame.missing:
            filled[place] = cell.empty
        values = filled
    if statuses is None and not _has_null(values, summable=cell.summable):
        return values, None, times
    return _defaulted(values, statuses, times, cell.default)


def _has_null(values: Sequence[Any], *, summable: bool) -> bool:
    if not summable:
        return None in values
    try:
        sum(values)  # three times as fast as `in` on numbers, and a null can't be added
    except TypeError:
        return True
    return False


def _defaulted(values: Sequence[Any], statuses: Statuses, times: Times, default: Any) -> Cell:
    """The cell with NULL_VALUE where a value is null, and the default for all not PRESENT."""
    told = [PRESENT] * len(values) if statuses is None else statuses.copy()
    kept = list(values)
    for place, value in enumerate(values):
        if told[place] != PRESENT:
            kept[place] = _copied(default)
        elif value is None:
            told[place] = NULL_VALUE
            kept[place] = _copied(default)
    return kept, told, times


def _copied(default: Any) -> Any:
    return default.copy() if isinstance(default, list) else default


def _derived(
    cell: DerivedCell, inputs: Sequence[Cell], nulls: Collection[int], count: int, t: dt.datetime
) -> Cell:
    columns: list[Sequence[Any]] = [values for values, _, _ in inputs]
    if cell.takes_t:
        columns.append([t] * count)
    rows = list(zip(*columns, strict=True)) if columns else [()] * count
    try:
        values = [None if place in nulls else cell.run(row) for place, row in enumerate(rows)]
    except ComputeError as error:
        raise ComputeError(f"feature '{cell.label}' can't be computed: {error}") from error
    times = _oldest([times for _, _, times in inputs], count, t)
    if None not in values:
        return values, None, times
    if nulls:
        times = [None if place in nulls else time for place, time in enumerate(times)]
    statuses = [PRESENT] * count
    for place, value in enumerate(values):
        if place in nulls:
            statuses[place] = NOT_FOUND
        elif value is None:
            statuses[place] = _why_null([told[place] for _, told, _ in inputs if told is not None])
    return _defaulted(values, statuses, times, cell.default)


def _why_null(statuses: Sequence[str]) -> str:
    """The status of a null result: that of the worst of its inputs."""
    if NOT_FOUND in statuses:
        return NOT_FOUND
    return OUTSIDE_MAX_AGE if OUTSIDE_MAX_AGE in statuses else NULL_VALUE


def _oldest(inputs: Sequence[Times], count: int, t: dt.datetime) -> Times:
    """Row by row the oldest of the times; t itself for what has no inputs."""
    distinct = list({id(times): times for times in inputs}.values())
    if not distinct:
        return [t] * count
    if len(distinct) == 1:
        return distinct[0]
    return [
        min((time for time in times if time is not None), default=None)
        for times in zip(*distinct, strict=True)
    ]
