"""Which rows each window sees, in two forms that answer the same questions.

`Ranges`: every window is a run of neighbouring rows. `Covers`: every row is seen by a run of
neighbouring queries, which holds whatever became known late or was replaced. In both, the rows
are sorted by key and C4's order, the queries by key and time; windows are numbered frame by
frame: window = frame * queries + query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from headwater.compute.kernels.covers import Covers
from headwater.compute.kernels.rows import Bool, Int64
from headwater.compute.kernels.selection import Ranking


class Seen(Protocol):
    """What the aggregates need to know of the windows; `begin` bounds the rows of each group."""

    @property
    def begin(self) -> Int64: ...

    def pick(self, frames: Sequence[int]) -> Self:
        """The windows of these frames alone."""

    def keep(self, mask: Bool) -> Self:
        """The same windows over fewer rows, which are numbered anew."""

    def totals(self, numbers: Int64) -> Int64:
        """The sum of the rows of each window, modulo 2**64."""

    def seen_by(self, windows: Bool) -> Bool:
        """The rows that any of the chosen windows sees."""

    def as_covers(self) -> Covers:
        """The same windows as the queries that see each row."""

    def counts(self) -> Int64:
        """The number of rows of each window."""

    def greatest(self, codes: Int64) -> Int64:
        """The greatest code of each window, NOTHING in an empty one."""

    def distinct(self, codes: Int64) -> Int64:
        """The number of different codes in each window."""

    def ends(self) -> tuple[Int64, Int64]:
        """The first and the last row of each window, -1 in an empty one."""

    def kth(self, ranking: Ranking, window: Int64, k: Int64) -> Int64:
        """The row with the k-th smallest rank in each given window, which has more than k."""

    def latest(self, window: Int64, count: Int64) -> Int64:
        """The last `count` rows of each given window, oldest first, one list after the other."""
