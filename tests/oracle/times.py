"""Instants, durations, ticks and hops (C2, C6, C8), by plain arithmetic and the datetime module.

An instant is an int: microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
FIRST_DAY = date(1970, 1, 1)
FIRST_MONDAY = date(1970, 1, 5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}


@dataclass(frozen=True, order=True)
class Nanos:
    """An instant finer than a microsecond: nanoseconds since 1970-01-01 UTC."""

    value: int


Time = int | datetime | date | Nanos


def microseconds(text: str) -> int:
    """The length of a duration as users spell it: `90m` gives 5,400,000,000."""
    number, unit = re.fullmatch(r"(\d+)(us|ms|s|m|h|d|w)", text).groups()
    return int(number) * _UNITS[unit]


def from_datetime(moment: datetime) -> int:
    """A naive datetime is UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (aware - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant)


def midnight(day: date) -> int:
    return (day - FIRST_DAY).days * DAY


def source_instant(value: Time | None) -> int | None:
    """A time of a source: finer stamps round up, a date means the end of that day."""
    if isinstance(value, Nanos):
        return -(-value.value // 1_000)
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, date):
        return midnight(value) + DAY
    return value


def spine_instant(value: Time) -> int:
    """A time of a spine: finer stamps round down, a date means the beginning of that day."""
    if isinstance(value, Nanos):
        return value.value // 1_000
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, date):
        return midnight(value)
    return value


def floor_hop(instant: int, hop: int) -> int:
    """Hops count from the epoch, those of whole weeks from a Monday."""
    start = midnight(FIRST_MONDAY) if hop % WEEK == 0 else 0
    return instant - (instant - start) % hop


@dataclass(frozen=True)
class Ticks:
    """`every` is a duration; `at` (`17:30`) and `timezone` go with whole days."""

    every: str
    at: str | None = None
    timezone: str | None = None

    def latest(self, instant: int) -> int:
        """The last tick at or before an instant."""
        period = microseconds(self.every)
        if self.at is None and self.timezone is None:
            return floor_hop(instant, period)
        days = period // DAY
        start = FIRST_MONDAY if days % 7 == 0 else FIRST_DAY
        day = to_datetime(instant).date() + timedelta(days=2)
        while (day - start).days % days or self.on(day) > instant:
            day -= timedelta(days=1)
        return self.on(day)

    def on(self, day: date) -> int:
        """The tick of a day: `at` on the clocks of `timezone`.

        A time that the clocks skip counts as if they had not been moved yet, one that they show
        twice is the first of the two: both are what fold=0 means (PEP 495).
        """
        clock = time.fromisoformat(self.at or "00:00")
        zone = ZoneInfo(self.timezone or "UTC")
        return from_datetime(datetime.combine(day, clock, tzinfo=zone).astimezone(UTC))
