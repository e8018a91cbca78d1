"""Whether a value is the one that the oracle says."""

from __future__ import annotations

import math
import struct
from typing import Any

from oracle.aggregates import Near


def agrees(expected: Any, actual: Any) -> bool:
    """Bit for bit, all NaN alike, and of one type; variances within their tolerance."""
    if isinstance(expected, Near) and math.isinf(expected.tolerance):
        return True
    if expected is None or actual is None:
        return expected is None and actual is None
    if isinstance(expected, Near) and isinstance(actual, float):
        return _is_near(expected, actual)
    expected, actual = _parts(expected), _parts(actual)
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        return len(expected) == len(actual) and all(map(agrees, expected, actual))
    if isinstance(expected, float) and isinstance(actual, float):
        return _bits(expected) == _bits(actual)
    return type(expected) is type(actual) and expected == actual


def _parts(value: Any) -> Any:
    """A struct or a map as the pairs that it is made of, in their order."""
    return list(value.items()) if isinstance(value, dict) else value


def _is_near(expected: Near, actual: float) -> bool:
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return abs(expected - actual) <= expected.tolerance


def _bits(value: float) -> bytes:
    return struct.pack(">d", math.nan if math.isnan(value) else value)
