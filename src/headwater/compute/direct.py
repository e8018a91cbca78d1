"""Facts whose keys, times and columns stand in Parquet files as they are, read without a join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, Scan, first_line
from headwater.compute.engines.plain import BATCH_ROWS
from headwater.compute.keys import KeyIndex
from headwater.compute.values import whole, without_zone
from headwater.definitions.ticks import DAY
from headwater.errors import ComputeError
from headwater.expressions.parse import parse
from headwater.expressions.printing import quote, quote_text, to_duckdb
from headwater.expressions.tree import Column, Node
from headwater.expressions.walk import columns_of

Ints = NDArray[np.int64]
_Arrays = tuple[Ints, ...]
MOST_AT_ONCE = 1 << 24  # rows for which room is made before it is known how many are wanted
MANY_ROWS = 4 * BATCH_ROWS
"""For many keys that are found by hash: all of them are hashed again for each batch."""


@dataclass(frozen=True)
class Direct:
    """Which columns of the files hold what: the key (None without an entity), the times, and what
    else is wanted, by output name: `plain` as it is, `computed` by an expression.
    """

    key: str | None
    event_time: str
    available_at: str | None
    plain: Mapping[str, str]
    computed: Mapping[str, Node]

    @property
    def inputs(self) -> list[str]:
        """What the expressions read."""
        return sorted({name for node in self.computed.values() for name in columns_of(node)})

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        found = [self.key, self.event_time, self.available_at, *self.plain.values(), *self.inputs]
        return list(dict.fromkeys(name for name in found if name is not None))

    def text(self, scan: Scan) -> str:
        """The query that would read the same."""
        columns = [quote(name) for name in self.names if name not in self.inputs]
        columns += [to_duckdb(node) for node in self.computed.values()]
        files = ", ".join(quote_text(file) for file in scan.files)
        return f"SELECT {', '.join(columns)} FROM read_parquet([{files}])"


@dataclass(frozen=True)
class Bounds:
    """Facts count from `earliest` to `latest`, and where known by `known_by`."""

    earliest: int | None
    latest: int
    known_by: int | None
    data_delay: int


def direct_columns(scan: Scan, keys: pa.Table, columns: Mapping[str, Node]) -> Direct | None:
    """How to read facts directly, or None where that takes SQL: for composite keys, for ids, whose
    versions have to be told apart, and for what the files don't hold as it is.
    """
    source, types = scan.source, scan.plain.types
    event_time = time_column(source.event_time, types)
    known = None if source.available_at is None else time_column(source.available_at, types)
    if event_time is None or (known is None) != (source.available_at is None):
        return None
    key = keys.column_names[0] if keys.num_columns else None
    if source.id_columns or keys.num_columns > 1 or (key and not _is_key(types.get(key))):
        return None
    if any(name not in types for node in columns.values() for name in columns_of(node)):
        return None
    plain = {alias: node.name for alias, node in columns.items() if isinstance(node, Column)}
    computed = {alias: node for alias, node in columns.items() if alias not in plain}
    return Direct(key, event_time, known, plain, computed)


def time_column(expression: str, plain: Mapping[str, pa.DataType]) -> str | None:
    """The column that a source's time is, as the files hold it; None for an expression."""
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


def read_direct(
    engine: DuckDBEngine, scan: Scan, keys: pa.Table, direct: Direct, bounds: Bounds
) -> DirectFacts:
    """The facts of the wanted keys inside the bounds, in the order of the files' rows.

    Raises ComputeError when an expression fails.
    """
    engine.note(direct.text(scan))
    facts = _Collected(scan.plain.rows)
    tables: list[pa.Table] = []
    for (code, at, known, row), batch, chosen in fact_batches(scan, keys, direct, bounds):
        facts.add((code, at, row) if direct.available_at is None else (code, at, row, known))
        if direct.plain or direct.computed:
            tables.append(_columns_of(engine, scan, direct, batch, chosen))
    key, event_time, row_id, *late = facts.arrays
    columns: Mapping[str, pa.ChunkedArray] = {}
    if direct.plain or direct.computed:
        tables = tables or [_columns_of(engine, scan, direct, _nothing(scan, direct), None)]
        table = pa.concat_tables(tables)
        columns = dict(zip(table.column_names, table.columns, strict=True))
    return DirectFacts(key, event_time, late[0] if late else event_time, row_id, columns)


