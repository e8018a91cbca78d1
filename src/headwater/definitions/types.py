"""The types of values: their names, the aliases that users write, and their parts.

A nested type is written with its parts in brackets: `list[int64]`, `map[string, int64]`,
`struct[ctr: float64, "of day": list[string]]`, `vector[float32, 64]`; `decimal(12, 2)` is a number
of at most 12 digits, 2 of them behind the point. The canonical name of a type is the type: equal
names, equal types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headwater.errors import near_miss

if TYPE_CHECKING:
    import pyarrow as pa

SCALARS = (
    "bool",
    "int32",
    "int64",
    "float32",
    "float64",
    "string",
    "bytes",
    "timestamp",
    "date",
)
KEY_TYPES = ("bool", "int32", "int64", "string", "bytes", "timestamp", "date")
MAP_KEYS = ("string", "int64", "bool", "date")
INTEGERS = ("int32", "int64")
FLOATS = ("float32", "float64")
NUMBERS = (*INTEGERS, *FLOATS)
MAX_DEPTH = 8
MAX_SIZE = 16_384
MAX_DIGITS = 18
"""Of a decimal: so many fit 64 bits, by which sums are exact and fast."""

_ALIASES = {
    "boolean": "bool",
    "int": "int64",
    "integer": "int64",
    "bigint": "int64",
    "float": "float64",
    "double": "float64",
    "real": "float32",
    "str": "string",
    "text": "string",
    "varchar": "string",
    "binary": "bytes",
    "datetime": "timestamp",
}
_WITH_PARTS = (
    "decimal(digits, scale)",
    "list[...]",
    "struct[name: type, ...]",
    "map[key, value]",
    "vector[float32, size]",
)
_OPENING, _CLOSING = "[<(", "]>)"
_DECIMAL = re.compile(r"decimal\s*[(\[<]\s*([0-9]{1,2})\s*(?:,\s*([0-9]{1,2})\s*)?[)\]>]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FIELD = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*|"(?:[^"]|"")+")\s*:(.*)', re.DOTALL)


def parse_dtype(text: str) -> str:
    """The canonical name of a type: `float` gives `float64`, `list<int>` gives `list[int64]`.

    Raises ValueError with the nearest known name.
    """
    return _parse(text, text, 1)


def _parse(text: str, written: str, depth: int) -> str:
    name = text.strip()
    if depth > MAX_DEPTH:
        raise ValueError(f"'{written}' is nested too deeply; {MAX_DEPTH} levels are the most")
    if name.lower().startswith("decimal"):
        return _decimal(name, written)
    found = re.fullmatch(r"([A-Za-z]+)\s*(?:\[(.*)\]|<(.*)>)", name, re.DOTALL)
    if found is None:
        return _scalar(name.lower(), written)
    kind, inner = found.group(1).lower(), found.group(2) or found.group(3) or ""
    parts = _split(inner)
    if kind == "list" and len(parts) == 1:
        return list_of(_parse(parts[0], written, depth + 1))
    if kind == "struct":
        return _struct(parts, written, depth)
    if kind == "map" and len(parts) == 2:
        return _map(parts, written, depth)
    if kind == "vector" and len(parts) == 2:
        return _vector(parts, written, depth)
    raise _unknown(name.lower(), written)


def _struct(parts: Iterable[str], written: str, depth: int) -> str:
    found = []
    for part in parts:
        named = _FIELD.fullmatch(part)
        if named is None:
            raise ValueError(
                f"'{written}': a field of a struct is a name and a type, as in "
                f"struct[clicks: int64, \"top words\": list[string]]; got '{part.strip()}'"
            )
        found.append((_unquote(named.group(1)), _parse(named.group(2), written, depth + 1)))
    twice = _repeated(name for name, _ in found)
    if twice is not None:
        raise ValueError(f"'{written}': two fields are called '{twice}' (letter case is no matter)")
    return struct_of(found)


def _map(parts: list[str], written: str, depth: int) -> str:
    key, value = (_parse(part, written, depth + 1) for part in parts)
    if key not in MAP_KEYS:
        raise ValueError(
            f"'{written}': {key} can't be the key of a map; use one of {', '.join(MAP_KEYS)}"
        )
    return map_of(key, value)


def _vector(parts: list[str], written: str, depth: int) -> str:
    inner, size = _parse(parts[0], written, depth + 1), parts[1].strip()
    if depth > 1:
        raise ValueError(f"'{written}': a vector stands alone, and in no other type")
    if inner not in FLOATS:
        raise ValueError(f"'{written}': a vector holds {' or '.join(FLOATS)}, not {inner}")
    is_size = size.isdecimal() and size.isascii() and len(size) <= len(str(MAX_SIZE))
    if not is_size or not 1 <= int(size) <= MAX_SIZE:
        raise ValueError(f"'{written}': the size of a vector is a number from 1 to {MAX_SIZE}")
    return vector_of(inner, int(size))


def _decimal(name: str, written: str) -> str:
    found = _DECIMAL.fullmatch(name.lower())
    precision, scale = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    if not 1 <= precision <= MAX_DIGITS or scale > precision:
        raise ValueError(
            f"'{written}': a decimal is written decimal(digits, scale), with at most {MAX_DIGITS} "
            "digits, of which scale are behind the point, as in decimal(12, 2)"
        )
    return decimal_of(precision, scale)


def _scalar(name: str, written: str) -> str:
    found = _ALIASES.get(name, name)
    if found not in SCALARS:
        raise _unknown(name, written)
    return found


def _unknown(name: str, written: str) -> ValueError:
    hint = near_miss(name, [*SCALARS, *_ALIASES])
    known = ", ".join((*SCALARS, *_WITH_PARTS))
    return ValueError(f"'{written}' is not a type{hint} (types: {known})")


def _split(inner: str) -> list[str]:
    """The parts between the commas that stand in no brackets and no quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, letter in enumerate(inner):
        if letter == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(inner[start:place])
            start = place + 1
    return [*parts, inner[start:]]


