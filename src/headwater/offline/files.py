"""Write the data files of an offline table, in bounded memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headwater.errors import StoreError
from headwater.offline.delta import DataFile
from headwater.offline.intervals import Interval
from headwater.offline.layout import time_column

ROW_GROUP_ROWS = 262_144
FILE_BYTES = 128 * 1024 * 1024


@dataclass
class FileWriter:
    """Writes batches to new files of a table; as a context, removes them unless kept.

    `within` bounds the times of the rows. A crash leaves files that no commit names; `vacuum`
    removes them.
    """

    folder: Path
    schema: pa.Schema
    within: Interval | None = None
    files: list[DataFile] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _kept: bool = False
    _waiting: list[pa.RecordBatch] = field(default_factory=list)
    _open: _OpenFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.close()
        if not self._kept:
            for name in self._names:
                (self.folder / name).unlink(missing_ok=True)

    def write(self, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
        """Write all batches; the files that hold them, none for no rows.

        Raises StoreError where a batch has other columns, or a time outside the interval.
        """
        for batch in batches:
            if batch.num_rows:
                self._waiting.append(self._conform(batch))
            if sum(b.num_rows for b in self._waiting) >= ROW_GROUP_ROWS:
                self._flush()
        self._flush()
        self._close()
        return self.files

    def keep(self) -> None:
        """The files are committed."""
        self._kept = True

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def _conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.schema.names != self.schema.names:
            raise StoreError(
                f"offline table {self.folder.name}: expected columns "
                f"{', '.join(self.schema.names)}; got {', '.join(batch.schema.names)}"
            )
        try:
            return batch.cast(self.schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise StoreError(f"offline table {self.folder.name}: {error}") from None

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = pa.Table.from_batches(self._waiting, schema=self.schema)
        self._waiting = []
        first, last = self._times(rows)
        if self._open is None:
            name = f"part-{uuid.uuid4().hex}.parquet"
            self._names.append(name)
            self._open = _OpenFile(self.folder / name, self.schema)
        self._open.write(rows, first, last)
        if self._open.size >= FILE_BYTES:
            self._close()

    def _times(self, rows: pa.Table) -> tuple[int, int]:
        column = time_column(self.schema)
        times = rows[column].cast(pa.int64())
        if times.null_count:
            raise StoreError(f"offline table {self.folder.name}: '{column}' is null in a row")
        ends = pc.min_max(times)
        first, last = ends["min"].as_py(), ends["max"].as_py()
        if self.within is not None and not self.within.start <= first <= last < self.within.end:
            raise StoreError(
                f"offline table {self.folder.name}: '{column}' {first} to {last} is not within "
                f"the interval [{self.within.start}, {self.within.end})"
            )
        return first, last

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self.files.append(self._open.finished())
            self._open = None


class _OpenFile:
    """A Parquet file that is being written, with the bounds of its times."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._handle: BinaryIO = path.open("xb")
        self._writer = pq.ParquetWriter(self._handle, schema, compression="zstd")
        self._rows = 0
        self._bounds: list[int] = []

    @property
    def size(self) -> int:
        return self._handle.tell()

    def write(self, rows: pa.Table, first: int, last: int) -> None:
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._rows += rows.num_rows
        self._bounds += [first, last]

    def close(self) -> None:
        if not self._handle.closed:
            self._writer.close()
            self._handle.close()

    def finished(self) -> DataFile:
        size = self._path.stat().st_size
        return DataFile(self._path.name, size, self._rows, min(self._bounds), max(self._bounds))
