"""Instants as users write them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from headwater.errors import DefinitionError


def as_micros(value: Any) -> int | None:
    """Microseconds of a datetime (naive is UTC), a date, an ISO text or microseconds."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise DefinitionError(
                f"'{value}' is not a time; write it as 2024-01-05 or 2024-01-05T12:00Z"
            ) from None
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if not isinstance(value, dt.datetime):
        raise DefinitionError(f"{value!r} is not a time")
    moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
