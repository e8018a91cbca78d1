"""Arrow tables as frames of polars and pandas, which are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from headwater.definitions.types import from_arrow, holds
from headwater.errors import MissingExtraError


def as_polars(table: pa.Table) -> Any:
    """A polars DataFrame. Raises MissingExtraError where polars is not installed."""
    try:
        import polars as pl
    except ImportError:
        raise MissingExtraError("to_polars()", "polars") from None
    return pl.from_arrow(table)


def as_pandas(table: pa.Table) -> Any:
    """A pandas DataFrame; integers and truth values with nulls stay what they are (nullable types).

    Raises MissingExtraError where pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("to_pandas()", "pandas") from None
    nullable = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    with_nulls = {
        field.type: nullable[field.type]
        for field in table.schema
        if field.type in nullable and table[field.name].null_count
    }
    return to_pandas(table, with_nulls.get)


def to_pandas(table: pa.Table, types_mapper: Callable[[Any], Any] | None = None) -> Any:
    """A DataFrame in which structs and maps are dicts, whose integers stay integers."""
    import pandas as pd

    frame = table.to_pandas(types_mapper=types_mapper, maps_as_pydicts="strict")
    for field in table.schema:
        dtype = from_arrow(field.type) or ""
        if holds(dtype, "struct") or holds(dtype, "map"):
            values = table[field.name].to_pylist(maps_as_pydicts="strict")
            frame[field.name] = pd.Series(values, index=frame.index, dtype=object)
    return frame
