"""Runs a compiled request: keys in, stored rows through the rules of age and absence, cells out.

A cell is three parallel sequences: values (defaults applied), statuses (None where all are
PRESENT) and event times (None where nothing was found). Cells of one read share their times.

Nulls are looked for last, by `settled`: an encoder sees them in its text, where looking is free.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from headwater.errors import ComputeError, RequestError
from headwater.online.codec import Layout, from_micros
from headwater.online.store import Reads, Rows, Ticks
from headwater.serving.hints import shown
from headwater.serving.keys import Keys, check_column, keys_of
from headwater.serving.nothing import NOTHING
from headwater.serving.plan import DerivedCell, Group, Plan, StoredCell
from headwater.serving.statuses import NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT, why_null

Statuses = list[str] | None
Times = Sequence[dt.datetime | None]
Cell = tuple[Sequence[Any], Statuses, Times]

_NAMED = 20
_FEW = 8
"""Rows up to which it is faster to look for nulls in all cells at once."""
_values = itemgetter(0)


# plain tuples, not named ones: they are made for each request, and cost a tenth
_Frame = tuple[list[tuple[Any, ...]], Times, Sequence[int], Sequence[int]]
"""The rows of one read: columns, times, places without a row, places with a null key."""
_Aged = tuple[list[tuple[Any, ...]], Times, Statuses, Sequence[int]]
"""A frame at t, for values of one kind and ttl: columns, times, statuses, places to fill in."""


Given = Sequence[Sequence[Any]]
"""The values that come with a request, one column per `plan.given`."""
Prepared = tuple[list[Keys], Given]
"""The keys of a request, one per `plan.keys`, and what it gives beside."""


def prepare(plan: Plan, columns: Mapping[str, Sequence[Any]], count: int) -> Prepared:
    """`prepare_keys` of a request. Raises RequestError where a column has the name of an output."""
    for name in columns:
        if name in plan.versions:
            raise RequestError(
                f"column '{name}' has the name of an asked feature; give the feature an 'alias', "
                "or ask for 'full_feature_names'"
            )
    return prepare_keys(plan, columns, count)


def prepare_keys(plan: Plan, columns: Mapping[str, Sequence[Any]], count: int) -> Prepared:
    """The keys of `count` rows, one `Keys` per `plan.keys`, and what the request gives beside.

    Raises RequestError that names the column that is missing or doesn't fit.
    """
    prepared: list[Keys] = []
    for key in plan.keys:
        try:
            prepared.append(keys_of(key, columns, count))
        except KeyError as error:
            raise _missing_column(plan, str(error.args[0]), columns) from None
    return prepared, _given(plan, columns) if plan.given else ()


def _given(plan: Plan, columns: Mapping[str, Sequence[Any]]) -> Given:
    found = []
    for name, dtype, feature in plan.given:
        if name not in columns:
            raise RequestError(
                f"column '{name}' ({dtype}), a request value of feature '{feature}', is missing "
                f"({_those_given(columns)})"
            )
        found.append(check_column(name, dtype, columns[name]))
    return found


def reads(plan: Plan, keys: Sequence[Keys]) -> Reads:
    """What the store has to read for them."""
    return [(read.revision, keys[read.keys].unique) for read in plan.reads]


def execute(
    plan: Plan,
    prepared: Prepared,
    found: tuple[Rows, Ticks],
    count: int,
    now: int,
) -> list[Cell]:
    """The cells of a plan's outputs for `count` rows at `now` (microseconds).

    Where a cell has no statuses its nulls have not been looked for yet; see `settled`. Raises
    ComputeError where a derived feature can't be computed.
    """
    cells = group_cells(plan, prepared[0], found, now)
    if plan.derived:
        cells = all_settled(plan.stored, cells, count)
        add_derived(cells, plan.derived, prepared, found[1], count, now)
    return answered(plan, cells)


def answered(plan: Plan, cells: list[Cell]) -> list[Cell]:
    """The cells of a plan's outputs, out of all its cells."""
    return cells if plan.answered is None else [cells[place] for place in plan.answered]


