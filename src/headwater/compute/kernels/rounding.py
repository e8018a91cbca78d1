"""Floats rounded to few binary digits: what approximate quantiles tell apart."""

from __future__ import annotations

import numpy as np

from headwater.compute.kernels.rows import Float64, Int64, Values
from headwater.compute.kernels.sorting import canonical_floats, from_codes, to_codes

DIGITS = 7
_LOST = 53 - DIGITS
_SIGN = np.int64(-(2**63))
_LARGEST = np.int64(0x7FEF_FFFF_FFFF_FFFF >> _LOST << _LOST)


def rounded_codes(values: Values) -> Int64:
    """Small integers that sort as the values do, rounded to DIGITS significant binary digits.

    The nearest such number, of two the greater in size; the greatest of them stands for what would
    round to an infinity. Zero, infinities and NaN stay what they are.
    """
    bits = canonical_floats(values).view(np.int64)
    sign = bits & _SIGN
    size = bits ^ sign
    is_finite = size < np.int64(0x7FF0_0000_0000_0000)
    size = np.where(
        is_finite, np.minimum((size + (1 << (_LOST - 1))) >> _LOST << _LOST, _LARGEST), size
    )
    rounded = (size | sign).view(np.float64)
    return to_codes(rounded) >> _LOST


def from_rounded(codes: Int64) -> Float64:
    """The numbers behind codes."""
    # what was lost are zeros, which are ones in the code of a negative number
    full = (codes << _LOST) | np.where(codes < 0, (np.int64(1) << _LOST) - 1, 0)
    found: Float64 = from_codes(full, np.dtype(np.float64))
    return found
