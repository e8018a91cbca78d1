"""The statuses of a served value (C12)."""

from __future__ import annotations

PRESENT = "PRESENT"
NULL_VALUE = "NULL_VALUE"
NOT_FOUND = "NOT_FOUND"
OUTSIDE_MAX_AGE = "OUTSIDE_MAX_AGE"


def why_null(inputs: set[str]) -> str:
    """The status of a null result: what all its inputs say, NULL_VALUE where they differ."""
    return inputs.pop() if len(inputs) == 1 and PRESENT not in inputs else NULL_VALUE
