"""Training sets in pieces of a bounded size: the rows of a spine one part after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.historical import Historical, Options, Request
from headwater.compute.spine import Spine, read_spine

PIECE_CELLS = 16_000_000
"""Values of features in one piece: 128 MB of them, if they are numbers."""
WHOLE_ROWS = 8_000_000
"""Rows that are computed at once where all are wanted in memory: each piece reads the sources."""


@dataclass(frozen=True)
class Spines:
    """A number of spines, one after the other."""

    count: int
    each: Iterator[Spine]


class Rows(Protocol):
    """Rows for which features are wanted."""

    def spines(self, historical: Historical, timestamp: str, rows: int) -> Spines:
        """The rows, in spines of at most `rows` rows; at least one spine. Raises SpineError."""


@dataclass(frozen=True)
class GivenRows:
    """The rows of a spine in any form that users have."""

    engine: DuckDBEngine
    given: Any

    def spines(self, historical: Historical, timestamp: str, rows: int) -> Spines:  # noqa: ARG002
        spine = read_spine(self.given, timestamp, self.engine)
        return sliced(spine, rows)


def sliced(spine: Spine, rows: int) -> Spines:
    """A spine cut into spines of at most `rows` rows."""
    starts = range(0, max(spine.rows, 1), rows)
    each = (
        Spine(spine.table.slice(at, rows), spine.timestamp, spine.times[at : at + rows])
        for at in starts
    )
    return Spines(len(starts), each)


@dataclass(frozen=True)
class Retrieval:
    """Features for rows, piece by piece."""

    engine: DuckDBEngine
    rows: Rows
    requests: tuple[Request, ...]
    options: Options

    def whole(self) -> pa.Table:
        """All rows in one table."""
        return pa.concat_tables(self.pieces(WHOLE_ROWS))

    def pieces(self, rows: int | None = None) -> Iterator[pa.Table]:
        """Tables of at most `rows` rows, else of PIECE_CELLS values; at least one. Each has the
        rows' columns, then one a request.

        Raises SpineError, and SourceError where a source's file changes meanwhile.
        """
        size = rows or max(1, PIECE_CELLS // max(len(self.requests), 1))
        historical = Historical(self.engine, self.requests, self.options)
        spines = self.rows.spines(historical, self.options.timestamp, size)
        for place, spine in enumerate(spines.each):
            yield historical.table(spine, (place, spines.count))
            historical.check_sources()
