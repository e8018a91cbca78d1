"""Offline tables: the history of a view's values, a Delta table a revision."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from deltalake import DeltaTable

from headwater.errors import ConflictError, NotFoundError, StoreError, near_miss
from headwater.offline import delta
from headwater.offline.delta import DataFile, TableState
from headwater.offline.files import FILE_BYTES, FileWriter
from headwater.offline.intervals import Interval, Span, check_interval, missing, paint
from headwater.offline.reading import ALWAYS, check_columns, check_layout, scan

ATTEMPTS = 200
SMALL_FILE = FILE_BYTES // 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Written:
    """What `write_interval` did: the rows that it wrote, whether it changed the table."""

    rows: int
    changed: bool


@dataclass(frozen=True)
class OfflineTables:
    """The feature tables of one project, below `root/project`.

    A table belongs to a revision and never changes its columns. Each interval [start, end) of its
    time column (`tick`, else `event_time`; UTC microseconds) holds the rows that one snapshot of
    the source gave; a commit replaces an interval's rows and says so in one step. Several
    processes may write, compact and read at once.
    """

    root: Path
    project: str

    def path(self, revision: str) -> Path:
        """The folder of the Delta table."""
        if not revision.isalnum():
            raise StoreError(f"revision {revision!r} is not a hash")
        return Path(self.root) / self.project / "tables" / revision

    def exists(self, revision: str) -> bool:
        return DeltaTable.is_deltatable(str(self.path(revision)))

    def revisions(self) -> list[str]:
        """The revisions that have a table, in order."""
        folder = self.path("x").parent
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        return [name for name in names if name.isalnum() and self.exists(name)]

    def intervals(self, revision: str) -> list[Span]:
        """What was computed, in order, neighbours of one snapshot joined; [] without a table."""
        return delta.load(self.path(revision)).spans if self.exists(revision) else []

    def missing(self, revision: str, interval: Interval, snapshot: str) -> list[Interval]:
        """The parts of the interval that were not computed from that snapshot (C16)."""
        return missing(self.intervals(revision), interval, snapshot)

    def write_interval(
        self,
        revision: str,
        schema: pa.Schema,
        interval: Interval,
        snapshot: str,
        batches: Iterable[pa.RecordBatch],
    ) -> Written:
        """Make the rows of `batches` all rows of the interval, in one commit.

        Does nothing, and reads no batch, where the interval was computed from that snapshot
        already. Memory is bounded by one row group. Raises StoreError where a row has other
        columns or lies outside the interval; then the table is as it was.
        """
        interval = check_interval(Interval(*interval))
        path = self.path(revision)
        if not self.exists(revision):
            delta.create(path, schema)
        state = delta.load(path)
        check_columns(revision, state.schema, schema)
        if not missing(state.spans, interval, snapshot):
            return Written(0, changed=False)
        with FileWriter(path, state.schema, interval) as writer:
            files = writer.write(batches)

            span = Span(*interval, snapshot)

            def again() -> Written | None:
                return _replace(delta.load(path), files, span)

            # Most often nobody wrote meanwhile, and opening a table costs more than a commit.
            written = _replace(state, files, span) or _until(again, f"offline table {revision}")
            if written.changed:
                writer.keep()
        return written

    def read(
        self,
        revision: str,
        start: int | None = None,
        end: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """The rows with start <= time < end, in no particular order, as a stream.

        Raises NotFoundError where the revision has no table.
        """
        state = self._load(revision)
        names = _known(revision, state.schema, columns)
        paths = _paths(state, _between(state.files, start, end))
        for path in paths:
            check_layout(revision, path, state.schema)
        schema = pa.schema([state.schema.field(name) for name in names])
        batches = scan(paths, state.schema, names, _interval(start, end))
        return pa.RecordBatchReader.from_batches(schema, batches)

    def files(self, revision: str, start: int | None = None, end: int | None = None) -> list[str]:
        """The Parquet files that hold all rows of [start, end), and maybe others."""
        state = self._load(revision)
        return [str(path) for path in _paths(state, _between(state.files, start, end))]

    def schema(self, revision: str) -> pa.Schema:
        return self._load(revision).schema

    def version(self, revision: str) -> int:
        """The table's Delta version, which every commit raises."""
        return self._load(revision).version

    def compact(self, revision: str) -> int:
        """Merge small files, neighbours in time first; the number of files that are gone."""
        path = self.path(revision)

        def attempt() -> int | None:
            state = self._load(revision)
            groups = list(_small_groups(state.files))
            if not groups:
                return 0
            with FileWriter(path, state.schema) as writer:
                for group in groups:
                    writer.write(scan(_paths(state, group), state.schema, state.schema.names))
                small = [file for group in groups for file in group]
                if not state.commit(writer.files, small):
                    return None
                writer.keep()
                return len(small) - len(writer.files)

        return _until(attempt, f"offline table {revision}")

    def vacuum(self, revision: str, retention_hours: int = 168) -> list[str]:
        """Delete what no version younger than the retention needs, and what crashes left.

        A reader or writer that takes longer than the retention loses its files.
        """
        return delta.vacuum(self._load(revision).path, retention_hours)

    def drop(self, revision: str) -> None:
        """Remove the table; nothing where there is none."""
        path = self.path(revision)
        # Renamed first, so that a crash leaves no half of a table under its name.
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f"{_dropped(revision)}{uuid.uuid4().hex}"))
        for folder in path.parent.glob(f"{_dropped(revision)}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def size(self, revision: str) -> int:
        """The bytes of a revision's files, and of what a drop that was cut short has left of it."""
        path = self.path(revision)
        folders = [path, *path.parent.glob(f"{_dropped(revision)}*")]
        return sum(_size(file) for folder in folders for file in folder.rglob("*"))

    def _load(self, revision: str) -> TableState:
        if not self.exists(revision):
            raise NotFoundError(
                f"revision '{revision}' has no offline table in project '{self.project}'; "
                "backfill its view first"
            )
        return delta.load(self.path(revision))


def _dropped(revision: str) -> str:
    """How the folder of a dropped table is called until it is empty, up to a random part."""
    return f".dropped-{revision}-"


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size if file.is_file() else 0
    except FileNotFoundError:  # somebody else removes the table
        return 0


def _replace(state: TableState, files: Sequence[DataFile], span: Span) -> Written | None:
    """Commit `files` as all rows of the span; None if the table has moved on."""
    interval = Interval(span.start, span.end)
    if not missing(state.spans, interval, span.snapshot):
        return Written(0, changed=False)
    touched = [file for file in state.files if file.overlaps(*interval)]
    partly = [file for file in touched if not file.lies_within(*interval)]
    names = state.schema.names
    with FileWriter(state.path, state.schema) as writer:
        outside = scan(_paths(state, partly), state.schema, names, interval, outside=True)
        rest = writer.write(outside)
        if not state.commit([*files, *rest], touched, paint(state.spans, span)):
            return None
        writer.keep()
    return Written(sum(file.rows for file in files), changed=True)


def _until(attempt: Callable[[], _T | None], what: str) -> _T:
    """The result of the first attempt that nobody overtook. Raises ConflictError."""
    for number in range(ATTEMPTS):
        found = attempt()
        if found is not None:
            return found
        time.sleep(random.uniform(0, 0.002) * min(number + 1, 25))  # noqa: S311
    raise ConflictError(f"{what}: {ATTEMPTS} commits in a row were overtaken by other writers")


def _paths(state: TableState, files: Iterable[DataFile]) -> list[Path]:
    return [state.path / file.name for file in files]


def _small_groups(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Two or more small files that make a full one together, in order of time."""
    group: list[DataFile] = []
    for file in sorted(files, key=lambda f: (f.first or 0, f.name)):
        if file.size >= SMALL_FILE:
            continue
        group.append(file)
        if sum(f.size for f in group) >= FILE_BYTES:
            yield group
            group = []
    if len(group) > 1:
        yield group


def _interval(start: int | None, end: int | None) -> Interval:
    low, high = ALWAYS
    return Interval(low if start is None else start, high if end is None else end)


def _between(files: Sequence[DataFile], start: int | None, end: int | None) -> list[DataFile]:
    return [file for file in files if file.overlaps(*_interval(start, end))]


def _known(revision: str, schema: pa.Schema, columns: Sequence[str] | None) -> list[str]:
    for name in columns or ():
        if name not in schema.names:
            raise NotFoundError(
                f"offline table {revision} has no column '{name}'{near_miss(name, schema.names)} "
                f"(columns: {', '.join(schema.names)})"
            )
    return list(schema.names if columns is None else columns)
