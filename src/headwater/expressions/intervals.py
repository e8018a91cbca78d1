"""INTERVAL in its spellings, and the names of the parts of a time."""

from __future__ import annotations

import re
from fractions import Fraction

from headwater.expressions.functions.times import SIZES
from headwater.expressions.refusal import Refused, shortened
from headwater.expressions.tree import Call, Literal, Node

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_FIXED = {**SIZES, "week": 7 * SIZES["day"]}
_SHORT = {
    "us": "microsecond",
    "usec": "microsecond",
    "ms": "millisecond",
    "msec": "millisecond",
    "s": "second",
    "sec": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "hr": "hour",
    "d": "day",
    "w": "week",
    "mon": "month",
    "y": "year",
    "yr": "year",
    "dow": "dayofweek",
    "weekday": "dayofweek",
    "doy": "dayofyear",
    "dayofmonth": "day",
    "weekofyear": "week",
}
# as many digits as a float64 has at most, since that is how errors show the number
_AMOUNT = r"[-+]?[0-9]{1,300}(?:\.[0-9]{1,300})?"
_PIECE = re.compile(rf"\s*({_AMOUNT})\s*([A-Za-z]+)\s*")
_NUMBER = re.compile(rf"\s*{_AMOUNT}\s*")


def part_name(word: str) -> str:
    """The canonical name of a part: `HOURS` and `hr` are `hour`."""
    name = word.lower()
    singular = name.removesuffix("s") if len(name) > 2 else name
    return _SHORT.get(name) or _SHORT.get(singular) or singular


def shift(moment: Node, amount: Node | str, unit: str | None, *, minus: bool) -> Node:
    """A time plus or minus an INTERVAL.

    A text holds a number for `unit`, or numbers with units where that is None. Units up to weeks
    have a fixed length; months, quarters and years go by the calendar.
    """
    if isinstance(amount, str):
        for number, name in _pieces(amount, unit):
            moment = _constant(moment, -number if minus else number, name)
        return moment
    if unit is None:
        raise Refused("an INTERVAL needs a unit, as in INTERVAL (n) DAY")
    if isinstance(amount, Literal) and amount.dtype == "int64" and isinstance(amount.value, int):
        return _constant(moment, Fraction(-amount.value if minus else amount.value), unit)
    name, size = _unit(unit)
    if minus:
        size = -size
    steps = amount if size == 1 else Call("multiply", (amount, Literal(size, "int64")))
    return Call(name, (moment, steps))


def _unit(word: str) -> tuple[str, int]:
    """The call that adds a unit, and how many of its steps the unit has."""
    part = part_name(word)
    if part in _MONTHS:
        return "add_months", _MONTHS[part]
    if part not in _FIXED:
        units = ", ".join((*_FIXED, *_MONTHS))
        raise Refused(f"'{word}' is not a unit of INTERVAL; use {units}")
    return "add_interval", _FIXED[part]


def _pieces(text: str, unit: str | None) -> list[tuple[Fraction, str]]:
    if unit is not None:
        if _NUMBER.fullmatch(text) is None:
            raise Refused(f"INTERVAL '{shortened(text)}' {unit} should hold one number")
        return [(Fraction(text.strip()), unit)]
    found = _PIECE.findall(text)
    if not found or _PIECE.sub("", text):
        raise Refused(
            f"'{shortened(text)}' is not an INTERVAL; one looks like '36 hours' or '1 day 6 hours'"
        )
    return [(Fraction(number), name) for number, name in found]


def _constant(moment: Node, number: Fraction, word: str) -> Node:
    name, size = _unit(word)
    steps = number * size
    if steps.denominator != 1:
        raise Refused(f"INTERVAL {float(number)} {word} is not a whole number of steps")
    if not -(2**63) <= steps < 2**63:
        raise Refused(f"INTERVAL {float(number)} {word} is too long")
    return Call(name, (moment, Literal(int(steps), "int64")))
