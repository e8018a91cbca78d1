"""What a run has seen of a source, so that the next one reads what has come since and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import ROW_ID, DuckDBEngine, Scan, first_line, relative
from headwater.compute.engines.plain import ROW_BITS
from headwater.compute.facts import Facts
from headwater.compute.fetch import time_sql
from headwater.errors import ComputeError, SourceError
from headwater.expressions.printing import quote

EVENT_TIME, KNOWN_AT = '"#event_time"', '"#known_at"'


class SeenFile(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was seen, and the last event in it and the last knowledge of one
    (microseconds, the view's delay taken off); None without rows.
    """

    size: int
    modified: int
    last_event: int | None = None
    last_known: int | None = None

    def is_done(self, instant: int) -> bool:
        """Whether all its rows counted at an instant."""
        last = max(self.last_event or instant, self.last_known or instant)
        return last <= instant

    def is_same(self, other: SeenFile) -> bool:
        return (self.size, self.modified) == (other.size, other.modified)


class Seen(msgspec.Struct, frozen=True):
    """The files of a source by their paths from the project's folder, and their columns' types, as
    a run at `instant` saw them.
    """

    instant: int
    columns: str
    files: dict[str, SeenFile]

    def why_not(self, now: Seen) -> str | None:
        """Why what was computed from these files can't be carried on to others, or None."""
        if now.instant < self.instant:
            return "the last run was of a later time"
        if now.columns != self.columns:
            return "columns of the source have changed"
        for name, file in self.files.items():
            if name not in now.files:
                return f"file '{name}' of the source has gone"
            if not file.is_same(now.files[name]):
                return f"file '{name}' of the source has changed"
        return None


def see(
    engine: DuckDBEngine, scan: Scan, instant: int, data_delay: int, before: Seen | None
) -> Seen:
    """The files of a scan; in those that were seen before, nothing is read."""
    known = {} if before is None else before.files
    names = {file: _name(engine, file) for file in scan.files}
    files: dict[str, SeenFile] = {}
    new: list[str] = []
    for path, name in names.items():
        files[name] = _stamped(scan, path)
        if name in known and known[name].is_same(files[name]):
            files[name] = known[name]
        else:
            new.append(path)
    for path, last in zip(new, _last_times(engine, scan, new, data_delay), strict=True):
        found = files[names[path]]
        files[names[path]] = SeenFile(found.size, found.modified, *last)
    told = repr((sorted(scan.columns.items()), sorted(scan.selects.items()), scan.partitions))
    return Seen(instant, hashlib.sha256(told.encode()).hexdigest()[:16], files)


@dataclass(frozen=True)
class Unseen:
    """Files with rows that did not count when others were seen: `known` that had been seen, then
    `new` ones, and perhaps others behind them.
    """

    scan: Scan
    known: int
    new: int
    instant: int

    @property
    def condition(self) -> str:
        """SQL for the rows of a `timed` scan that did not count."""
        is_later = f"{EVENT_TIME} > {self.instant} OR {KNOWN_AT} > {self.instant}"
        first, behind = self._rows
        row = quote(ROW_ID)
        return f"({is_later} OR {row} >= {first} AND {row} < {behind})"

    def are_new(self, facts: Facts) -> NDArray[np.bool_]:
        """Which of the scan's facts did not count."""
        rows = facts.rows
        is_later = (rows.event_time > self.instant) | (rows.available_at > self.instant)
        first, behind = self._rows
        return is_later | ((facts.row_id >= first) & (facts.row_id < behind))

    @property
    def _rows(self) -> tuple[int, int]:
        """The ids of the rows of the new files."""
        return self.known << ROW_BITS, (self.known + self.new) << ROW_BITS


def unseen(engine: DuckDBEngine, scan: Scan, before: Seen) -> Unseen:
    """The files of a scan that hold rows which did not count when others were seen."""
    seen = {file: before.files.get(_name(engine, file)) for file in scan.files}
    known = [f for f, found in seen.items() if found and not found.is_done(before.instant)]
    new = [file for file, found in seen.items() if found is None]
    narrowed = engine.narrowed(scan, (*known, *new))
    return Unseen(narrowed, len(known), len(new), before.instant)


def counted(engine: DuckDBEngine, scan: Scan, before: Seen) -> Scan:
    """The files of a scan that had been seen."""
    files = tuple(file for file in scan.files if _name(engine, file) in before.files)
    return engine.narrowed(scan, files)


def timed(scan: Scan, data_delay: int) -> str:
    """SQL for the rows of a scan with their event time and when they count as known."""
    source, columns = scan.source, scan.columns
    event_time = known_at = time_sql(source, "event_time", columns)
    if source.available_at is not None:
        known_at = f"coalesce({time_sql(source, 'available_at', columns)}, {event_time})"
    if source.available_at is not None or source.id_columns:
        known_at = f"{known_at} - {data_delay}"
    return (
        f"(SELECT *, {event_time} AS {EVENT_TIME}, {known_at} AS {KNOWN_AT} FROM {scan.relation} "
        f"WHERE {event_time} IS NOT NULL)"
    )


def _last_times(
    engine: DuckDBEngine, scan: Scan, files: Sequence[str], data_delay: int
) -> list[tuple[int | None, int | None]]:
    """The last event and the last knowledge in each of some files."""
    if not files:
        return []
    rows = timed(engine.narrowed(scan, files), data_delay)
    sql = (
        f"SELECT {quote(ROW_ID)} >> {ROW_BITS} AS file, max({EVENT_TIME}) AS event, "
        f"max({KNOWN_AT}) AS known FROM {rows} GROUP BY file"
    )
    try:
        found = {row["file"]: row for row in engine.query(sql).to_pylist()}
    except duckdb.Error as error:
        raise ComputeError(f"source '{scan.source.name}': {first_line(error)}") from None
    rows_of = (found.get(place, {}) for place in range(len(files)))
    return [(row.get("event"), row.get("known")) for row in rows_of]


def _stamped(scan: Scan, file: str) -> SeenFile:
    try:
        stat = Path(file).stat()
    except OSError as error:
        raise SourceError(f"source '{scan.source.name}': a file can't be read: {error}") from None
    return SeenFile(stat.st_size, stat.st_mtime_ns)


def _name(engine: DuckDBEngine, file: str) -> str:
    return relative(file, engine.base)
