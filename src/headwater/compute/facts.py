"""Read the facts of some keys from a source: who, when, known since when, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.direct import Bounds, direct_columns, read_direct
from headwater.compute.engines.duckdb import ROW_ID, DuckDBEngine, Scan, first_line
from headwater.compute.fetch import fetch_rows, time_sql
from headwater.compute.kernels.rows import Rows
from headwater.compute.keys import KeyIndex
from headwater.compute.order import canonical_bytes, order_rows
from headwater.compute.values import whole
from headwater.definitions.source import Source
from headwater.errors import ComputeError
from headwater.expressions.printing import quote, to_duckdb
from headwater.expressions.tree import Column, Node

Ints = NDArray[np.int64]
EVENT_TIME, KNOWN_AT, ID_HASH, SEQUENCE = "#event_time", "#known_at", "#id", "#sequence"
MANY_KEYS = 1_000
_HASH_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class FactQuery:
    """Which facts to read, and what of them.

    `columns` maps output names to expressions over the source's columns. `keys` holds the
    distinct keys (its row number is the code); without columns every row has the one key 0. Facts
    later than `latest`, or before `earliest`, are of no use and may be left out; `data_delay` is
    subtracted from the time at which a fact became known. Only where they are `ordered` their
    order is that of C4; else it is that of event times.
    """

    keys: pa.Table
    latest: int
    columns: Mapping[str, Node] = field(default_factory=dict)
    earliest: int | None = None
    data_delay: int = 0
    ordered: bool = True
    knowledge: bool = True


@dataclass(frozen=True)
class Facts:
    """The facts, their ids in the scan, and the columns that were asked for, row by row."""

    rows: Rows
    row_id: Ints
    columns: Mapping[str, pa.ChunkedArray]


def read_facts(engine: DuckDBEngine, scan: Scan, wanted: FactQuery) -> Facts:
    """Read the facts that `wanted` asks for. Raises ComputeError when an expression fails."""
    table = _read(engine, scan, wanted)
    key = _ints(table["#key"])
    event_time = _ints(table[EVENT_TIME])
    known = _ints(table[KNOWN_AT]) if KNOWN_AT in table.column_names else event_time
    fact = _facts_of(engine, scan, table, key) if scan.source.id_columns else None
    rows = Rows(key, event_time, known, np.zeros(0, dtype=np.int64), fact)
    row_id = _ints(table[ROW_ID])
    columns = {name: table[name] for name in wanted.columns}
    if not wanted.ordered and fact is None:
        ordered = Rows(key, event_time, known, event_time, None)
        facts = Facts(ordered, row_id, columns)
    else:
        sequence = table[SEQUENCE] if SEQUENCE in table.column_names else None
        order = order_rows(
            rows, sequence, lambda chosen: canonical_bytes(engine, scan, row_id[chosen])
        )
        facts = Facts(Rows(key, event_time, known, order, fact), row_id, columns)
    return facts if wanted.knowledge else _all_known(facts)


def _read(engine: DuckDBEngine, scan: Scan, wanted: FactQuery) -> pa.Table:
    """The facts of the wanted keys, each with its key's code as `#key`."""
    columns = dict(wanted.columns)
    if scan.source.sequence is not None:
        columns[SEQUENCE] = Column(scan.source.sequence)
    direct = direct_columns(scan, wanted.keys, columns)
    if direct is None:
        return _query(engine, scan, wanted)
    known_by = wanted.latest if wanted.knowledge else None
    bounds = Bounds(wanted.earliest, wanted.latest, known_by, wanted.data_delay)
    found = read_direct(engine, scan, wanted.keys, direct, bounds)
    arrays = {"#key": found.key, EVENT_TIME: found.event_time, ROW_ID: found.row_id}
    if direct.available_at is not None:
        arrays[KNOWN_AT] = found.available_at
    return pa.table({**arrays, **found.columns})


def _query(engine: DuckDBEngine, scan: Scan, wanted: FactQuery) -> pa.Table:
    """The same by a query."""
    names = wanted.keys.column_names
    asked = {name: to_duckdb(node) for name, node in wanted.columns.items()}
    inner = {**_meta_columns(scan, wanted), **asked}
    columns = [f"{sql} AS {quote(name)}" for name, sql in inner.items()]
    columns += [f"{quote(name)} AS {quote('#key ' + name)}" for name in names]
    facts = f"(SELECT {', '.join([*columns, quote(ROW_ID)])} FROM {scan.relation}) f"
    listed = ", ".join([*map(quote, inner), quote(ROW_ID)])
    where = " AND ".join(_bounds(scan.source, wanted))
    looked_up = _is_looked_up(wanted.keys)
    tables: dict[str, pa.Table] = {}
    if not names:
        sql = f'SELECT 0::BIGINT AS "#key", {listed} FROM {facts} WHERE {where}'
    elif looked_up:
        key = f'{quote("#key " + names[0])} AS "#key"'
        sql = f"SELECT {key}, {listed} FROM {facts} WHERE {where}"
    else:
        on = " AND ".join(f"f.{quote('#key ' + name)} = k.{quote(name)}" for name in names)
        codes = pa.array(np.arange(wanted.keys.num_rows, dtype=np.int64))
        tables = {"wanted_keys": wanted.keys.append_column("#code", codes)}
        sql = (
            f'SELECT k."#code" AS "#key", {listed} FROM {facts} '
            f"JOIN wanted_keys k ON {on} WHERE {where}"
        )
    try:
        table = engine.query(sql, tables)
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    return _with_codes(table, wanted.keys) if looked_up else table


