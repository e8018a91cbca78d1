"""Read the data files of an offline table, in bounded memory.

Not with `pyarrow.dataset`: it imports pandas where that is installed, which takes a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headwater.errors import StoreError
from headwater.offline.intervals import Interval
from headwater.offline.layout import time_column

BATCH_ROWS = 131_072
ALWAYS = Interval(-(2**63), 2**63 - 1)


def scan(
    paths: Sequence[Path],
    schema: pa.Schema,
    columns: Sequence[str],
    interval: Interval = ALWAYS,
    *,
    outside: bool = False,
) -> Iterator[pa.RecordBatch]:
    """The rows with start <= time < end of all files, or those outside of it."""
    column = time_column(schema)
    wanted = pa.schema([schema.field(name) for name in columns])
    for path in paths:
        with pq.ParquetFile(path) as file:
            names = list(dict.fromkeys([*columns, column]))
            groups = _groups(file, column, ALWAYS if outside else interval)
            for batch in batches(file, names, groups):
                rows = _chosen(batch, column, interval, outside=outside)
                if rows.num_rows:
                    yield rows.select(list(columns)).cast(wanted)


def batches(
    file: pq.ParquetFile, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of the groups, one group in memory at a time.

    Asked for several groups at once, `iter_batches` holds on to all of them.
    """
    for group in range(file.num_row_groups) if groups is None else groups:
        yield from file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)


def check_layout(table: str, path: Path, schema: pa.Schema) -> None:
    """Raises StoreError where the file has other columns than its table."""
    with pq.ParquetFile(path) as file:
        check_columns(table, schema, file.schema_arrow)


def check_columns(table: str, expected: pa.Schema, given: pa.Schema) -> None:
    """Raises StoreError where names, order or types differ."""
    wanted = [(field.name, _plain(field.type)) for field in expected]
    found = [(field.name, _plain(field.type)) for field in given]
    if wanted != found:
        raise StoreError(
            f"offline table {table}: its columns are "
            f"{', '.join(f'{n}: {t}' for n, t in wanted)}; got "
            f"{', '.join(f'{n}: {t}' for n, t in found)}"
        )


def _groups(file: pq.ParquetFile, column: str, interval: Interval) -> list[int]:
    """The row groups that may hold rows of the interval."""
    leaves = [file.schema.column(n).path for n in range(len(file.schema))]
    place = leaves.index(column)
    groups = range(file.num_row_groups)
    bounds = [file.metadata.row_group(number).column(place).statistics for number in groups]
    return [number for number in groups if _may_hold(bounds[number], interval)]


def _may_hold(bounds: pq.Statistics | None, interval: Interval) -> bool:
    if bounds is None or not bounds.has_min_max:
        return True
    return bool(bounds.min_raw < interval.end and bounds.max_raw >= interval.start)


def _chosen(
    batch: pa.RecordBatch, column: str, interval: Interval, *, outside: bool
) -> pa.RecordBatch:
    times = batch.column(column).cast(pa.int64()).to_numpy(zero_copy_only=False)
    inside = (times >= interval.start) & (times < interval.end)
    kept = ~inside if outside else inside
    if kept.all():
        return batch
    return batch.take(pa.array(np.flatnonzero(kept))) if kept.any() else batch.slice(0, 0)


def _plain(arrow: pa.DataType) -> str:
    """The type without the names of elements and entries, which Delta and Arrow call otherwise."""
    if pa.types.is_list(arrow):
        return f"list[{_plain(arrow.value_type)}]"
    if pa.types.is_struct(arrow):
        return f"struct[{', '.join(f'{field.name}: {_plain(field.type)}' for field in arrow)}]"
    if pa.types.is_map(arrow):
        return f"map[{_plain(arrow.key_type)}, {_plain(arrow.item_type)}]"
    return str(arrow)
