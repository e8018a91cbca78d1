"""Delta tables as sources: their files, and the columns that stand in no file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from headwater.definitions.source import Source
from headwater.definitions.types import from_arrow
from headwater.errors import SourceError
from headwater.expressions.printing import duckdb_type


@dataclass(frozen=True)
class DeltaFiles:
    """The data files of tables, and the DuckDB types of the columns by which they are partitioned,
    whose values stand in the files' paths.
    """

    paths: tuple[str, ...]
    partitions: Mapping[str, str] = field(default_factory=dict)


def open_delta(source: Source, path: Path, version: int | None = None) -> DeltaTable:
    """The table at a path, as it is or as it was at a version.

    Raises SourceError where there is none, or what DuckDB can't read.
    """
    try:
        table = DeltaTable(str(path), version=version)
    except DeltaError as error:
        first = str(error).partition("\n")[0]
        raise SourceError(
            f"source '{source.name}': field 'path': '{path}': {first}{_why_delta(source)}"
        ) from None
    features = set(table.protocol().reader_features or [])
    if features & {"deletionVectors", "columnMapping"}:
        raise SourceError(
            f"source '{source.name}': the Delta table '{path}' uses "
            f"{', '.join(sorted(features))}, which this engine can't read; rewrite it without "
            "these table features"
        )
    return table


def _why_delta(source: Source) -> str:
    if source.format is not None:
        return ""
    return (
        " (a path that ends in neither .parquet nor .csv is read as a Delta table's folder, "
        "unless 'format' says otherwise)"
    )


def delta_files(tables: Sequence[DeltaTable], scratch: Path) -> DeltaFiles:
    """The files that hold the tables' rows; for tables without rows an empty one in `scratch`."""
    paths: list[str] = []
    partitions: dict[str, str] = {}
    for table in tables:
        paths += table.file_uris()
        schema = pa.schema(table.schema().to_arrow())
        for name in table.metadata().partition_columns:
            dtype = from_arrow(schema.field(name).type)
            partitions[name] = "VARCHAR" if dtype is None else duckdb_type(dtype)
    if not paths:
        with tempfile.NamedTemporaryFile(dir=scratch, suffix=".parquet", delete=False) as file:
            pq.write_table(pa.schema(tables[0].schema().to_arrow()).empty_table(), file)
        return DeltaFiles((file.name,))
    return DeltaFiles(tuple(paths), partitions)
