"""Times sorted within each key, and how many of them stand before a (key, time)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headwater.compute.kernels.rows import Int64

LAST = 2**63 - 1
_BITS = 62


@dataclass(frozen=True, eq=False)
class KeyedTimes:
    """Times of key k, ascending, at `time[begin[k]:begin[k + 1]]`.

    `packed` holds key and time in one integer where both fit, so that one library call finds
    every place; where they don't, places are found by halving the key's own run.
    """

    begin: Int64
    time: Int64
    packed: Int64 | None
    first: int = 0
    last: int = 0
    bits: int = 0

    @classmethod
    def of(cls, begin: Int64, time: Int64) -> KeyedTimes:
        if len(time) == 0:
            return cls(begin, time, None)
        first, last = int(time.min()), int(time.max())
        bits = (last + 1 - first).bit_length()
        if bits + len(begin).bit_length() > _BITS or last == LAST:
            return cls(begin, time, None)
        packed = np.repeat(np.arange(len(begin) - 1) << bits, np.diff(begin))
        packed += time
        packed -= first
        return cls(begin, time, packed, first, last, bits)

    def before(self, key: Int64, time: Int64) -> Int64:
        """How many (key, time) pairs are smaller than each given pair."""
        if len(self.time) == 0:
            return np.zeros(len(key), dtype=np.int64)
        if self.packed is None:
            return self._halve(key, time)
        wanted = np.clip(time, self.first, self.last + 1)
        wanted -= self.first
        wanted += key << self.bits
        return np.searchsorted(self.packed, wanted)

    def _halve(self, key: Int64, time: Int64) -> Int64:
        low, high = self.begin[key], self.begin[key + 1]
        for _ in range(int(np.diff(self.begin).max()).bit_length()):
            middle = (low + high) >> 1
            is_open = low < high
            less = self.time[np.minimum(middle, len(self.time) - 1)] < time
            low = np.where(is_open & less, middle + 1, low)
            high = np.where(is_open & ~less, middle, high)
        return low


def begins(keys: Int64, count: int) -> Int64:
    """Where the run of each key code 0..count-1 begins in sorted keys, and where the last ends."""
    found = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=count), out=found[1:])
    return found
