"""Turns sqlglot's tree into ours: what is not named here is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from headwater.expressions.lowering import Refused, call_function, cast, negate, shift
from headwater.expressions.tree import Aggregate, Call, Case, Column, Literal, Node

INT64_MAX = 2**63 - 1
TYPES = {
    "BOOLEAN": "bool",
    "INT": "int32",
    "BIGINT": "int64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "TEXT": "string",
    "VARCHAR": "string",
    "VARBINARY": "bytes",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPNTZ": "timestamp",
    "TIMESTAMPTZ": "timestamp",
    "DATE": "date",
}
_BINARY: dict[type[exp.Expression], str] = {
    exp.Add: "add",
    exp.Sub: "subtract",
    exp.Mul: "multiply",
    exp.Div: "divide",
    exp.IntDiv: "divide_integers",
    exp.Mod: "mod",
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
    exp.NullSafeEQ: "is_not_distinct",
    exp.NullSafeNEQ: "is_distinct",
}


class Converter:
    """Converts one expression; raises Refused, in the user's words, for what is not allowed."""

    def convert(self, found: exp.Expression) -> Node:
        binary = _BINARY.get(type(found))
        if binary is not None:
            return self._binary(binary, found)
        reader = _READERS.get(type(found))
        if reader is None:
            raise Refused(_why(found))
        return reader(self, found)

    def _binary(self, name: str, found: exp.Expression) -> Node:
        left, right = found.args["this"], found.args["expression"]
        for moment, interval, first in ((left, right, True), (right, left, False)):
            if isinstance(interval, exp.Interval):
                if name == "add" or (name == "subtract" and first):
                    return self._interval(moment, interval, minus=name == "subtract")
                raise Refused("an INTERVAL can only be added to or subtracted from a time")
        return Call(name, (self.convert(left), self.convert(right)))

    def _interval(self, moment: exp.Expression, found: exp.Expression, *, minus: bool) -> Node:
        amount, unit = found.args.get("this"), found.args.get("unit")
        name = None if unit is None else unit.name
        if isinstance(amount, exp.Literal):
            return shift(self.convert(moment), amount.this, name, minus=minus)
        return shift(self.convert(moment), self.convert(amount), name, minus=minus)

    def paren(self, found: exp.Expression) -> Node:
        return self.convert(found.this)

    def column(self, found: exp.Expression) -> Node:
        table = found.args.get("table")
        if table is not None:
            raise Refused(
                f"'{table.name}.{found.name}' is qualified; an expression sees one source, "
                f"write '{found.name}'"
            )
        if not isinstance(found.this, exp.Identifier):
            raise Refused("'*' stands only in count(*)")
        return Column(found.name)

    def literal(self, found: exp.Expression) -> Node:
        text = found.this
        if found.args["is_string"]:
            return Literal(text, "string")
        if text.isdigit():
            value = int(text)
            if value > INT64_MAX:
                raise Refused(
                    f"the integer {text} does not fit int64; write {text}.0 for a float64"
                )
            return Literal(value, "int64")
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise Refused(f"the number {text} does not fit float64")
        return Literal(number, "float64")

    def null(self, _: exp.Expression) -> Node:
        return Literal(None, "null")

    def boolean(self, found: exp.Expression) -> Node:
        return Literal(bool(found.this), "bool")

    def minus(self, found: exp.Expression) -> Node:
        inner = found.this
        if isinstance(inner, exp.Literal) and not inner.is_string and inner.this == str(2**63):
            return Literal(-(2**63), "int64")
        return negate(self.convert(inner))

    def is_(self, found: exp.Expression) -> Node:
        arg, wanted = self.convert(found.this), found.expression
        if isinstance(wanted, exp.Null):
            return Call("is_null", (arg,))
        if isinstance(wanted, exp.Boolean):
            return Call("is_not_distinct", (arg, Literal(bool(wanted.this), "bool")))
        raise Refused(f"IS takes NULL, TRUE or FALSE, not {wanted.sql('duckdb')}")

    def not_(self, found: exp.Expression) -> Node:
        return Call("not", (self.convert(found.this),))

    def connect(self, found: exp.Expression) -> Node:
        name = "and" if isinstance(found, exp.And) else "or"
        parts: list[Node] = []
        for side in (found.args["this"], found.args["expression"]):
            node = self.convert(side)
            same = isinstance(node, Call) and node.name == name
            parts.extend(node.args if same and isinstance(node, Call) else (node,))
        return Call(name, tuple(parts))

    def between(self, found: exp.Expression) -> Node:
        arg = self.convert(found.this)
        low, high = self.convert(found.args["low"]), self.convert(found.args["high"])
        return Call("and", (Call("ge", (arg, low)), Call("le", (arg, high))))

    def in_(self, found: exp.Expression) -> Node:
        if found.args.get("query") or found.args.get("field") or found.args.get("unnest"):
            raise Refused("IN takes a list of values in parentheses, not a subquery or a column")
        values = [self.convert(item) for item in found.expressions]
        return Call("in", (self.convert(found.this), *values))

    def case(self, found: exp.Expression) -> Node:
        operand = found.args.get("this")
        subject = None if operand is None else self.convert(operand)
        branches = []
        for branch in found.args["ifs"]:
            test = self.convert(branch.this)
            if subject is not None:
                test = Call("eq", (subject, test))
            branches.append((test, self.convert(branch.args["true"])))
        default = found.args.get("default")
        return Case(tuple(branches), None if default is None else self.convert(default))

    def if_(self, found: exp.Expression) -> Node:
        otherwise = found.args.get("false")
        branch = (self.convert(found.this), self.convert(found.args["true"]))
        return Case((branch,), None if otherwise is None else self.convert(otherwise))

    def cast(self, found: exp.Expression) -> Node:
        dtype = _type(found.args["to"])
        return cast(self.convert(found.this), dtype, is_try=isinstance(found, exp.TryCast))

    def filter(self, found: exp.Expression) -> Node:
        node = self.convert(found.this)
        if not isinstance(node, Aggregate):
            raise Refused("FILTER stands only after an aggregate")
        test = self.convert(found.expression.this)
        both = test if node.where is None else Call("and", (node.where, test))
        return Aggregate(node.name, node.args, node.distinct, both, node.parameters)

    def function(self, found: exp.Expression) -> Node:
        name = str(found.this).lower()
        given = list(found.expressions)
        star = len(given) == 1 and isinstance(given[0], exp.Star)
        distinct = len(given) == 1 and isinstance(given[0], exp.Distinct)
        if distinct:
            given = given[0].expressions
        args = [] if star else [self.convert(arg) for arg in given]
        return call_function(name, args, star=star, distinct=distinct)

    def forbidden_word(self, found: exp.Expression) -> Node:
        return call_function(str(found.sql("duckdb")).lower().removesuffix("()"), [])


