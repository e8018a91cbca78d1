"""Types of calls on lists, structs and maps: what the letters in their patterns stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headwater.definitions.types import (
    FLOATS,
    INTEGERS,
    element,
    fields,
    holds,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
    list_of,
    map_of,
    vector_of,
)
from headwater.errors import near_miss
from headwater.expressions.tree import Call, Cast, Column, Literal, Node
from headwater.expressions.walk import walk
from headwater.expressions.widening import NULL, unify

_NO_LIST = "list[int64]"
_NO_MAP = "map[string, int64]"
_TAKE_LISTS = ("list", "lists", "numbers", "reals", "floats", "sized")
# of -0.0 and 0.0, which are equal, engines keep the one or the other
_ONE_ZERO = ("list_distinct", "list_intersect")


def nested_groups(members: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The letters of lists and maps, from the types of the arguments under each pattern."""
    groups: dict[str, str] = {}
    lists = [*members.get("list", ()), *members.get("lists", ())]
    if lists:
        inner = [element(dtype) if is_list(dtype) else element(_NO_LIST) for dtype in lists]
        groups["E"] = unify([*inner, *members.get("E", ())]) or inner[0]
        groups["list"] = groups["lists"] = list_of(groups["E"])
    if "numbers" in members:
        inner = [element(dtype) for dtype in members["numbers"] if is_list(dtype)]
        groups["S"] = "float64" if set(inner) & set(FLOATS) else "int64"
        groups["numbers"] = list_of(groups["S"])
    if "reals" in members:
        groups["reals"] = "list[float64]"
    if "floats" in members:
        groups["floats"] = members["floats"][0]
    if "C" in members:
        is_single = set(members["C"]) - {NULL} == {"float32"}
        groups["C"] = "float32" if is_single else "float64"
        groups["vector"] = vector_of(groups["C"], len(members["C"]))
    if "map" in members:
        dtype = members["map"][0]
        groups["map"] = dtype if is_map(dtype) else _NO_MAP
    if "keys" in members:
        groups |= _made_map(members["keys"][0], members["items"][0])
    if "map" in groups:
        groups["K"], groups["W"] = key_and_value(groups["map"])
        groups["list[K]"], groups["list[W]"] = list_of(groups["K"]), list_of(groups["W"])
    return groups


def _made_map(keys: str, items: str) -> dict[str, str]:
    """What `map(keys, items)` takes and gives; an int32 is kept under an int64."""
    key, value = (element(dtype) if is_list(dtype) else NULL for dtype in (keys, items))
    key = "int64" if key in INTEGERS else key
    return {"keys": list_of(key), "items": list_of(value), "map": map_of(key, value)}


def as_list(pattern: str, node: Node, dtype: str) -> tuple[Node, str]:
    """A vector, where a list is asked for, as the list of its elements; all else as it is."""
    if not is_vector(dtype) or pattern not in _TAKE_LISTS:
        return node, dtype
    elements = list_of(element(dtype))
    return Cast(node, elements), elements


def bracketed(node: Call, dtype: str) -> str:
    """The function that `x[y]` means for an x of a type."""
    if node.name == "list_extract" and is_map(dtype):
        return "map_extract_value"
    return "struct_extract" if node.name == "list_extract" and is_struct(dtype) else node.name


def field_of(dtype: str, name: Node) -> tuple[str, str]:
    """The field of a struct that a constant names, and its type.

    Raises ValueError that says which fields there are.
    """
    wanted = str(name.value) if isinstance(name, Literal) else ""
    for known, inner in fields(dtype):
        if known.casefold() == wanted.casefold():
            return known, inner
    names = [known for known, _ in fields(dtype)]
    raise ValueError(
        f"{dtype} has no field '{wanted}'{near_miss(wanted, names)} (fields: {', '.join(names)})"
    )


def settled(call: Call, groups: Mapping[str, str]) -> Node:
    """The call in the form that all engines compute alike."""
    if call.name == "list_sum" and groups["S"] == "int64":
        return Cast(call, "int64")
    if call.name in _ONE_ZERO and groups["E"] in FLOATS:
        return Call(call.name, tuple(map(_one_zero, call.args)))
    return call


def _one_zero(node: Node) -> Node:
    is_done = isinstance(node, Call) and node.name == "positive_zeros"
    return node if is_done else Call("positive_zeros", (node,))


def has_no_type(dtype: str) -> bool:
    """Whether a part of the type is unknown, since nothing but NULL stands there."""
    return holds(dtype, NULL)


def field_read(tree: Node, name: str) -> str | None:
    """The field that is read of a name, where it is written as `name.field`."""
    for part in walk(tree):
        if isinstance(part, Call) and part.name == "struct_extract":
            of, field = part.args
            if of == Column(name) and isinstance(field, Literal):
                return str(field.value)
    return None


def qualified(name: str, field: str) -> str:
    """What is wrong with `name.field` where nothing has that name."""
    return f"'{name}.{field}' is qualified; an expression sees one source, write '{field}'"
