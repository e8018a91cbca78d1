"""Call a user's Python function over columns, and check what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from headwater.compute.values import conform, whole
from headwater.definitions.functions import FeatureFunction, FunctionRef
from headwater.errors import ComputeError, MissingExtraError
from headwater.expressions.analyzed import AnalyzedFeature


def call(feature: AnalyzedFeature, columns: Mapping[str, pa.Array], rows: int) -> pa.Array:
    """The values of a function feature for the given rows (one column of `rows` values).

    Raises ComputeError that names the feature when the function fails, or returns something
    of another length or type.
    """
    ref = feature.feature.function
    if ref is None:
        raise ComputeError(f"feature '{feature.name}' has no function")
    return call_function(ref, Labelled(feature.name, feature.dtype), columns, rows)


class Labelled(NamedTuple):
    """The name and type of what a function computes."""

    name: str
    dtype: str


def call_function(
    ref: FunctionRef, wanted: Labelled, columns: Mapping[str, pa.Array], rows: int
) -> pa.Array:
    """`call` for a function by its reference, where there is no analysed feature."""
    if rows == 0:
        return pa.array([], conform(pa.nulls(0), wanted.dtype, wanted.name).type)
    function = ref.load()
    table = pa.table({name: columns[name] for name in ref.inputs})
    value = _to_arrow(_guarded(wanted.name, function, _frame(table, ref)), wanted.name)
    if len(value) != rows:
        raise ComputeError(
            f"feature '{wanted.name}': function '{ref.path}' gave {len(value)} values for "
            f"{rows} rows"
        )
    return conform(value, wanted.dtype, wanted.name)


def _guarded(name: str, function: FeatureFunction, frame: Any) -> Any:
    try:
        return function(frame)
    except Exception as error:  # a user's code may raise anything
        where = f"function '{function.ref.path}'"
        raise ComputeError(
            f"feature '{name}': {where} failed: {type(error).__name__}: {error}"
        ) from error


def _frame(table: pa.Table, ref: FunctionRef) -> Any:
    if ref.frame == "arrow":
        return table
    if ref.frame == "polars":
        try:
            import polars as pl
        except ImportError:
            raise MissingExtraError(f"function '{ref.path}'", "polars") from None
        return pl.from_arrow(table)
    try:
        import pandas as pd  # noqa: F401
    except ImportError:
        raise MissingExtraError(f"function '{ref.path}'", "pandas") from None
    return table.to_pandas()


def _to_arrow(value: Any, name: str) -> pa.Array:
    try:
        found = _column(value)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise ComputeError(
            f"feature '{name}': its function must return one column, not a "
            f"{type(value).__name__}: {error}"
        ) from None
    plain = {pa.large_string(): pa.string(), pa.string_view(): pa.string()}
    return found.cast(plain[found.type]) if found.type in plain else found


def _column(value: Any) -> pa.Array:
    """One column out of what a function gave. Raises an error of Arrow, or TypeError."""
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return whole(value)
    if len(getattr(value, "shape", (0,))) != 1:
        raise TypeError("it has rows and columns")
    if type(value).__module__.partition(".")[0] == "pandas":
        return whole(pa.array(value, from_pandas=True))
    return whole(value.to_arrow() if hasattr(value, "to_arrow") else pa.array(value))