def _type(found: Any) -> str:
    if found.this.name == "ARRAY" and found.expressions:
        return f"list[{_type(found.expressions[0])}]"
    dtype = TYPES.get(found.this.name)
    if dtype is None or (found.expressions and dtype != "string"):
        raise Refused(
            f"type {found.sql('duckdb')} is not known; use BOOLEAN, INTEGER, BIGINT, FLOAT, DOUBLE, "
            "VARCHAR, BLOB, TIMESTAMP, DATE or one of these with []"
        )
    return dtype


_REASONS: tuple[tuple[type[exp.Expression], str], ...] = (
    (exp.Window, "OVER (...) is not allowed; use window= or rows= of the feature, or lag(x)"),
    (exp.Query, "a query is not an expression; write only the value"),
    (exp.Star, "'*' stands only in count(*)"),
    (exp.Alias, "AS is not allowed; the feature's name is its alias"),
    (exp.Interval, "an INTERVAL can only be added to or subtracted from a time"),
    (exp.WithinGroup, "WITHIN GROUP is not allowed; write quantile_cont(x, 0.5)"),
    (exp.Placeholder, "parameters are not allowed; write the value"),
    (exp.Parameter, "parameters are not allowed; write the value"),
    (exp.Order, "ORDER BY is not allowed; rows are in the order of their event time"),
    (exp.Distinct, "DISTINCT stands only in count(DISTINCT x)"),
    (exp.AtTimeZone, "AT TIME ZONE is not allowed; all times are UTC"),
    (exp.Lambda, "lambdas are not allowed"),
    (exp.IgnoreNulls, "IGNORE NULLS is not allowed; write FILTER (WHERE x IS NOT NULL)"),
    (exp.JSONExtract, "-> is not allowed"),
    (exp.JSONExtractScalar, "->> is not allowed"),
)


def _why(found: exp.Expression) -> str:
    for kind, reason in _REASONS:
        if isinstance(found, kind):
            return reason
    text = found.sql("duckdb")
    return f"'{text[:60]}' is not allowed in an expression"


_READERS: dict[type[exp.Expression], Callable[[Converter, exp.Expression], Node]] = {
    exp.Paren: Converter.paren,
    exp.Column: Converter.column,
    exp.Literal: Converter.literal,
    exp.Null: Converter.null,
    exp.Boolean: Converter.boolean,
    exp.Neg: Converter.minus,
    exp.Is: Converter.is_,
    exp.Not: Converter.not_,
    exp.And: Converter.connect,
    exp.Or: Converter.connect,
    exp.Between: Converter.between,
    exp.In: Converter.in_,
    exp.Case: Converter.case,
    exp.If: Converter.if_,
    exp.Cast: Converter.cast,
    exp.TryCast: Converter.cast,
    exp.Filter: Converter.filter,
    exp.Anonymous: Converter.function,
}
