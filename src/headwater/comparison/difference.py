"""How two columns of values differ: where, and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.registry.comparisons import Difference, Example

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
EXAMPLES = 5
_LETTERS = 80
_GREATEST = float(np.finfo(np.float64).max)
_BITS = {pa.float32(): np.int32, pa.float64(): np.int64}


def difference(
    old: pa.Array, new: pa.Array, keys: Mapping[str, pa.Array], times: Ints
) -> Difference:
    """How `new` differs from `old`; both have one type, and a value for each key and time.

    Floats are equal where their bits are, or where both are NaN. Of those that differ, the
    examples show the ones that differ most.
    """
    was_null, is_null = _nulls(old), _nulls(new)
    differs = _differs(old, new) | (was_null != is_null)
    gap, scale = _gaps(old, new, differs & ~was_null & ~is_null)
    measured = np.flatnonzero(~np.isnan(gap))
    by = gap[measured]
    share = np.divide(by, scale[measured], out=np.zeros_like(by), where=scale[measured] > 0)
    return Difference(
        rows=len(old),
        differing=int(differs.sum()),
        nulls_gained=int((is_null & ~was_null).sum()),
        nulls_lost=int((was_null & ~is_null).sum()),
        max_abs=_greatest(by),
        mean_abs=_mean(by),
        max_rel=_greatest(share),
        mean_rel=_mean(share),
        examples=tuple(_example(old, new, keys, times, row) for row in _telling(differs, gap)),
    )


def _nulls(column: pa.Array) -> Bools:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False))


def _differs(old: pa.Array, new: pa.Array) -> Bools:
    """Where two values differ; means nothing where one of them is null."""
    kind = old.type
    if kind in _BITS:
        one, other = (_numbers(column) for column in (old, new))
        is_nan = np.isnan(one) & np.isnan(other)
        return np.asarray((one.view(_BITS[kind]) != other.view(_BITS[kind])) & ~is_nan)
    if pa.types.is_nested(kind):
        # The text of a Python value is exact, and one for all NaN.
        pairs = zip(old.to_pylist(), new.to_pylist(), strict=True)
        return np.fromiter((repr(a) != repr(b) for a, b in pairs), np.bool_, len(old))
    found = pc.fill_null(pc.not_equal(old, new), fill_value=False)
    return np.asarray(found.to_numpy(zero_copy_only=False))


def _numbers(column: pa.Array) -> NDArray[Any]:
    return np.ascontiguousarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))


def _gaps(old: pa.Array, new: pa.Array, chosen: Bools) -> tuple[Floats, Floats]:
    """The distance of two numbers and the greater magnitude; NaN but for the chosen finite ones."""
    gap, scale = np.full((2, len(old)), np.nan)
    kind = old.type
    if not (pa.types.is_integer(kind) or kind in _BITS):
        return gap, scale
    one, other = (_numbers(column)[chosen] for column in (old, new))
    if pa.types.is_integer(kind):
        low, high = (pick(one, other).astype(np.int64) for pick in (np.minimum, np.maximum))
        by = (high.view(np.uint64) - low.view(np.uint64)).astype(np.float64)  # exact, modulo 2^64
    else:
        one, other = one.astype(np.float64), other.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            by = np.minimum(np.abs(one - other), _GREATEST)
        by[~(np.isfinite(one) & np.isfinite(other))] = np.nan
    gap[chosen] = by
    scale[chosen] = np.maximum(np.abs(one.astype(np.float64)), np.abs(other.astype(np.float64)))
    return gap, scale


def _greatest(values: Floats) -> float | None:
    return float(values.max()) if values.size else None


def _mean(values: Floats) -> float | None:
    if not values.size:
        return None
    with np.errstate(over="ignore"):
        mean = float(values.mean())
    return mean if math.isfinite(mean) else min(float((values / values.size).sum()), _GREATEST)


def _telling(differs: Bools, gap: Floats) -> list[int]:
    """Some of the rows that differ: those that differ most, then those that have no distance."""
    rows = np.flatnonzero(differs)
    order = np.argsort(-np.nan_to_num(gap[rows], nan=-1.0), kind="stable")
    return [int(row) for row in rows[order][:EXAMPLES]]


def _example(
    old: pa.Array, new: pa.Array, keys: Mapping[str, pa.Array], times: Ints, row: int
) -> Example:
    key = {name: _plain(column[row]) for name, column in keys.items()}
    return Example(key, int(times[row]), _plain(old[row]), _plain(new[row]))


def _plain(value: pa.Scalar) -> Any:
    """A value as JSON has it; a text, cut short, where JSON has no form for it."""
    if not value.is_valid:
        return None
    kind = value.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return value.as_py()
    if kind in _BITS:
        number = value.as_py()
        return number if math.isfinite(number) else repr(number)
    if pa.types.is_binary(kind):
        text = value.as_py().hex()
    elif pa.types.is_nested(kind):
        text = repr(value.as_py(maps_as_pydicts="strict"))
    else:
        text = pc.cast(value, pa.string()).as_py()
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 3]}..."
