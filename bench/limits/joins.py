"""A point-in-time join by DuckDB alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from bench.checks import table_sums
from bench.make_data import FLOATS
from bench.timing import timed

ASOF = """
SELECT s.user_id, s.event_timestamp, s.label, {columns}
FROM (SELECT *, file_row_number FROM read_parquet('{spine}', file_row_number = true)) s
ASOF LEFT JOIN read_parquet('{events}') e
  ON s.user_id = e.user_id AND s.event_timestamp >= e.event_timestamp
ORDER BY s.file_row_number
"""


def asof(data: str, calls: int) -> dict[str, Any]:
    """DuckDB's ASOF JOIN, back in the spine's order, as an Arrow table."""
    folder = Path(data)
    query = ASOF.format(
        columns=", ".join(f"e.{name}" for name in FLOATS),
        spine=folder / "spine.parquet",
        events=folder / "events.parquet",
    )
    connection = duckdb.connect()
    return timed(lambda: connection.sql(query).to_arrow_table(), calls, table_sums(FLOATS))
