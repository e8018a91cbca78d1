"""Rows in any form that users have, as a table that DuckDB reads without loading it whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.engines.duckdb import ROW_ID, DuckDBEngine, first_line
from headwater.compute.fetch import time_sql
from headwater.compute.spine import text_sql, to_table
from headwater.definitions.source import Source
from headwater.definitions.ticks import DAY
from headwater.definitions.types import from_arrow
from headwater.errors import SpineError, near_miss
from headwater.expressions.printing import quote, quote_text


@dataclass(frozen=True)
class Relation:
    """A SQL table expression, the tables that it names, and the types of its columns.

    `what` names it in errors. `source` is what it was declared by, if it was.
    """

    what: str
    sql: str
    types: Mapping[str, pa.DataType]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    source: Source | None = None

    def check(self, names: Iterable[str], why: str) -> None:
        """Raises SpineError for a column that is not there."""
        for name in names:
            if name not in self.types:
                raise SpineError(
                    f"{self.what}: no column '{name}' ({why}){near_miss(name, self.types)} "
                    f"(columns: {', '.join(self.types)})"
                )

    def column(self, name: str) -> str:
        """SQL for a column; the times of a source, which expressions see without a zone, in UTC."""
        kind = self.types[name]
        is_plain = self.source is None or not pa.types.is_timestamp(kind) or kind.tz is not None
        return quote(name) if is_plain else f"CAST({quote(name)} AS TIMESTAMPTZ)"

    def text(self, name: str) -> str:
        """SQL for a column's value as text, that equal values of any unit or width share."""
        column, kind = quote(name), self.types[name]
        if pa.types.is_timestamp(kind):
            return f"CAST({_micros(column, kind, up=False)} AS VARCHAR)"
        return f"CAST({column} AS VARCHAR)"

    def time(self, name: str, *, up: bool) -> str:
        """SQL for the microseconds of a time. Finer stamps round `up` as a source's do, with a date
        as its end, or down, as a spine's, with a date as its beginning (C2). Raises SpineError.
        """
        kind = self.types[name]
        if pa.types.is_date(kind):
            return f"epoch_us(CAST({quote(name)} AS TIMESTAMP)) + {DAY if up else 0}"
        if not pa.types.is_timestamp(kind):
            raise SpineError(
                f"{self.what}: column '{name}' is {kind}; a timestamp or a date is expected"
            )
        return _micros(quote(name), kind, up=up)

    def source_time(self, field_name: str) -> str:
        """SQL for the microseconds of `event_time` or `available_at` of its source."""
        assert self.source is not None  # noqa: S101
        columns = {name: from_arrow(kind) or "" for name, kind in self.types.items()}
        return time_sql(self.source, field_name, columns)


def _micros(column: str, kind: pa.TimestampType, *, up: bool) -> str:
    if kind.unit != "ns":
        return f"epoch_us({column})"
    ns = f"epoch_ns({column})"
    if up:
        ns = f"({ns} + 999)"
    return f"({ns} - (({ns} % 1000) + 1000) % 1000) // 1000"


def relation_of(engine: DuckDBEngine, given: Any, what: str, name: str) -> Relation:
    """The rows of a Source, a frame, an Arrow table, a Parquet path or a query.

    `name` is what DuckDB calls rows in memory. Raises SpineError, and what reading a source raises.
    """
    tables: dict[str, pa.Table] = {}
    source = given if isinstance(given, Source) else None
    if source is not None:
        sql = engine.scan(source).relation
    elif isinstance(given, (str, Path)):
        sql = text_sql(given, engine)
    else:
        tables, sql = {name: to_table(given, engine)}, name
    try:
        types = engine.query(f"SELECT * FROM {sql} LIMIT 0", tables).schema
    except duckdb.Error as error:
        raise SpineError(f"{what}: {first_line(error)}") from None
    named = {f.name: f.type for f in types if f.name != ROW_ID}
    return Relation(what, sql, named, tables, source)


def write_in_order(
    engine: DuckDBEngine, sql: str, place: str, target: Path, tables: Mapping[str, pa.Table]
) -> None:
    """Write the result of a query into a Parquet file in the order of its column `place`, and
    without it.

    DuckDB mostly keeps the order of rows; to see that takes a batch of memory, to sort takes as
    much as there are rows. Raises duckdb.Error.
    """
    unordered = target.with_suffix(".unordered")
    try:
        engine.write(sql, unordered, tables)
        if not _copied_in_order(unordered, place, target):
            rows = f"read_parquet({quote_text(str(unordered))})"
            name = quote(place)
            engine.write(f"SELECT * EXCLUDE ({name}) FROM {rows} ORDER BY {name}", target)
    finally:
        unordered.unlink(missing_ok=True)


def _copied_in_order(file: Path, place: str, target: Path) -> bool:
    """Copy a file without one column, as far as that ascends; whether it does to the end."""
    last = np.iinfo(np.int64).min
    with pq.ParquetFile(file) as rows:
        schema = rows.schema_arrow
        left = schema.remove(schema.get_field_index(place))
        with pq.ParquetWriter(target, left) as writer:
            for batch in rows.iter_batches():
                places = np.append(last, batch[place].to_numpy())
                if (np.diff(places) <= 0).any():
                    return False
                last = places[-1]
                writer.write_batch(batch.drop_columns(place))
    return True
