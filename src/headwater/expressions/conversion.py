"""Turns sqlglot's tree into ours: what is not named here is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from headwater.definitions.types import list_of, map_of, parse_dtype, struct_of
from headwater.expressions import composing
from headwater.expressions.intervals import shift
from headwater.expressions.lowering import MAX_ROWS, call_function, cast, extract, negate
from headwater.expressions.refusal import FRAMES, Refused, refuse_name, refuse_node, shortened
from headwater.expressions.tree import Aggregate, Call, Case, Literal, Node, Over
from headwater.expressions.walk import children

INT64_MAX = 2**63 - 1
MOST_DIGITS = len(str(INT64_MAX))
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
_BINARY: dict[type[Any], str] = {
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
    exp.Pow: "pow",
    exp.DPipe: "concat_operator",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.BitwiseAnd: "bit_and",
    exp.BitwiseOr: "bit_or",
    exp.BitwiseLeftShift: "shift_left",
    exp.BitwiseRightShift: "shift_right",
}


# what may stand in an operator's node; `negate` is the NOT of NOT LIKE
_BINARY_PARTS = frozenset({"this", "expression", "negate", "safe", "typed"})


class Converter:
    """Converts one expression; raises Refused, in the user's words, for what is not allowed."""

    def convert(self, found: Any) -> Node:
        node = self._plain(found)
        return Call("not", (node,)) if found.args.get("negate") else node

    def _plain(self, found: Any) -> Node:
        """The node without the NOT that the grammar may keep inside it."""
        kind = type(found)
        found_reader = _READERS.get(kind)
        if kind in _BINARY:
            found_reader = (Converter._binary, _BINARY_PARTS)
        if found_reader is None:
            raise refuse_node(found)
        reader, parts = found_reader
        # a part that no reader knows would change the meaning unseen
        if any(value and part not in parts for part, value in found.args.items()):
            raise refuse_node(found)
        return reader(self, found)

    def _binary(self, found: Any) -> Node:
        name = _BINARY[type(found)]
        left, right = found.args["this"], found.args["expression"]
        for moment, interval, first in ((left, right, True), (right, left, False)):
            if isinstance(interval, exp.Interval):
                if name == "add" or (name == "subtract" and first):
                    return self._interval(moment, interval, minus=name == "subtract")
                raise Refused("an INTERVAL can only be added to or subtracted from a time")
        return Call(name, (self.convert(left), self.convert(right)))

    def _interval(self, moment: Any, found: Any, *, minus: bool) -> Node:
        amount, unit = found.args.get("this"), found.args.get("unit")
        name = None if unit is None else unit.name
        if isinstance(amount, exp.Literal):
            return shift(self.convert(moment), str(amount.this), name, minus=minus)
        if amount is None:
            raise Refused("an INTERVAL needs a number")
        return shift(self.convert(moment), self.convert(amount), name, minus=minus)

    def paren(self, found: Any) -> Node:
        return self.convert(found.this)

    def column(self, found: Any) -> Node:
        if not isinstance(found.this, exp.Identifier):
            raise Refused("'*' stands only in count(*)")
        return composing.dotted(found)

    def dot(self, found: Any) -> Node:
        return composing.dot(found, self.convert)

    def struct(self, found: Any) -> Node:
        return composing.struct(found.expressions, self.convert)

    def map_(self, found: Any) -> Node:
        return composing.map_literal(found, self.convert)

    def array(self, found: Any) -> Node:
        return composing.array(found, self.convert)

    def literal(self, found: Any) -> Node:
        text = found.this
        if found.args["is_string"]:
            return Literal(text, "string")
        if text.isdigit():
            digits = text.lstrip("0") or "0"
            # by length first: Python itself refuses to read an integer of thousands of digits
            if len(digits) > MOST_DIGITS or int(digits) > INT64_MAX:
                raise Refused(
                    f"the integer {shortened(text)} does not fit int64; "
                    f"write {shortened(text)}.0 for a float64"
                )
            return Literal(int(digits), "int64")
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise Refused(f"the number {shortened(text)} does not fit float64")
        return Literal(number, "float64")

    def null(self, _: Any) -> Node:
        return Literal(None, "null")

    def boolean(self, found: Any) -> Node:
        return Literal(bool(found.this), "bool")

    def minus(self, found: Any) -> Node:
        inner = found.this
        if isinstance(inner, exp.Literal) and not inner.is_string and inner.this == str(2**63):
            return Literal(-(2**63), "int64")
        return negate(self.convert(inner))

    def is_(self, found: Any) -> Node:
        arg, wanted = self.convert(found.this), found.expression
        if isinstance(wanted, exp.Null):
            return Call("is_null", (arg,))
        if isinstance(wanted, exp.Boolean):
            return Call("is_not_distinct", (arg, Literal(bool(wanted.this), "bool")))
        raise Refused(f"IS takes NULL, TRUE or FALSE, not {wanted.sql('duckdb')}")

    def not_(self, found: Any) -> Node:
        return Call("not", (self.convert(found.this),))

    def connect(self, found: Any) -> Node:
        kind, name = type(found), "and" if isinstance(found, exp.And) else "or"
        sides: list[Any] = []
        while type(found) is kind:  # a long chain leans to the left
            sides.append(found.args["expression"])
            found = found.args["this"]
        parts: list[Node] = []
        for side in (found, *reversed(sides)):
            node = self.convert(side)
            same = isinstance(node, Call) and node.name == name
            parts.extend(node.args if same and isinstance(node, Call) else (node,))
        return Call(name, tuple(parts))

    def between(self, found: Any) -> Node:
        arg = self.convert(found.this)
        low, high = self.convert(found.args["low"]), self.convert(found.args["high"])
        return Call("and", (Call("ge", (arg, low)), Call("le", (arg, high))))

    def in_(self, found: Any) -> Node:
        if found.args.get("query") or found.args.get("field") or found.args.get("unnest"):
            raise Refused("IN takes a list of values in parentheses, not a subquery or a column")
        values = [self.convert(item) for item in found.expressions]
        if not values:
            raise Refused("IN takes at least one value")
        return Call("in", (self.convert(found.this), *values))

    def case(self, found: Any) -> Node:
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

    def if_(self, found: Any) -> Node:
        otherwise = found.args.get("false")
        branch = (self.convert(found.this), self.convert(found.args["true"]))
        return Case((branch,), None if otherwise is None else self.convert(otherwise))

    def cast(self, found: Any) -> Node:
        dtype = _type(found.args["to"])
        return cast(self.convert(found.this), dtype, is_try=isinstance(found, exp.TryCast))

    def filter(self, found: Any) -> Node:
        node = self.convert(found.this)
        if not isinstance(node, Aggregate):
            raise Refused("FILTER stands only after an aggregate")
        test = self.convert(found.expression.this)
        both = test if node.where is None else Call("and", (node.where, test))
        return Aggregate(node.name, node.args, node.distinct, both, node.parameters)

    def over(self, found: Any) -> Node:
        node = self.convert(found.this)
        if not isinstance(node, Aggregate):
            raise Refused("OVER stands only after an aggregate")
        return Over(node, _frame(found.args.get("spec")))

    def function(self, found: Any) -> Node:
        name = str(found.this).lower()
        given = list(found.expressions)
        if name == "struct_pack":
            return composing.struct(given, self.convert)
        star = len(given) == 1 and isinstance(given[0], exp.Star)
        distinct = len(given) == 1 and isinstance(given[0], exp.Distinct)
        if distinct:
            given = given[0].expressions
        args = [] if star else [self.convert(arg) for arg in given]
        return call_function(name, args, star=star, distinct=distinct)

    def clock(self, found: Any) -> Node:
        raise refuse_name(found.sql("duckdb").lower().removesuffix("()"))

    def escape(self, found: Any) -> Node:
        if not isinstance(found.this, exp.Like):
            raise Refused("ESCAPE stands only after LIKE")
        node = self._plain(found.this)
        text, pattern = children(node)
        escape = self.convert(found.expression)
        if isinstance(pattern, Literal) and isinstance(escape, Literal):
            unpaired = str(pattern.value).replace(f"{escape.value}" * 2, "")
            if escape.value and unpaired.endswith(str(escape.value)):
                raise Refused(f"the pattern '{pattern.value}' ends with its escape character")
        matched = Call("like_escape", (text, pattern, escape))
        return Call("not", (matched,)) if found.this.args.get("negate") else matched

    def bracket(self, found: Any) -> Node:
        if len(found.expressions) != 1 or isinstance(found.expressions[0], exp.Slice):
            raise Refused("a list takes one index in brackets, as in x[1]")
        return Call("list_extract", (self.convert(found.this), self.convert(found.expressions[0])))

    def extract(self, found: Any) -> Node:
        return extract(found.this.name, self.convert(found.expression))

    def position(self, found: Any) -> Node:
        return self._named("strpos", found, "this", "substr")

    def substring(self, found: Any) -> Node:
        return self._named("substring", found, "this", "start", "length")

    def trim(self, found: Any) -> Node:
        side = str(found.args.get("position") or "").upper()
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(side, "trim")
        return self._named(name, found, "this", "expression")

    def _named(self, name: str, found: Any, *keys: str) -> Node:
        """The call of a function whose arguments the grammar reads by itself."""
        given = [found.args[key] for key in keys if found.args.get(key) is not None]
        return call_function(name, [self.convert(arg) for arg in given])


