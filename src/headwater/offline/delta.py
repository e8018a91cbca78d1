"""One Delta table in a folder of its own: its state, and commits that nobody overtakes.

Beside the data files stand `_intervals/<token>.parquet`, each the complete list of spans after
one commit; Delta readers skip folders that begin with `_`. The commit names its token as the
version of an application transaction, so that rows and spans become visible in one step, and so
that the pointer outlives checkpoints, log cleanup and maintenance by other tools.

A commit goes through only if the table is still at the version that was read
(`max_commit_retries=0` makes the log file's exclusive creation a compare-and-set).
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from headwater.errors import StoreError
from headwater.offline.intervals import Span
from headwater.offline.layout import time_column

SPANS_FOLDER = "_intervals"
_TRANSACTION = "headwater.intervals"
# Opening a table replays the log since its last checkpoint, about 0.2 ms a commit.
_CONFIGURATION = {"delta.checkpointInterval": "20"}
_HOUR = 3600
_SPANS = pa.schema([("start", pa.int64()), ("end", pa.int64()), ("snapshot", pa.string())])


@dataclass(frozen=True)
class DataFile:
    """A data file of the table; the bounds of its times (inclusive), where they are known."""

    name: str
    size: int
    rows: int
    first: int | None
    last: int | None

    def overlaps(self, start: int, end: int) -> bool:
        return self.first is None or self.last is None or (self.first < end and self.last >= start)

    def lies_within(self, start: int, end: int) -> bool:
        known = self.first is not None and self.last is not None
        return known and start <= (self.first or 0) and (self.last or 0) < end


@dataclass(frozen=True)
class TableState:
    """A Delta table at one version."""

    path: Path
    table: DeltaTable
    schema: pa.Schema
    token: int | None
    spans: list[Span]
    files: list[DataFile] = field(repr=False)

    @property
    def version(self) -> int:
        return int(self.table.version())

    def commit(
        self,
        adds: Iterable[DataFile],
        removes: Iterable[DataFile],
        spans: Sequence[Span] | None = None,
    ) -> bool:
        """Add and remove files, replace the spans where given; False if the table has moved on.

        Without spans the same rows are only laid out anew.
        """
        column = time_column(self.schema)
        is_change = spans is not None
        actions: list[AddAction | RemoveAction] = [
            *(_add(file, column, is_change=is_change) for file in adds),
            *(_remove(file, is_change=is_change) for file in removes),
        ]
        if spans is None:
            return self._log(actions, [])
        token = _write_spans(self.path, spans, after=self.token or 0)
        landed = self._log(actions, [Transaction(_TRANSACTION, token)])
        if not landed:
            spans_file(self.path, token).unlink(missing_ok=True)
        return landed

    def _log(
        self, actions: list[AddAction | RemoveAction], transactions: list[Transaction]
    ) -> bool:
        mark = uuid.uuid4().hex
        properties = CommitProperties(
            max_commit_retries=0,
            app_transactions=transactions,
            custom_metadata={"headwater.commit": mark},
        )
        try:
            self.table.create_write_transaction(
                actions, "append", self.table.schema(), commit_properties=properties
            )
        except CommitFailedError:
            return False
        except DeltaError:
            # What comes after the commit (a checkpoint, log cleanup) may fail where the commit
            # did not; its version is the next one or none.
            log = self.path / "_delta_log" / f"{self.version + 1:020d}.json"
            if not log.exists() or mark not in log.read_text():
                raise
        return True


def create(path: Path, schema: pa.Schema) -> None:
    """Create the table where there is none; two that do so at once make one."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        DeltaTable.create(path, schema, mode="ignore", configuration=_CONFIGURATION)
    except DeltaError:
        if not DeltaTable.is_deltatable(str(path)):
            raise


def load(path: Path) -> TableState:
    """The table's present state. Raises StoreError as `open_table` does."""
    table = open_table(path)
    schema = pa.schema(table.schema().to_arrow())
    token = table.transaction_version(_TRANSACTION)
    spans = [] if token is None else _read_spans(path, token)
    return TableState(path, table, schema, token, spans, _files(table, time_column(schema)))


