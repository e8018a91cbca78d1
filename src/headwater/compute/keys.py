"""Join keys as dense codes: composite keys never collide, a null part has no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.values import whole

Codes = NDArray[np.int64]
FIRST = -(2**63)
SPREAD, MANY = 8, 1_000_000  # how wide a table of positions may be


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
    if len(columns) == 1:
        return _one(*columns.items())
    codes = np.zeros(rows, dtype=np.int64)
    null = np.zeros(rows, dtype=bool)
    for column in columns.values():
        part, words = _encode(column)
        distinct = len(words)
        null |= part < 0
        # Renumbering after each column keeps the product of the counts within 64 bits.
        _, codes = np.unique(codes * max(distinct, 1) + np.maximum(part, 0), return_inverse=True)
    codes[null] = -1
    return _compact(columns, codes)


def _one(item: tuple[str, pa.ChunkedArray]) -> EncodedKeys:
    name, column = item
    codes, words = _encode(column)
    return EncodedKeys(codes, pa.table({name: words}))


def _encode(column: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """Codes of a column's values, -1 for null, and the distinct values by code."""
    encoded = pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = whole(encoded.unify_dictionaries())
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), encoded.dictionary


def _compact(columns: Mapping[str, pa.ChunkedArray], codes: Codes) -> EncodedKeys:
    distinct, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    without = 1 if distinct.size and distinct[0] < 0 else 0
    table = pa.table(dict(columns)).take(pa.array(first[without:]))
    return EncodedKeys(inverse.astype(np.int64) - without, table)


@dataclass(frozen=True)
class KeyIndex:
    """Finds the positions of values among distinct keys.

    Where the keys are integers that lie close together, `places` holds the position of each number
    from `low` on, and -1 in the last place, for all that lies outside.
    """

    keys: pa.Array
    low: int = 0
    places: NDArray[np.int32] | None = None

    @classmethod
    def of(cls, keys: pa.Array) -> KeyIndex:
        low, high = (None, None)
        if pa.types.is_integer(keys.type):
            # A source's column may be wider than the key: what does not fit is no key.
            keys = keys.cast(pa.int64())
            low, high = (pc.min(keys).as_py(), pc.max(keys).as_py())
        if low is None or high - low >= max(SPREAD * len(keys), MANY):
            return cls(keys)
        places = np.full(high - low + 2, -1, dtype=np.int32)
        places[keys.to_numpy() - low] = np.arange(len(keys))
        return cls(keys, low, places)

    @property
    def by_position(self) -> bool:
        """Whether keys are found by position."""
        return self.places is not None

    def codes(self, column: pa.Array | pa.ChunkedArray) -> Codes:
        """The position of each value, -1 for null and for values that are no keys."""
        if self.places is None:
            found = pc.fill_null(pc.index_in(column.cast(self.keys.type), self.keys), -1)
            positions: Codes = found.to_numpy(zero_copy_only=False).astype(np.int64)
            return positions
        outside = len(self.places) - 1
        # A number beside the range: before it, unless it begins with the first integer.
        beside = self.low - 1 if self.low > FIRST else self.low + outside
        values = pc.fill_null(column.cast(pa.int64()), beside)
        # As unsigned numbers, all that lies outside the range is greater.
        numbers: Codes = values.to_numpy(zero_copy_only=False)
        offsets = (numbers - self.low).view(np.uint64)
        return self.places[np.minimum(offsets, np.uint64(outside))].astype(np.int64)
