"""A hash of 64 bits for each value: the same on every machine and in every version.

Numbers go through the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
number generators", 2014); texts go through it eight bytes at a time, begun with their length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headwater.compute.kernels.rows import Int64, Values
from headwater.compute.kernels.sorting import canonical_floats

_Words = NDArray[np.uint64]
_STEP = np.uint64(0x9E37_79B9_7F4A_7C15)
_FIRST, _SECOND = np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB)
_CHUNK = 1 << 16  # values whose temporary arrays stay in the cache


def hash_numbers(values: Values) -> Int64:
    """Of integers and bools, or of floats by their bits as float64: NaN is one, -0.0 is 0.0."""
    numbers = canonical_floats(values).view(np.int64) if values.dtype.kind == "f" else values
    found = np.empty(len(values), dtype=np.int64)
    for begin in range(0, len(values), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        found[part] = _mixed(numbers[part].astype(np.int64).view(np.uint64)).view(np.int64)
    return found


def hash_bytes(data: NDArray[np.uint8], offsets: Int64) -> Int64:
    """Of texts: text i is `data[offsets[i]:offsets[i + 1]]`."""
    padded = np.concatenate([data, np.zeros(8, dtype=np.uint8)])
    eights = np.lib.stride_tricks.sliding_window_view(padded, 8)
    found = np.empty(len(offsets) - 1, dtype=np.int64)
    for begin in range(0, len(found), _CHUNK):
        edges = offsets[begin : begin + _CHUNK + 1]
        found[begin : begin + _CHUNK] = _of_texts(eights, edges[:-1], np.diff(edges))
    return found


def _of_texts(eights: NDArray[np.uint8], start: Int64, length: Int64) -> Int64:
    state = _mixed(length.astype(np.uint64))
    left = np.flatnonzero(length)
    for done in range(0, int(length.max(initial=0)), 8):
        left = left[length[left] > done]
        word = eights[start[left] + done].view("<u8").reshape(-1).astype(np.uint64)
        spare = np.maximum(8 - (length[left] - done), 0).astype(np.uint64) * np.uint64(8)
        word &= np.uint64(2**64 - 1) >> spare
        state[left] = _mixed(state[left] ^ word)
    return state.view(np.int64)


def _mixed(words: _Words) -> _Words:
    found = words + _STEP
    found ^= found >> np.uint64(30)
    found *= _FIRST
    found ^= found >> np.uint64(27)
    found *= _SECOND
    found ^= found >> np.uint64(31)
    return found
