"""Random typed trees over every scalar function."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from headwater.definitions.types import (
    element,
    fields,
    is_list,
    is_nested,
    is_struct,
    is_vector,
    key_and_value,
    size,
)
from headwater.expressions.casts import can_cast
from headwater.expressions.functions import FAMILIES, Function
from headwater.expressions.lowering import negate
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Call, Case, Cast, Column, Literal, Node, Pack
from headwater.expressions.widening import is_constant

from .strategies import FLOATS, STRINGS, STRUCT, argument_types, constants

COLUMNS = {
    "i": "int64",
    "j": "int64",
    "n": "int32",
    "x": "float64",
    "y": "float64",
    "z": "float32",
    "s": "string",
    "u": "string",
    "b": "bool",
    "t": "timestamp",
    "d": "date",
    "li": "list[int64]",
    "lx": "list[float64]",
    "st": STRUCT,
    "ms": "map[string, int64]",
    "mi": "map[int64, float64]",
    "v": "vector[float64, 2]",
    "w": "vector[float32, 2]",
    "as_of()": "timestamp",
}
TYPES = ("int64", "float64", "string", "bool", "timestamp", "date")
# their results easily leave the years that a closure can hold
UNBOUNDED = {"add_interval", "add_months", "make_timestamp", "to_timestamp", "make_date"}
DEPTH = 4


def _givers() -> dict[str, list[tuple[Function, str]]]:
    """For each type the functions that give it, with what their letters stand for."""
    found: dict[str, list[tuple[Function, str]]] = {dtype: [] for dtype in TYPES}
    for function in (f for family in FAMILIES.values() for f in family):
        if function.name in UNBOUNDED or function.gives == "vector":
            continue
        if function.gives in TYPES:
            found[function.gives] += [(function, "")]
            continue
        for dtype in _given(function.gives):
            found[dtype].append((function, dtype))
    return found


def _given(gives: str) -> tuple[str, ...]:
    """The types, other than nested ones, that a letter may stand for."""
    if len(gives) > 1 or gives == "F":
        return ()
    return ("int64", "float64") if gives in "NESW" else TYPES


GIVERS = _givers()


@st.composite
def trees(draw: st.DrawFn, dtype: str | None = None, depth: int = DEPTH) -> Node:
    """A tree that gives the type, in the form in which `parse` gives trees."""
    if dtype is None:
        dtype = draw(st.sampled_from(TYPES))
    kind = draw(st.integers(0, 9)) if depth else 0
    if is_nested(dtype):
        return draw(nested(dtype, depth))
    if kind < 2:
        return draw(leaves(dtype))
    field = next((name for name, inner in fields(STRUCT) if inner == dtype), None)
    if kind == 4 and field is not None:
        return Call("struct_extract", (draw(nested(STRUCT, depth)), Literal(field, "string")))
    if kind == 2:
        tests = draw(st.lists(trees("bool", depth - 1), min_size=1, max_size=2))
        branches = tuple((test, draw(trees(dtype, depth - 1))) for test in tests)
        return Case(branches, draw(st.none() | trees(dtype, depth - 1)))
    if kind == 3:
        before = draw(st.sampled_from([t for t in TYPES if can_cast(t, dtype)]))
        arg = draw(trees(before, depth - 1))
        if not isinstance(arg, Literal):
            return Cast(arg, dtype, draw(st.booleans()))
    return draw(function_calls(dtype, depth))


@st.composite
def nested(draw: st.DrawFn, dtype: str, depth: int) -> Node:
    """A column, a null, or what makes a value of the type out of others."""
    wanted = (dtype, "vector[float32, 2]") if is_vector(dtype) else (dtype,)
    columns = [name for name, known in COLUMNS.items() if known in wanted]
    kind = draw(st.integers(0, 9))
    if columns and (kind < 4 or not depth):
        return Column(draw(st.sampled_from(columns)))
    if kind == 4:
        return Cast(Literal(None, "null"), dtype)
    if kind == 5 and depth:
        return Case(((draw(trees("bool", 0)), draw(nested(dtype, depth - 1))),))
    below = max(depth - 1, 0)
    if is_struct(dtype):
        named = fields(dtype)
        parts = tuple(draw(trees(inner, below)) for _, inner in named)
        return Cast(Pack(tuple(name for name, _ in named), parts), dtype)
    if is_list(dtype):
        if kind > 7 and depth:
            return Call("list_distinct", (draw(nested(dtype, below)),))
        items = draw(st.lists(trees(element(dtype), below), max_size=3))
        return Cast(Call("list_value", tuple(items)), dtype)
    if is_vector(dtype):
        return Call("array_value", tuple(draw(trees("float64", below)) for _ in range(size(dtype))))
    key, inner = key_and_value(dtype)
    keys = draw(st.lists(literals(key, nulls=False), max_size=3, unique_by=canonical))
    items = [draw(trees(inner, below)) for _ in keys]
    made = Call("map", (Call("list_value", tuple(keys)), Call("list_value", tuple(items))))
    return Cast(made, dtype)


@st.composite
def leaves(draw: st.DrawFn, dtype: str) -> Node:
    names = [name for name, known in COLUMNS.items() if known == dtype and name != "as_of()"]
    if dtype == "float64":
        names += ["z", "n"]
    if dtype == "int64":
        names.append("n")
    if draw(st.integers(0, 3)):
        name = draw(st.sampled_from(names))
        return Call("as_of") if name == "t" and draw(st.booleans()) else Column(name)
    return draw(literals(dtype))


@st.composite
def literals(draw: st.DrawFn, dtype: str, *, nulls: bool = True) -> Node:
    if nulls and draw(st.integers(0, 6)) == 0:
        return Literal(None, "null")
    value: Any
    if dtype == "float64":
        value = draw(FLOATS.filter(lambda x: x - x == 0.0))
        node = Literal(abs(value), dtype)
        return negate(node) if str(value)[0] == "-" else node
    some: dict[str, st.SearchStrategy[Any]] = {
        "int64": st.integers(-20, 20) | st.integers(-(2**63), 2**63 - 1),
        "string": STRINGS,
        "bool": st.booleans(),
        "timestamp": st.integers(-(10**15), 10**15),
        "date": st.integers(-10_000, 10_000),
    }
    return Literal(draw(some[dtype]), dtype)


@st.composite
def function_calls(draw: st.DrawFn, dtype: str, depth: int) -> Node:
    function, letter = draw(st.sampled_from(GIVERS[dtype]))
    free = st.sampled_from(TYPES)
    numbers = st.sampled_from(["int64", "float64"])
    types = argument_types(
        function,
        letter or draw(free),
        letter or draw(numbers),
        letter or draw(numbers),
    )
    types = types[: draw(st.integers(function.least, len(types)))]
    args: list[Node] = []
    for place, wanted in enumerate(types):
        if is_constant(function.pattern(place)):
            value = draw(constants(function.pattern(place)))
            args.append(Literal(value, "int64" if isinstance(value, int) else "string"))
        else:
            args.append(draw(trees(wanted, depth - 1)))
    if function.name == "negate":
        return negate(args[0])
    if function.name in ("and", "or"):
        same = [a.args if isinstance(a, Call) and a.name == function.name else (a,) for a in args]
        return Call(function.name, tuple(part for parts in same for part in parts))
    return Call(function.name, tuple(args))
