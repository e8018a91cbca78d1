"""An Arrow table as pandas, without a loss where values have parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from headwater.definitions.types import from_arrow, holds


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