def _unquote(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _quote(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _repeated(names: Iterable[str]) -> str | None:
    """A name that stands twice, letter case aside, since engines don't tell such names apart."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None


# --- decimals, lists, structs, maps, vectors ----------------------------------------------


def is_decimal(dtype: str) -> bool:
    return dtype.startswith("decimal(")


def digits(dtype: str) -> tuple[int, int]:
    """How many digits a decimal has, and how many of them behind the point."""
    precision, _, scale = dtype[8:-1].partition(", ")
    return int(precision), int(scale)


def decimal_of(precision: int, scale: int) -> str:
    return f"decimal({precision}, {scale})"


def is_nested(dtype: str) -> bool:
    """Whether a type has parts: a list, a struct, a map or a vector."""
    return dtype.endswith("]")


def is_list(dtype: str) -> bool:
    return dtype.startswith("list[")


def element(dtype: str) -> str:
    """The type of the elements of a list or a vector."""
    return dtype[7:-1].partition(", ")[0] if is_vector(dtype) else dtype[5:-1]


def list_of(dtype: str) -> str:
    return f"list[{dtype}]"


def is_struct(dtype: str) -> bool:
    return dtype.startswith("struct[")


@lru_cache(maxsize=10_000)
def fields(dtype: str) -> tuple[tuple[str, str], ...]:
    """The (name, type) pairs of a struct, in its order."""
    found = (_FIELD.fullmatch(part) for part in _split(dtype[7:-1]))
    return tuple((_unquote(f.group(1)), f.group(2).strip()) for f in found if f is not None)


def struct_of(fields: Iterable[tuple[str, str]]) -> str:
    return f"struct[{', '.join(f'{_quote(name)}: {dtype}' for name, dtype in fields)}]"


def is_map(dtype: str) -> bool:
    return dtype.startswith("map[")


def key_and_value(dtype: str) -> tuple[str, str]:
    """The types of a map's keys and values."""
    key, _, value = dtype[4:-1].partition(", ")
    return key, value


def map_of(key: str, value: str) -> str:
    return f"map[{key}, {value}]"


def is_vector(dtype: str) -> bool:
    """Whether a type is that of vectors: floats, always as many, none of them null."""
    return dtype.startswith("vector[")


def size(dtype: str) -> int:
    """The number of elements of a vector."""
    return int(dtype[7:-1].partition(", ")[2])


def vector_of(dtype: str, size: int) -> str:
    return f"vector[{dtype}, {size}]"


def parts_of(dtype: str) -> tuple[str, ...]:
    """The types directly inside a nested type; nothing for a scalar."""
    if is_list(dtype) or is_vector(dtype):
        return (element(dtype),)
    if is_struct(dtype):
        return tuple(inner for _, inner in fields(dtype))
    return key_and_value(dtype) if is_map(dtype) else ()


def holds(dtype: str, wanted: str) -> bool:
    """Whether a type is, or has somewhere inside it, the type or kind (`map`) that is wanted."""
    if dtype == wanted or dtype.startswith((f"{wanted}[", f"{wanted}(")):
        return True
    return any(holds(part, wanted) for part in parts_of(dtype))


# --- Arrow --------------------------------------------------------------------------------


def to_arrow(dtype: str) -> pa.DataType:
    """The Arrow type that carries values of `dtype` (timestamps: UTC microseconds)."""
    import pyarrow as pa

    if is_list(dtype):
        return pa.list_(to_arrow(element(dtype)))
    if is_struct(dtype):
        return pa.struct([(name, to_arrow(inner)) for name, inner in fields(dtype)])
    if is_map(dtype):
        return pa.map_(*map(to_arrow, key_and_value(dtype)))
    if is_vector(dtype):
        return pa.list_(to_arrow(element(dtype)), size(dtype))
    if is_decimal(dtype):
        return pa.decimal128(*digits(dtype))
    arrow: dict[str, Any] = {
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float32": pa.float32(),
        "float64": pa.float64(),
        "string": pa.string(),
        "bytes": pa.binary(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
    }
    found: pa.DataType = arrow[dtype]
    return found


def from_arrow(arrow: pa.DataType) -> str | None:
    """The type that holds values of an Arrow type, or None where there is none."""
    import pyarrow as pa

    kinds = pa.types
    if kinds.is_dictionary(arrow):
        return from_arrow(arrow.value_type)
    if kinds.is_fixed_size_list(arrow) and kinds.is_floating(arrow.value_type):
        return _from_fixed_list(arrow)
    if kinds.is_list(arrow) or kinds.is_large_list(arrow) or kinds.is_fixed_size_list(arrow):
        inner = from_arrow(arrow.value_type)
        return None if inner is None else list_of(_alone(inner))
    if kinds.is_struct(arrow):
        return _from_struct(arrow)
    if kinds.is_map(arrow):
        return _from_map(arrow)
    if kinds.is_decimal(arrow) and 0 <= arrow.scale <= arrow.precision <= MAX_DIGITS:
        return decimal_of(arrow.precision, arrow.scale)
    tests = (
        (kinds.is_boolean, "bool"),
        (kinds.is_int8, "int32"),
        (kinds.is_int16, "int32"),
        (kinds.is_int32, "int32"),
        (kinds.is_uint8, "int32"),
        (kinds.is_uint16, "int32"),
        (kinds.is_uint32, "int64"),
        (kinds.is_integer, "int64"),
        (kinds.is_float32, "float32"),
        (kinds.is_floating, "float64"),
        (kinds.is_decimal, "float64"),
        (kinds.is_string, "string"),
        (kinds.is_large_string, "string"),
        (kinds.is_string_view, "string"),
        (kinds.is_binary, "bytes"),
        (kinds.is_large_binary, "bytes"),
        (kinds.is_timestamp, "timestamp"),
        (kinds.is_date, "date"),
    )
    return next((name for test, name in tests if test(arrow)), None)


def _from_fixed_list(arrow: pa.FixedSizeListType) -> str:
    inner = "float32" if arrow.value_type.bit_width <= 32 else "float64"
    is_size = 1 <= arrow.list_size <= MAX_SIZE
    return vector_of(inner, arrow.list_size) if is_size else list_of(inner)


def _alone(dtype: str) -> str:
    """The type, a list for a vector: these stand in no other type."""
    return list_of(element(dtype)) if is_vector(dtype) else dtype


def _from_struct(arrow: pa.StructType) -> str | None:
    found = [(field.name, from_arrow(field.type)) for field in arrow]
    known = [(name, _alone(inner)) for name, inner in found if name and inner is not None]
    named = _repeated(name for name, _ in known) is None
    return struct_of(known) if known and named and len(known) == len(found) else None


def _from_map(arrow: pa.MapType) -> str | None:
    key, value = from_arrow(arrow.key_type), from_arrow(arrow.item_type)
    key = "int64" if key in INTEGERS else key
    return map_of(key, _alone(value)) if key in MAP_KEYS and value is not None else None
