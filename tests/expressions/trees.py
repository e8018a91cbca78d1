"""Random typed trees over every scalar function."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from headwater.expressions.casts import can_cast
from headwater.expressions.functions import FAMILIES, Function
from headwater.expressions.lowering import negate
from headwater.expressions.tree import Call, Case, Cast, Column, Literal, Node
from headwater.expressions.widening import is_constant

from .strategies import FLOATS, STRINGS, argument_types, constants

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
        if function.name in UNBOUNDED:
            continue
        if function.gives in TYPES:
            found[function.gives] += [(function, "")]
            continue
        given = {"N": ("int64", "float64"), "E": ("int64", "float64")}.get(function.gives, TYPES)
        for dtype in given:
            found[dtype].append((function, dtype))
    return found


GIVERS = _givers()


@st.composite
def trees(draw: st.DrawFn, dtype: str | None = None, depth: int = DEPTH) -> Node:
    """A tree that gives the type, in the form in which `parse` gives trees."""
    if dtype is None:
        dtype = draw(st.sampled_from(TYPES))
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind < 2 or dtype.startswith("list"):
        return draw(leaves(dtype))
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
def leaves(draw: st.DrawFn, dtype: str) -> Node:
    names = [name for name, known in COLUMNS.items() if known == dtype and name != "as_of()"]
    if dtype == "float64":
        names += ["z", "n"]
    if dtype == "int64":
        names.append("n")
    if dtype.startswith("list") or draw(st.integers(0, 3)):
        name = draw(st.sampled_from(names))
        return Call("as_of") if name == "t" and draw(st.booleans()) else Column(name)
    return draw(literals(dtype))


@st.composite
def literals(draw: st.DrawFn, dtype: str) -> Node:
    if draw(st.integers(0, 6)) == 0:
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
