"""The greatest of many ranges at once."""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.rows import Int64
from headwater.compute.kernels.sorting import bit_lengths

NOTHING = np.int64(-(2**63))
_STEPS = 5
_BLOCK = 1 << _STEPS
_CHUNK = 1 << 17  # rows whose temporary arrays stay in the cache


def greatest_of_ranges(codes: Int64, low: Int64, high: Int64) -> Int64:
    """The greatest code in each [low, high), NOTHING where it is empty.

    Ranges of up to 32 rows read a table that doubles its reach level by level; longer ones read
    their two ends from its last level and the middle from a sparse table over blocks of 32.
    O(rows + ranges), whatever their length.
    """
    found = np.full(len(low), NOTHING, dtype=np.int64)
    level = np.where(high > low, bit_lengths(high - low) - 1, -1)
    reach = codes.copy()
    for step in range(_STEPS):
        _look(found, reach, np.flatnonzero(level == step), low, high - (1 << step))
        _double(reach, 1 << step)
    long = np.flatnonzero(level >= _STEPS)
    _look(found, reach, long, low, high - _BLOCK)
    first, last = (low[long] + _BLOCK - 1) >> _STEPS, high[long] >> _STEPS
    blocks = reach[: max(len(codes) - _BLOCK + 1, 0) : _BLOCK].copy()
    depth = np.where(last > first, bit_lengths(np.maximum(last - first, 1)) - 1, -1)
    for step in range(int(depth.max(initial=-1)) + 1):
        at = np.flatnonzero(depth == step)
        best = np.maximum(blocks[first[at]], blocks[last[at] - (1 << step)])
        found[long[at]] = np.maximum(found[long[at]], best)
        _double(blocks, 1 << step)
    return found


def greatest_of_covers(codes: Int64, start: Int64, stop: Int64, queries: int) -> Int64:
    """For each query the greatest code among the rows whose [start, stop) holds it.

    Each range is covered by two of length 2**k, noted on level k; then every level hands its
    notes down to the next. O(rows + queries * log(queries)).
    """
    levels = int((stop - start).max(initial=1)).bit_length()
    notes: Int64 = np.full((levels, queries), NOTHING, dtype=np.int64)
    for begin in range(0, len(codes), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        _note(notes, codes[part], start[part], stop[part])
    for step in range(levels - 1, 0, -1):
        upper, lower, half = notes[step], notes[step - 1], 1 << (step - 1)
        np.maximum(lower, upper, out=lower)
        np.maximum(lower[half:], upper[: queries - half], out=lower[half:])
    found: Int64 = notes[0]
    return found


def _note(notes: Int64, codes: Int64, start: Int64, stop: Int64) -> None:
    """Note the code of each row on the level of its length, at both ends of its range."""
    used = np.flatnonzero(start < stop)
    codes, start, stop = codes[used], start[used], stop[used]
    level = bit_lengths(stop - start) - 1
    flat, base = notes.reshape(-1), level * notes.shape[1]
    np.maximum.at(flat, base + start, codes)
    np.maximum.at(flat, base + stop - (np.int64(1) << level), codes)


def _look(found: Int64, reach: Int64, at: Int64, low: Int64, last: Int64) -> None:
    found[at] = np.maximum(reach[low[at]], reach[last[at]])


def _double(reach: Int64, by: int) -> None:
    """Let every entry reach twice as far; entries near the end reach past it, unread."""
    if by < len(reach):
        np.maximum(reach[:-by], reach[by:], out=reach[:-by])
