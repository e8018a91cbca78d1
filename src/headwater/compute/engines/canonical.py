"""SQL that reads a source's column in the form that expressions expect."""

from __future__ import annotations

import pyarrow as pa

from headwater.compute.engines.vectors import read_vector
from headwater.definitions.types import (
    element,
    fields,
    holds,
    is_list,
    is_map,
    is_vector,
    key_and_value,
)
from headwater.expressions.printing import duckdb_type, quote, quote_text


def canonical_column(column: pa.Field, dtype: str) -> str:
    """The column as a value of `dtype`: times in microseconds, maps in the order of their keys."""
    if is_vector(dtype):
        return read_vector(column.name, dtype)
    name = quote(column.name)
    kinds = pa.types
    if kinds.is_timestamp(column.type) and dtype == "timestamp":
        if column.type.unit == "ns":
            # Source times round up to microseconds (C2); // truncates toward zero.
            ns = f"epoch_ns({name})"
            up = f"CASE WHEN {ns} > 0 THEN ({ns} + 999) // 1000 ELSE {ns} // 1000 END"
            return f"make_timestamp({up})"
        return f"CAST({name} AS TIMESTAMP)"
    plain = {
        "bool": kinds.is_boolean,
        "int32": kinds.is_int32,
        "int64": kinds.is_int64,
        "float32": kinds.is_float32,
        "float64": kinds.is_float64,
        "string": kinds.is_string,
        "bytes": kinds.is_binary,
        "date": kinds.is_date32,
    }
    if dtype in plain and plain[dtype](column.type):
        return name
    return _in_order(f"CAST({name} AS {duckdb_type(dtype)})", dtype, 0)


def _in_order(sql: str, dtype: str, depth: int) -> str:
    """The value with all its maps in the order of their keys; `depth` tells the lambdas apart."""
    if not holds(dtype, "map"):
        return sql
    name = f"e{depth}"
    if is_list(dtype):
        return f"list_transform({sql}, lambda {name}: {_in_order(name, element(dtype), depth + 1)})"
    if is_map(dtype):
        entries, value = f"map_entries({sql})", key_and_value(dtype)[1]
        if holds(value, "map"):
            inner = _in_order(f"{name}.value", value, depth + 1)
            pair = f"{{'key': {name}.key, 'value': {inner}}}"
            entries = f"list_transform({entries}, lambda {name}: {pair})"
        return f"map_from_entries(list_sort({entries}))"
    # the struct is named once: its SQL may be long, and stands under each of its fields
    parts = (
        f"{quote_text(field)}: {_in_order(f'{name}.{quote(field)}', inner, depth + 1)}"
        for field, inner in fields(dtype)
    )
    made = f"CASE WHEN {name} IS NULL THEN NULL ELSE {{{', '.join(parts)}}} END"
    return f"list_transform([{sql}], lambda {name}: {made})[1]"
