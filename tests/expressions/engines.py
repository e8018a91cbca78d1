"""Runs an expression on both engines, for tests that compare them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from headwater.compute.engines.vectors import add_functions, remove_functions
from headwater.definitions.types import (
    element,
    fields,
    is_list,
    is_map,
    is_struct,
    key_and_value,
    map_of,
    struct_of,
    to_arrow,
)
from headwater.errors import ComputeError
from headwater.expressions.closures import compile_row
from headwater.expressions.functions import CANNOT
from headwater.expressions.printing import to_duckdb
from headwater.expressions.tree import Literal, Node
from headwater.expressions.types import resolve

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Engines:
    """DuckDB and the closures, over rows of typed columns."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        add_functions(self.connection)

    def close(self) -> None:
        remove_functions(self.connection)
        self.connection.close()

    def resolved(self, tree: Node, columns: Mapping[str, str]) -> Node:
        return resolve(tree, columns, "test")[0]

    def duckdb(
        self, tree: Node, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """One value a row, CANNOT where the row is an error."""
        sql = to_duckdb(self.resolved(tree, columns), as_of='"as_of()"')
        table = self._table(columns, rows)
        self.connection.register("rows", table)
        try:
            return self._values(f'SELECT {sql} FROM rows ORDER BY "#"')
        except duckdb.Error:
            return [self._one(sql, place) for place in range(len(rows))]
        finally:
            self.connection.unregister("rows")

    def _one(self, sql: str, place: int) -> Any:
        self.connection.execute(
            f'CREATE OR REPLACE TEMP TABLE one AS FROM rows WHERE "#" = {place}'
        )
        try:
            return self._values(f"SELECT {sql} FROM one")[0]
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            return CANNOT
        except (duckdb.InvalidInputException, duckdb.SyntaxException):
            return CANNOT

    def _values(self, query: str) -> list[Any]:
        column = self.connection.sql(query).to_arrow_table().column(0)
        if pa.types.is_nested(column.type):
            return [_aware(v) for v in column.to_pylist(maps_as_pydicts="strict")]
        if not pa.types.is_temporal(column.type):
            return [_aware(value) for value in column.to_pylist()]
        if pa.types.is_date32(column.type):
            return [_day(value) for value in column.cast(pa.int32()).to_pylist()]
        return [_moment(value) for value in column.cast(pa.int64()).to_pylist()]

    def _table(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> pa.Table:
        arrays: dict[str, Any] = {"#": pa.array(range(len(rows)), pa.int64())}
        for place, (name, dtype) in enumerate(columns.items()):
            values = [_naive(row[place]) for row in rows]
            arrays[name] = pa.array(values, _arrow(dtype))
        return pa.table(arrays)

    def closures(
        self, tree: Node, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """One value a row, CANNOT where the row is an error."""
        run = compile_row(self.resolved(tree, columns), [*columns])
        found = []
        for row in rows:
            try:
                found.append(run(row))
            except ComputeError:
                found.append(CANNOT)
        return found


def _arrow(dtype: str) -> pa.DataType:
    if dtype == "null":
        return pa.null()
    if is_list(dtype):
        return pa.list_(_arrow(element(dtype)))
    if is_struct(dtype):
        return pa.struct([(name, _arrow(inner)) for name, inner in fields(dtype)])
    if is_map(dtype):
        return pa.map_(*map(_arrow, key_and_value(dtype)))
    return pa.timestamp("us") if dtype == "timestamp" else to_arrow(dtype)


def _moment(value: int | None) -> Any:
    """The years 1 to 9999 are what Python, and so the closures, can hold."""
    try:
        return None if value is None else EPOCH + timedelta(microseconds=value)
    except OverflowError:
        return CANNOT


def _day(value: int | None) -> Any:
    try:
        return None if value is None else EPOCH.date() + timedelta(days=value)
    except OverflowError:
        return CANNOT


def _naive(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, dict):
        return {key: _naive(part) for key, part in value.items()}
    return [_naive(item) for item in value] if isinstance(value, list | tuple) else value


def _aware(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, dict):
        return {key: _aware(part) for key, part in value.items()}
    return [_aware(item) for item in value] if isinstance(value, list) else value


def bits(value: Any) -> Any:
    """Equal for equal values of equal types only: -0.0 is not 0.0, True not 1, NaN is NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return [(bits(key), bits(part)) for key, part in value.items()]
    return (type(value).__name__, value)


def dtype_of(values: Sequence[Any], pattern: str = "") -> str:
    """The type of a column that holds these values; a dict is a map but for a `struct`."""
    known = [value for value in values if value is not None]
    if not known:
        return "null"
    if isinstance(known[0], list | tuple):
        inner = dtype_of([item for value in known for item in value])
        if pattern == "vector":
            return f"vector[{inner}, {len(known[0])}]"
        return f"list[{'int64' if inner == 'null' else inner}]"
    if isinstance(known[0], dict):
        if pattern == "struct":
            return struct_of((name, dtype_of([v[name] for v in known])) for name in known[0])
        inner = dtype_of([part for value in known for part in value.values()])
        return map_of(dtype_of([*known[0]]), inner)
    kinds = {bool: "bool", int: "int64", float: "float64", str: "string"}
    kinds |= {datetime: "timestamp", date: "date"}
    return kinds[type(known[0])]


def literal(value: Any) -> Literal:
    return Literal(value, dtype_of([value]))
