"""Hours and seasons: how much more than usual happens at a time, learned from history."""

from __future__ import annotations

from headwater.errors import DefinitionError
from headwater.library.ads.family import Features, days, derived, windowed


def hour_activity(
    window: str = "28d", *, name: str = "hour_activity", hours_east: int = 0
) -> Features:
    """Activity by hour of the day: `_0` to `_23`.

    View: without entity, over a source with `activity` by the hour (of `activity`), with a tick of
    its own: learned from what was known at the tick. `hours_east` of UTC is the clock that counts.
    Formula: 24 * the events of that hour of the day / all events of the window.
    Unit: an index, 1 on average.
    Null: without events.
    Source: Hyndman, Athanasopoulos, Forecasting: Principles and Practice (2021), 3.4.
    """
    days("hour_activity", window)
    clock = _clock("period", hours_east)
    return tuple(
        windowed(
            f"{name}_{hour}",
            f"24 * coalesce(sum(activity) FILTER (WHERE hour({clock}) = {hour}), 0) "
            "/ nullif(sum(activity), 0)",
            f"Activity between {hour} and {hour + 1} h, 1 on average, {window}",
            window,
        )
        for hour in range(24)
    )


def time_of_day_factor(
    by_hour: Features, *, name: str = "time_of_day_factor", hours_east: int = 0
) -> Features:
    """Hour-of-day activity index: how much more than on average happens at the hour of *t*.

    View: without source and entity; it reads `by_hour` (of `hour_activity`, with the same
    `hours_east`) at the hour of `as_of()`, which is that of the spine's row or of the request.
    Formula: the index of that hour.
    Unit: an index, 1 on average.
    Null: as `hour_activity`.
    Source: as `hour_activity`.
    """
    if len(by_hour) != 24:
        raise DefinitionError(f"time_of_day_factor: expects 24 hours, got {len(by_hour)} features")
    cases = " ".join(f"WHEN {hour} THEN {feature.name}" for hour, feature in enumerate(by_hour))
    clock = _clock("as_of()", hours_east)
    return (
        derived(name, f"CASE hour({clock}) {cases} END", "Activity at this hour, 1 on average"),
    )


def _clock(time: str, hours_east: int) -> str:
    if isinstance(hours_east, bool) or not isinstance(hours_east, int) or abs(hours_east) > 14:
        raise DefinitionError(
            f"hours_east should be a whole number of hours from UTC, is {hours_east!r}"
        )
    return f"{time} + INTERVAL {hours_east} HOUR" if hours_east else time
