"""What the kernels take and give: rows, queries, frames, aggregations and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """The facts of one partition, in any order; int64 arrays of one length.

    `key` is a dense code from 0, `available_at` is never null. `order` holds unique numbers whose
    order within a key is that of C4. Rows of a key with the same `fact >= 0` are versions of one
    id; -1, or no array, makes a row a fact of its own. Presorted `order` saves a sort.
    """

    key: Int64
    event_time: Int64
    available_at: Int64
    order: Int64
    fact: Int64 | None = None


@dataclass(frozen=True, eq=False)
class Queries:
    """Where values are wanted: a key's code (-1 for a key without rows) and a time."""

    key: Int64
    time: Int64


@dataclass(frozen=True)
class Frame:
    """A time window: its size (None for a lifetime), offset and tail hop in microseconds."""

    size: int | None
    offset: int = 0
    tail_hop: int | None = None


@dataclass(frozen=True, eq=False)
class Aggregation:
    """One aggregate over the rows of a window.

    `name` is a canonical aggregate, `values` (int64, int32, float64, float32 or bool) and `valid`
    are aligned with the rows; rows outside `valid` take no part. Of values of shape
    [rows, size], vectors, the aggregate is that of each element. `parameter` is the fraction of
    a quantile or the k of last_k and top_k, `other` the second argument of those of pairs. `label`
    names the value in errors.
    """

    name: str
    values: Values | None = None
    valid: Bool | None = None
    parameter: float | None = None
    label: str = ""
    other: Values | None = None


@dataclass(frozen=True, eq=False)
class Column:
    """One value per query; `valid` is None where no value is null."""

    values: Values
    valid: Bool | None = None


@dataclass(frozen=True, eq=False)
class Listed:
    """One list per query: `values[offsets[i]:offsets[i + 1]]`, and how often each occurs."""

    offsets: Int64
    values: Values
    counts: Int64


@dataclass(frozen=True, eq=False)
class Lists:
    """One list per query: row positions `rows[offsets[i]:offsets[i + 1]]`, oldest first."""

    offsets: Int64
    rows: Int64


Result = Column | Lists | Listed
