"""The expressions of features as a few nodes over Python callables, and their evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oracle.aggregates import aggregate, exact_sum, mean
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
    other: Expression | None = None


@dataclass(frozen=True)
class Over:
    """An aggregate over the last `rows` rows, this one included; None is all of them."""

    aggregate: Aggregate
    rows: int | None = None


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


@dataclass(frozen=True)
class Wma:
    """The mean of the last n rows with the weights 1 to n."""

    arg: Expression
    n: int


Expression = Constant | Column | Input | AsOf | Apply | Aggregate | Over | Lag | Ema | Wma


def walk(expression: Expression) -> list[Expression]:
    """The node and all below it."""
    below: tuple[Expression | None, ...] = ()
    if isinstance(expression, Apply):
        below = expression.args
    elif isinstance(expression, Aggregate):
        below = (expression.arg, expression.other, expression.where)
    elif isinstance(expression, Over):
        below = (expression.aggregate,)
    elif isinstance(expression, (Lag, Ema, Wma)):
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
        if isinstance(node, Wma):
            return _weigh([_at(node.arg, rows[: i + 1], frame) for i in _last(rows, node.n)], node)
        if isinstance(node, (Aggregate, Over)):
            inner, size = (
                (node, frame) if isinstance(node, Aggregate) else (node.aggregate, node.rows)
            )
            return _aggregate(
                inner, _last(rows, size), lambda part, i: _at(part, rows[: i + 1], frame)
            )
        return _in_microseconds(rows[-1][node.name])

    return _evaluate(expression, leaf)


def _last(rows: Sequence[Row], size: int | None) -> range:
    return range(0 if size is None else max(0, len(rows) - size), len(rows))


def _weigh(values: Sequence[float | None], node: Wma) -> float | None:
    if len(values) < node.n or None in values:
        return None
    repeated = [float(v) for weight, v in enumerate(values, 1) for _ in range(weight)]
    return exact_sum(repeated) / (node.n * (node.n + 1) / 2)


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
    values = [of(node.arg, row) for row in passed]
    if node.other is not None:
        values = [(y, of(node.other, row)) for y, row in zip(values, passed, strict=True)]
    return aggregate(node.name, values, node.parameter)


def _in_microseconds(value: Any) -> Any:
    return to_datetime(source_instant(value)) if isinstance(value, Nanos) else value
