"""Functions of times. All of them are UTC; weeks begin on Monday."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from headwater.errors import ComputeError
from headwater.expressions.functions.arithmetic import INT64_MAX, INT64_MIN
from headwater.expressions.functions.declare import CANNOT, Example, Function

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SIZES = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
TRUNCATIONS = "|".join((*SIZES, "week", "month", "quarter", "year"))
DIFFERENCES = "|".join((*SIZES, "month", "quarter", "year"))


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(value: int) -> datetime:
    """The moment, or ComputeError outside the years 1 to 9999."""
    try:
        return EPOCH + timedelta(microseconds=value)
    except OverflowError:
        raise ComputeError(f"{value} µs since 1970 is outside the years 1 to 9999") from None


def epoch_ms(moment: datetime) -> int:
    value, rest = divmod(abs(microseconds(moment)), 1_000)
    value += rest >= 500
    return value if moment >= EPOCH else -value


def date_trunc(part: str, moment: datetime) -> datetime:
    size = SIZES.get(part)
    if size is not None and part != "day":
        value = microseconds(moment)
        return from_microseconds(value - value % size)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if part == "week":
        return shift(day, -day.weekday() * SIZES["day"])
    if part == "month":
        return day.replace(day=1)
    if part == "quarter":
        return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day.replace(month=1, day=1) if part == "year" else day


def _number(part: str, moment: datetime) -> int:
    """Which part since year 0 or since the epoch a moment lies in."""
    if part in SIZES:
        return microseconds(moment) // SIZES[part]
    months = moment.year * 12 + moment.month - 1
    return months // {"month": 1, "quarter": 3, "year": 12}[part]


def date_diff(part: str, start: datetime, end: datetime) -> int:
    return _number(part, end) - _number(part, start)


def date_sub(part: str, start: datetime, end: datetime) -> int:
    gap = microseconds(end) - microseconds(start)
    whole = abs(gap) // SIZES[part]
    return whole if gap >= 0 else -whole


def shift(moment: datetime, amount: int) -> datetime:
    try:
        return moment + timedelta(microseconds=amount)
    except OverflowError:
        raise ComputeError(f"{moment} + {amount} µs is outside the years 1 to 9999") from None


def shift_months(moment: datetime | None, amount: int | None) -> datetime | None:
    # the interval is made before it is added, so it may fail though the time is null
    if amount is not None and not -(2**31) <= amount < 2**31:
        raise ComputeError(f"{amount} months are too many")
    if moment is None or amount is None:
        return None
    year, month = divmod(moment.year * 12 + moment.month - 1 + amount, 12)
    if not 1 <= year <= 9999:
        raise ComputeError(f"{moment} + {amount} months is outside the years 1 to 9999")
    last = monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def last_day(moment: datetime) -> date:
    return date(moment.year, moment.month, monthrange(moment.year, moment.month)[1])


def to_timestamp(seconds: float) -> datetime:
    try:
        return from_microseconds(round(seconds * 1e6))
    except (ValueError, OverflowError):
        raise ComputeError(f"{seconds} seconds since 1970 is not a timestamp") from None


def make_date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        raise ComputeError(f"there is no date {year}-{month}-{day}") from None


_LATE = datetime(2021, 1, 3, 14, 5, 6, 789_012, tzinfo=UTC)
_EARLY = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def _part(
    name: str, doc: str, row: Callable[[datetime], Any], late: Any, early: Any, *spellings: str
) -> Function:
    examples: tuple[Example, ...] = (((_LATE,), late), ((_EARLY,), early), ((None,), None))
    gives = {int: "int64", float: "float64", str: "string", date: "date"}[type(late)]
    return Function(name, ("timestamp",), gives, doc, row, examples, spellings=spellings)


def _at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


TIMES = (
    _part("year", "Year.", lambda t: t.year, 2021, 1969),
    _part("quarter", "Quarter, 1 to 4.", lambda t: (t.month + 2) // 3, 1, 4),
    _part("month", "Month, 1 to 12.", lambda t: t.month, 1, 12),
    _part("week", "ISO week, 1 to 53.", lambda t: t.isocalendar()[1], 53, 1, "weekofyear"),
    _part("isoyear", "Year of the ISO week.", lambda t: t.isocalendar()[0], 2020, 1970),
    _part("day", "Day of the month, 1 to 31.", lambda t: t.day, 3, 31, "dayofmonth"),
    _part("dayofyear", "Day of the year, 1 to 366.", lambda t: t.timetuple().tm_yday, 3, 365),
    _part(
        "dayofweek",
        "Day of the week, from Sunday 0 to Saturday 6.",
        lambda t: t.isoweekday() % 7,
        0,
        3,
        "weekday",
    ),
    _part("isodow", "Day of the week, from Monday 1 to Sunday 7.", lambda t: t.isoweekday(), 7, 3),
    _part("hour", "Hour, 0 to 23.", lambda t: t.hour, 14, 23),
    _part("minute", "Minute, 0 to 59.", lambda t: t.minute, 5, 59),
    _part("second", "Second, 0 to 59.", lambda t: t.second, 6, 59),
    _part(
        "millisecond",
        "Second and its thousandths, as milliseconds.",
        lambda t: t.second * 1_000 + t.microsecond // 1_000,
        6_789,
        59_999,
    ),
    _part(
        "microsecond",
        "Second and its millionths, as microseconds.",
        lambda t: t.second * 1_000_000 + t.microsecond,
        6_789_012,
        59_999_999,
    ),
    _part(
        "dayname", "English name of the day.", lambda t: _DAYS[t.weekday()], "Sunday", "Wednesday"
    ),
    _part(
        "monthname",
        "English name of the month.",
        lambda t: _MONTHS[t.month - 1],
        "January",
        "December",
    ),
    _part("last_day", "Last day of the month.", last_day, date(2021, 1, 31), date(1969, 12, 31)),
    _part(
        "epoch",
        "Seconds since 1970.",
        lambda t: microseconds(t) / 1e6,
        1609682706.789012,
        -0.000001,
    ),
    _part("epoch_ms", "Milliseconds since 1970, rounded.", epoch_ms, 1609682706789, 0),
    _part("epoch_us", "Microseconds since 1970.", microseconds, 1609682706789012, -1),
    Function(
        "date_trunc",
        (f"'{TRUNCATIONS}'", "timestamp"),
        "timestamp",
        "Beginning of the part in which the time lies.",
        date_trunc,
        (
            (("day", _LATE), _at(2021, 1, 3)),
            (("hour", _EARLY), _at(1969, 12, 31, 23)),
            (("week", _LATE), _at(2020, 12, 28)),
            (("month", _EARLY), _at(1969, 12, 1)),
            (("quarter", _EARLY), _at(1969, 10, 1)),
            (("year", _LATE), _at(2021, 1, 1)),
            (("day", None), None),
        ),
        spellings=("datetrunc",),
    ),
    Function(
        "date_diff",
        (f"'{DIFFERENCES}'", "timestamp", "timestamp"),
        "int64",
        "Number of boundaries of the part between two times.",
        date_diff,
        (
            (("day", _EARLY, _at(1970, 1, 1)), 1),
            (("hour", _LATE, _at(2021, 1, 3)), -14),
            (("month", _at(2020, 1, 31), _at(2020, 2, 1)), 1),
            (("year", _LATE, _EARLY), -52),
            (("day", None, _LATE), None),
        ),
        spellings=("datediff",),
    ),
    Function(
        "date_sub",
        (f"'{'|'.join(SIZES)}'", "timestamp", "timestamp"),
        "int64",
        "Number of whole parts between two times.",
        date_sub,
        (
            (("day", _EARLY, _at(1970, 1, 1)), 0),
            (("hour", _LATE, _at(2021, 1, 3)), -14),
            (("hour", _at(2021, 1, 3), _LATE), 14),
        ),
        spellings=("datesub",),
    ),
    Function(
        "add_interval",
        ("timestamp", "int64"),
        "timestamp",
        "A time plus microseconds, `t + INTERVAL 3 DAY`, `t - INTERVAL (n) HOUR`.",
        shift,
        (
            ((_EARLY, 1), _at(1970, 1, 1)),
            ((_at(2021, 1, 3), -86_400_000_000), _at(2021, 1, 2)),
            ((_LATE, INT64_MAX), CANNOT),
        ),
        text="({0} + INTERVAL ({1}) MICROSECOND)",
        duckdb="({0} + to_microseconds({1}))",
    ),
    Function(
        "add_months",
        ("timestamp", "int64"),
        "timestamp",
        "A time plus months, at the last day of the month at the most, `t + INTERVAL 1 MONTH`.",
        shift_months,
        (
            ((_at(2020, 1, 31), 1), _at(2020, 2, 29)),
            ((_at(2020, 2, 29), -12), _at(2019, 2, 28)),
            ((_LATE, INT64_MAX), CANNOT),
            ((None, 1), None),
        ),
        text="({0} + INTERVAL ({1}) MONTH)",
        strict=False,
        duckdb="({0} + to_months({1}))",
    ),
    Function(
        "make_date",
        ("int64", "int64", "int64"),
        "date",
        "Date of year, month and day.",
        make_date,
        (((2020, 2, 29), date(2020, 2, 29)), ((2021, 2, 29), CANNOT), ((2020, None, 1), None)),
    ),
    Function(
        "make_timestamp",
        ("int64",),
        "timestamp",
        "Time of microseconds since 1970.",
        from_microseconds,
        (((-1,), _EARLY), ((0,), _at(1970, 1, 1)), ((INT64_MIN,), CANNOT)),
    ),
    Function(
        "to_timestamp",
        ("float64",),
        "timestamp",
        "Time of seconds since 1970, to the nearest microsecond.",
        to_timestamp,
        (((0.0,), _at(1970, 1, 1)), ((-0.000001,), _EARLY), ((float("nan"),), CANNOT)),
        duckdb="CAST(to_timestamp({0}) AS TIMESTAMP)",
    ),
)
