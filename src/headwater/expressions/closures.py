"""Compiles a tree to a closure over the values of one row. No text is executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import Any

from headwater.errors import ExpressionError
from headwater.expressions.casts import caster
from headwater.expressions.functions import SCALAR_FUNCTIONS, SEQUENCE_FUNCTIONS, Row
from headwater.expressions.functions.declare import Constant
from headwater.expressions.functions.times import from_microseconds
from headwater.expressions.tree import (
    Aggregate,
    Call,
    Case,
    Cast,
    Column,
    Literal,
    Node,
    Over,
    Pack,
)


def compile_row(node: Node, names: Sequence[str]) -> Row:
    """A closure that computes a scalar tree, as `resolve` returned it, for one row.

    It takes the values of `names` by position: bool, int, float, str, bytes, aware datetime in
    UTC, date, list, dict (a struct by the names of its fields, a map in the order of its keys) or
    None; `as_of()` is read from the name "as_of()". It raises ComputeError
    where a value can't be computed. Aggregates and sequence calls are refused with
    ExpressionError: the kernels compute them.
    """
    places = {name: place for place, name in enumerate(names)}
    return _compile(node, places)


def _compile(node: Node, places: dict[str, int]) -> Row:
    match node:
        case Literal():
            return Constant(constant(node))
        case Column():
            return _column(node.name, places)
        case Cast():
            return _strict_1(_caster(node), _compile(node.arg, places))
        case Case():
            return _case(node, places)
        case Aggregate():
            raise ExpressionError(f"the aggregate '{node.name}' is not a scalar expression")
        case Over():
            return _compile(node.aggregate, places)
        case Pack():
            return _pack(node, places)
        case Call():
            return _call(node, places)


def constant(node: Literal) -> Any:
    """The value of a literal as closures hold it."""
    value = node.value
    if value is None:
        return None
    if node.dtype == "timestamp":
        return from_microseconds(int(value))
    if node.dtype == "date":
        return date(1970, 1, 1) + timedelta(days=int(value))
    return bytes.fromhex(str(value)) if node.dtype == "bytes" else value


def _caster(node: Cast) -> Callable[[Any], Any]:
    text = isinstance(node.arg, Call) and node.arg.name == "number_text"
    # of anything but a text, the builtin does it faster
    return caster(node.dtype, is_try=node.is_try) if text or node.dtype != "float64" else float


def _column(name: str, places: dict[str, int]) -> Row:
    if name not in places:
        raise ExpressionError(f"'{name}' is not among the names of the row: {', '.join(places)}")
    return itemgetter(places[name])


def _call(node: Call, places: dict[str, int]) -> Row:
    if node.name == "as_of":
        return _column("as_of()", places)
    if node.name in SEQUENCE_FUNCTIONS:
        raise ExpressionError(f"the sequence function '{node.name}' is not a scalar expression")
    function = SCALAR_FUNCTIONS[node.name]
    args = [_compile(arg, places) for arg in node.args]
    if function.build is not None:
        return function.build(args)
    if not function.strict:
        return _eager(function.row, args)
    if len(args) == 1:
        return _strict_1(function.row, args[0])
    if len(args) == 2:
        return _strict_2(function.row, args[0], args[1])
    return _strict(function.row, args)


def _strict_1(f: Callable[..., Any], arg: Row) -> Row:
    def run(row: Sequence[Any]) -> Any:
        x = arg(row)
        return None if x is None else f(x)

    return run


def _strict_1_with(f: Callable[..., Any], left: Row, y: Any) -> Row:
    def run(row: Sequence[Any]) -> Any:
        x = left(row)
        return None if x is None else f(x, y)

    return run


def _strict_2(f: Callable[..., Any], left: Row, right: Row) -> Row:
    if isinstance(right, Constant) and right.value is not None:
        return _strict_1_with(f, left, right.value)

    # both sides are computed before either is tested: an error in one is an error on every engine
    def run(row: Sequence[Any]) -> Any:
        x, y = left(row), right(row)
        return None if x is None or y is None else f(x, y)

    return run


def _strict(f: Callable[..., Any], args: Sequence[Row]) -> Row:
    def run(row: Sequence[Any]) -> Any:
        values = [arg(row) for arg in args]
        return None if None in values else f(*values)

    return run


def _eager(f: Callable[..., Any], args: Sequence[Row]) -> Row:
    if len(args) == 2:
        left, right = args
        return lambda row: f(left(row), right(row))
    return lambda row: f(*[arg(row) for arg in args])


def _pack(node: Pack, places: dict[str, int]) -> Row:
    named = [(n, _compile(v, places)) for n, v in zip(node.names, node.values, strict=True)]
    return lambda row: {name: value(row) for name, value in named}


def _case(node: Case, places: dict[str, int]) -> Row:
    run: Row = Constant(None) if node.otherwise is None else _compile(node.otherwise, places)
    for test, value in reversed(node.branches):
        run = _branch(_compile(test, places), _compile(value, places), run)
    return run


def _branch(test: Row, value: Row, otherwise: Row) -> Row:
    return lambda row: value(row) if test(row) else otherwise(row)
