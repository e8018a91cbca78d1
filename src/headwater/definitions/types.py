"""The types of values: their names, the aliases that users write, and their Arrow form."""

from __future__ import annotations

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
INTEGERS = ("int32", "int64")
FLOATS = ("float32", "float64")
NUMBERS = (*INTEGERS, *FLOATS)

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


def parse_dtype(text: str) -> str:
    """The canonical name of a type: `float` gives `float64`, `list<int>` gives `list[int64]`.

    Raises ValueError with the nearest known name.
    """
    name = text.strip().lower()
    for opening, closing in (("list[", "]"), ("list<", ">")):
        if name.startswith(opening) and name.endswith(closing):
            return f"list[{_scalar(name[len(opening) : -1], text)}]"
    return _scalar(name, text)


def _scalar(name: str, written: str) -> str:
    found = _ALIASES.get(name, name)
    if found not in SCALARS:
        hint = near_miss(name, [*SCALARS, *_ALIASES])
        raise ValueError(
            f"'{written}' is not a type{hint} (types: {', '.join(SCALARS)}, list[...])"
        )
    return found


def is_list(dtype: str) -> bool:
    return dtype.startswith("list[")


def element(dtype: str) -> str:
    """The type of a list's elements."""
    return dtype[5:-1]


def list_of(dtype: str) -> str:
    return f"list[{dtype}]"


def to_arrow(dtype: str) -> pa.DataType:
    """The Arrow type that carries values of `dtype` (timestamps: UTC microseconds)."""
    import pyarrow as pa

    if is_list(dtype):
        return pa.list_(to_arrow(element(dtype)))
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
    if kinds.is_list(arrow) or kinds.is_large_list(arrow) or kinds.is_fixed_size_list(arrow):
        inner = from_arrow(arrow.value_type)
        return None if inner is None or is_list(inner) else list_of(inner)
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
