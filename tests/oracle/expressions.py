"""The expressions of features as a few nodes over Python callables, and their evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oracle.aggregates import aggregate, mean
from oracle.times import Nanos, source_instant, to_datetime

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Constant:
    value: Any


@dataclass(frozen=True)
class Column:
    """A column of the source, of the row at hand."""

    name: str


@dataclass(frozen=True)
class Input:
    """Another feature's value, in a derived feature."""

    name: str


@dataclass(frozen=True)
class AsOf:
    """`as_of()`: the instant, or the tick, for which a value is computed."""


@dataclass(frozen=True, init=False)
class Apply:
    """A scalar function of values."""

    function: Callable[..., Any]
    args: tuple[Expression, ...]

    def __init__(self, function: Callable[..., Any], *args: Expression) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "args", args)


@dataclass(frozen=True)
class Aggregate:
    """An aggregate over a window or a frame; without `arg` it counts rows."""

    name: str
    arg: Expression | None = None
    where: Expression | None = None
    parameter: Any = None


@dataclass(frozen=True)
class Lag:
    """The value of the row `steps` before; null where there is none."""

    arg: Expression
    steps: int = 1


@dataclass(frozen=True)
class Ema:
    """Exponential smoothing: `wilder` with alpha 1 / n, otherwise 2 / (n + 1)."""

    arg: Expression
    n: int
    wilder: bool = False


Expression = Constant | Column | Input | AsOf | Apply | Aggregate | Lag | Ema


def walk(expression: Expression) -> list[Expression]:
    """The node and all below it."""
    below: tuple[Expression | None, ...] = ()
    if isinstance(expression, Apply):
        below = expression.args
    elif isinstance(expression, Aggregate):
        below = (expression.arg, expression.where)
    elif isinstance(expression, (Lag, Ema)):
        below = (expression.arg,)
    return [expression, *(node for part in below if part is not None for node in walk(part))]


def _evaluate(expression: Expression, leaf: Callable[[Expression], Any]) -> Any:
    if isinstance(expression, Constant):
        return expression.value
    if isinstance(expression, Apply):
        return expression.function(*(_evaluate(arg, leaf) for arg in expression.args))
    return leaf(expression)


def of_row(expression: Expression, row: Row, as_of: int) -> Any:
    """The value of a row-level expression."""

    def leaf(node: Expression) -> Any:
        if isinstance(node, AsOf):
            return to_datetime(as_of)
        return _in_microseconds(row[node.name])

    return _evaluate(expression, leaf)


def of_rows(expression: Expression, rows: Sequence[Row], as_of: int) -> Any:
    """The value of an expression over aggregates, for the rows of one window in C4's order."""

    def leaf(node: Expression) -> Any:
        if isinstance(node, AsOf):
            return to_datetime(as_of)
        return _aggregate(node, rows, lambda inner, row: of_row(inner, row, as_of))

    return _evaluate(expression, leaf)


def of_inputs(expression: Expression, inputs: Mapping[str, Any], as_of: int) -> Any:
    """The value of an expression over other features."""

    def leaf(node: Expression) -> Any:
        return to_datetime(as_of) if isinstance(node, AsOf) else inputs[node.name]

    return _evaluate(expression, leaf)


def of_sequence(
    expression: Expression, rows: Sequence[Row], frame: int | None, min_rows: int
) -> Any:
    """The value at the last of the rows, which are all known rows of a key up to it, in order."""
    if len(rows) < min_rows:
        return None
    return _at(expression, rows, frame)


def _at(expression: Expression, rows: Sequence[Row], frame: int | None) -> Any:
    def leaf(node: Expression) -> Any:
        if isinstance(node, Lag):
            before = rows[: max(0, len(rows) - node.steps)]
            return _at(node.arg, before, frame) if before else None
        if isinstance(node, Ema):
            return _smooth([_at(node.arg, rows[: i + 1], frame) for i in range(len(rows))], node)
        if isinstance(node, Aggregate):
            first = max(0, len(rows) - frame)
            places = range(first, len(rows))
            return _aggregate(node, places, lambda inner, i: _at(inner, rows[: i + 1], frame))
        return _in_microseconds(rows[-1][node.name])

    return _evaluate(expression, leaf)


def _smooth(values: Sequence[float | None], node: Ema) -> float | None:
    """The last output: null in, null out; the first is the mean of the first n."""
    if values[-1] is None:
        return None
    present = [float(value) for value in values if value is not None]
    if len(present) < node.n:
        return None
    alpha = 1 / node.n if node.wilder else 2 / (node.n + 1)
    state = mean(present[: node.n])
    for value in present[node.n :]:
        state = state + alpha * (value - state)
    return state


def _aggregate(node: Aggregate, rows: Sequence[Any], of: Callable[[Expression, Any], Any]) -> Any:
    passed = [row for row in rows if node.where is None or of(node.where, row) is True]
    if node.arg is None:
        return len(passed)
    return aggregate(node.name, [of(node.arg, row) for row in passed], node.parameter)


def _in_microseconds(value: Any) -> Any:
    return to_datetime(source_instant(value)) if isinstance(value, Nanos) else value