def _is_looked_up(keys: pa.Table) -> bool:
    """Whether codes are looked up here instead of by a join.

    A join of many keys costs more, and loses the order of the rows, which saves a sort where they
    come in the order of time. For few keys the join leaves out most rows early.
    """
    if keys.num_columns != 1 or keys.num_rows < MANY_KEYS:
        return False
    kind = keys.column(0).type
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind))


def _with_codes(table: pa.Table, keys: pa.Table) -> pa.Table:
    codes = KeyIndex.of(whole(keys.column(0))).codes(table["#key"])
    table = table.set_column(0, "#key", pa.array(codes))
    return table if codes.size == 0 or codes.min() >= 0 else table.filter(pa.array(codes >= 0))


def _meta_columns(scan: Scan, wanted: FactQuery) -> dict[str, str]:
    """SQL for the times, the id and the sequence of a row, under names that no user has."""
    source, schema = scan.source, scan.columns
    found = {EVENT_TIME: time_sql(source, "event_time", schema)}
    if source.available_at is not None:
        known = time_sql(source, "available_at", schema)
        found[KNOWN_AT] = f"coalesce({known}, {found[EVENT_TIME]}) - {wanted.data_delay}"
    elif source.id_columns and wanted.data_delay:
        # A version becomes known at its event time, which counts from the delay on (C8).
        found[KNOWN_AT] = f"{found[EVENT_TIME]} - {wanted.data_delay}"
    if source.id_columns:
        ids = ", ".join(quote(column) for column in source.id_columns)
        nulls = " OR ".join(f"{quote(column)} IS NULL" for column in source.id_columns)
        found[ID_HASH] = f"CASE WHEN {nulls} THEN NULL ELSE hash({ids}) END"
    if source.sequence is not None:
        column = quote(source.sequence)
        is_time = schema[source.sequence] == "timestamp"
        found[SEQUENCE] = f"epoch_us({column})" if is_time else column
    return found


def _bounds(source: Source, wanted: FactQuery) -> list[str]:
    """SQL conditions that leave out facts that can't matter."""
    event_time = quote(EVENT_TIME)
    bounds = [f"{event_time} IS NOT NULL"]
    if source.available_at is not None and wanted.knowledge:
        bounds.append(f"{quote(KNOWN_AT)} <= {wanted.latest}")
    if not source.id_columns:
        # A later version may move a fact in time, so facts with ids are all needed.
        bounds.append(f"{event_time} <= {wanted.latest}")
        if wanted.earliest is not None:
            bounds.append(f"{event_time} >= {wanted.earliest}")
    return bounds


def _ints(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.to_numpy()
    return found.astype(np.int64, copy=False)


def _facts_of(engine: DuckDBEngine, scan: Scan, table: pa.Table, key: Ints) -> Ints | None:
    """Which rows are versions of one fact: a shared code >= 0; -1 for a fact of its own.

    Hashes only find the candidates; the ids themselves decide.
    """
    hashes = pc.fill_null(table[ID_HASH], 0).to_numpy().astype(np.uint64)
    mixed = hashes ^ (key.astype(np.uint64) * _HASH_MIX)
    known = ~np.asarray(pc.is_null(table[ID_HASH]).to_numpy(zero_copy_only=False), dtype=bool)
    candidates = np.flatnonzero(known)[_repeated(mixed[known])]
    if candidates.size == 0:
        return None
    row_id = _ints(table[ROW_ID])
    columns = scan.source.id_columns
    ids = fetch_rows(engine, scan, row_id[candidates], {c: quote(c) for c in columns})
    parts = [key[candidates]]
    for column in columns:
        encoded = pc.dictionary_encode(ids[column].combine_chunks())
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
        parts.append(encoded.indices.to_numpy().astype(np.int64))
    _, codes = np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)
    fact = np.full(key.size, -1, dtype=np.int64)
    fact[candidates] = codes.reshape(-1)
    return fact


def _repeated(values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values occur more than once (same shape)."""
    ordered = np.sort(values)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if twice.size == 0:
        return np.zeros(values.size, dtype=bool)
    return np.isin(values, twice)


def _all_known(facts: Facts) -> Facts:
    """Every fact known at its event time, in its last version (C3 switched off)."""
    rows = facts.rows
    keep = np.ones(rows.key.size, dtype=bool)
    if rows.fact is not None:
        latest = np.lexsort((rows.order, rows.available_at, rows.fact))
        fact = rows.fact[latest]
        is_last = np.append(fact[1:] != fact[:-1], True)
        keep[latest[~is_last & (fact >= 0)]] = False
    chosen = np.flatnonzero(keep)
    columns = {name: column.take(pa.array(chosen)) for name, column in facts.columns.items()}
    event_time = rows.event_time[chosen]
    kept = Rows(rows.key[chosen], event_time, event_time, rows.order[chosen], None)
    return Facts(kept, facts.row_id[chosen], columns)
