"""Between texts and values: what CAST from and to a string is made of.

The grammar of a text is ours, narrower than any engine's, and checked by a regular expression on
both sides, so that no engine reads a text that another one refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

from headwater.errors import ComputeError
from headwater.expressions.functions.declare import CANNOT, Example, Function

# no braces: the patterns stand in templates of SQL
_NUMBER = (
    " *[-+]?(?:(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][-+]?[0-9][0-9]?[0-9]?[0-9]?)?"
    "|[iI][nN][fF]|[iI][nN][fF][iI][nN][iI][tT][yY]|[nN][aA][nN]) *"
)
_YEAR = "000[1-9]|00[1-9][0-9]|0[1-9][0-9][0-9]|[1-9][0-9][0-9][0-9]"
_DATE = f"({_YEAR})-([0-9][0-9]?)-([0-9][0-9]?)"
_CLOCK = "([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]*))?)?"
_OFFSET = "(?:Z|([-+])(0[0-9]|1[0-4])(?::?([0-5][0-9]))?)?"
_DAY = f" *{_DATE}(?:[ T]{_CLOCK})? *"
_MOMENT = f" *{_DATE}(?:[ T]{_CLOCK}{_OFFSET})? *"
_is_number = re.compile(_NUMBER).fullmatch
_day = re.compile(_DAY).fullmatch
_moment = re.compile(_MOMENT).fullmatch


def number_text(text: str) -> str:
    return text if _is_number(text) else ""


def read_date(text: str) -> date:
    found = _day(text)
    if found is not None:
        try:
            return date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            pass
    raise ComputeError(f"'{text}' is not a date; one looks like 2024-01-31")


def read_timestamp(text: str) -> datetime:
    found = _moment(text)
    if found is not None:
        try:
            return _build(found)
        except (ValueError, OverflowError):
            pass
    raise ComputeError(f"'{text}' is not a timestamp; one looks like 2024-01-31 23:59:59.5")


def _build(found: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    gap = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
    zone = timezone(-gap if found[8] == "-" else gap)
    local = datetime(year, month, day, hour, minute, second, fraction, zone)
    return local.astimezone(UTC)


def try_read_date(text: str) -> date | None:
    try:
        return read_date(text)
    except ComputeError:
        return None


def try_read_timestamp(text: str) -> datetime | None:
    try:
        return read_timestamp(text)
    except ComputeError:
        return None


def _guard(pattern: str) -> str:
    """DuckDB's SQL for the text if it matches, the empty text (which no cast reads) if not."""
    return f"CASE WHEN NOT regexp_full_match({{0}}, '{pattern}') THEN '' ELSE {{0}} END"


def _hidden(
    name: str, gives: str, row: Callable[[str], object], text: str, duckdb: str, *examples: Example
) -> Function:
    return Function(
        name, ("string",), gives, "", row, examples, text=text, duckdb=duckdb, hidden=True
    )


_LEAP = (("2020-02-29",), date(2020, 2, 29))
_LEAP_TIME = (("2020-02-29",), datetime(2020, 2, 29, tzinfo=UTC))
_ZONED = (("1969-12-31T23:59:59.5+01:00",), datetime(1969, 12, 31, 22, 59, 59, 500_000, UTC))

TEXTS = (
    _hidden(
        "number_text",
        "string",
        number_text,
        "{0}",
        _guard(_NUMBER),
        (("1e3",), "1e3"),
        (("0x1f",), ""),
        (("-Inf",), "-Inf"),
        (("1_0",), ""),
    ),
    Function(
        "float_text",
        ("float64",),
        "string",
        "",
        repr,
        (((1.5,), "1.5"), ((1e16,), "1e+16"), ((-0.0,), "-0.0"), ((float("nan"),), "nan")),
        text="CAST({0} AS VARCHAR)",
        # the sign of a NaN depends on the processor
        duckdb="replace(CAST({0} AS VARCHAR), '-nan', 'nan')",
        hidden=True,
    ),
    _hidden(
        "read_date",
        "date",
        read_date,
        "CAST({0} AS DATE)",
        f"CAST({_guard(_DAY)} AS DATE)",
        _LEAP,
        (("2021-02-29",), CANNOT),
        (("2021-02-01 x",), CANNOT),
    ),
    _hidden(
        "try_read_date",
        "date",
        try_read_date,
        "TRY_CAST({0} AS DATE)",
        f"TRY_CAST({_guard(_DAY)} AS DATE)",
        _LEAP,
        (("2021-02-29",), None),
        (("",), None),
    ),
    _hidden(
        "read_timestamp",
        "timestamp",
        read_timestamp,
        "CAST({0} AS TIMESTAMP)",
        f"CAST(CAST({_guard(_MOMENT)} AS TIMESTAMPTZ) AS TIMESTAMP)",
        _LEAP_TIME,
        _ZONED,
        (("2021-02-29",), CANNOT),
        (("now",), CANNOT),
    ),
    _hidden(
        "try_read_timestamp",
        "timestamp",
        try_read_timestamp,
        "TRY_CAST({0} AS TIMESTAMP)",
        f"CAST(TRY_CAST({_guard(_MOMENT)} AS TIMESTAMPTZ) AS TIMESTAMP)",
        _LEAP_TIME,
        _ZONED,
        (("2021-02-29",), None),
        (("now",), None),
    ),
)
