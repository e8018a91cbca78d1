"""What the columns of a dataset look like: counts, nulls, moments, quantiles, frequent values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FREQUENT = 5


def statistics_of(table: pa.Table) -> dict[str, dict[str, Any]]:
    """By column: `type`, `rows`, `nulls`, `distinct` where values can be compared, and for numbers
    `nans`, `mean`, `stddev` (of the population), `min`, `max` and quantiles of what is finite, for
    others the most frequent values with their counts.
    """
    return {name: _column(table[name].combine_chunks()) for name in table.column_names}


def _column(column: pa.Array) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": str(column.type),
        "rows": len(column),
        "nulls": column.null_count,
    }
    kinds = pa.types
    if kinds.is_nested(column.type):
        return found
    found["distinct"] = pc.count_distinct(column, mode="only_valid").as_py()
    if kinds.is_decimal(column.type):
        return found | _numbers(column.cast(pa.float64()))
    if kinds.is_floating(column.type) or kinds.is_integer(column.type):
        return found | _numbers(column)
    if kinds.is_temporal(column.type):
        ends = pc.min_max(column).as_py()
        return found | {name: None if v is None else v.isoformat() for name, v in ends.items()}
    return found | {"frequent": _frequent(column)}


def _numbers(column: pa.Array) -> dict[str, Any]:
    values = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    finite = values[np.isfinite(values)]
    found: dict[str, Any] = {"nans": int(np.count_nonzero(np.isnan(values)))}
    if finite.size == 0:
        return found
    found |= {
        "mean": math.fsum(finite) / finite.size,
        "stddev": float(finite.std()),
        "min": float(finite.min()),
        "max": float(finite.max()),
    }
    cuts = np.quantile(finite, QUANTILES)
    return found | {
        f"p{round(share * 100):02}": float(cut) for share, cut in zip(QUANTILES, cuts, strict=True)
    }


def _frequent(column: pa.Array) -> list[list[Any]]:
    """The most frequent values with their counts; of equally frequent ones the first in order."""
    counted = column.drop_null().value_counts()
    pairs = [(str(item["values"].as_py()), item["counts"].as_py()) for item in counted]
    return [
        [value, count] for value, count in sorted(pairs, key=lambda p: (-p[1], p[0]))[:FREQUENT]
    ]
