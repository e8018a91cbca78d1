"""Maps of Arrow columns in the order of their keys, so that equal maps have equal bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.errors import ComputeError


def in_key_order(column: pa.Array) -> pa.Array:
    """The column with all maps in it, however deep inside, in the order of their keys.

    Raises ComputeError where a key stands twice in a map.
    """
    if not _holds_map(column.type):
        return column
    return _ordered(column.take(pa.array(np.arange(len(column)))))  # without a slice's offset


def _holds_map(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return True
    if pa.types.is_struct(kind):
        return any(_holds_map(field.type) for field in kind)
    return bool(pa.types.is_list(kind)) and _holds_map(kind.value_type)


def _ordered(column: pa.Array) -> pa.Array:
    kind, nulls = column.type, column.is_null()
    if pa.types.is_struct(kind):
        parts = [in_key_order(part) for part in column.flatten()]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=nulls)
    if pa.types.is_list(kind):
        values = in_key_order(column.values)
        return pa.ListArray.from_arrays(column.offsets, values, type=kind, mask=nulls)
    rows = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
    by_key = pc.sort_indices(
        pa.table({"row": rows, "key": column.keys}),
        sort_keys=[("row", "ascending"), ("key", "ascending")],
    )
    keys = column.keys.take(by_key)
    if len(keys) > 1:
        same = pc.equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
        if (same & (rows[1:] == rows[:-1])).any():
            raise ComputeError("a key stands twice in a map")
    items = in_key_order(column.items.take(by_key))
    return pa.MapArray.from_arrays(column.offsets, keys, items, type=kind, mask=nulls)
