"""Brings the spellings of one meaning to one form: names, intervals, literals, sugar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from headwater.errors import near_miss
from headwater.expressions.functions import (
    AGGREGATE_FUNCTIONS,
    SEQUENCE_FUNCTIONS,
    SPELLINGS,
    AggregateFunction,
)
from headwater.expressions.tree import Aggregate, Call, Cast, Literal, Node, Scalar

DOCS = "docs/reference/functions.md"
MAX_COUNT = 100_000


class Refused(Exception):  # noqa: N818  (never leaves this package)
    """What is not allowed in an expression, in the user's words."""


def negate(node: Node) -> Node:
    """A negative literal where the node is a number other than zero, else the call."""
    value = node.value if isinstance(node, Literal) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(node, Literal) and number and value and value != -(2**63):
        return Literal(-value, node.dtype)  # type: ignore[operator]
    return Call("negate", (node,))


def cast(arg: Node, dtype: str, *, is_try: bool = False) -> Node:
    """The cast; of a constant text to a date or timestamp the constant itself."""
    if isinstance(arg, Literal) and arg.dtype == "string" and dtype in ("date", "timestamp"):
        return time_literal(str(arg.value), dtype)
    return Cast(arg, dtype, is_try)


def time_literal(text: str, dtype: str) -> Literal:
    """DATE '...' in days, TIMESTAMP '...' in microseconds since the epoch."""
    try:
        if dtype == "date":
            return Literal((date.fromisoformat(text) - date(1970, 1, 1)).days, dtype)
        moment = datetime.fromisoformat(text)
    except ValueError:
        form = "2024-01-31" if dtype == "date" else "2024-01-31 23:59:59.5"
        raise Refused(f"'{text}' is not a {dtype}; write it as '{form}'") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Literal((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, dtype)


def shift(moment: Node, amount: Node | str, unit: str | None, *, minus: bool) -> Node:
    """A time plus or minus an INTERVAL."""
    raise Refused("an INTERVAL is not allowed")


def call_function(
    name: str, args: list[Node], *, star: bool = False, distinct: bool = False
) -> Node:
    """The node of a call by any spelling of its name."""
    if name == "count_if" or name == "countif":
        _count(name, args, 1, 1)
        return Aggregate("count", (), where=args[0])
    if name == "median":
        _count(name, args, 1, 1)
        return Aggregate("quantile_cont", (args[0],), parameters=(0.5,))
    if name == "as_of":
        _count(name, args, 0, 0)
        return Call("as_of")
    known = SPELLINGS.get(name)
    if known is None:
        raise Refused(f"unknown function '{name}'{near_miss(name, SPELLINGS)} (see {DOCS})")
    if known in AGGREGATE_FUNCTIONS:
        return _aggregate(AGGREGATE_FUNCTIONS[known], args, star=star, distinct=distinct)
    if star:
        raise Refused("'*' stands only in count(*)")
    if distinct:
        raise Refused("DISTINCT stands only in count(DISTINCT x)")
    if known in SEQUENCE_FUNCTIONS:
        return _sequence(SEQUENCE_FUNCTIONS[known], args)
    return Call(known, tuple(args))


def _aggregate(
    function: AggregateFunction, args: list[Node], *, star: bool, distinct: bool
) -> Node:
    name = function.name
    if name == "count" and not star and not args:
        raise Refused("write count(*) to count rows")
    if star:
        if name != "count":
            raise Refused("'*' stands only in count(*)")
        return Aggregate("count")
    if distinct and name != "count":
        raise Refused(f"DISTINCT stands only in count(DISTINCT x), not in {name}")
    _count(name, args, len(function.takes), len(function.takes))
    values = args[: len(args) - function.constants]
    patterns = function.takes[len(values) :]
    constants = tuple(
        _constant(name, arg, pattern)
        for arg, pattern in zip(args[len(values) :], patterns, strict=True)
    )
    return Aggregate(name, tuple(values), distinct, parameters=constants)


def _sequence(function: AggregateFunction, args: list[Node]) -> Node:
    least = sum(not pattern.endswith("?") for pattern in function.takes)
    _count(function.name, args, least, len(function.takes))
    steps = args[1] if len(args) > 1 else Literal(1, "int64")
    return Call(
        function.name, (args[0], Literal(_constant(function.name, steps, "positive"), "int64"))
    )


def _constant(name: str, node: Node, pattern: str) -> Scalar:
    value = node.value if isinstance(node, Literal) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if pattern == "fraction":
        if not number or not 0 <= value <= 1:  # type: ignore[operator]
            raise Refused(f"function '{name}': the fraction is a constant from 0 to 1")
        return float(value)  # type: ignore[arg-type]
    if not number or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise Refused(
            f"function '{name}': the number of rows is a constant from 1 to {MAX_COUNT:,}"
        )
    return value


def _count(name: str, args: Sequence[Node], least: int, most: int) -> None:
    if not least <= len(args) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        plural = "" if wanted == "1" else "s"
        raise Refused(f"function '{name}' takes {wanted} argument{plural}, got {len(args)}")
