"""Facts whose keys, times and columns stand in Parquet files as they are, read without a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import Scan
from headwater.compute.keys import KeyIndex
from headwater.compute.values import whole, without_zone
from headwater.expressions.parse import parse
from headwater.expressions.printing import quote
from headwater.expressions.tree import Column

Ints = NDArray[np.int64]
DAY = 86_400_000_000


@dataclass(frozen=True)
class Direct:
    """Which columns of the files hold what: the key (None without an entity), the times, and what
    else is wanted, by output name.
    """

    key: str | None
    event_time: str
    available_at: str | None
    columns: Mapping[str, str]

    def names(self) -> list[str]:
        found = [self.key, self.event_time, self.available_at, *self.columns.values()]
        return list(dict.fromkeys(name for name in found if name is not None))

    def text(self, scan: Scan) -> str:
        """The query that would read the same."""
        listed = ", ".join(map(quote, self.names()))
        return f"SELECT {listed} FROM read_parquet({list(scan.files)})"


@dataclass(frozen=True)
class Bounds:
    """Facts count from `earliest` to `latest`, and where known by `known_by`."""

    earliest: int | None
    latest: int
    known_by: int | None
    data_delay: int


def direct_columns(scan: Scan, keys: pa.Table, columns: Mapping[str, str]) -> Direct | None:
    """How to read facts directly, or None where that takes SQL: for expressions, composite keys,
    and ids, whose versions have to be told apart. `columns` maps output names to SQL.
    """
    source, plain = scan.source, scan.plain.types
    event_time = _time_column(source.event_time, plain)
    known = None if source.available_at is None else _time_column(source.available_at, plain)
    if event_time is None or (known is None) != (source.available_at is None):
        return None
    key = keys.column_names[0] if keys.num_columns else None
    if source.id_columns or keys.num_columns > 1 or (key and not _is_key(plain.get(key))):
        return None
    names = {quote(name): name for name in plain}
    if any(sql not in names for sql in columns.values()):
        return None
    return Direct(key, event_time, known, {alias: names[sql] for alias, sql in columns.items()})


def _time_column(expression: str, plain: Mapping[str, pa.DataType]) -> str | None:
    tree = parse(expression, "time")
    kind = plain.get(tree.name) if isinstance(tree, Column) else None
    if kind is None or not isinstance(tree, Column):
        return None
    return tree.name if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else None


def _is_key(kind: pa.DataType | None) -> bool:
    return kind is not None and bool(pa.types.is_integer(kind) or pa.types.is_string(kind))


@dataclass(frozen=True)
class DirectFacts:
    """Arrays of one length, and the columns that were wanted."""

    key: Ints
    event_time: Ints
    available_at: Ints
    row_id: Ints
    columns: Mapping[str, pa.ChunkedArray]


def read_direct(scan: Scan, keys: pa.Table, direct: Direct, bounds: Bounds) -> DirectFacts:
    """The facts of the wanted keys inside the bounds, in the order of the files' rows."""
    index = None if direct.key is None else KeyIndex.of(whole(keys.column(0)))
    wanted = list(dict.fromkeys(direct.columns.values()))
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []
    tables: list[pa.RecordBatch] = []
    is_date = pa.types.is_date(scan.plain.types[direct.event_time])
    within = None if is_date else (direct.event_time, bounds.earliest, bounds.latest)
    for first, batch in scan.plain.batches(direct.names(), within=within):
        arrays, keep = _facts_of(batch, first, index, direct, bounds)
        chosen = None if keep.all() else np.flatnonzero(keep)
        parts.append(tuple(a if chosen is None else a[chosen] for a in arrays))  # type: ignore[arg-type]
        if wanted:
            rows = batch.select(wanted)
            tables.append(rows if chosen is None else rows.take(pa.array(chosen)))
    key, event_time, known, row_id = _joined(parts)
    table = pa.Table.from_batches(tables, _schema(scan, wanted))
    columns = {alias: without_zone(table[name]) for alias, name in direct.columns.items()}
    if direct.available_at is None:
        known = event_time
    return DirectFacts(key, event_time, known, row_id, columns)


def _facts_of(
    batch: pa.RecordBatch, first: int, index: KeyIndex | None, direct: Direct, bounds: Bounds
) -> tuple[tuple[Ints, Ints, Ints, Ints], NDArray[np.bool_]]:
    rows = batch.num_rows
    event_column = batch.column(direct.event_time)
    event_time = _micros(event_column)
    keep = event_time <= bounds.latest
    if event_column.null_count:
        keep &= event_column.is_valid().to_numpy(zero_copy_only=False)
    if bounds.earliest is not None:
        keep &= event_time >= bounds.earliest
    known = event_time
    if direct.available_at is not None:
        known_column = batch.column(direct.available_at)
        known = _micros(known_column)
        if known_column.null_count:
            valid = known_column.is_valid().to_numpy(zero_copy_only=False)
            known = np.where(valid, known, event_time)
        known = known - bounds.data_delay
        if bounds.known_by is not None:
            keep &= known <= bounds.known_by
    if index is None or direct.key is None:
        key = np.zeros(rows, dtype=np.int64)
    else:
        key = index.codes(batch.column(direct.key))
        keep &= key >= 0
    return (key, event_time, known, np.arange(first, first + rows)), keep


def _micros(column: pa.Array) -> Ints:
    """Microseconds; a date is its end (C2). Zero for null."""
    if pa.types.is_date(column.type):
        days = pc.fill_null(column.cast(pa.int32()), 0).to_numpy(zero_copy_only=False)
        found: Ints = days.astype(np.int64) * DAY + DAY
        return found
    micros: Ints = pc.fill_null(column.view(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return micros


def _joined(parts: list[tuple[Ints, Ints, Ints, Ints]]) -> list[Ints]:
    if not parts:
        return [np.zeros(0, dtype=np.int64)] * 4
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _schema(scan: Scan, names: list[str]) -> pa.Schema:
    return pa.schema([(name, scan.plain.types[name]) for name in names])
