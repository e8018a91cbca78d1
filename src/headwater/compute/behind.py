"""New entries of segments behind what each segment had before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.kernels.sorting import prefix_sums, ranges
from headwater.compute.values import whole

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Behind:
    """How `counts[s]` new entries of each segment join `lengths[s]` that were there before.

    `segment` is that of each joined entry; `begin` bounds the segments; `newest` are the places of
    the new entries.
    """

    lengths: Ints
    segment: Ints
    begin: Ints
    newest: Ints
    order: Ints | None

    @classmethod
    def of(cls, lengths: Ints, counts: Ints) -> Behind:
        begin = prefix_sums(lengths + counts)
        segment = np.repeat(np.arange(len(counts)), lengths + counts)
        newest = ranges(begin[:-1] + lengths, counts)
        if not lengths.any():
            return cls(lengths, segment, begin, newest, None)
        order = np.empty(len(segment), dtype=np.int64)
        order[ranges(begin[:-1], lengths)] = np.arange(lengths.sum())
        order[newest] = lengths.sum() + np.arange(len(newest))
        return cls(lengths, segment, begin, newest, order)

    def join(self, before: pa.Array | None, new: pa.Array) -> pa.Array:
        """A column of the joined entries."""
        if self.order is None or before is None:
            return new
        return pa.concat_arrays([before.cast(new.type), new]).take(pa.array(self.order))

    def newest_of(self, column: pa.Array) -> pa.Array:
        """The new entries of a column of joined ones."""
        return column if self.order is None else column.take(pa.array(self.newest))

    def last(self, count: int) -> Ints:
        """The places of the last entries of each segment, `count` of them or as many as it has."""
        sizes = np.minimum(np.diff(self.begin), count)
        return ranges(self.begin[1:] - sizes, sizes)


def lists(segment: Ints, values: pa.Array, count: int) -> pa.Array:
    """A list of values for each of `count` segments; `segment`, that of each value, ascends."""
    offsets = np.searchsorted(segment, np.arange(count + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def lengths_of(column: pa.Array) -> Ints:
    """The length of each list, 0 for null."""
    found: Ints = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)


def items_of(column: pa.Array) -> pa.Array:
    """The values of all lists, one after the other."""
    return whole(column.flatten())
