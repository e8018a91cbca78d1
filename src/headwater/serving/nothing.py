"""What a feature says of a key without rows, where that depends on the published tick (C6, C10)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from headwater.definitions.ticks import Ticks
from headwater.definitions.types import element, fields, is_struct, key_and_value
from headwater.errors import ComputeError
from headwater.expressions.closures import compile_row
from headwater.online.codec import from_micros
from headwater.serving.catalogue import Nothing
from headwater.serving.plan import Said
from headwater.serving.statuses import NOT_FOUND, PRESENT, why_null

NOTHING = Said(None, NOT_FOUND, None)

_AS_OF = "as_of()"
_KEPT = 8
"""Ticks for which an answer is kept."""


def sayer(nothing: Nothing) -> Callable[[int], Said]:
    """What the feature says at an instant (microseconds), before its own default."""
    if nothing.tree is None:
        return lambda _: NOTHING
    run = compile_row(nothing.tree, [*(item.name for item in nothing.inputs), _AS_OF])
    inputs = [(sayer(i), revived(i.default, i.dtype)) for i in nothing.inputs]
    keys = [sayer(key) for key in nothing.keys]
    clock = nothing.clock
    ticks = None if clock is None else Ticks(clock.period, clock.at, clock.timezone)

    def say(instant: int) -> Said:
        if ticks is not None and clock is not None:
            instant = ticks.latest(instant - clock.data_delay)
        t = from_micros(instant)
        said = [(of(instant), default) for of, default in inputs]
        row = [default if one.value is None else one.value for one, default in said]
        try:
            value = run([*row, t])
        except ComputeError:
            value = None
        read = [*(one for one, _ in said), *(of(instant) for of in keys)]
        times = [one.event_time for one in read if one.event_time is not None]
        oldest = t if nothing.windowed else min(times, default=None)
        if value is not None:
            return Said(value, PRESENT, oldest)
        status = why_null({one.status for one, _ in said})
        return Said(None, status, None if status == NOT_FOUND else oldest)

    return lru_cache(_KEPT)(say)


def revived(value: Any, dtype: str) -> Any:
    """A value of the catalogue as the row codec gives it: times as datetime and date, a map under
    keys of its type.
    """
    if isinstance(value, list):
        return [revived(item, element(dtype)) for item in value]
    if isinstance(value, dict):
        return _revived_parts(value, dtype)
    if dtype == "date" and isinstance(value, int):
        return dt.date(1970, 1, 1) + dt.timedelta(days=value)
    if dtype == "timestamp" and isinstance(value, int):
        return from_micros(value)
    return value


def _revived_parts(value: dict[Any, Any], dtype: str) -> dict[Any, Any]:
    if is_struct(dtype):
        return {name: revived(value[name], inner) for name, inner in fields(dtype)}
    key, inner = key_and_value(dtype)
    return {revived(name, key): revived(part, inner) for name, part in value.items()}


def stored_value(value: Any) -> Any:
    """A value as the row codec holds it: timestamps as microseconds, dates as days."""
    if isinstance(value, dt.datetime):
        since = value - dt.datetime(1970, 1, 1, tzinfo=value.tzinfo)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if isinstance(value, dt.date):
        return (value - dt.date(1970, 1, 1)).days
    if isinstance(value, list):
        return [stored_value(item) for item in value]
    if isinstance(value, dict):
        return {stored_value(key): stored_value(part) for key, part in value.items()}
    return value
