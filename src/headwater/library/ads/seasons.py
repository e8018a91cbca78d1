"""Hours and seasons: how much more than usual happens at a time, learned from history."""

from __future__ import annotations

from headwater.errors import DefinitionError
from headwater.library.ads.family import Features, days, derived, positive, windowed


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


def seasonal_factor(
    window: str = "730d", *, weight: float = 7.0, name: str = "seasonal_factor"
) -> Features:
    """Activity of this time of the year: `_month`, and with the week of the year, the factor.

    View: without entity, over a source with `activity` by the day (of `activity` with per="day"),
    with a daily tick: learned from the days that were known at the tick, `as_of()`.
    Formula: a = mean activity of a day of the window. month = (sum over the days of this month of
    the year + weight * a) / ((their number + weight) * a); factor = (sum over the days of this ISO
    week + weight * month * a) / ((their number + weight) * a). So a week is drawn towards its
    month, a month towards 1, by as much as `weight` days; a season never seen is as the year.
    Unit: an index, 1 on average.
    Null: without activity. Days without any are left out. Growth over the window is not taken out:
    give two years or more, or less than that of a steady log.
    Source: Hyndman, Athanasopoulos (2021), 3.4; the shrinkage Miller, Williams, Shrinkage
    Estimators of Time Series Seasonal Factors, International Journal of Forecasting 19 (2003).
    """
    days("seasonal_factor", window)
    prior = positive("seasonal_factor: weight", weight)
    month = _drawn("month(period) = month(as_of())", "1.0", prior)
    factor = _drawn("week(period) = week(as_of())", month, prior)
    return (
        windowed(name, factor, "Activity of this week of the year, 1 on average", window),
        windowed(f"{name}_month", month, "Activity of this month, 1 on average", window),
    )


def _drawn(season: str, towards: str, weight: float) -> str:
    """The mean activity of a season by that of all days, drawn towards an index."""
    mine = f"coalesce(sum(activity) FILTER (WHERE {season}), 0) / avg(activity)"
    number = f"count(*) FILTER (WHERE {season})"
    return f"({mine} + {weight} * {towards}) / ({number} + {weight})"


def _clock(time: str, hours_east: int) -> str:
    if isinstance(hours_east, bool) or not isinstance(hours_east, int) or abs(hours_east) > 14:
        raise DefinitionError(
            f"hours_east should be a whole number of hours from UTC, is {hours_east!r}"
        )
    return f"{time} + INTERVAL {hours_east} HOUR" if hours_east else time
