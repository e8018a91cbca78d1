"""Reads what makes and opens structs, maps and lists: `{'a': x}`, `s.a`, `[x, y]`, `MAP {...}`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from headwater.expressions.refusal import Refused
from headwater.expressions.tree import Call, Column, Literal, Node, Pack

Convert = Callable[[Any], Node]
_PAIRS = "a struct is made of names and values, as in {'clicks': x} or struct_pack(clicks := x)"


def struct(found: Sequence[Any], convert: Convert) -> Node:
    """The struct of `name := value` pairs."""
    names: list[str] = []
    values: list[Node] = []
    for pair in found:
        name = pair.this if isinstance(pair, exp.PropertyEQ) else None
        if not isinstance(name, exp.Identifier) or not name.name:
            raise Refused(_PAIRS)
        if name.name.casefold() in (known.casefold() for known in names):
            raise Refused(f"two fields of a struct are called '{name.name}'")
        names.append(name.name)
        values.append(convert(pair.expression))
    if not names:
        raise Refused(_PAIRS)
    return Pack(tuple(names), tuple(values))


def map_literal(found: Any, convert: Convert) -> Node:
    """`MAP {key: value}` as the map of two lists."""
    if not isinstance(found.this, exp.Struct):
        raise Refused("write (MAP {...})[key], in parentheses, or map_extract_value(m, key)")
    pairs = found.this.expressions
    if not all(isinstance(pair, exp.PropertyEQ) for pair in pairs):
        raise Refused("a map is made of keys and values, as in MAP {'a': 1}")
    keys, values = ([convert(pair.args[part]) for pair in pairs] for part in ("this", "expression"))
    return Call("map", (Call("list_value", tuple(keys)), Call("list_value", tuple(values))))


def array(found: Any, convert: Convert) -> Node:
    """`[x, y]`."""
    return Call("list_value", tuple(convert(item) for item in found.expressions))


def dotted(found: Any) -> Node:
    """`s.a.b`: a name, and fields below it."""
    parts = [found.args.get(part) for part in ("catalog", "db", "table", "this")]
    first, *names = [part.name for part in parts if part is not None]
    node: Node = Column(first)
    for name in names:
        node = field(node, name)
    return node


def dot(found: Any, convert: Convert) -> Node:
    """`(...).a`."""
    name = found.expression
    if not isinstance(name, exp.Identifier):
        raise Refused(f"'{found.sql('duckdb')}': a dot is followed by the name of a field")
    return field(convert(found.this), name.name)


def field(node: Node, name: str) -> Node:
    return Call("struct_extract", (node, Literal(name, "string")))
