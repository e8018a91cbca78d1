"""A sample of a source's rows: some keys in the order of their hash, and all rows of them.

Values of a key come from its rows alone, so on these rows they are what they are on all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.engines.duckdb import DuckDBEngine, Scan, first_line
from headwater.compute.fetch import time_sql
from headwater.definitions.types import to_arrow
from headwater.errors import SourceError
from headwater.expressions.printing import quote

KEYS = 1_000
POINTS = 5_000
TIMES = range(5, 201)
"""How many instants of a key are looked at: as many as make POINTS of all keys, within bounds."""
ROWS = 1_000_000
"""How many rows of the sampled keys are read at the most; of the first key, all."""
POINT = "#point"
_COUNT = quote("#rows")


def sample_keys(engine: DuckDBEngine, scan: Scan, join_keys: Mapping[str, str]) -> pa.Table:
    """Up to KEYS distinct keys of a source, those with the least hashes, in the types of an entity.

    Raises SourceError where the rows can't be read, or a key does not fit its type.
    """
    names = ", ".join(quote(name) for name in join_keys)
    whole = " AND ".join(f"{quote(name)} IS NOT NULL" for name in join_keys)
    found = _query(
        engine,
        scan,
        f"SELECT {names}, count(*) AS {_COUNT} FROM {scan.relation} WHERE {whole} "
        f"GROUP BY {names} ORDER BY hash({names}), {names} LIMIT {KEYS}",
        {},
    )
    total = np.cumsum(found["#rows"].to_numpy())
    kept = found.drop_columns("#rows").slice(0, max(1, int((total <= ROWS).sum())))
    schema = pa.schema([(name, to_arrow(dtype)) for name, dtype in join_keys.items()])
    try:
        return kept.cast(schema).combine_chunks()
    except pa.ArrowInvalid as error:
        raise SourceError(
            f"source '{scan.source.name}': a value does not fit its join key: {first_line(error)}"
        ) from None


def rows_of(engine: DuckDBEngine, scan: Scan, wanted: Sequence[pa.Table], folder: Path) -> Scan:
    """A scan of those rows alone that have one of some keys; each table has keys of one kind.

    The rows are written into a folder, which has to live as long as the scan is read.
    """
    conditions = []
    tables = {}
    for number, keys in enumerate(wanted):
        listed = ", ".join(quote(name) for name in keys.column_names)
        conditions.append(f"({listed}) IN (SELECT ({listed}) FROM keys_{number})")
        tables[f"keys_{number}"] = keys
    columns = ", ".join(quote(name) for name in scan.columns)
    sql = f"SELECT {columns} FROM {scan.relation} WHERE {' OR '.join(conditions)}"
    target = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(_query(engine, scan, sql, tables), target)
    selects = {name: quote(name) for name in scan.columns}
    return replace(scan, files=(str(target),), selects=selects, stamps=(), partitions={})


def moments(engine: DuckDBEngine, scan: Scan, points: pa.Table) -> pa.Table:
    """Some instants of each point at which a row of its key took effect.

    `points` holds keys, and a number as POINT. The instants are spread evenly over the rows, the
    last one is always among them. Columns: POINT, `#at` and `#event` (microseconds).
    """
    times = min(max(POINTS // max(1, points.num_rows), TIMES[0]), TIMES[-1])
    source = scan.source
    event = time_sql(source, "event_time", scan.columns)
    at = event
    if source.available_at is not None:
        at = f"greatest({event}, {time_sql(source, 'available_at', scan.columns)})"
    names = [quote(name) for name in points.column_names if name != POINT]
    same = " AND ".join(f"r.{name} = p.{name}" for name in names) or "true"
    listed = "".join(f"{name}, " for name in names)
    found = (
        f'WITH r AS (SELECT DISTINCT {listed}{at} AS "#at", {event} AS "#event" '
        f"FROM {scan.relation} WHERE {event} IS NOT NULL), "
        'ranked AS (SELECT p."#point", "#at", "#event", '
        'row_number() OVER (PARTITION BY p."#point" ORDER BY "#at", "#event") AS "#place", '
        'count(*) OVER (PARTITION BY p."#point") AS "#all" '
        f"FROM r JOIN points AS p ON {same}) "
        'SELECT "#point", "#at", "#event" FROM ranked '
        f'WHERE "#place" * {times} // "#all" <> ("#place" - 1) * {times} // "#all" '
        'ORDER BY "#point", "#at", "#event"'
    )
    return _query(engine, scan, found, {"points": points})


def _query(engine: DuckDBEngine, scan: Scan, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
    try:
        return engine.query(sql, tables)
    except duckdb.Error as error:
        raise SourceError(f"source '{scan.source.name}': {first_line(error)}") from None