def _frame(spec: Any) -> int | None:
    """The number of rows of a frame that ends at the current row; None for all before it."""
    said = {} if spec is None else {k: v for k, v in spec.args.items() if v}
    kind, end = (str(said.pop(part, "")).upper() for part in ("kind", "end"))
    start, side = said.pop("start", None), str(said.pop("start_side", "")).upper()
    if kind != "ROWS" or side != "PRECEDING" or end not in ("", "CURRENT ROW") or said:
        raise Refused(FRAMES)
    if start == "UNBOUNDED":
        return None
    text = str(start.this) if isinstance(start, exp.Literal) else ""
    if not text.isdigit() or len(text) > len(str(MAX_ROWS)) or int(text) >= MAX_ROWS:
        raise Refused(f"ROWS n PRECEDING takes a constant from 0 to {MAX_ROWS - 1}")
    return int(text) + 1


def _type(found: Any) -> str:
    if found.this.name in _NESTED and found.expressions:
        try:
            return parse_dtype(_NESTED[found.this.name](found))
        except ValueError as error:
            raise Refused(str(error)) from None
    dtype = TYPES.get(found.this.name)
    if dtype is None or (found.expressions and dtype != "string"):
        raise Refused(
            f"type {found.sql('duckdb')} is not known; use BOOLEAN, INTEGER, BIGINT, FLOAT, "
            "DOUBLE, VARCHAR, BLOB, TIMESTAMP, DATE, one of these with [], FLOAT[size], "
            "STRUCT(name type, ...) or MAP(key, value)"
        )
    return dtype


