"""The spine: the rows for which a training set is wanted, in any form that users have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, first_line
from headwater.compute.maps import in_key_order
from headwater.compute.values import has_null_element, whole
from headwater.definitions.ticks import DAY
from headwater.definitions.types import INTEGERS, NUMBERS, from_arrow, is_nested, to_arrow
from headwater.errors import ComputeError, SpineError, near_miss
from headwater.expressions.casts import can_cast
from headwater.expressions.printing import quote_text

_BEFORE = r"(--[^\n]*\n|/\*.*?\*/|[\s(])*"
_QUERY = re.compile(_BEFORE + r"(select|with|from|values|table)\b(?!\.)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Spine:
    """The spine's rows as given, and their times in microseconds UTC."""

    table: pa.Table
    timestamp: str
    times: NDArray[np.int64]

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    def keys(self, join_keys: Mapping[str, str], names: Mapping[str, str]) -> dict[str, pa.Array]:
        """The key columns of an entity, cast to its types; `names` maps keys to spine columns.

        Raises SpineError for a column that is missing or of another type.
        """
        return {key: self._key(names.get(key, key), key, dtype) for key, dtype in join_keys.items()}

    def _key(self, column: str, key: str, dtype: str) -> pa.Array:
        if column not in self.table.column_names:
            hint = near_miss(column, self.table.column_names)
            raise SpineError(
                f"spine: no column '{column}' for join key '{key}'{hint} "
                f"(columns: {', '.join(self.table.column_names)})"
            )
        values = self.table[column]
        found = from_arrow(values.type)
        if pa.types.is_null(values.type):
            return pa.nulls(self.rows, to_arrow(dtype))
        if found != dtype and not (found in INTEGERS and dtype in INTEGERS):
            if found in ("float32", "float64") and dtype in INTEGERS:
                return self._integral(values, column, dtype)
            raise SpineError(
                f"spine: column '{column}' is {values.type}; join key '{key}' is {dtype}; "
                "cast the column"
            )
        try:
            return pc.cast(values, to_arrow(dtype))
        except pa.ArrowInvalid as error:
            raise SpineError(f"spine: column '{column}': {first_line(error)}") from None

    def given(self, name: str, dtype: str, feature: str) -> pa.Array:
        """The column of a value that an on-demand feature takes from a request, in its type.

        Raises SpineError for a column that is missing or of another type.
        """
        if name not in self.table.column_names:
            hint = near_miss(name, self.table.column_names)
            raise SpineError(
                f"spine: no column '{name}' ({dtype}), a request value of feature '{feature}'"
                f"{hint} (columns: {', '.join(self.table.column_names)})"
            )
        values = whole(self.table[name])
        found = from_arrow(values.type)
        if pa.types.is_null(values.type):
            return pa.nulls(self.rows, to_arrow(dtype))
        wider = found is not None and is_nested(found) and can_cast(found, dtype)
        if found != dtype and not wider and not (found in NUMBERS and dtype in NUMBERS):
            raise SpineError(
                f"spine: column '{name}' is {values.type}; feature '{feature}' takes a {dtype}; "
                "cast the column"
            )
        try:
            fitting = pc.cast(values, to_arrow(dtype))
        except pa.ArrowInvalid as error:
            raise SpineError(
                f"spine: column '{name}' does not fit {dtype}: {first_line(error)}"
            ) from None
        if dtype == "float32" and pc.sum(pc.is_inf(fitting)) != pc.sum(pc.is_inf(values)):
            raise SpineError(f"spine: column '{name}' holds numbers too great for float32")
        if has_null_element(fitting):
            raise SpineError(f"spine: column '{name}': an element of a {dtype} is null")
        try:
            return in_key_order(fitting)
        except ComputeError as error:
            raise SpineError(f"spine: column '{name}': {error}") from None

    def _integral(self, values: pa.ChunkedArray, column: str, dtype: str) -> pa.Array:
        """Pandas turns an integer column with nulls into floats: take it back where it is exact."""
        values = pc.if_else(pc.is_nan(values), None, values)
        try:
            return pc.cast(values, to_arrow(dtype))
        except pa.ArrowInvalid:
            raise SpineError(
                f"spine: column '{column}' holds numbers that are no integers; its join key is "
                f"{dtype}"
            ) from None


def read_spine(given: Any, timestamp: str, engine: DuckDBEngine) -> Spine:
    """A spine from an Arrow table, a polars or pandas frame, a Parquet path, or a SQL query.

    Raises SpineError when it can't be read or its timestamps are missing, null or no times.
    """
    table = to_table(given, engine)
    names = table.column_names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SpineError(f"spine: two columns are called '{twice}'; rename one of them")
    if timestamp not in names:
        hint = near_miss(timestamp, names)
        raise SpineError(
            f"spine: no column '{timestamp}'{hint}; name its timestamp column with timestamp= "
            f"(or --timestamp; columns: {', '.join(names)})"
        )
    return Spine(table, timestamp, _times(table[timestamp], timestamp))


