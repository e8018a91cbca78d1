"""Values that are computed piece by piece, each written once to where it stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.arrays import masked
from headwater.compute.values import Values, whole

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Gathering:
    """The values of `size` queries; those of which nothing comes are null and not found.

    Numbers are written into arrays of the full size, so that the many values of a large training
    set are copied once; all else is put in order at the end.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.event_time: Ints = np.zeros(size, dtype=np.int64)
        self.known_at: Ints = np.zeros(size, dtype=np.int64)
        self.found: Bools = np.zeros(size, dtype=np.bool_)
        self._columns: dict[str, _Numbers | _Others] = {}

    def add(self, places: Ints, values: Values) -> None:
        """Take the values of the queries at these places, which have not come before."""
        self.add_rows(places, values.event_time, values.known_at, values.found)
        self.add_columns(places, values.columns)

    def add_rows(self, places: Ints, event_time: Ints, known_at: Ints, found: Bools) -> None:
        """Take the times of the queries at these places, and whether there is a row."""
        self.event_time[places] = event_time
        self.known_at[places] = known_at
        self.found[places] = found

    def add_columns(
        self, places: Ints, columns: Mapping[str, pa.Array], rows: Ints | None = None
    ) -> None:
        """Take columns alone: their rows, or those at `rows`, belong to the places."""
        for name, column in columns.items():
            known = self._columns.get(name)
            if known is None or known.is_empty:
                known = self._columns[name] = self._of(column.type)
            if not pa.types.is_null(column.type):
                known.add(places, column, rows)

    def values(self) -> Values:
        columns = {name: column.whole(self.found) for name, column in self._columns.items()}
        return Values(columns, self.event_time, self.known_at, self.found)

    def _of(self, kind: pa.DataType) -> _Numbers | _Others:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return _Numbers(kind, np.zeros(self.size, kind.to_pandas_dtype()))
        return _Others()


@dataclass
class _Numbers:
    kind: pa.DataType
    values: NDArray[Any]
    missing: Bools | None = None
    is_empty: bool = False

    def add(self, places: Ints, column: pa.Array, rows: Ints | None) -> None:
        column = column.cast(self.kind)
        _, data = column.buffers()
        values = np.frombuffer(data, self.values.dtype)[column.offset : column.offset + len(column)]
        self.values[places] = values if rows is None else values[rows]
        if column.null_count == 0:
            return
        is_null = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        gone = places[is_null if rows is None else is_null[rows]]
        if self.missing is None:
            self.missing = np.zeros(len(self.values), dtype=np.bool_)
        self.missing[gone] = True
        self.values[gone] = 0  # what stands under a null is anything

    def whole(self, found: Bools) -> pa.Array:
        valid = found if self.missing is None else found & ~self.missing
        return masked(self.values, None if valid.all() else valid, self.kind)


@dataclass
class _Others:
    """Columns of any type, and the places of their rows."""

    parts: list[tuple[Ints, pa.Array]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.parts

    def add(self, places: Ints, column: pa.Array, rows: Ints | None) -> None:
        self.parts.append((places, column if rows is None else column.take(pa.array(rows))))

    def whole(self, found: Bools) -> pa.Array:
        if not self.parts:
            return pa.nulls(len(found))
        kind = self.parts[0][1].type
        joined = whole(pa.chunked_array([column.cast(kind) for _, column in self.parts]))
        row = np.full(len(found), -1, dtype=np.int64)
        row[np.concatenate([places for places, _ in self.parts])] = np.arange(len(joined))
        return pc.take(joined, masked(row, (row >= 0) & found, pa.int64()))
