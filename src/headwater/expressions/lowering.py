"""Brings the spellings of one meaning to one form: names of functions, literals, casts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from headwater.expressions.functions import (
    AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS,
    SEQUENCE_FUNCTIONS,
    SPELLINGS,
    AggregateFunction,
)
from headwater.expressions.functions.times import microseconds
from headwater.expressions.intervals import part_name
from headwater.expressions.refusal import Refused, refuse_name
from headwater.expressions.tree import Aggregate, Call, Case, Cast, Literal, Node, Scalar
from headwater.expressions.widening import choices

MAX_ROWS = 100_000


def negate(node: Node) -> Node:
    """A negative literal where the node is a number other than zero, else the call."""
    value = node.value if isinstance(node, Literal) else None
    if isinstance(node, Literal) and isinstance(value, int | float):
        # 0.0 and -0.0 would be equal as literals
        whole = isinstance(value, bool) or value in (0, -(2**63))
        if not whole:
            return Literal(-value, node.dtype)
    return Call("negate", (node,))


def cast(arg: Node, dtype: str, *, is_try: bool = False) -> Node:
    """The cast; of a constant text to a date or timestamp the constant itself."""
    if isinstance(arg, Literal) and isinstance(arg.value, str) and dtype in ("date", "timestamp"):
        return time_literal(arg.value, dtype)
    return Cast(arg, dtype, is_try)


def time_literal(text: str, dtype: str) -> Literal:
    """DATE '...' in days, TIMESTAMP '...' in microseconds since the epoch."""
    try:
        if dtype == "date":
            return Literal((date.fromisoformat(text) - date(1970, 1, 1)).days, dtype)
        moment = datetime.fromisoformat(text)
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return Literal(microseconds(utc), dtype)
    except (ValueError, OverflowError):
        form = "2024-01-31" if dtype == "date" else "2024-01-31 23:59:59.5"
        raise Refused(f"'{text}' is not a {dtype}; write it as '{form}'") from None


def call_function(
    name: str, args: list[Node], *, star: bool = False, distinct: bool = False
) -> Node:
    """The node of a call by any spelling of its name."""
    known = SPELLINGS.get(name)
    if star and known != "count":
        raise Refused("'*' stands only in count(*)")
    if distinct and known != "count":
        raise Refused(f"DISTINCT stands only in count(DISTINCT x), not in {name}")
    if name in _SUGAR:
        return _SUGAR[name](name, args)
    if known in AGGREGATE_FUNCTIONS:
        return _aggregate(AGGREGATE_FUNCTIONS[known], args, star=star, distinct=distinct)
    if known in SEQUENCE_FUNCTIONS:
        return _sequence(SEQUENCE_FUNCTIONS[known], args)
    if known is None:
        raise refuse_name(name)
    return Call(known, _with_part(known, args))


def _with_part(name: str, args: Sequence[Node]) -> tuple[Node, ...]:
    """The arguments, the part of a time under its canonical name."""
    first = args[0] if args else None
    parts = choices(SCALAR_FUNCTIONS[name].takes[0]) if SCALAR_FUNCTIONS[name].takes else None
    if parts is not None and isinstance(first, Literal) and isinstance(first.value, str):
        return (Literal(part_name(first.value), "string"), *args[1:])
    return tuple(args)


def _count_if(name: str, args: list[Node]) -> Node:
    _check_count(name, args, 1, 1)
    return Aggregate("count", (), where=args[0])


def _median(name: str, args: list[Node]) -> Node:
    _check_count(name, args, 1, 1)
    return Aggregate("quantile_cont", (args[0],), parameters=(0.5,))


def _as_of(name: str, args: list[Node]) -> Node:
    _check_count(name, args, 0, 0)
    return Call("as_of")


def _if(name: str, args: list[Node]) -> Node:
    _check_count(name, args, 2, 3)
    return Case(((args[0], args[1]),), args[2] if len(args) == 3 else None)


def _date_part(name: str, args: list[Node]) -> Node:
    _check_count(name, args, 2, 2)
    part = args[0]
    if not isinstance(part, Literal) or not isinstance(part.value, str):
        raise Refused("function 'date_part': argument 1 should be a constant, as in 'hour'")
    return extract(part.value, args[1])


def extract(part: str, moment: Node) -> Node:
    """A part of a time, by the function of its name."""
    name = SPELLINGS.get(part_name(part))
    function = SCALAR_FUNCTIONS.get(name or "")
    if function is None or function.takes != ("timestamp",):
        parts = [f.name for f in SCALAR_FUNCTIONS.values() if f.takes == ("timestamp",)]
        raise Refused(f"'{part}' is not a part of a time; use {', '.join(parts)}")
    return Call(function.name, (moment,))


_SUGAR: dict[str, Callable[[str, list[Node]], Node]] = {
    "count_if": _count_if,
    "countif": _count_if,
    "median": _median,
    "as_of": _as_of,
    "if": _if,
    "date_part": _date_part,
    "datepart": _date_part,
}


def _aggregate(
    function: AggregateFunction, args: list[Node], *, star: bool, distinct: bool
) -> Node:
    if function.name == "count" and (star or not args):
        return Aggregate("count")
    _check_count(function.name, args, len(function.takes), len(function.takes))
    cut = len(args) - function.constants
    constants = tuple(
        _constant(function.name, arg, pattern)
        for arg, pattern in zip(args[cut:], function.takes[cut:], strict=True)
    )
    return Aggregate(function.name, tuple(args[:cut]), distinct, parameters=constants)


def _sequence(function: AggregateFunction, args: list[Node]) -> Node:
    least = sum(not pattern.endswith("?") for pattern in function.takes)
    _check_count(function.name, args, least, len(function.takes))
    steps: Scalar = 1
    if len(args) > 1:
        steps = _constant(function.name, args[1], "positive")
    return Call(function.name, (args[0], Literal(steps, "int64")))


def _constant(name: str, node: Node, pattern: str) -> Scalar:
    value = node.value if isinstance(node, Literal) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if pattern == "fraction":
        if not number or not 0 <= value <= 1:  # type: ignore[operator]
            raise Refused(f"function '{name}': the fraction should be a constant from 0 to 1")
        return float(value)  # type: ignore[arg-type]
    if not number or not isinstance(value, int) or not 1 <= value <= MAX_ROWS:
        counted = "values" if name == "top_k" else "rows"
        raise Refused(
            f"function '{name}': the number of {counted} should be a constant from 1 to {MAX_ROWS}"
        )
    return value


def _check_count(name: str, args: Sequence[Node], least: int, most: int) -> None:
    if not least <= len(args) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        plural = "" if wanted == "1" else "s"
        raise Refused(f"function '{name}' takes {wanted} argument{plural}, got {len(args)}")
