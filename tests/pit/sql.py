"""An oracle's expression as the SQL text that the product gets."""

from __future__ import annotations

from typing import Any

from oracle import Aggregate, Apply, AsOf, Column, Constant, Ema, Expression, Input, Lag, Over, Wma

_RENAMED = {"count_distinct": "count"}


def sql(expression: Expression) -> str:
    """The expression in DuckDB's dialect; a scalar function prints its own template."""
    if isinstance(expression, Constant):
        return literal(expression.value)
    if isinstance(expression, (Column, Input)):
        return expression.name
    if isinstance(expression, AsOf):
        return "as_of()"
    if isinstance(expression, Apply):
        return expression.function.template.format(*map(sql, expression.args))
    if isinstance(expression, Lag):
        return f"lag({sql(expression.arg)}, {expression.steps})"
    if isinstance(expression, Ema):
        name = "wilder" if expression.wilder else "ema"
        return f"{name}({sql(expression.arg)}, {expression.n})"
    if isinstance(expression, Wma):
        return f"wma({sql(expression.arg)}, {expression.n})"
    if isinstance(expression, Over):
        size = "UNBOUNDED" if expression.rows is None else expression.rows - 1
        return f"{_aggregate(expression.aggregate)} OVER (ROWS {size} PRECEDING)"
    return _aggregate(expression)


def _aggregate(node: Aggregate) -> str:
    inside = "*" if node.arg is None else sql(node.arg)
    if node.other is not None:
        inside += f", {sql(node.other)}"
    if node.name == "count_distinct":
        inside = f"DISTINCT {inside}"
    if node.parameter is not None:
        inside += f", {literal(node.parameter)}"
    where = "" if node.where is None else f" FILTER (WHERE {sql(node.where)})"
    return f"{_RENAMED.get(node.name, node.name)}({inside}){where}"


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