def group_cells(
    plan: Plan, keys: Sequence[Keys], found: tuple[Rows, Ticks], now: int
) -> list[Cell]:
    """The cells that are read, their nulls not looked for yet."""
    rows, ticks = found
    frames: list[_Frame] = []
    for read, raw in zip(plan.reads, rows):  # noqa: B905 (on the hot path)
        frames.append(_frame(read.layout, keys[read.keys], raw))
    cells: list[Cell] = []
    for group in plan.groups:
        if group.told:
            cells += [_told(cell, group, frames[group.read], ticks) for cell in group.cells]
            continue
        columns, times, statuses, empty = _aged(group, frames[group.read], ticks, now)
        picked = group.pick(columns)
        if statuses or empty:
            tick = None if group.tick is None else ticks[group.tick]
            for cell, values in zip(group.cells, picked, strict=True):
                filled = values if tick is None else _filled(cell, values, empty, tick)
                cells.append(_patched(cell, filled, times, statuses))
        else:
            cells += [(values, None, times) for values in picked]
    return cells


def add_derived(  # noqa: PLR0917 (on the hot path)
    cells: list[Cell],
    made: Sequence[DerivedCell],
    prepared: Prepared,
    ticks: Ticks,
    count: int,
    now: int,
) -> None:
    """Append the derived cells to those that they read, whose nulls are told."""
    keys, given = prepared
    for derived in made:
        nulls = {row for key in derived.keys for row in keys[key].nulls}
        inputs = [cells[place] for place in derived.inputs]
        asked = [given[place] for place in derived.given]
        t = now if derived.tick is None else ticks[derived.tick]
        cell = _derived(derived, inputs, asked, nulls, count, t)
        cells.append(_aged_by(cell, [cells[place][2] for place in derived.via], count))


def _aged_by(cell: Cell, keys: Sequence[Times], count: int) -> Cell:
    """A cell that is no younger than the values by which its inputs were read."""
    if not keys:
        return cell
    values, statuses, times = cell
    none = frozenset(place for place, s in enumerate(statuses or ()) if s == NOT_FOUND)
    oldest = _oldest([times, *keys], count, None)
    return values, statuses, [None if i in none else time for i, time in enumerate(oldest)]


def settled(plan: Plan, cells: list[Cell], count: int) -> list[Cell]:
    """The cells of `execute` with nulls told: NULL_VALUE and the default in their place."""
    if plan.derived or plan.hops:
        return cells
    stored = plan.stored
    if plan.answered is not None:
        stored = [stored[place] for place in plan.answered]
    return all_settled(stored, cells, count)


def settled_cell(plan: Plan, place: int, cell: Cell) -> Cell:
    """`settled` for the cell of one output."""
    values, statuses, times = cell
    if statuses is not None or plan.derived or plan.hops or None not in values:
        return cell
    made = plan.stored[place if plan.answered is None else plan.answered[place]]
    return _defaulted(values, None, times, made.default)


def all_settled(stored: Sequence[StoredCell], cells: list[Cell], count: int) -> list[Cell]:
    """The cells that were read, with nulls told."""
    if count < _FEW and None not in chain.from_iterable(map(_values, cells)):
        return cells
    return [
        cell
        if cell[1] is not None or not made.has_null(cell[0])
        else _defaulted(cell[0], None, cell[2], made.default)
        for made, cell in zip(stored, cells)  # noqa: B905 (on the hot path)
    ]


def _missing_column(plan: Plan, name: str, columns: Mapping[str, Any]) -> RequestError:
    needing = {place for place, key in enumerate(plan.keys) if name in key.names}
    feature = next(o.feature for o in plan.outputs if needing.intersection(o.keys))
    return RequestError(
        f"column '{name}' ({plan.columns[name]}), a join key of feature '{feature}', is missing "
        f"({_those_given(columns)})"
    )


def _those_given(columns: Mapping[str, Any]) -> str:
    given = ", ".join(f"'{shown(column)}'" for column in list(columns)[:_NAMED])
    return f"columns given: {given or 'none'}"


