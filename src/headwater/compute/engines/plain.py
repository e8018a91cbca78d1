"""Columns of Parquet files that need no SQL, read by Arrow: a query takes several times as long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headwater.errors import SourceError

Ints = NDArray[np.int64]
ROW_BITS = 40  # a row's id is (file's position << 40) + the row's position in the file
BATCH_ROWS = 500_000
_PLAIN = frozenset(
    {
        pa.bool_(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.string(),
        pa.binary(),
        pa.date32(),
    }
)


@dataclass(frozen=True)
class PlainFiles:
    """Parquet files, and the columns that all of them hold in one type that needs no conversion."""

    paths: tuple[str, ...] = ()
    metadata: tuple[pq.FileMetaData, ...] = ()
    types: dict[str, pa.DataType] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Sequence[str], names: Iterable[str]) -> PlainFiles:
        """Look at the files for those of the named columns; none where a file can't be read."""
        if not paths or not all(map(_is_plain_path, paths)):
            return cls()
        try:
            metadata = tuple(pq.read_metadata(path) for path in paths)
        except (OSError, pa.ArrowException):
            return cls()
        schemas = [one.schema.to_arrow_schema() for one in metadata]
        found = {}
        for name in names:
            kinds = {_type_of(schema, name) for schema in schemas}
            kind = kinds.pop()
            if not kinds and kind is not None and _is_plain(kind) and "." not in name:
                found[name] = kind
        return cls(tuple(paths), metadata, found)

    @property
    def rows(self) -> int:
        return sum(metadata.num_rows for metadata in self.metadata)

    def span(self, name: str) -> tuple[int, int] | None:
        """The least and the greatest of a column's integers or microseconds, as the files'
        statistics tell them; None where they don't, or there is no value.
        """
        found: list[int] = []
        for told, rows in self._statistics(name):
            if told is None or not told.has_null_count:
                return None
            if told.null_count == rows:
                continue
            if not told.has_min_max:
                return None
            found += (told.min_raw, told.max_raw)
        return (min(found), max(found)) if found else None

    def has_nulls(self, name: str) -> bool:
        """Whether a column may hold a null."""
        return any(
            told is None or not told.has_null_count or told.null_count > 0
            for told, _ in self._statistics(name)
        )

    def _statistics(self, name: str) -> Iterator[tuple[pq.Statistics | None, int]]:
        """What is told of a column in each row group, and the group's rows."""
        for metadata in self.metadata:
            column = _column(metadata, name)
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                yield group.column(column).statistics, group.num_rows

    def batches(
        self,
        names: Sequence[str],
        *,
        within: tuple[str, int | None, int] | None = None,
        rows: int = BATCH_ROWS,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Consecutive rows, at most `rows` at a time, with the id of the first of them, in the
        order of their ids.

        `within` names an integer or timestamp column and bounds of it: rows outside of them may
        be left out, whole groups at a time.
        """
        for place, metadata in enumerate(self.metadata):
            begins = _begins(metadata)
            wanted: Sequence[int] = range(metadata.num_row_groups)
            if within is not None:
                column, low, high = within
                wanted = _groups_within(metadata, column, low, high)
            for run in _runs(wanted):
                row_id = (place << ROW_BITS) + int(begins[run[0]])
                for batch in self._read(place, run, names, rows):
                    yield row_id, batch
                    row_id += batch.num_rows

    def take(self, row_id: Ints, names: Sequence[str]) -> pa.Table:
        """The given rows; their ids ascend."""
        schema = pa.schema([(name, self.types[name]) for name in names])
        found: list[pa.RecordBatch] = []
        for place, metadata in enumerate(self.metadata):
            first, last = np.searchsorted(row_id, [place << ROW_BITS, (place + 1) << ROW_BITS])
            rows = row_id[first:last] & ((1 << ROW_BITS) - 1)
            found.extend(self._take(place, metadata, rows, names))
        return pa.Table.from_batches([batch.select(names) for batch in found], schema)

    def _take(
        self, place: int, metadata: pq.FileMetaData, rows: Ints, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        begins = _begins(metadata)
        groups = np.unique(np.searchsorted(begins, rows, side="right") - 1)
        for run in _runs(groups.tolist()):
            begin = int(begins[run[0]])
            for batch in self._read(place, run, names, BATCH_ROWS):
                end = begin + batch.num_rows
                first, last = np.searchsorted(rows, [begin, end])
                yield batch.take(pa.array(rows[first:last] - begin))
                begin = end

    def _read(
        self, place: int, groups: Sequence[int], names: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        path, metadata = self.paths[place], self.metadata[place]
        try:
            with pq.ParquetFile(path, metadata=metadata, pre_buffer=False) as file:
                yield from file.iter_batches(rows, row_groups=list(groups), columns=list(names))
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"'{path}' can't be read: {error}; if it was replaced meanwhile, run this again"
            ) from None


def _is_plain_path(path: str) -> bool:
    """Whether a path is a local file, and no folder of it names a column (`day=2024-01-01`)."""
    return Path(path).is_absolute() and not any("=" in part for part in Path(path).parent.parts)


def _type_of(schema: pa.Schema, name: str) -> pa.DataType | None:
    index = schema.get_field_index(name)
    return None if index < 0 else schema.field(index).type


def _is_plain(kind: pa.DataType) -> bool:
    return kind in _PLAIN or bool(pa.types.is_timestamp(kind) and kind.unit == "us")


def _begins(metadata: pq.FileMetaData) -> Ints:
    """The position of the first row of each row group."""
    counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return np.cumsum([0, *counts[:-1]], dtype=np.int64)[: len(counts)]


def _column(metadata: pq.FileMetaData, name: str) -> int:
    """The position of a flat column among the leaves of the schema."""
    schema = metadata.schema
    return next(i for i in range(len(schema)) if schema.column(i).path == name)


def _groups_within(
    metadata: pq.FileMetaData, name: str, low: int | None, high: int
) -> Sequence[int]:
    """The row groups whose statistics don't rule out a value between the bounds."""
    column = _column(metadata, name)
    found = []
    for group in range(metadata.num_row_groups):
        told = metadata.row_group(group).column(column).statistics
        is_told = told is not None and told.has_min_max
        if is_told and (told.min_raw > high or (low is not None and told.max_raw < low)):
            continue
        found.append(group)
    return found


def _runs(groups: Sequence[int]) -> list[list[int]]:
    """Ascending numbers as runs of neighbours."""
    runs: list[list[int]] = []
    for group in groups:
        if runs and runs[-1][-1] == group - 1:
            runs[-1].append(group)
        else:
            runs.append([group])
    return runs
