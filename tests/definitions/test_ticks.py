"""Ticks against a slow reference that walks the calendar in local time."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.definitions.feature import Feature
from headwater.definitions.ticks import DAY, WEEK, Ticks, parse_clock
from headwater.definitions.view import FeatureView

HOUR = 3_600_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]
TIMES = st.integers(-40 * 365 * DAY, 60 * 365 * DAY)


def micros(moment):
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def utc(*parts):
    return micros(dt.datetime(*parts, tzinfo=dt.UTC))


def reference(time, period_days, clock, zone):
    """The latest tick at or before a time: try each local date, from late to early."""
    around = (EPOCH + dt.timedelta(microseconds=time)).astimezone(ZoneInfo(zone)).date()
    hour, minute = map(int, clock.split(":"))
    found = []
    for back in range(-2, 2 * period_days + 3):
        date = around - dt.timedelta(days=back)
        anchor = dt.date(1970, 1, 5) if period_days % 7 == 0 else dt.date(1970, 1, 1)
        if (date - anchor).days % period_days == 0:
            local = dt.datetime(
                date.year, date.month, date.day, hour, minute, tzinfo=ZoneInfo(zone)
            )
            found.append(micros(local.astimezone(dt.UTC)))
    return max(tick for tick in found if tick <= time)


@given(
    TIMES, st.integers(1, 15), st.sampled_from(["00:00", "02:30", "17:30"]), st.sampled_from(ZONES)
)
@example(utc(2024, 3, 10, 7, 30), 1, "02:30", "America/New_York")
@example(utc(2024, 11, 3, 6, 30), 1, "01:30", "America/New_York")
@example(utc(1969, 12, 31, 23, 59), 7, "00:00", "UTC")
@example(-1, 1, "17:30", "Asia/Kolkata")
def test_latest_equals_the_reference(time, days, clock, zone):
    ticks = Ticks(days * DAY, parse_clock(clock), zone)
    expected = reference(time, days, clock, zone)
    assert ticks.latest(time) == expected
    assert ticks.latest(expected) == expected
    assert ticks.latest(expected - 1) < expected


@given(
    st.lists(TIMES, max_size=5),
    st.integers(1, 9),
    st.sampled_from(["00:00", "02:30"]),
    st.sampled_from(ZONES[:4]),
)
def test_floor_is_latest_of_each(times, days, clock, zone):
    ticks = Ticks(days * DAY, parse_clock(clock), zone)
    near = [times[0] % DAY + n * 5 * DAY for n in range(len(times))] if times else []
    found = ticks.floor(np.array(near, dtype=np.int64))
    assert found.tolist() == [ticks.latest(time) for time in near]


@given(TIMES, st.integers(0, 40 * DAY), st.integers(1, 9), st.sampled_from(ZONES))
def test_between_has_every_tick_once(start, length, days, zone):
    ticks = Ticks(days * DAY, parse_clock("02:30"), zone)
    found = ticks.between(start, start + length)
    walked, at = [], start + length - 1
    while length and ticks.latest(at) >= start:
        walked.append(ticks.latest(at))
        at = walked[-1] - 1
    assert found == walked[::-1]


@given(TIMES, st.integers(1, 3 * WEEK))
def test_any_period_counts_from_the_epoch(time, period):
    tick = Ticks(period).latest(time)
    assert tick <= time < tick + period
    assert (tick - (4 * DAY if period % WEEK == 0 else 0)) % period == 0


def test_weeks_begin_on_monday():
    tick = Ticks(WEEK).latest(utc(2024, 5, 16, 12))
    assert EPOCH + dt.timedelta(microseconds=tick) == dt.datetime(2024, 5, 13, tzinfo=dt.UTC)


def test_days_in_a_zone_are_23_and_25_hours_long():
    ticks = Ticks(DAY, 0, "America/New_York")
    spring = ticks.between(utc(2024, 3, 9, 5), utc(2024, 3, 12))
    assert np.diff(spring).tolist() == [24 * HOUR, 23 * HOUR]
    autumn = ticks.between(utc(2024, 11, 2, 4), utc(2024, 11, 5))
    assert np.diff(autumn).tolist() == [24 * HOUR, 25 * HOUR]


def test_a_time_in_a_gap_is_the_one_after_it_and_in_a_fold_the_first():
    gap = Ticks(DAY, parse_clock("02:30"), "America/New_York")
    assert gap.latest(utc(2024, 3, 10, 12)) == utc(2024, 3, 10, 7, 30)
    fold = Ticks(DAY, parse_clock("01:30"), "America/New_York")
    assert fold.latest(utc(2024, 11, 3, 12)) == utc(2024, 11, 3, 5, 30)


def test_a_day_that_a_zone_skips_has_no_tick_of_its_own():
    ticks = Ticks(DAY, 0, "Pacific/Apia")
    assert ticks.between(utc(2011, 12, 30), utc(2012, 1, 1)) == [
        utc(2011, 12, 30, 10),
        utc(2011, 12, 31, 10),
    ]


@pytest.mark.parametrize(
    ("frequency", "period"),
    [("hourly", HOUR), ("daily", DAY), ("weekly", WEEK), ("90m", HOUR * 3 // 2)],
)
def test_a_views_frequency(frequency, period):
    view = FeatureView("v", features=[Feature("a", "x")], update_frequency=frequency)
    assert view.ticks == Ticks(period)


def test_real_time_has_no_ticks():
    assert FeatureView("v", features=[Feature("a", "x")]).ticks is None


def test_a_time_of_day_and_zone():
    view = FeatureView(
        "v",
        features=[Feature("a", "x")],
        update_frequency="daily",
        at="16:30",
        timezone="America/New_York",
    )
    assert view.ticks.latest(utc(2024, 7, 1, 20, 30)) == utc(2024, 7, 1, 20, 30)
    assert view.ticks.latest(utc(2024, 7, 1, 20, 29)) == utc(2024, 6, 30, 20, 30)
