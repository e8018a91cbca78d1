"""What an evaluation gives back, and scalar expressions over whole columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, first_line
from headwater.compute.kernels.rows import Queries
from headwater.compute.told import Told
from headwater.definitions.types import to_arrow
from headwater.errors import ComputeError
from headwater.expressions.printing import quote, to_duckdb
from headwater.expressions.tree import Column, Node

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """What is asked for: keys (a table, its row number is the code) and (code, instant) pairs."""

    keys: pa.Table
    queries: Queries

    @property
    def times(self) -> Ints:
        return self.queries.time


@dataclass(frozen=True)
class Rules:
    """By which rules a view's rows are read: its delay and age, and whether C3 holds.

    With `live`, a window without rows counts as no value, as a run that writes rows wants it.
    """

    data_delay: int = 0
    ttl: int | None = None
    knowledge: bool = True
    live: bool = False


AS_OF, _ROW = "as_of()", "#row number"


@dataclass(frozen=True)
class Values:
    """Columns of feature values, one row a query.

    `found` tells where there is a value at all (a row for a lookup, a known key for a window);
    `event_time` (microseconds) is that of the row, or the instant of evaluation; it means
    nothing where `found` is false. Values are null there. `known_at` tells when the value became
    known. Where it was asked for, `told` says of each value why it is null and how old it is.
    """

    columns: Mapping[str, pa.Array]
    event_time: Ints
    known_at: Ints
    found: NDArray[np.bool_]
    told: Mapping[str, Told] = field(default_factory=dict)

    def take(self, positions: Ints) -> Values:
        """The values of the given queries, in that order."""
        chosen = pa.array(positions)
        columns = {name: column.take(chosen) for name, column in self.columns.items()}
        return Values(
            columns,
            self.event_time[positions],
            self.known_at[positions],
            self.found[positions],
            {name: told.take(positions) for name, told in self.told.items()},
        )


def evaluate(
    engine: DuckDBEngine,
    trees: Mapping[str, Node],
    columns: Mapping[str, pa.Array],
    rows: int,
    as_of: Ints | None = None,
) -> dict[str, pa.Array]:
    """Evaluate scalar expressions row by row; `columns` holds what they name.

    `as_of` is the time (microseconds) of each row for as_of(). Raises ComputeError when DuckDB
    refuses a value (an overflow, say), which names the feature where there is one alone.
    """
    found: dict[str, pa.Array] = {}
    computed: dict[str, Node] = {}
    for name, tree in trees.items():
        if isinstance(tree, Column):
            found[name] = columns[tree.name]
        else:
            computed[name] = tree
    if computed:
        found.update(_run(engine, computed, columns, rows, as_of))
    return {name: found[name] for name in trees}


def _run(
    engine: DuckDBEngine,
    trees: Mapping[str, Node],
    columns: Mapping[str, pa.Array],
    rows: int,
    as_of: Ints | None,
) -> dict[str, pa.Array]:
    told = _told_apart(columns)
    inputs = {told[name]: without_zone(column) for name, column in columns.items()}
    inputs[_ROW] = pa.array(np.arange(rows, dtype=np.int64))
    time_sql = None
    if as_of is not None:
        inputs[AS_OF] = pa.array(as_of)
        time_sql = f"make_timestamp({quote(AS_OF)})"
    listed = [
        f"{to_duckdb(tree, lambda name: quote(told[name]), as_of=time_sql)} AS {quote(n)}"
        for n, tree in trees.items()
    ]
    sql = f"SELECT {', '.join(listed)}, {quote(_ROW)} FROM inputs"
    try:
        table = engine.query(sql, {"inputs": pa.table(inputs)})
    except duckdb.Error as error:
        raise ComputeError(f"{_named(trees)}: {first_line(error)}") from None
    table = _in_order(table)
    return {name: whole(table.column(place)) for place, name in enumerate(trees)}


def _in_order(table: pa.Table) -> pa.Table:
    """The rows by their number, the last column. DuckDB keeps their order, where it is let; to
    see that costs less than to sort.
    """
    numbers = table.column(table.num_columns - 1).to_numpy()
    if (numbers[1:] > numbers[:-1]).all():
        return table
    return table.take(pa.array(np.argsort(numbers, kind="stable")))


def _told_apart(names: Iterable[str]) -> dict[str, str]:
    """The names by which DuckDB tells columns apart, though it overlooks the case of letters."""
    taken = {_ROW, AS_OF}
    found: dict[str, str] = {}
    for name in names:
        found[name] = f"{name} {len(found)}" if name.casefold() in taken else name
        taken.add(found[name].casefold())
    return found


def _named(trees: Mapping[str, Node]) -> str:
    names = ", ".join(f"'{name}'" for name in trees)
    return f"feature {names}" if len(trees) == 1 else f"one of the features {names}"


def without_zone(column: pa.Array | pa.ChunkedArray) -> Any:
    """Expressions see timestamps without a zone, all of them UTC."""
    plain = _without_zone(column.type)
    return column if plain == column.type else pc.cast(column, plain)


def _without_zone(kind: pa.DataType) -> pa.DataType:
    """The type in which no timestamp, however deep inside, has a zone."""
    kinds = pa.types
    if kinds.is_timestamp(kind):
        return kind if kind.tz is None else pa.timestamp("us")
    if kinds.is_list(kind):
        return pa.list_(_without_zone(kind.value_type))
    if kinds.is_struct(kind):
        return pa.struct([(field.name, _without_zone(field.type)) for field in kind])
    if kinds.is_map(kind):
        return pa.map_(kind.key_type, _without_zone(kind.item_type))
    return kind


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One array out of a chunked one."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    # Without chunks, Arrow itself can't make an array of a dictionary of times.
    return column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)


def conform(column: pa.Array, dtype: str, name: str) -> pa.Array:
    """The column in the Arrow type of `dtype`. Raises ComputeError when a value does not fit."""
    target = to_arrow(dtype)
    if column.type != target:
        column = _cast(column, target, f"feature '{name}': a value does not fit its type {dtype}")
    if has_null_element(column):
        raise ComputeError(f"feature '{name}': an element of a {dtype} is null")
    return column


def _cast(column: pa.Array, target: pa.DataType, problem: str) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = without_zone(column)
    try:
        return pc.cast(column, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ComputeError(f"{problem}: {first_line(error)}") from None


def has_null_element(column: pa.Array) -> bool:
    """Whether a column is of vectors, and one of them has an element that is null."""
    is_vector = pa.types.is_fixed_size_list(column.type)
    return is_vector and bool(column.drop_null().flatten().null_count)


def nulled(column: pa.Array, keep: NDArray[np.bool_]) -> pa.Array:
    """The column with null wherever `keep` is false."""
    if keep.all():
        return column
    return pc.if_else(pa.array(keep), column, pa.scalar(None, column.type))
