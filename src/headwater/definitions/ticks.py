"""Ticks: the instants at which a view is evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headwater.definitions.durations import UNITS, parse_duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FREQUENCIES = {"hourly": UNITS["h"], "daily": UNITS["d"], "weekly": UNITS["w"]}
REAL_TIME: Final = "real_time"
DAY, WEEK = UNITS["d"], UNITS["w"]
_MONDAY = 4 * DAY  # 1970-01-05
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001


def parse_frequency(value: Any) -> str | int:
    """`real_time`, or the microseconds between two ticks. Raises ValueError."""
    if value == REAL_TIME:
        return REAL_TIME
    if isinstance(value, str) and value in FREQUENCIES:
        return FREQUENCIES[value]
    try:
        found = parse_duration(value)
    except ValueError:
        known = ", ".join([REAL_TIME, *FREQUENCIES])
        raise ValueError(f"{value!r} is not a frequency; use {known} or a duration") from None
    if found == 0:
        raise ValueError("a frequency must be longer than 0s")
    return found


def parse_clock(text: str) -> int:
    """Microseconds after midnight of `17:30`. Raises ValueError."""
    form = _CLOCK.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} is not a time of day; write it as '17:30'")
    return int(form[1]) * UNITS["h"] + int(form[2]) * UNITS["m"]


def check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; use a name as 'America/New_York'") from None
    return name


def origin(period: int) -> int:
    """Where ticks and hops of a period count from: the epoch, whole weeks from a Monday."""
    return _MONDAY if period % WEEK == 0 else 0


@dataclass(frozen=True)
class Ticks:
    """Instants `period` microseconds apart; whole days may have a time of day and a zone."""

    period: int
    at: int = 0
    timezone: str = "UTC"

    def floor(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """The latest tick at or before each time (microseconds UTC, same shape)."""
        import numpy as np

        if self.timezone == "UTC":
            start = origin(self.period) + self.at
            return start + (times - start) // self.period * self.period
        if times.size == 0:
            return times.astype(np.int64)
        known = np.array(self._local(int(times.min()), int(times.max())), dtype=np.int64)
        return known[np.searchsorted(known, times, side="right") - 1]

    def latest(self, time: int) -> int:
        """The latest tick at or before a time."""
        if self.timezone == "UTC":
            start = origin(self.period) + self.at
            return start + (time - start) // self.period * self.period
        return max(tick for tick in self._local(time, time) if tick <= time)

    def between(self, start: int, end: int) -> list[int]:
        """The ticks in [start, end)."""
        if self.timezone == "UTC":
            first = self.latest(start)
            first += self.period if first < start else 0
            return list(range(first, end, self.period))
        return [tick for tick in self._local(start, end) if start <= tick < end]

    def _local(self, start: int, end: int) -> list[int]:
        """Ticks that cover [start, end], one period before it included."""
        base = origin(self.period)
        margin = self.period + 2 * DAY
        first = base + (start - margin - base) // self.period * self.period
        count = (end + margin - first) // self.period + 1
        walls = (first + n * self.period + self.at for n in range(count))
        # A zone that skips a whole day (Apia in 2011) gives two local dates one instant.
        return sorted({_to_utc(wall, self.timezone) for wall in walls})


@lru_cache(maxsize=65_536)
def _to_utc(wall: int, zone: str) -> int:
    """UTC microseconds of a wall-clock time; in a gap the time after it, in a fold the first."""
    naive = _EPOCH + timedelta(microseconds=wall)
    moment = naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) - _EPOCH
    return (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds
