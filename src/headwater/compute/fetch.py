"""Fetch rows of a scan by their ids, and the distinct keys of a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.direct import time_column
from headwater.compute.engines.duckdb import ROW_ID, DuckDBEngine, Scan, first_line
from headwater.compute.values import without_zone
from headwater.definitions.source import Source
from headwater.definitions.ticks import DAY
from headwater.definitions.types import to_arrow
from headwater.errors import ComputeError, SourceError
from headwater.expressions.parse import parse
from headwater.expressions.printing import quote, to_duckdb
from headwater.expressions.types import resolve

Ints = NDArray[np.int64]


def time_sql(source: Source, field_name: str, schema: Mapping[str, str]) -> str:
    """SQL for the microseconds of `event_time` or `available_at`; a date is its end (C2)."""
    where = f"source '{source.name}': field '{field_name}'"
    tree, dtype = resolve(parse(getattr(source, field_name), where), schema, where)
    sql = to_duckdb(tree)
    if dtype == "date":
        return f"epoch_us(CAST({sql} AS TIMESTAMP)) + {DAY}"
    return f"epoch_us(CAST({sql} AS TIMESTAMP))"


def fetch_rows(
    engine: DuckDBEngine, scan: Scan, row_id: Ints, columns: Mapping[str, str]
) -> pa.Table:
    """Values of SQL expressions for the given rows of a scan, in the order of `row_id`.

    A row may be asked for more than once. Raises ComputeError when an expression fails.
    """
    distinct, inverse = np.unique(row_id, return_inverse=True)
    plain = {quote(name): name for name in scan.plain.types}
    if columns and all(sql in plain for sql in columns.values()):
        return _fetch_plain(scan, distinct, {n: plain[sql] for n, sql in columns.items()}, inverse)
    row = quote(ROW_ID)
    listed = ", ".join(f"{sql} AS {quote(name)}" for name, sql in columns.items())
    sql = (
        f"SELECT {row}, {listed} FROM {scan.relation} "
        f"WHERE {row} IN (SELECT wanted FROM wanted_rows)"
    )
    try:
        found = engine.query(sql, {"wanted_rows": pa.table({"wanted": distinct})})
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    place = np.empty(distinct.size, dtype=np.int64)
    place[np.searchsorted(distinct, found[ROW_ID].to_numpy())] = np.arange(distinct.size)
    return found.drop_columns(ROW_ID).take(pa.array(place[inverse]))


def _fetch_plain(scan: Scan, distinct: Ints, columns: Mapping[str, str], inverse: Ints) -> pa.Table:
    names = list(dict.fromkeys(columns.values()))
    found = scan.plain.take(distinct, names).take(pa.array(inverse))
    return pa.table({alias: without_zone(found[name]) for alias, name in columns.items()})


def distinct_keys(  # noqa: PLR0917
    engine: DuckDBEngine,
    scan: Scan,
    join_keys: Mapping[str, str],
    share: tuple[int, int],
    where: str,
    relation: str | None = None,
) -> pa.Table:
    """The distinct keys (in the types of `join_keys`) without a null part, of part `share[0]` of
    `share[1]` hash parts, of the rows that satisfy the SQL condition `where`; `relation` is SQL
    for the scan's rows where the condition asks for more than their columns.

    Raises SourceError for a key that its type can't hold.
    """
    part, parts = share
    rows = scan.relation if relation is None else relation
    names = ", ".join(quote(name) for name in join_keys)
    whole = " AND ".join(f"{quote(name)} IS NOT NULL" for name in join_keys)
    of_part = f" AND hash({names}) % {parts} = {part}" if parts > 1 else ""
    sql = f"SELECT DISTINCT {names} FROM {rows} WHERE {where} AND {whole}{of_part}"
    try:
        found = engine.query(sql)
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    return in_key_types(found, scan.source, join_keys)


def in_key_types(found: pa.Table, source: Source, join_keys: Mapping[str, str]) -> pa.Table:
    """A table of keys of a source in the types of `join_keys`; other columns stay as they are.

    Raises SourceError for a key that its type can't hold.
    """
    fields = [
        (field.name, to_arrow(join_keys[field.name]) if field.name in join_keys else field.type)
        for field in found.schema
    ]
    try:
        return found.cast(pa.schema(fields))
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"source '{source.name}': a value does not fit its join key "
            f"({', '.join(f'{n} {dtype}' for n, dtype in join_keys.items())}): {first_line(error)}"
        ) from None


def count_keys(engine: DuckDBEngine, scan: Scan, join_keys: Iterable[str]) -> int:
    """About how many distinct keys a scan holds."""
    names = ", ".join(quote(name) for name in join_keys)
    found = engine.query(f"SELECT approx_count_distinct(({names})) AS n FROM {scan.relation}")
    return int(found["n"][0].as_py())


def last_change(engine: DuckDBEngine, scan: Scan, until: int) -> int | None:
    """The last instant, at or before `until`, at which a row of the source took effect: at its
    event time, or when it became known after that. None where no row has yet.
    """
    told = _told_change(scan)
    if told is not None and told <= until:
        return told
    event_time = time_sql(scan.source, "event_time", scan.columns)
    instants = [event_time]
    if scan.source.available_at is not None:
        known = f"coalesce({time_sql(scan.source, 'available_at', scan.columns)}, {event_time})"
        instants = [f"greatest({event_time}, {known})"]
        if scan.source.id_columns:
            instants.append(known)  # a version of a fact takes the one before it away at once
    listed = ", ".join(f"max({at}) FILTER (WHERE {at} <= {until})" for at in instants)
    sql = (
        f"SELECT greatest({listed}, NULL) AS at FROM {scan.relation} WHERE {event_time} IS NOT NULL"
    )
    try:
        found: int | None = engine.query(sql)["at"][0].as_py()
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    return found


def event_span(engine: DuckDBEngine, scan: Scan) -> tuple[int, int] | None:
    """The first and the last event time of a source; None where no row has one."""
    name = time_column(scan.source.event_time, scan.plain.types)
    if name is not None and pa.types.is_timestamp(scan.plain.types[name]):
        told = scan.plain.span(name)
        if told is not None:
            return told
    at = time_sql(scan.source, "event_time", scan.columns)
    sql = f"SELECT min({at}) AS first, max({at}) AS last FROM {scan.relation}"
    try:
        found = engine.query(sql).to_pylist()[0]
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    return None if found["first"] is None else (found["first"], found["last"])


def _told_change(scan: Scan) -> int | None:
    """The last instant at which any row took effect, as the files' statistics tell it."""
    source, plain = scan.source, scan.plain
    names = [time_column(source.event_time, plain.types)]
    if source.available_at is not None:
        names.append(time_column(source.available_at, plain.types))
    last: list[int] = []
    for name in names:
        if name is None or not pa.types.is_timestamp(plain.types[name]):
            return None
        span = plain.span(name)
        # The availability of a row without an event time would count among the others.
        if span is None or plain.has_nulls(name):
            return None
        last.append(span[1])
    return max(last)


def rows_without_time(engine: DuckDBEngine, scan: Scan) -> pa.Table:
    """The rows of a source whose event time is null, with their ids and all their columns."""
    name = time_column(scan.source.event_time, scan.plain.types)
    found: Ints = np.zeros(0, dtype=np.int64)
    if name is None or scan.plain.has_nulls(name):
        event_time = time_sql(scan.source, "event_time", scan.columns)
        sql = f"SELECT {quote(ROW_ID)} FROM {scan.relation} WHERE {event_time} IS NULL"
        found = np.sort(engine.query(sql)[ROW_ID].to_numpy())
    rows = fetch_rows(engine, scan, found, {name: quote(name) for name in scan.columns})
    return rows.append_column(ROW_ID, pa.array(found))
