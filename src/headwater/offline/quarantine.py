"""Quarantine: the rows that were rejected, with the rule that rejected them (C18).

A Delta table a view. Rows are kept as JSON text, since rejected rows have whatever columns their
view or source had at the time. NaN and the infinities stand there as text, bytes as base64, times
in UTC.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from headwater.errors import StoreError
from headwater.offline import delta
from headwater.offline.layout import TIMESTAMP
from headwater.offline.reading import batches

FEATURE = "_feature"
RULE = "_rule"
SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("part", pa.string()),
        ("recorded_at", TIMESTAMP),
        ("feature", pa.string()),
        ("rule", pa.string()),
        ("row", pa.string()),
    ]
)
_IN_MEMORY = 32 * 1024 * 1024


@dataclass
class RejectedRows:
    """Rejected rows on their way: in memory, beyond 32 MiB in a temporary file."""

    run_id: str
    part: str
    recorded_at: int
    rows: int = 0
    _file: IO[bytes] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    )
    _writer: pa.RecordBatchStreamWriter | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows whose columns `_feature` and `_rule` say what rejected them."""
        if batch.num_rows == 0:
            return
        rejected = self._described(batch)
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._file, SCHEMA)
        self._writer.write_batch(rejected)
        self.rows += batch.num_rows

    def reader(self) -> pa.RecordBatchReader:
        """All rows, once no more come."""
        if self._writer is not None:
            self._writer.close()
        self._file.seek(0)
        return pa.ipc.open_stream(self._file)

    def close(self) -> None:
        self._file.close()

    def _described(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        count = batch.num_rows
        columns = [
            pa.repeat(self.run_id, count),
            pa.repeat(self.part, count),
            pa.repeat(pa.scalar(self.recorded_at, TIMESTAMP), count),
            batch.column(FEATURE),
            batch.column(RULE),
            pa.array(_json_rows(batch.drop_columns([FEATURE, RULE])), pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


@dataclass(frozen=True)
class Quarantine:
    """The quarantine tables of one project, below `root/project`."""

    root: Path
    project: str

    def path(self, view: str) -> Path:
        """The folder of the view's Delta table."""
        if not view.isidentifier():
            raise StoreError(f"quarantine: '{view}' is not the name of a view")
        return Path(self.root) / self.project / "quarantine" / view

    def views(self) -> list[str]:
        """The views that have rejected rows, in order."""
        folder = self.path("x").parent
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        return [name for name in names if DeltaTable.is_deltatable(str(self.path(name)))]

    @contextmanager
    def collect(
        self, view: str, run_id: str, part: str = "", recorded_at: int | None = None
    ) -> Iterator[RejectedRows]:
        """Collect rows while a run goes on, and append them in one commit when it ends well.

        A run (and part of it, as an interval) appends once: what it collects when it runs again
        is dropped, and so is what was collected when the block raises.
        """
        now = time.time_ns() // 1000 if recorded_at is None else recorded_at
        rejected = RejectedRows(run_id, part, now)
        try:
            yield rejected
            if rejected.rows:
                self._append(view, rejected)
        finally:
            rejected.close()

    def write(
        self,
        view: str,
        run_id: str,
        rows: Iterable[pa.RecordBatch],
        part: str = "",
        recorded_at: int | None = None,
    ) -> int:
        """Append rejected rows in one commit, once a run and part; how many were given."""
        with self.collect(view, run_id, part, recorded_at) as rejected:
            for batch in rows:
                rejected.add(batch)
        return rejected.rows

    def read(self, view: str, run_id: str | None = None) -> pa.RecordBatchReader:
        """The rejected rows of a view, or of one run, as a stream; none without a table."""
        return pa.RecordBatchReader.from_batches(SCHEMA, self._batches(view, run_id))

    def vacuum(self, view: str, retention_hours: int = 168) -> list[str]:
        """Delete what crashes left; rejected rows stay."""
        return delta.vacuum(self.path(view), retention_hours)

    def _append(self, view: str, rejected: RejectedRows) -> None:
        path = self.path(view)
        if not DeltaTable.is_deltatable(str(path)):
            delta.create(path, SCHEMA)
        table = delta.open_table(path)
        once = f"{rejected.run_id}/{rejected.part}"
        if table.transaction_version(once) is not None:
            return
        properties = CommitProperties(app_transactions=[Transaction(once, 1)])
        try:
            write_deltalake(table, rejected.reader(), mode="append", commit_properties=properties)
        except CommitFailedError:
            # Appends pass each other, so this can only be the same run in another process.
            if delta.open_table(path).transaction_version(once) is None:
                raise

    def _batches(self, view: str, run_id: str | None) -> Iterator[pa.RecordBatch]:
        path = self.path(view)
        if not DeltaTable.is_deltatable(str(path)):
            return
        for name in delta.file_names(delta.open_table(path)):
            with pq.ParquetFile(path / name) as file:
                for batch in batches(file):
                    yield batch if run_id is None else _of_run(batch, run_id)


def _of_run(batch: pa.RecordBatch, run_id: str) -> pa.RecordBatch:
    return batch.filter(pc.equal(batch.column("run_id"), run_id))


def _json_rows(batch: pa.RecordBatch) -> list[str]:
    names = batch.schema.names
    columns = [_plain_values(column) for column in batch.columns]
    encode = msgspec.json.Encoder().encode
    if not columns:
        return ["{}"] * batch.num_rows
    return [
        encode(dict(zip(names, row, strict=True))).decode() for row in zip(*columns, strict=True)
    ]


def _plain_values(column: pa.Array) -> list[Any]:
    """Values that JSON can hold."""
    kinds = pa.types
    if kinds.is_dictionary(column.type):
        return _plain_values(column.dictionary_decode())
    if kinds.is_temporal(column.type) or kinds.is_decimal(column.type):
        return _texts(column)
    if kinds.is_floating(column.type):
        return [_plain_float(value) for value in column.to_pylist()]
    if (
        kinds.is_list(column.type)
        or kinds.is_large_list(column.type)
        or kinds.is_fixed_size_list(column.type)
    ):
        inner = column.type.value_type
        return [
            None if items is None else _plain_values(pa.array(items, inner))
            for items in column.to_pylist()
        ]
    return list(column.to_pylist())


def _texts(column: pa.Array) -> list[Any]:
    return list(column.cast(pa.string()).to_pylist())


def _plain_float(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
