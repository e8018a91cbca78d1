"""Backfill: the history of a view over an interval, from its source into its offline table.

The interval is computed chunk by chunk, each one commit, so a run that was cut short goes on
where it stopped, and what was computed from the same snapshot of the source is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from headwater.compute.history import sequence_history, ticked_history
from headwater.compute.latest import busy, parts_of
from headwater.compute.progress import OnProgress, Progress
from headwater.compute.reading import Reader
from headwater.definitions.ticks import DAY
from headwater.errors import DefinitionError, NotFoundError, NotSupportedError, near_miss
from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.offline.duckdb_names import DuckDBNames
from headwater.offline.intervals import Interval
from headwater.offline.layout import offline_schema
from headwater.offline.quarantine import Quarantine
from headwater.offline.tables import OfflineTables
from headwater.pipeline.checking import Gate, set_aside_timeless
from headwater.pipeline.materialize import snapshot_of
from headwater.pipeline.runs import OnRun, RunReport, recorded, unheard
from headwater.registry.kinds import now_us
from headwater.registry.store import Registry

CHUNK_TICKS = 256
ALWAYS = 2**63 - 1
"""Later than any row becomes known: each row says itself when it did."""


class Chunk(NamedTuple):
    """What is computed and committed at once: [start, end); `is_empty` where there are no rows."""

    start: int
    end: int
    is_empty: bool = False


@dataclass(frozen=True)
class Backfiller:
    """Backfills of one project: where values come from, where they go, where runs are logged.

    `reader_of` gives what reads the inputs of a view, the same one each time.
    """

    project: str
    analyzed: AnalyzedProject
    reader_of: Callable[[AnalyzedView], Reader]
    registry: Registry
    tables: OfflineTables
    names: DuckDBNames
    quarantine: Quarantine
    on_run: OnRun = unheard

    def run(
        self, name: str, start: int, end: int, *, on_progress: OnProgress | None = None
    ) -> RunReport:
        """Compute the view over [start, end) (microseconds), as far as it is not there yet."""
        view = self._view(name)
        if start >= end:
            raise DefinitionError("backfill: the interval is empty; its start lies before its end")
        began = time.monotonic()
        snapshot = snapshot_of(self.reader_of(view), view)
        timeless = set_aside_timeless(self.reader_of(view), view, self.quarantine)
        chunks = list(self._chunks(view, start, end, snapshot))
        if not chunks:
            self.names.refresh(view.revision)  # a run may have been cut short before this
            why = "the interval is there already, and the source is unchanged"
            return RunReport(view.name, view.revision, "backfill", skipped=why)
        gate = Gate(view, self.quarantine, f"backfill-{view.revision[:16]}-{snapshot}")
        known = {"start": start, "end": end, "snapshot": snapshot}
        with recorded(self.registry, self.project, view, "backfill", self.on_run, **known) as note:
            for done, chunk in enumerate(chunks, start=1):
                self._write(view, chunk, snapshot, gate)
                if on_progress is not None:
                    on_progress(Progress(view.name, gate.passed, done, len(chunks)))
            self.tables.compact(view.revision)
            self.names.refresh(view.revision)
            note(rows=gate.passed, published_at=now_us())
        return RunReport(
            view.name,
            view.revision,
            "backfill",
            rows=gate.passed + gate.rejected,
            written=gate.passed,
            quarantined=gate.rejected + timeless,
            seconds=time.monotonic() - began,
            rules=gate.counts,
        )

    def _view(self, name: str) -> AnalyzedView:
        view = self.analyzed.views.get(name)
        if view is None:
            raise NotFoundError(f"no feature view '{name}'{near_miss(name, self.analyzed.views)}")
        reason = no_history(view)
        if reason is not None:
            raise NotSupportedError(f"feature view '{name}': {reason}")
        return view

    def _chunks(self, view: AnalyzedView, start: int, end: int, snapshot: str) -> Iterator[Chunk]:
        """The parts of the interval that are missing, in pieces of a bounded number of ticks.

        What lies before all rows, or behind all that they reach, is one piece each.
        """
        missing = self.tables.missing(view.revision, Interval(start, end), snapshot)
        ticks = view.view.ticks
        if ticks is None:
            # All rows of a sequence are computed together, whatever interval is asked for.
            yield from (Chunk(*interval) for interval in missing)
            return
        step = max(DAY, ticks.period * CHUNK_TICKS)
        begun, over = busy(self.reader_of(view), view) if end - start > step else (start, end)
        for first, last in missing:
            low = min(first + max(0, begun - first) // step * step, last)
            pieces = -(-(last - low if over is None else max(0, over - low)) // step)
            high = min(low + pieces * step, last)
            if first < low:
                yield Chunk(first, low, is_empty=True)
            for piece in range(low, high, step):
                yield Chunk(piece, min(piece + step, high))
            if high < last:
                yield Chunk(high, last, is_empty=True)

    def _write(self, view: AnalyzedView, chunk: Chunk, snapshot: str, gate: Gate) -> None:
        schema, interval = offline_schema(view), Interval(chunk.start, chunk.end)
        rows = iter(()) if chunk.is_empty else self._checked(view, interval, gate)
        self.tables.write_interval(view.revision, schema, interval, snapshot, _cast(rows, schema))

    def _checked(
        self, view: AnalyzedView, interval: tuple[int, int], gate: Gate
    ) -> Iterator[pa.RecordBatch]:
        """The rows that pass. The others are in quarantine when the last one has been given, before
        the interval counts as done.
        """
        with gate.part(f"{interval[0]}-{interval[1]}"):
            for batch in self._batches(view, interval):
                yield gate.let_through(batch)
            self.reader_of(view).check_sources()

    def _batches(self, view: AnalyzedView, interval: tuple[int, int]) -> Iterator[pa.RecordBatch]:
        reader, ticks = self.reader_of(view), view.view.ticks
        total = parts_of(reader, view)
        for part in range(total):
            share = (part, total)
            if ticks is None:
                yield from sequence_history(reader, view, interval, ALWAYS, share)
            else:
                yield from ticked_history(
                    self.reader_of(view), view, ticks.between(*interval), share
                )


def no_history(view: AnalyzedView) -> str | None:
    """Why a view has no history that could be kept, or None."""
    if view.view.ticks is not None:
        return None
    if view.source is None or any(feature.kind == "windowed" for feature in view.features):
        return (
            "is evaluated at every instant, so its history has no end; give it ticks with "
            "update_frequency='daily' (or another)"
        )
    return None


def _cast(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.select(schema.names).cast(schema)
