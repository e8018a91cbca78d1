"""Casts of one value, as DuckDB does them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from headwater.definitions.types import NUMBERS, element, is_list
from headwater.errors import ComputeError

_PLAIN = (*NUMBERS, "bool")


def can_cast(before: str, after: str) -> bool:
    """Whether CAST is allowed between two types."""
    if before in ("null", after):
        return True
    if is_list(before) and is_list(after):
        return can_cast(element(before), element(after))
    if is_list(before) or is_list(after):
        return False
    if before in _PLAIN and after in (*_PLAIN, "string"):
        return True
    if before == "string":
        return after in (*_PLAIN, "date", "timestamp")
    return before in ("date", "timestamp") and after in ("date", "timestamp", "string")


def caster(dtype: str, *, is_try: bool = False) -> Callable[[Any], Any]:
    """A function that casts one value that is not null."""
    if dtype == "float64":
        return float
    if dtype in ("int32", "int64"):
        return _to_integer
    return lambda value: value


def _to_integer(value: Any) -> int:
    if isinstance(value, float) and not math.isfinite(value):
        raise ComputeError(f"{value} can't be cast to an integer")
    return round(value)
