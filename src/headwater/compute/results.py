"""An aggregate of an expression in the kernels' form, and their results as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import Encoded, decimals, encode, hashed, masked, rows_of
from headwater.compute.kernels.rows import Aggregation, Listed, Lists, Result
from headwater.compute.values import nulled, whole
from headwater.definitions.types import MAX_DIGITS
from headwater.errors import ComputeError
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate

OF_VALUES = frozenset({"min", "max", "mode", "quantile_disc"})
HASHED = frozenset({"approx_count_distinct"})
ROW_RESULTS = ("first", "last")
KEEP_NULLS = frozenset({"first", "last", "last_k"})
ORDERED = KEEP_NULLS | {"avg_deviation"}
"""Whose result depends on C4's order of the rows."""


@dataclass
class Arguments:
    """The arguments of aggregates in the kernels' form, each made once; `column` finds them."""

    column: Callable[[Any], pa.ChunkedArray]
    _made: dict[tuple[Any, bool], Encoded] = field(default_factory=dict)

    def of(self, name: str, argument: Any) -> Encoded:
        """What the aggregate `name` takes of an argument: its values, or hashes of them."""
        key = argument, name in HASHED
        if key not in self._made:
            column = self.column(argument)
            self._made[key] = hashed(column) if key[1] else encode(column)
        return self._made[key]


def aggregation(
    node: Aggregate, arguments: Sequence[Encoded], where: NDArray[np.bool_] | None, feature: str
) -> Aggregation:
    """The kernel's form of an aggregate: nulls and FILTER become one mask.

    `feature` is named in errors.
    """
    name = "count_distinct" if node.name == "count" and node.distinct else node.name
    valid = where
    for argument in arguments:
        if argument.valid is not None and name not in KEEP_NULLS:
            valid = argument.valid if valid is None else valid & argument.valid
    parameter = node.parameters[0] if node.parameters else None
    given = () if name == "count" else tuple(argument.values for argument in arguments)
    values, other = (*given, None, None)[:2]
    if isinstance(parameter, (str, bool)):
        raise ComputeError(f"aggregate '{node.name}': {parameter!r} is no number")
    return Aggregation(name, values, valid, parameter, f"feature '{feature}'", other)


def to_arrow_column(
    node: Aggregate,
    result: Result,
    argument: Encoded | None,
    source: pa.ChunkedArray | None,
) -> pa.Array:
    """A kernel's result as Arrow: row positions become values, codes become text."""
    if isinstance(result, Lists):
        return _lists(result, source)
    if isinstance(result, Listed):
        return _listed(node.name, result, argument)
    if node.name in ROW_RESULTS and source is not None:
        return rows_of(result, source)
    if node.name in OF_VALUES and argument is not None:
        return argument.decode(result.values, result.valid)
    if node.name == "sum" and source is not None and pa.types.is_decimal(source.type):
        kind = pa.decimal128(MAX_DIGITS, source.type.scale)
        return decimals(result.values, result.valid, kind, canonical(node))
    return masked(result.values, result.valid)


def _lists(result: Lists, source: pa.ChunkedArray | None) -> pa.Array:
    if source is None:
        raise ComputeError("aggregate 'last_k' needs an argument")
    values = whole(source.take(pa.array(result.rows)))
    lengths = np.diff(result.offsets)
    lists = pa.ListArray.from_arrays(pa.array(result.offsets.astype(np.int32)), values)
    return nulled(lists, lengths > 0)


def _listed(name: str, result: Listed, argument: Encoded | None) -> pa.Array:
    if argument is None:
        raise ComputeError(f"aggregate '{name}' needs an argument")
    values = argument.decode(result.values, None)
    offsets = pa.array(result.offsets.astype(np.int32))
    if name == "histogram":
        found = pa.MapArray.from_arrays(offsets, values, pa.array(result.counts))
    else:
        found = pa.ListArray.from_arrays(offsets, values)
    return nulled(found, np.diff(result.offsets) > 0)
