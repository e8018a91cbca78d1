"""The local engine: DuckDB reads, filters and evaluates expressions; the kernels do the rest."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.engines.canonical import canonical_column
from headwater.compute.engines.children import QUERIES, Children, Limits
from headwater.compute.engines.plain import ROW_BITS, PlainFiles
from headwater.compute.engines.staging import (
    database_of,
    is_free_query,
    query_of,
    read_csv,
    staged_key,
)
from headwater.compute.engines.vectors import (
    add_functions,
    remove_functions,
    vector_columns,
)
from headwater.definitions.source import Source
from headwater.definitions.types import from_arrow
from headwater.errors import SourceError, near_miss
from headwater.expressions.printing import quote, quote_text

if TYPE_CHECKING:
    from deltalake import DeltaTable

ROW_ID = "#row"
OWN_NAMES = frozenset({ROW_ID, "file_index", "file_row_number"})  # a column would hide them


@dataclass(frozen=True)
class Scan:
    """The rows of a source as of one moment: Parquet files and the columns' canonical form."""

    source: Source
    files: tuple[str, ...]
    columns: Mapping[str, str]
    selects: Mapping[str, str]
    stamps: tuple[tuple[int, ...], ...] = ()
    partitions: Mapping[str, str] = field(default_factory=dict)
    raw: pa.Schema | None = None

    @property
    def relation(self) -> str:
        """A SQL table expression with every typed column, and ROW_ID for each row."""
        row_id = f"(file_index::BIGINT << {ROW_BITS}) + file_row_number AS {quote(ROW_ID)}"
        columns = [f"{sql} AS {quote(name)}" for name, sql in self.selects.items()]
        select = ", ".join([*columns, row_id])
        return f"(SELECT {select} FROM {_read(self.files, self.partitions)})"

    @cached_property
    def plain(self) -> PlainFiles:
        """The files as Arrow reads them, with the columns that are canonical as they are."""
        same = [
            name
            for name, sql in self.selects.items()
            if sql == quote(name)
            or (self.columns[name] == "timestamp" and name not in (self.source.schema_ or {}))
        ]
        return PlainFiles.of(self.files, same)


def _read(files: Iterable[str], partitions: Mapping[str, str]) -> str:
    """The table function that reads files; `partitions` types what stands in their paths alone."""
    listed = ", ".join(quote_text(file) for file in files)
    types = ", ".join(f"{quote(name)}: {kind}" for name, kind in partitions.items())
    hive = f", hive_types = {{{types}}}" if types else ""
    return f"read_parquet([{listed}], union_by_name = true{hive})"


INTERRUPTED = "Query interrupted"


@dataclass(frozen=True)
class Apart:
    """For what, and of which files, an engine runs queries in a process of their own.

    `engine` is the one whose files these may be, and lives as long.
    """

    what: str
    files: tuple[str, ...]
    engine: DuckDBEngine


