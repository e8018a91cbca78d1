"""Numbers by which two results of one work are told to be equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def table_sums(columns: Sequence[str]) -> Callable[[Any], list[float]]:
    """Of an Arrow table: its rows, and of each column the nulls and two weighted sums.

    The weights follow the rows, so that values in another order give other numbers.
    """

    def sums(table: Any) -> list[float]:
        import numpy as np

        weight = np.arange(table.num_rows) % 1009
        found: list[float] = [table.num_rows]
        for name in columns:
            column = table[name]
            values = column.fill_null(0).to_numpy().astype(np.float64)
            found += [column.null_count, float(values.sum()), float((values * weight).sum())]
        return found

    return sums


def agree(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two lists of such numbers are equal up to the rounding of sums."""
    return len(first) == len(second) and all(
        abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b)) for a, b in zip(first, second, strict=True)
    )
