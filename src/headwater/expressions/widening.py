"""What types have in common, and which argument takes which type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headwater.definitions.types import (
    FLOATS,
    INTEGERS,
    MAP_KEYS,
    MAX_DIGITS,
    NUMBERS,
    SCALARS,
    decimal_of,
    digits,
    element,
    fields,
    is_decimal,
    is_list,
    is_map,
    is_nested,
    is_struct,
    is_vector,
    key_and_value,
    list_of,
    map_of,
    size,
    struct_of,
    vector_of,
)
from headwater.expressions.tree import Cast, Literal, Node

NULL = "null"
_WORDS = {
    "N": "a number",
    "C": "a number",
    "vector": "a vector",
    "T": "a single value",
    "O": "a single value",
    "number": "a number",
    "float64": "a number",
    "int64": "an integer",
    "timestamp": "timestamp or date",
    "sized": "string or list",
    "list": "a list of single values",
    "lists": "a list, a map or a struct",
    "items": "a list",
    "keys": "a list of strings, integers, dates or booleans",
    "numbers": "a list of numbers",
    "reals": "a list of numbers",
    "map": "a map",
    "struct": "a struct",
    "scalar": "a single value",
    "ordered": "a single value",
    "key": "a string, an integer, a bool or a date",
    "digits": "a constant from -30 to 30",
    "size": "a constant from 0 to 10000",
    "text": "a constant text",
    "field": "the constant name of a field",
    "letter": "a constant of one ASCII character",
    "regex": "a constant regular expression",
}
_CONSTANTS = ("digits", "size", "letter", "regex", "text", "field")
# the type in which a null stands for an argument
_NULLS = {"sized": "string", "C": "float64"}
# the elements that a list may have
_LISTS = {
    "list": SCALARS,
    "keys": (*MAP_KEYS, *INTEGERS),
    "numbers": NUMBERS,
    "reals": NUMBERS,
    "floats": FLOATS,
}
_DIGITS = 30
_SIZE = 10_000


def unify(types: Sequence[str]) -> str | None:
    """The type that holds values of all these types without a change of meaning, or None."""
    kinds = {dtype for dtype in types if dtype != NULL}
    if not kinds:
        return NULL
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= set(INTEGERS):
        return "int64"
    if kinds <= set(NUMBERS):
        return "float64"
    decimals = set(filter(is_decimal, kinds))
    if decimals and kinds - decimals <= set(NUMBERS):
        return _unify_decimals(decimals) if decimals == kinds else "float64"
    return _unify_nested(sorted(kinds))


def _unify_decimals(kinds: Iterable[str]) -> str:
    """The decimal that has room for all; float64 where none has."""
    found = [digits(kind) for kind in kinds]
    scale = max(behind for _, behind in found)
    precision = max(whole - behind for whole, behind in found) + scale
    return decimal_of(precision, scale) if precision <= MAX_DIGITS else "float64"


def _unify_nested(kinds: Sequence[str]) -> str | None:
    if all(map(is_list, kinds)):
        inner = unify([element(kind) for kind in kinds])
        return None if inner is None else list_of(inner)
    if all(map(is_map, kinds)):
        keys, values = zip(*map(key_and_value, kinds), strict=True)
        key, value = unify(keys), unify(values)
        return None if key is None or value is None else map_of(key, value)
    if all(map(is_vector, kinds)):
        return vector_of("float64", size(kinds[0])) if len(set(map(size, kinds))) == 1 else None
    return _unify_structs(kinds) if all(map(is_struct, kinds)) else None


def _unify_structs(kinds: Sequence[str]) -> str | None:
    """Structs have something in common where their fields have the same names in one order."""
    listed = [fields(kind) for kind in kinds]
    names = [name for name, _ in listed[0]]
    if any([name for name, _ in other] != names for other in listed):
        return None
    found = [unify([other[place][1] for other in listed]) for place in range(len(names))]
    if None in found:
        return None
    return struct_of((n, t) for n, t in zip(names, found, strict=True) if t is not None)


def widens(before: str, after: str) -> bool:
    """Whether a value of one type stands for one of another as an argument."""
    return unify([before, after]) == after or (before, after) == ("date", "timestamp")


def convert(node: Node, before: str, after: str) -> Node:
    """The node as a value of the type `after`, to which `before` widens."""
    if before == after:
        return node
    if isinstance(node, Literal) and isinstance(node.value, int) and after == "float64":
        return Literal(float(node.value), after)
    if (before, after) == ("int64", "float32"):
        return Cast(Cast(node, "float64"), after)
    return Cast(node, after)


def fits(pattern: str, dtype: str) -> bool:
    """Whether a value of a type may stand where the pattern of an argument asks for it."""
    if pattern == "key":
        return dtype in (*MAP_KEYS, "int32")
    if dtype == NULL or pattern in ("any", "V", "E", "K"):
        return True
    if pattern in _LISTS:
        return is_list(dtype) and element(dtype) in (NULL, *_LISTS[pattern])
    if pattern in ("T", "O", "scalar", "ordered"):
        return not is_nested(dtype)
    if pattern in ("N", "C", "number"):
        return dtype in NUMBERS or is_decimal(dtype)
    if pattern == "sized":
        return dtype == "string" or is_list(dtype)
    if pattern in ("lists", "items"):
        return is_list(dtype)
    if pattern in ("map", "struct", "vector"):
        return dtype.startswith(f"{pattern}[")
    return widens(dtype, pattern)


def choices(pattern: str) -> list[str] | None:
    """The constants among which a pattern like `'a|b'` lets choose."""
    return pattern.strip("'").split("|") if pattern.startswith("'") else None


def is_constant(pattern: str) -> bool:
    return pattern in _CONSTANTS or choices(pattern) is not None


def fits_constant(pattern: str, node: Node) -> bool:
    """Whether a node is a constant such as the pattern asks for."""
    if not isinstance(node, Literal):
        return False
    value = node.value
    if pattern in ("digits", "size"):
        low, high = (-_DIGITS, _DIGITS) if pattern == "digits" else (0, _SIZE)
        return node.dtype in INTEGERS and isinstance(value, int) and low <= value <= high
    if not isinstance(value, str) or node.dtype != "string":
        return False
    among = choices(pattern)
    if among is not None:
        return value in among
    return pattern in ("regex", "text", "field") or (len(value) == 1 and value.isascii())


def words(pattern: str) -> str:
    """How a message names what a pattern asks for."""
    among = choices(pattern)
    if among is not None:
        return f"one of the constants {', '.join(repr(choice) for choice in among)}"
    return _WORDS.get(pattern, pattern)


def null_type(pattern: str) -> str | None:
    """The type in which a bare NULL stands for an argument; None where none is needed."""
    found = _NULLS.get(pattern, pattern)
    return found if found in SCALARS or is_nested(found) else None