class DuckDBEngine:
    """One DuckDB instance, pinned to UTC, that reads the sources of a project.

    Relative paths of sources start at `base`. Rows that are not in Parquet files yet (CSV, tables,
    queries) are staged into a temporary Parquet file once per engine and snapshot. Expressions that
    came over the API are evaluated `apart`, within `limits`.
    """

    def __init__(
        self,
        base: Path,
        *,
        threads: int | None = None,
        memory_limit: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.base = base
        self.threads = threads or os.cpu_count() or 1
        self._apart: Apart | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="headwater-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.children = Children(limits or Limits(), self._folder)
        self._connection = duckdb.connect(":memory:")
        add_functions(self._connection)
        weakref.finalize(self, remove_functions, self._connection)
        self._lock = threading.Lock()
        self._staged: dict[str, str] = {}
        self._versions: Mapping[str, Sequence[int]] = {}
        self._trace = threading.local()
        settings = {
            "TimeZone": "UTC",
            "temp_directory": str(self._folder / "spill"),
        }
        if memory_limit is not None:
            settings["memory_limit"] = memory_limit
        # Parquet statistics leave NaN out, and DuckDB would fold comparisons by them.
        self._connection.execute("SET GLOBAL disabled_optimizers = 'statistics_propagation'")
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = {quote_text(value)}")
        if threads is not None:
            self._connection.execute(f"SET threads = {int(threads)}")

    @property
    def scratch(self) -> Path:
        """A folder for temporary files that lives as long as the engine."""
        return self._folder

    @contextmanager
    def traced(self) -> Iterator[list[str]]:
        """Collect the text of the queries that this thread runs meanwhile."""
        before = getattr(self._trace, "statements", None)
        found: list[str] = []
        self._trace.statements = found
        try:
            yield found
        finally:
            self._trace.statements = before

    @contextmanager
    def untraced(self) -> Iterator[None]:
        """Leave out of what is being traced the queries that this thread runs meanwhile."""
        before = getattr(self._trace, "statements", None)
        self._trace.statements = None
        try:
            yield
        finally:
            self._trace.statements = before

    def note(self, sql: str) -> None:
        """Add a statement to what is being traced."""
        statements = getattr(self._trace, "statements", None)
        if statements is not None:
            statements.append(sql)

    # --- queries ------------------------------------------------------------------------

    def query(self, sql: str, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The result of a query as an Arrow table; `tables` are visible under their names.

        Raises duckdb.Error; the caller knows what the query was for.
        """
        self.note(sql)
        if self._apart is not None:
            asked = {"asks": "query", "sql": sql, "files": list(self._apart.files)}
            return self.children.ask(self._apart.what, QUERIES, asked, tables or {})
        with self._cursor(tables) as cursor:
            return cursor.sql(sql).to_arrow_table()

    def write(self, sql: str, target: Path, tables: Mapping[str, pa.Table] | None = None) -> None:
        """Write the result of a query into a Parquet file, in its order, in bounded memory.

        Raises duckdb.Error; the caller knows what the query was for.
        """
        self.note(sql)
        with self._cursor(tables) as cursor:
            cursor.execute(f"COPY ({sql}) TO {quote_text(str(target))} (FORMAT parquet)")

    def apart(self, what: str, files: Iterable[str]) -> DuckDBEngine:
        """This engine for expressions that came over the API: its queries run in a process of
        their own, which sees `files` and no others, and is killed where it takes too much.

        `what` names the features in errors. Queries raise ComputeError too.
        """
        made = copy.copy(self)
        made._apart = Apart(what, tuple(files), self)  # noqa: SLF001 (one of its own)
        return made

    @contextmanager
    def _cursor(self, tables: Mapping[str, pa.Table] | None) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connection.cursor() as cursor:
            # Both belong to a cursor: a new one starts with the machine's zone and working folder.
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(f"SET file_search_path = {quote_text(str(self.base))}")
            for name, table in (tables or {}).items():
                cursor.register(name, table)
            try:
                yield cursor
            except RuntimeError as error:
                if str(error) == INTERRUPTED:  # what DuckDB makes of a KeyboardInterrupt
                    raise KeyboardInterrupt from None
                raise

    # --- sources ------------------------------------------------------------------------

    def schema(self, source: Source) -> dict[str, str]:
        """Column name to type, of the columns that have one of our types."""
        return dict(self.scan(source).columns)

    def snapshot(self, source: Source) -> str:
        """A text that changes whenever the rows of the source may have changed.

        Raises SourceError where they can't be read.
        """
        try:
            return _snapshot(source, self)
        except duckdb.Error as error:
            raise SourceError(f"source '{source.name}': {first_line(error)}") from None

    def scan(self, source: Source) -> Scan:
        """Fix the files that hold the source's rows now, and look at their columns."""
        files, partitions = self._files(source)
        # Only the files of a folder may change in place: others are written once.
        stamps = _stamps(source, files) if source.resolved_format() == "parquet" else ()
        try:
            raw = self.query(f"SELECT * FROM {_read(files, partitions)} LIMIT 0").schema
        except duckdb.Error as error:
            raise SourceError(f"source '{source.name}': {first_line(error)}") from None
        _check_names(source, raw)
        columns: dict[str, str] = {}
        selects: dict[str, str] = {}
        declared = vector_columns(files, raw) | dict(source.schema_ or {})
        for column in raw:
            dtype = declared.get(column.name) or from_arrow(column.type)
            if dtype is not None:
                columns[column.name] = dtype
                selects[column.name] = canonical_column(column, dtype)
        return Scan(source, files, columns, selects, stamps, partitions, raw)

    def narrowed(self, scan: Scan, files: Sequence[str]) -> Scan:
        """The rows of some files of a scan, with all its columns. Behind these files others of the
        scan may stand, where that takes them.
        """
        if not files or scan.raw is None:
            return replace(scan, files=tuple(files))
        found = self.query(f"SELECT * FROM {_read(files, scan.partitions)} LIMIT 0").schema
        if found.equals(scan.raw):
            return replace(scan, files=tuple(files))
        if any("=" in file for file in scan.files):  # columns may stand in paths
            others = (file for file in scan.files if file not in set(files))
            return replace(scan, files=(*files, *others))
        with tempfile.NamedTemporaryFile(dir=self.scratch, suffix=".parquet", delete=False) as file:
            pq.write_table(scan.raw.empty_table(), file)
        return replace(scan, files=(*files, file.name))

    def check_unchanged(self, scan: Scan) -> None:
        """Raises SourceError where a file has changed since the scan: what was read first and what
        was read later may not belong together.
        """
        now = _stamps(scan.source, scan.files[: len(scan.stamps)])
        for file, before, after in zip(scan.files, scan.stamps, now, strict=False):
            if before != after:
                raise SourceError(
                    f"source '{scan.source.name}': file '{relative(file, self.base)}' has changed "
                    "while it was read; run this again, and put new rows into new files"
                )

    def count(self, scan: Scan) -> int:
        """How many rows a scan holds, from the files' metadata."""
        if scan.plain.metadata:
            return scan.plain.rows
        listed = ", ".join(quote_text(file) for file in scan.files)
        found = self.query(f"SELECT sum(num_rows) AS n FROM parquet_file_metadata([{listed}])")
        return int(found["n"][0].as_py() or 0)

    def _files(self, source: Source) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """Parquet files, and the types of the columns that stand in their paths, if declared."""
        kind = source.resolved_format()
        if kind == "parquet":
            return tuple(str(path) for path in self.paths(source)), {}
        if kind == "delta":
            from headwater.compute.engines.delta import delta_files

            found = delta_files(self._delta_tables(source), self._folder)
            return found.paths, found.partitions
        return (self._stage(source),), {}

    def delta_versions(self, source: Source) -> str:
        """The versions at which the Delta tables of a source stand."""
        tables = self._delta_tables(source)
        return ",".join(f"{table.metadata().id} v{table.version()}" for table in tables)

    def table_versions(self, source: Source) -> tuple[int, ...]:
        """The versions at which the Delta tables of a source stand, in the order of its paths."""
        return tuple(table.version() for table in self._delta_tables(source))

    def at_versions(self, versions: Mapping[str, Sequence[int]]) -> DuckDBEngine:
        """This engine, reading the Delta tables of some sources as they were at versions."""
        found = copy.copy(self)
        found._versions = versions  # noqa: SLF001
        return found

    def _delta_tables(self, source: Source) -> list[DeltaTable]:
        from headwater.compute.engines.delta import open_delta

        pinned = self._versions.get(source.name) or (None,) * len(source.paths)
        return [
            open_delta(source, self.resolve(path), version)
            for path, version in zip(source.paths, pinned, strict=True)
        ]

    def paths(self, source: Source) -> list[Path]:
        """The files that the source's paths and globs name, sorted. Raises SourceError for none."""
        found: list[Path] = []
        for pattern in source.paths:
            if "://" in pattern:
                raise SourceError(
                    f"source '{source.name}': field 'path': '{pattern}' is an address; files are "
                    "read from folders of this machine"
                )
            matched = sorted(_glob(self.base, pattern))
            if not matched:
                raise SourceError(
                    f"source '{source.name}': field 'path': no file matches '{pattern}' "
                    f"(looked in '{self.base}')"
                )
            found.extend(matched)
        return found

    def resolve(self, path: str) -> Path:
        return self.base / path

    def run_query(self, source: Source) -> tuple[str, str]:
        """Run a source's query on files: the snapshot that its rows are, in whatever order, and the
        Parquet file that holds them, the same one for the same rows.
        """
        made = self._folder / f"query-{uuid.uuid4().hex}.parquet"
        self._copy(source, f"COPY ({{query}}) TO {quote_text(str(made))} (FORMAT parquet)")
        found = self.query(
            "SELECT count(*) AS n, sum(hash(q)::HUGEINT) AS h "
            f"FROM read_parquet({quote_text(str(made))}) AS q"
        )
        snapshot = f"q{found['n'][0].as_py()}-{found['h'][0].as_py()}"
        with self._lock:
            kept = self._staged.setdefault(staged_key(source, snapshot), str(made))
        if kept != str(made):
            made.unlink()
        return snapshot, kept

    def _stage(self, source: Source) -> str:
        """Write the rows of a CSV, table or query into a Parquet file, once per snapshot."""
        if is_free_query(source):
            try:
                return self.run_query(source)[1]
            except duckdb.Error as error:
                raise SourceError(f"source '{source.name}': {first_line(error)}") from None
        key = staged_key(source, self.snapshot(source))
        with self._lock:
            if key in self._staged:
                return self._staged[key]
            target = self._folder / f"staged-{key}.parquet"
            copy = f"COPY ({{query}}) TO {quote_text(str(target))} (FORMAT parquet)"
            try:
                self._copy(source, copy)
            except duckdb.Error as error:
                raise SourceError(f"source '{source.name}': {first_line(error)}") from None
            self._staged[key] = str(target)
            return str(target)

    def _copy(self, source: Source, copy: str) -> None:
        kind = source.resolved_format()
        with self._cursor(None) as cursor:
            if source.database is not None:
                path = database_of(source, self.base)
                name = f"db_{threading.get_ident()}"
                cursor.execute(f"ATTACH {quote_text(str(path))} AS {name} (READ_ONLY)")
                try:
                    cursor.execute(f"USE {name}")
                    cursor.execute(copy.format(query=query_of(source, kind)))
                finally:
                    cursor.execute("USE memory")
                    cursor.execute(f"DETACH {name}")
            elif kind == "csv":
                files = ", ".join(quote_text(str(path)) for path in self.paths(source))
                found = cursor.sql(f"SELECT * FROM read_csv([{files}])")
                _check_declared(source, found.columns)
                cursor.execute(copy.format(query=f"SELECT * FROM {read_csv(source, files)}"))
            else:
                cursor.execute(copy.format(query=query_of(source, kind)))


def _glob(base: Path, pattern: str) -> Iterator[Path]:
    path = Path(pattern)
    if not any(letter in pattern for letter in "*?["):
        full = base / path
        return iter([full] if full.exists() else [])
    if path.is_absolute():
        return Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    return base.glob(pattern)


def _check_declared(source: Source, names: list[str]) -> None:
    lost = next((name for name in source.schema_ or {} if name not in names), None)
    if lost is not None:
        raise SourceError(
            f"source '{source.name}': field 'schema': no column '{lost}'{near_miss(lost, names)}"
        )


def _check_names(source: Source, schema: pa.Schema) -> None:
    _check_declared(source, schema.names)
    taken = next((name for name in schema.names if name.lower() in OWN_NAMES), None)
    if taken is not None:
        raise SourceError(
            f"source '{source.name}': column '{taken}': the engine numbers rows under this name; "
            f'rename it, as in query="SELECT * RENAME ({quote(taken)} AS other_name) FROM ..."'
        )


def first_line(error: Exception) -> str:
    """What an error's text begins with, without a trailing hint about its position.

    What is wrong in a CSV file stands behind the line in which it is.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "CSV Error on Line" in lines[0]:
        return ": ".join(line for line in lines[:3] if not line.startswith("Original Line"))
    return lines[0] if lines else type(error).__name__


def _snapshot(source: Source, engine: DuckDBEngine) -> str:
    kind = source.resolved_format()
    if kind in ("parquet", "csv"):
        return _stat_digest(engine.paths(source), engine.base)
    if kind == "delta":
        return engine.delta_versions(source)
    if source.database is not None:
        file = database_of(source, engine.base)
        log = file.with_name(f"{file.name}.wal")
        return _stat_digest([file, log] if log.exists() else [file], engine.base)
    # What a free query reads is unknown: its result is the snapshot.
    return engine.run_query(source)[0]


def _stamps(source: Source, files: Iterable[str]) -> tuple[tuple[int, ...], ...]:
    """What changes when a file does."""
    try:
        found = [Path(file).stat() for file in files]
    except OSError as error:
        raise SourceError(f"source '{source.name}': a file can't be read: {error}") from None
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def _stat_digest(paths: list[Path], base: Path) -> str:
    """Of names, sizes and times of change; the names as seen from the project, which may move."""
    try:
        stats = [(relative(path, base), path.stat()) for path in paths]
    except OSError as error:
        raise SourceError(f"a source's file can't be read: {error}") from None
    told = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def relative(path: str | Path, base: Path) -> str:
    """A path as it is written from the project's folder."""
    return os.path.relpath(path, base)