def _struct_type(found: Any) -> str:
    listed = []
    for field in found.expressions:
        if not isinstance(field, exp.ColumnDef) or field.args.get("constraints"):
            raise Refused("a field of a STRUCT is a name and a type, as in STRUCT(clicks BIGINT)")
        listed.append((field.name, _type(field.args["kind"])))
    return struct_of(listed)


def _map_type(found: Any) -> str:
    if len(found.expressions) != 2:
        raise Refused("a MAP has the types of its keys and values, as in MAP(VARCHAR, BIGINT)")
    return map_of(*map(_type, found.expressions))


def _array_type(found: Any) -> str:
    inner = _type(found.expressions[0])
    sizes = found.args.get("values")
    return f"vector[{inner}, {sizes[0].name}]" if sizes else list_of(inner)


_NESTED: dict[str, Callable[[Any], str]] = {
    "ARRAY": _array_type,
    "STRUCT": _struct_type,
    "MAP": _map_type,
}


_Reader = Callable[[Converter, Any], Node]
_READERS: dict[type[Any], tuple[_Reader, frozenset[str]]] = {
    kind: (reader, frozenset(parts.split()))
    for kind, reader, parts in (
        (exp.Paren, Converter.paren, "this"),
        (exp.Column, Converter.column, "this table db catalog"),
        (exp.Dot, Converter.dot, "this expression"),
        (exp.Struct, Converter.struct, "expressions"),
        (exp.ToMap, Converter.map_, "this"),
        (exp.Array, Converter.array, "expressions"),
        (exp.Literal, Converter.literal, "this is_string"),
        (exp.Null, Converter.null, ""),
        (exp.Boolean, Converter.boolean, "this"),
        (exp.Neg, Converter.minus, "this"),
        (exp.Is, Converter.is_, "this expression"),
        (exp.Not, Converter.not_, "this"),
        (exp.And, Converter.connect, "this expression"),
        (exp.Or, Converter.connect, "this expression"),
        (exp.Between, Converter.between, "this low high negate"),
        (exp.In, Converter.in_, "this expressions query field unnest negate"),
        (exp.Case, Converter.case, "this ifs default"),
        (exp.If, Converter.if_, "this true false"),
        (exp.Cast, Converter.cast, "this to safe"),
        (exp.TryCast, Converter.cast, "this to safe"),
        (exp.Filter, Converter.filter, "this expression"),
        (exp.Window, Converter.over, "this spec over"),
        (exp.Anonymous, Converter.function, "this expressions"),
        (exp.Escape, Converter.escape, "this expression"),
        (exp.Bracket, Converter.bracket, "this expressions"),
        (exp.Extract, Converter.extract, "this expression"),
        (exp.StrPosition, Converter.position, "this substr"),
        (exp.Substring, Converter.substring, "this start length"),
        (exp.Trim, Converter.trim, "this expression position"),
        (exp.CurrentDate, Converter.clock, ""),
        (exp.CurrentTime, Converter.clock, ""),
        (exp.CurrentTimestamp, Converter.clock, ""),
        (exp.Localtime, Converter.clock, ""),
        (exp.Localtimestamp, Converter.clock, ""),
        (exp.CurrentUser, Converter.clock, ""),
    )
}
