"""Durations: a number and one of `us ms s m h d w`, held as integer microseconds."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

UNITS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_FORM = re.compile(r"([0-9]{1,18})\s*(us|ms|s|m|h|d|w)")
MAX_DURATION = 1_000 * 365 * UNITS["d"]


def parse_duration(value: Any) -> int:
    """Microseconds of `90m`, `0s` or a timedelta.

    Raises ValueError when it is none of these, negative, or longer than a thousand years.
    """
    if isinstance(value, timedelta):
        found = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    elif isinstance(value, int) and not isinstance(value, bool) and value == 0:
        found = 0
    else:
        form = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
        if form is None:
            raise ValueError(
                f"{value!r} is not a duration; "
                "write a number and one of us ms s m h d w, as in '7d'"
            )
        found = int(form[1]) * UNITS[form[2]]
    if not 0 <= found <= MAX_DURATION:
        raise ValueError(f"{value!r} is outside 0s to 365000d")
    return found


@lru_cache(maxsize=1024)
def format_duration(microseconds: int) -> str:
    """The shortest spelling that `parse_duration` reads back: 604800000000 gives `7d`."""
    if microseconds == 0:
        return "0s"
    units = [(unit, size) for unit, size in UNITS.items() if unit != "w"]
    unit, size = next((u, s) for u, s in units if microseconds % s == 0)
    return f"{microseconds // size}{unit}"
