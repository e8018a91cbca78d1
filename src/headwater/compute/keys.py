"""Join keys as dense codes: composite keys never collide, a null part has no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class EncodedKeys:
    """`codes[i]` is the key of row i, an index into `table` (one row per distinct key), or -1."""

    codes: Codes
    table: pa.Table

    @property
    def count(self) -> int:
        return int(self.table.num_rows)


def encode_keys(columns: Mapping[str, pa.ChunkedArray], rows: int) -> EncodedKeys:
    """Number the distinct keys of `rows` rows; a key with a null part gets -1.

    Without columns (a view without an entity) every row has the one, empty key 0.
    """
    if not columns:
        one = pa.table({"_": pa.nulls(1)}).select([])
        return EncodedKeys(np.zeros(rows, dtype=np.int64), one)
    codes = np.zeros(rows, dtype=np.int64)
    null = np.zeros(rows, dtype=bool)
    for column in columns.values():
        part, distinct = _encode(column)
        null |= part < 0
        # Renumbering after each column keeps the product of the counts within 64 bits.
        _, codes = np.unique(codes * max(distinct, 1) + np.maximum(part, 0), return_inverse=True)
    codes[null] = -1
    return _compact(columns, codes)


def _encode(column: pa.ChunkedArray) -> tuple[Codes, int]:
    if len(column) == 0:  # Arrow can't make one array out of no chunks of every type
        return np.zeros(0, dtype=np.int64), 0
    encoded = pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    indices = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return indices.astype(np.int64), len(encoded.dictionary)


def _compact(columns: Mapping[str, pa.ChunkedArray], codes: Codes) -> EncodedKeys:
    distinct, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    without = 1 if distinct.size and distinct[0] < 0 else 0
    table = pa.table(dict(columns)).take(pa.array(first[without:]))
    return EncodedKeys(inverse.astype(np.int64) - without, table)
