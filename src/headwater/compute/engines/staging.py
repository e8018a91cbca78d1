"""How sources that are no Parquet files are asked for their rows, to be staged as such a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headwater.definitions.source import Source
from headwater.errors import SourceError
from headwater.expressions.printing import duckdb_type, quote, quote_text


def staged_key(source: Source, snapshot: str) -> str:
    return hashlib.sha256(f"{source.model_dump_json()}{snapshot}".encode()).hexdigest()[:32]


def is_free_query(source: Source) -> bool:
    """Whether what a source reads is known by reading it alone."""
    return source.resolved_format() not in ("parquet", "csv", "delta") and source.database is None


def query_of(source: Source, kind: str) -> str:
    if kind == "duckdb" and source.table is not None:
        return "SELECT * FROM " + ".".join(quote(part) for part in source.table.split("."))
    return f"SELECT * FROM ({(source.query or '').strip().rstrip(';')}) AS q"


def read_csv(source: Source, files: str) -> str:
    types = {name: duckdb_type(dtype) for name, dtype in (source.schema_ or {}).items()}
    told = ", ".join(f"{quote_text(name)}: {quote_text(sql)}" for name, sql in types.items())
    return f"read_csv([{files}]{f', types = {{{told}}}' if told else ''})"


def database_of(source: Source, base: Path) -> Path:
    path = base / (source.database or "")
    if not path.is_file():
        raise SourceError(f"source '{source.name}': field 'database': no file '{source.database}'")
    return path
