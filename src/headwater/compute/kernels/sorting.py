"""Sorting by several integer columns, and numbers that sort as values do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from headwater.compute.kernels.rows import Bool, Float64, Int64, Values

_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)
_WIDE, _NARROW = 16, 8


def order_by(*columns: Int64) -> Int64:
    """The stable permutation that sorts by the columns, the most significant first.

    A radix sort: numpy sorts 16-bit digits in linear time, which on machines without vector
    sorting is several times faster than comparing 64-bit numbers.
    """
    wanted = list(columns)
    while wanted and is_sorted(wanted[-1]):
        wanted.pop()
    found: Int64 | None = None
    for column in reversed(_packed(wanted)):
        for digit in _digits(column):
            step = np.argsort(digit if found is None else digit[found], kind="stable")
            found = step if found is None else found[step]
    return np.arange(len(columns[0])) if found is None else found


def is_sorted(column: Int64) -> bool:
    return bool((column[1:] >= column[:-1]).all())


def bit_lengths(numbers: Int64) -> Int64:
    """Bits of each number, 0 <= number < 2**53."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def _packed(columns: list[Int64]) -> list[tuple[Values, int]]:
    """Columns counted from their smallest value, neighbours put together where 64 bits hold them.

    With each the number of its bits; the most significant column first.
    """
    found: list[tuple[Values, int]] = []
    for column in columns:
        low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
        bits = (high - low).bit_length()
        shifted = column.view(np.uint64)
        if low:
            shifted = shifted - np.uint64(low % 2**64)
        if found and found[-1][1] + bits <= 64:
            upper, upper_bits = found.pop()
            both = upper << np.uint64(bits)
            both |= shifted
            found.append((both, upper_bits + bits))
        else:
            found.append((shifted, bits))
    return found


def _digits(column: tuple[Values, int]) -> Iterator[Values]:
    numbers, bits = column
    octets = np.ascontiguousarray(numbers, dtype="<u8").view(np.uint8).reshape(-1, 8)
    done = 0
    while done < bits:
        first = done // _NARROW
        if bits - done <= _NARROW:
            yield octets[:, first].copy()
            done += _NARROW
        else:
            yield octets.view("<u2")[:, first // 2].astype(np.uint16)
            done += _WIDE


def to_codes(values: Values) -> Int64:
    """Integers that sort as the values do: NaN greatest and one, -0.0 as 0.0, false < true."""
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    return _flip(canonical_floats(values).view(np.int64))


def canonical_floats(values: Values) -> Float64:
    """The values as float64 of their own, with one NaN and one zero."""
    floats = values.astype(np.float64)
    floats += 0.0
    if len(floats) and np.isnan(floats.max()):
        floats[np.isnan(floats)] = np.nan
    return floats


def from_codes(codes: Int64, dtype: np.dtype[Any]) -> Values:
    """The values of codes that `to_codes` made of values of this type."""
    if dtype.kind != "f":
        return codes.astype(dtype)
    floats: Float64 = _flip(codes.copy()).view(np.float64)
    return floats.astype(dtype)


def _flip(bits: Int64) -> Int64:
    """Turn the order of the bits of negative numbers round, in place; doing it twice undoes it."""
    if len(bits) and bits.min() < 0:
        signs = bits >> 63
        signs &= _MAGNITUDE
        bits ^= signs
    return bits


def starts_of_runs(*columns: Int64) -> Bool:
    """True where a row of sorted columns differs from the row before it."""
    found = np.zeros(len(columns[0]), dtype=np.bool_)
    found[:1] = True
    for column in columns:
        found[1:] |= column[1:] != column[:-1]
    return found


def run_begins(column: Int64) -> Int64:
    """Where each run of equal neighbours begins, and where the last one ends."""
    return np.append(np.flatnonzero(starts_of_runs(column)), len(column))


def ranges(starts: Int64, counts: Int64) -> Int64:
    """The numbers start, start + 1, ... of each range, one range after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - ends + counts, counts)


def prefix_sums(numbers: Int64 | Bool) -> Int64:
    """The sum of all numbers before each place, modulo 2**64, one more than the numbers."""
    found = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(numbers, out=found[1:])
    return found


def first_behind(edge: Int64, rows: int) -> Int64:
    """For each row the first of the edges, which never fall, that lies behind the row."""
    return np.cumsum(np.bincount(edge, minlength=rows + 1)[:rows])


def count_spans(start: Int64, stop: Int64, queries: int) -> Int64:
    """How many of the spans [start, stop) hold each query; empty ones count nothing."""
    begun = np.bincount(start, minlength=queries + 1)
    begun -= np.bincount(stop, minlength=queries + 1)
    return np.cumsum(begun[:queries])


def bounded_slices(widths: Int64, most: int) -> Iterator[slice]:
    """Slices of neighbours whose widths add up to `most`, or of one that is wider."""
    total = np.cumsum(widths)
    begin = 0
    while begin < len(widths):
        before = int(total[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(total, before + most, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end
