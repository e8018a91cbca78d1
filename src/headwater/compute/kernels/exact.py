"""Sums over windows that are exact and rounded once, whatever the order of the rows.

A float sum is the exact sum of its values, rounded to the nearest double (ties to even), as
`math.fsum` gives it: values are cut into integer limbs of a fixed point, every limb is summed
exactly in int64, and the limbs of each window are put together and rounded once. The method is
that of Kulisch's long accumulator ("Computer Arithmetic and Validity", 2008), grown only as far
as the values reach.

`totals` stands for the windows: it takes one int64 per row, in an array that it must not keep, and
gives one int64 per window, the sum modulo 2**64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from headwater.compute.kernels.rows import Bool, Float64, Int64, Values
from headwater.compute.kernels.sorting import bit_lengths
from headwater.errors import ComputeError

Totals = Callable[[Int64], Int64]

_INT_BITS = 32
_WINDOW = 62  # bits of an int64 that are gathered before rounding: 53, a guard, and room
_NARROW = 32  # bits of a limb from which on two of them cover most values
_PLAIN = 900  # exponents up to which no power of two over- or underflows
_CHUNK = 1 << 16  # rows whose temporary arrays stay in the cache


def int_sums(values: Int64, totals: Totals, labels: Sequence[str] = ("",)) -> Int64:
    """Exact int64 sums; `labels` name the sum in each of as many equal parts of the windows.

    Raises ComputeError when a window's sum does not fit into int64.
    """
    if _fits(values):
        return totals(values)
    high, low = _halves(values, totals)
    outside = np.flatnonzero((high < -(2**31)) | (high >= 2**31))
    if len(outside):
        label = labels[int(outside[0]) * len(labels) // len(high)]
        raise ComputeError(
            f"{label or 'sum'}: the sum over a window does not fit into int64; "
            "cast the values to float64"
        )
    return (high << _INT_BITS) | low


def int_sums_as_floats(values: Int64, totals: Totals) -> Float64:
    """Exact sums of integers, rounded once to float64; no sum is too large."""
    if _fits(values):
        return totals(values).astype(np.float64)
    return _rounded(list(_halves(values, totals)), _INT_BITS, 0)


def float_sums(values: Float64, totals: Totals, weight: int | None = None) -> Float64:
    """Exact sums rounded once; zero is +0.0, NaN and infinities add up as in SQL.

    `weight` is how often `totals` counts values in one window at most: each once unless given.
    """
    weight = len(values) if weight is None else weight
    finite = np.isfinite(values)
    if finite.all():
        return _finite_sums(values, totals, weight)
    sums = _finite_sums(np.where(finite, values, 0.0), totals, weight)
    positive = totals((values == np.inf).astype(np.int64)) > 0
    negative = totals((values == -np.inf).astype(np.int64)) > 0
    missing = totals(np.isnan(values).astype(np.int64)) > 0
    sums[positive] = np.inf
    sums[negative] = -np.inf
    sums[missing | (positive & negative)] = np.nan
    return sums


def _fits(values: Int64) -> bool:
    if len(values) == 0:
        return True
    return max(int(values.max()), -int(values.min())) * len(values) < 2**63


def _halves(values: Int64, totals: Totals) -> tuple[Int64, Int64]:
    """The upper part and the lower 32 bits of each sum."""
    low = totals(values & 0xFFFF_FFFF)
    high = totals(values >> _INT_BITS) + (low >> _INT_BITS)
    return high, low & 0xFFFF_FFFF


def _finite_sums(values: Float64, totals: Totals, weight: int) -> Float64:
    # A window holds at most `weight` digits, so that their sum stays below 2**62; below 2**53
    # for small windows, where two limbs then are two doubles, whose sum is rounded once.
    narrow = 53 - max(weight.bit_length(), 1)
    bits = narrow if narrow >= _NARROW else 62 - weight.bit_length()
    rest, digits = values.copy(), np.empty(len(values), dtype=np.int64)
    exponent = _exponent(_greatest(rest))
    limbs = [totals(_cut(rest, exponent - bits, digits))]
    while (greatest := _greatest(rest)) > 0:
        # Empty limbs in between cost no pass over the rows.
        skipped = (exponent - bits - _exponent(greatest)) // bits
        limbs.extend([np.zeros_like(limbs[0])] * skipped)
        exponent -= bits * (skipped + 1)
        limbs.append(totals(_cut(rest, exponent - bits, digits)))
    if len(limbs) == 2 and bits == narrow and abs(exponent) < _PLAIN:
        return _scaled(limbs[0], exponent) + _scaled(limbs[1], exponent - bits)
    return _rounded(limbs, bits, exponent - bits)


def _greatest(values: Float64) -> float:
    """The greatest |value|."""
    return max(float(values.max()), -float(values.min())) if len(values) else 0.0


def _exponent(greatest: float) -> int:
    """The least e with greatest < 2**e."""
    return math.frexp(greatest)[1]


def _cut(rest: Float64, weight: int, digits: Int64) -> Int64:
    """Take the whole multiples of 2**weight out of the values, in place, into `digits`."""
    for begin in range(0, len(rest), _CHUNK):
        part = rest[begin : begin + _CHUNK]
        whole = _shifted(part, -weight)
        np.trunc(whole, out=whole)
        digits[begin : begin + _CHUNK] = whole
        part -= _shifted(whole, weight)
    return digits


def _shifted(values: Float64, weight: int) -> Float64:
    """The values times 2**weight."""
    if abs(weight) < _PLAIN:
        return values * 2.0**weight  # what ldexp gives, at once
    found: Float64 = np.ldexp(values, weight)
    return found


def _rounded(limbs: list[Int64], bits: int, lowest: int) -> Float64:
    """The double nearest to sum(limb * 2**weight), weights falling by `bits` down to `lowest`."""
    if len(limbs) == 1:
        return _scaled(limbs[0], lowest)
    digits, negative = _normal_digits(limbs, bits)
    sums = _leading_bits(digits, bits, lowest)
    return np.where(negative, -sums, sums)


def _normal_digits(limbs: list[Int64], bits: int) -> tuple[Int64, Bool]:
    """Digits 0 <= d < 2**bits of the absolute values, and which sums are negative.

    One more digit stands before the first limb, three zeros after the last.
    """
    digits = np.zeros((len(limbs) + 4, len(limbs[0])), dtype=np.int64)
    digits[1:-3] = limbs
    _carry(digits, bits)
    negative = digits[0] < 0
    if negative.any():
        digits[:, negative] *= -1
        _carry(digits, bits)
    return digits, negative


def _carry(digits: Int64, bits: int) -> None:
    for place in range(len(digits) - 4, 0, -1):
        digits[place - 1] += digits[place] >> bits
        digits[place] &= (1 << bits) - 1


def _leading_bits(digits: Int64, bits: int, lowest: int) -> Float64:
    """Gather 62 leading bits, mark what is lost below them, and round once."""
    used = digits != 0
    lead = used.argmax(axis=0)
    each = np.arange(digits.shape[1])
    first = digits[lead, each]
    length = bit_lengths(first)
    gathered = np.zeros_like(first)
    lost = np.logical_or.accumulate(used[::-1], axis=0)[::-1][
        np.minimum(lead + 3, len(used) - 1), each
    ]
    room = _WINDOW - length + bits
    for place in range(3):
        digit = digits[np.minimum(lead + place, len(used) - 1), each]
        up, down = np.maximum(room - bits, 0), np.minimum(np.maximum(bits - room, 0), bits)
        gathered |= (digit << up) >> down
        lost |= (digit & ((np.int64(1) << down) - 1)) != 0
        room = up
    weight = lowest + bits * (len(digits) - 4 - lead) + length - _WINDOW
    return _scaled(gathered | lost, weight)


def _scaled(numbers: Int64, weight: Int64 | int) -> Float64:
    with np.errstate(over="ignore"):
        found: Float64 = np.ldexp(numbers.astype(np.float64), weight)
    return found


def variances(
    sums: Float64, squares: Float64, counts: Int64, *, sample: bool
) -> tuple[Float64, Values]:
    """Variances from exact sums of x and of x * x, and which of them are not null."""
    numbers = counts.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spread = squares - sums * sums / numbers
        found = np.maximum(spread / (numbers - 1.0 if sample else numbers), 0.0)
    return found, counts > (1 if sample else 0)