def to_table(given: Any, engine: DuckDBEngine) -> pa.Table:
    """Rows in any form that a spine may have, as an Arrow table. Raises SpineError."""
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    if isinstance(given, (str, Path)):
        return _from_text(given, engine)
    if isinstance(given, dict):
        try:
            return pa.table(given)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise SpineError(f"spine: {first_line(error)}") from None
    module = type(given).__module__.partition(".")[0]
    if module == "pandas":
        return _from_pandas(given)
    if hasattr(given, "__arrow_c_stream__"):
        return _plain(pa.table(given))
    if hasattr(given, "collect"):
        return _plain(pa.table(given.collect()))
    raise SpineError(
        f"spine: can't read a {type(given).__name__}; give an Arrow table, a polars or pandas "
        "frame, the path of a Parquet file, or a SQL query"
    )


def _from_pandas(frame: Any) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        told = ": ".join(str(part) for part in reversed(error.args))
        raise SpineError(
            f"spine: {told}; give the column values of one type, or leave it out"
        ) from None


def _plain(table: pa.Table) -> pa.Table:
    """Without the string and list views that polars exports."""
    return table.cast(pa.schema([(field.name, _plain_type(field.type)) for field in table.schema]))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    kinds = pa.types
    if kinds.is_string_view(kind) or kinds.is_large_string(kind):
        return pa.string()
    if kinds.is_binary_view(kind) or kinds.is_large_binary(kind):
        return pa.binary()
    if kinds.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    if kinds.is_struct(kind):
        return pa.struct([(field.name, _plain_type(field.type)) for field in kind])
    if kinds.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    return kind


def text_sql(given: str | Path, engine: DuckDBEngine) -> str:
    """A SQL table expression for a query or the path of a Parquet file. Raises SpineError."""
    text = str(given)
    if isinstance(given, str) and _QUERY.match(given):
        return f"({text.strip().rstrip(';')})"
    if isinstance(given, Path) or text.endswith((".parquet", ".pq")):
        return f"read_parquet({quote_text(str(engine.resolve(text)))})"
    raise SpineError(
        f"spine: '{text}' is neither a Parquet file (.parquet) nor a SQL query (SELECT ...)"
    )


def _from_text(given: str | Path, engine: DuckDBEngine) -> pa.Table:
    text = str(given)
    if isinstance(given, str) and _QUERY.match(given):
        try:
            return engine.query(text)
        except duckdb.Error as error:
            raise SpineError(f"spine: the query failed: {first_line(error)}") from None
    if isinstance(given, Path) or text.endswith((".parquet", ".pq")):
        try:
            return pq.ParquetFile(engine.resolve(text)).read()
        except (OSError, pa.ArrowInvalid) as error:
            raise SpineError(f"spine: can't read '{text}': {first_line(error)}") from None
    raise SpineError(
        f"spine: '{text}' is neither a Parquet file (.parquet) nor a SQL query (SELECT ...)"
    )


def _times(column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
    """Microseconds UTC: naive is UTC, a date is its beginning, finer stamps round down (C2)."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _parse_times(column, name)
    elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise SpineError(f"spine: column '{name}' is {kind}; a timestamp or a date is expected")
    if column.null_count:
        row = pc.index(pc.is_null(column), value=True).as_py()
        raise SpineError(f"spine: column '{name}' is null in row {row}; every row needs a time")
    if pa.types.is_date(column.type):
        days = pc.cast(pc.cast(column, pa.date32()), pa.int32()).to_numpy()
        found: NDArray[np.int64] = days.astype(np.int64) * DAY
        return found
    ticks = pc.cast(pc.cast(column, pa.timestamp(column.type.unit)), pa.int64()).to_numpy()
    per_unit = {"s": 1_000_000, "ms": 1_000, "us": 1}
    if column.type.unit == "ns":
        micros: NDArray[np.int64] = np.floor_divide(ticks, 1_000)
    else:
        micros = np.ascontiguousarray(ticks) * per_unit[column.type.unit]
    return micros


def _parse_times(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        text = pc.replace_substring_regex(column, r"(Z|[+-]00:?00)$", "")
        return pc.cast(text, pa.timestamp("us"))
    except pa.ArrowInvalid as error:
        raise SpineError(
            f"spine: column '{name}': {first_line(error)}; write times as "
            "'2024-01-05 12:00:00' (in UTC), or convert the column to timestamps"
        ) from None