@dataclass
class _Collected:
    """Key, event time, id and, where it is declared, availability of the rows of all batches.

    Each array stands at once where it stays: new memory costs more than what is done in it.
    """

    expected: int
    count: int = 0
    _room: list[Ints] = field(default_factory=list)

    @property
    def arrays(self) -> list[Ints]:
        found = [array[: self.count] for array in self._room]
        return found or [np.zeros(0, dtype=np.int64)] * 3

    def add(self, arrays: Sequence[Ints]) -> None:
        end = self.count + len(arrays[0])
        self._grow(len(arrays), end)
        for room, array in zip(self._room, arrays, strict=True):
            room[self.count : end] = array
        self.count = end

    def _grow(self, arrays: int, end: int) -> None:
        if self._room and end <= len(self._room[0]):
            return
        size = max(end, 2 * self.count, min(self.expected, MOST_AT_ONCE))
        room = [np.empty(size, dtype=np.int64) for _ in range(arrays)]
        for new, old in zip(room, self._room, strict=False):
            new[: self.count] = old[: self.count]
        self._room = room


def fact_batches(
    scan: Scan, keys: pa.Table, direct: Direct, bounds: Bounds
) -> Iterator[tuple[_Arrays, pa.RecordBatch, Ints | None]]:
    """Batch by batch of the files the code of the key, event time, availability and id of the
    facts of wanted keys inside the bounds; with the batch, and their positions there (None is all).
    """
    index = None if direct.key is None else KeyIndex.of(whole(keys.column(0)))
    is_date = pa.types.is_date(scan.plain.types[direct.event_time])
    within = None if is_date else (direct.event_time, bounds.earliest, bounds.latest)
    hashed = index is not None and not index.by_position and keys.num_rows > BATCH_ROWS // 10
    rows = MANY_ROWS if hashed else BATCH_ROWS
    for first, batch in scan.plain.batches(direct.names, within=within, rows=rows):
        arrays, keep = _facts_of(batch, first, index, direct, bounds)
        chosen = None if keep.all() else np.flatnonzero(keep)
        found = arrays if chosen is None else tuple(array[chosen] for array in arrays)
        yield found, batch, chosen


def _nothing(scan: Scan, direct: Direct) -> pa.RecordBatch:
    schema = pa.schema([(name, scan.plain.types[name]) for name in direct.names])
    return pa.RecordBatch.from_pylist([], schema)


def _columns_of(
    engine: DuckDBEngine, scan: Scan, direct: Direct, batch: pa.RecordBatch, chosen: Ints | None
) -> pa.Table:
    """The wanted columns of the chosen rows (None is all) of a batch."""
    names = list(dict.fromkeys([*direct.plain.values(), *direct.inputs]))
    rows = batch.select(names)
    if chosen is not None:
        rows = rows.take(pa.array(chosen))
    read = {name: without_zone(rows.column(name)) for name in names}
    found = {alias: read[name] for alias, name in direct.plain.items()}
    if not direct.computed:
        return pa.table(found)
    listed = ", ".join(f"{to_duckdb(n)} AS {quote(alias)}" for alias, n in direct.computed.items())
    inputs = {name: read[name] for name in direct.inputs} or {"row": pa.nulls(rows.num_rows)}
    try:
        with engine.untraced():
            computed = engine.query(f"SELECT {listed} FROM batch", {"batch": pa.table(inputs)})
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    return pa.table({**found, **{alias: computed[alias] for alias in direct.computed}})


def _facts_of(
    batch: pa.RecordBatch, first: int, index: KeyIndex | None, direct: Direct, bounds: Bounds
) -> tuple[_Arrays, NDArray[np.bool_]]:
    """Key, event time, availability and id of each row, and which rows count."""
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