def _frame(layout: Layout, keys: Keys, raw: Sequence[bytes | None]) -> _Frame:
    rows = layout.decode_many(raw)
    if keys.places is not None:
        by_key = dict(zip(keys.unique, rows, strict=True))
        # a null key is in no dict of keys, and so finds nothing
        rows = [by_key.get(key) for key in keys.places]  # type: ignore[arg-type]
    if all(rows):
        values = [row.values for row in rows]  # type: ignore[union-attr]
        return list(zip(*values)), [row.event_time for row in rows], (), ()  # type: ignore[union-attr]  # noqa: B905
    blank = (None,) * len(layout.names)
    return (
        list(zip(*(blank if row is None else row.values for row in rows), strict=True)),
        [None if row is None else row.event_time for row in rows],
        [place for place, row in enumerate(rows) if row is None],
        keys.nulls,
    )


def _aged(group: Group, frame: _Frame, ticks: Ticks, now: int) -> _Aged:
    columns, times, missing, nulls = frame
    empty: Sequence[int] = ()
    if group.tick is None and group.ttl is None and not missing:
        return columns, times, None, empty
    absent = missing
    published = None if group.tick is None else ticks[group.tick]
    if published is not None:
        times, absent, empty = _at_least(from_micros(published), times, nulls), nulls, missing
    statuses: Statuses = None
    if absent:
        statuses = [PRESENT] * len(times)
        for place in absent:
            statuses[place] = NOT_FOUND
    if group.ttl is not None:
        statuses = _outdated(times, statuses, group.ttl, from_micros(now))
    return columns, times, statuses, empty


def _at_least(tick: dt.datetime, rows: Times, nulls: Sequence[int]) -> Times:
    """The tick as of which each row holds: a row that no later run rewrote still holds."""
    times: list[dt.datetime | None] = [
        tick if time is None or time < tick else time for time in rows
    ]
    for place in nulls:
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


def _filled(
    cell: StoredCell, values: Sequence[Any], empty: Sequence[int], tick: int
) -> Sequence[Any]:
    """The values with those of keys without a row put in, which may depend on the tick."""
    if not empty:
        return values
    filled = list(values)
    missing = cell.empty if cell.nothing is None else cell.nothing(tick).value
    for place in empty:
        filled[place] = _copied(missing)
    return filled


def _told(cell: StoredCell, group: Group, frame: _Frame, ticks: Ticks) -> Cell:
    """A cell whose rows tell the status and the time of each of its values (C10)."""
    columns, _, missing, nulls = frame
    assert cell.told is not None  # noqa: S101
    why, when = cell.told
    kept, times = list(columns[cell.place]), list(columns[when])
    statuses = [
        PRESENT if value is not None else status or NULL_VALUE
        for value, status in zip(kept, columns[why], strict=True)
    ]
    tick = None if group.tick is None else ticks[group.tick]
    said = NOTHING if tick is None or cell.nothing is None else cell.nothing(tick)
    for place in missing:
        kept[place], statuses[place], times[place] = said
    for place in nulls:
        kept[place], statuses[place], times[place] = NOTHING
    for place, status in enumerate(statuses):
        if status != PRESENT:
            kept[place] = _copied(cell.default)
    return kept, statuses, times


def _patched(cell: StoredCell, values: Sequence[Any], times: Times, statuses: Statuses) -> Cell:
    if statuses is None and not cell.has_null(values):
        return values, None, times
    return _defaulted(values, statuses, times, cell.default)


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
    return copy.deepcopy(default) if isinstance(default, list | dict) else default


def _derived(  # noqa: PLR0917 (on the hot path)
    cell: DerivedCell,
    inputs: Sequence[Cell],
    given: Given,
    nulls: Collection[int],
    count: int,
    at: int | None,
) -> Cell:
    t = None if at is None else from_micros(at)
    if t is None:
        nulls = range(count)  # before the first tick nothing is known
    columns: list[Sequence[Any]] = [*(values for values, _, _ in inputs), *given]
    if cell.takes_t:
        columns.append([t] * count)
    try:
        values = cell.run(columns, count, nulls)
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
            statuses[place] = why_null({told[place] if told else PRESENT for _, told, _ in inputs})
    return _defaulted(values, statuses, times, cell.default)


def _oldest(inputs: Sequence[Times], count: int, t: dt.datetime | None) -> Times:
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
