"""Call a user's Python function over columns, and check what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.foreign import call_apart
from headwater.compute.frames import to_pandas
from headwater.compute.maps import in_key_order
from headwater.compute.values import conform, whole
from headwater.definitions.functions import FunctionRef
from headwater.definitions.types import is_nested, to_arrow
from headwater.errors import ComputeError, MissingExtraError
from headwater.expressions.analyzed import AnalyzedFeature


def call(
    engine: DuckDBEngine, feature: AnalyzedFeature, columns: Mapping[str, pa.Array], rows: int
) -> pa.Array:
    """The values of a function feature for the given rows (one column of `rows` values).

    A function that came over the API is called by the engine, in a process of its own.

    Raises ComputeError that names the feature when the function fails, or returns something
    of another length or type.
    """
    ref = feature.feature.function
    if ref is None:
        raise ComputeError(f"feature '{feature.name}' has no function")
    wanted = Labelled(feature.name, feature.dtype)
    if ref.code is None:
        return call_function(ref, wanted, columns, rows)
    if rows == 0:
        return _nothing(wanted)
    table = pa.table({name: columns[name] for name in ref.inputs})
    value = call_apart(engine, ref, feature, table)
    return _fitting(whole(value), ref, wanted, rows)


class Labelled(NamedTuple):
    """The name and type of what a function computes."""

    name: str
    dtype: str


def call_function(
    ref: FunctionRef, wanted: Labelled, columns: Mapping[str, pa.Array], rows: int
) -> pa.Array:
    """`call` for a function by its reference, where there is no analysed feature."""
    if rows == 0:
        return _nothing(wanted)
    table = pa.table({name: columns[name] for name in ref.inputs})
    return values_of(ref.load().function, ref, wanted, table)


def values_of(
    function: Callable[[Any], Any], ref: FunctionRef, wanted: Labelled, table: pa.Table
) -> pa.Array:
    """What a function makes of the rows of a table, checked."""
    value = _to_arrow(_guarded(wanted.name, ref, function, _frame(table, ref)), wanted)
    return _fitting(value, ref, wanted, table.num_rows)


def _nothing(wanted: Labelled) -> pa.Array:
    return pa.array([], conform(pa.nulls(0), wanted.dtype, wanted.name).type)


def _fitting(value: pa.Array, ref: FunctionRef, wanted: Labelled, rows: int) -> pa.Array:
    if len(value) != rows:
        raise ComputeError(
            f"feature '{wanted.name}': function '{ref.path}' gave {len(value)} values for "
            f"{rows} rows"
        )
    return in_key_order(conform(value, wanted.dtype, wanted.name))


def _guarded(name: str, ref: FunctionRef, function: Callable[[Any], Any], frame: Any) -> Any:
    try:
        return function(frame)
    except Exception as error:  # a user's code may raise anything
        where = f"function '{ref.path}'"
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
    return to_pandas(table)


def _to_arrow(value: Any, wanted: Labelled) -> pa.Array:
    try:
        found = _column(value, wanted.dtype)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise ComputeError(
            f"feature '{wanted.name}': its function must return one column, not a "
            f"{type(value).__name__}: {error}"
        ) from None
    plain = {pa.large_string(): pa.string(), pa.string_view(): pa.string()}
    return found.cast(plain[found.type]) if found.type in plain else found


def _column(value: Any, dtype: str) -> pa.Array:
    """One column out of what a function gave. Raises an error of Arrow, or TypeError.

    What is made of dicts tells no struct from a map: there the feature's type decides.
    """
    kind = to_arrow(dtype) if is_nested(dtype) else None
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return whole(value)
    if len(getattr(value, "shape", (0,))) != 1:
        raise TypeError("it has rows and columns")
    if type(value).__module__.partition(".")[0] == "pandas":
        return whole(pa.array(value, kind, from_pandas=True))
    return whole(value.to_arrow() if hasattr(value, "to_arrow") else pa.array(value, kind))