def open_table(path: Path) -> DeltaTable:
    """The table at its present version.

    Raises StoreError where another tool has turned on something that reading its files by name
    would get wrong: deletion vectors, renamed columns.
    """
    table = DeltaTable(path)
    version = table.protocol().min_reader_version
    if version != 1:
        raise StoreError(
            f"offline table {path}: it needs reader version {version}, so another tool has "
            "changed it; drop it and backfill again"
        )
    return table


def file_names(table: DeltaTable) -> list[str]:
    """The data files of the table, relative to its folder."""
    found: list[str] = pa.table(table.get_add_actions())["path"].to_pylist()
    return found


def vacuum(path: Path, retention_hours: int) -> list[str]:
    """Delete what no version younger than the retention needs, and what crashes left."""
    table = open_table(path)
    found: list[str] = table.vacuum(
        retention_hours, dry_run=False, enforce_retention_duration=False, full=True
    )
    oldest = time.time() - retention_hours * _HOUR
    for leftover in _leftovers(path, table.transaction_version(_TRANSACTION)):
        if leftover.stat().st_mtime < oldest:
            leftover.unlink(missing_ok=True)
            found.append(str(leftover.relative_to(path)))
    return found


def _leftovers(path: Path, token: int | None) -> Iterator[Path]:
    """Old lists of spans, and the staging files of writers that were killed."""
    current = spans_file(path, token or 0)
    yield from (file for file in current.parent.glob("*.parquet") if file != current)
    yield from path.rglob("*.parquet#*")
    yield from (path / "_delta_log").glob("*.tmp*")


def spans_file(path: Path, token: int) -> Path:
    return path / SPANS_FOLDER / f"{token:020d}.parquet"


def _write_spans(path: Path, spans: Sequence[Span], after: int) -> int:
    """Write the spans under a token that is greater than `after` and nobody else's."""
    (path / SPANS_FOLDER).mkdir(exist_ok=True)
    token = max(time.time_ns(), after + 1)
    while True:
        try:
            handle = os.open(spans_file(path, token), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            token += 1
            continue
        with os.fdopen(handle, "wb") as file:
            rows = pa.Table.from_pylist([span._asdict() for span in spans], schema=_SPANS)
            pq.write_table(rows, file, compression="zstd")
        return token


def _read_spans(path: Path, token: int) -> list[Span]:
    rows = pq.ParquetFile(spans_file(path, token)).read().to_pylist()
    return [Span(**row) for row in rows]


def _files(table: DeltaTable, column: str) -> list[DataFile]:
    actions = pa.table(table.get_add_actions(flatten=True))
    bounds = [_bounds(actions, f"{end}.{column}") for end in ("min", "max")]
    rows = zip(
        actions["path"].to_pylist(),
        actions["size_bytes"].to_pylist(),
        actions["num_records"].to_pylist(),
        *bounds,
        strict=True,
    )
    return [DataFile(*row) for row in rows]


def _bounds(actions: pa.Table, name: str) -> list[int | None]:
    if name not in actions.column_names:
        return [None] * actions.num_rows
    found: list[int | None] = pc.cast(actions[name], pa.int64()).to_pylist()
    return found


def _add(file: DataFile, column: str, *, is_change: bool) -> AddAction:
    stats: dict[str, object] = {"numRecords": file.rows}
    if file.first is not None and file.last is not None:
        stats["minValues"] = {column: _iso(file.first)}
        stats["maxValues"] = {column: _iso(file.last)}
        stats["nullCount"] = {column: 0}
    now = time.time_ns() // 1_000_000
    return AddAction(file.name, file.size, {}, now, is_change, json.dumps(stats))


def _remove(file: DataFile, *, is_change: bool) -> RemoveAction:
    return RemoveAction(file.name, is_change, time.time_ns() // 1_000_000, file.size, {})


def _iso(microseconds: int) -> str:
    return f"{np.datetime64(microseconds, 'us')}Z"
