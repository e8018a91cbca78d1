"""Materialize: the latest values of a view's keys, from its source into the online store.

A run fixes its instant first (the latest visible tick, or the cut), computes hash part by hash
part, and publishes the instant last. Every step may be repeated: rows that are there already stay
as they are, and a run that was cut short goes on behind the last part that it finished.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec
import pyarrow as pa

from headwater.compute.latest import LatestPart, latest_part, parts_of
from headwater.compute.reading import Reader
from headwater.compute.values import whole
from headwater.errors import ConflictError, NotFoundError, NotSupportedError, near_miss
from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.offline.quarantine import Quarantine
from headwater.online.codec import Layout, encode_delete, encode_key, encode_keys
from headwater.online.store import OnlineStore
from headwater.pipeline.checking import Gate, set_aside_timeless
from headwater.pipeline.runs import OnProgress, Progress, RunReport, last_run, recorded
from headwater.registry.kinds import now_us
from headwater.registry.store import Registry

WRITE_ROWS = 50_000


@dataclass(frozen=True)
class Materializer:
    """Runs of one project: where values come from, where they go, where runs are logged."""

    project: str
    analyzed: AnalyzedProject
    reader: Reader
    registry: Registry
    online: OnlineStore
    quarantine: Quarantine

    def run(
        self,
        names: Sequence[str] | None,
        *,
        until: int | None = None,
        on_progress: OnProgress | None = None,
        workers: int = 2,
    ) -> list[RunReport]:
        """Materialize the named views, or all that can be; independent views side by side."""
        views = self._chosen(names)
        with ThreadPoolExecutor(max_workers=max(1, min(workers, len(views) or 1))) as pool:
            jobs = [pool.submit(self._view, view, until, on_progress) for view in views]
            return [job.result() for job in jobs]

    def _chosen(self, names: Sequence[str] | None) -> list[AnalyzedView]:
        if names is None:
            return [v for v in self.analyzed.views.values() if why_not(v) is None]
        views = []
        for name in dict.fromkeys(names):
            found = self.analyzed.views.get(name)
            if found is None:
                hint = near_miss(name, self.analyzed.views)
                raise NotFoundError(f"no feature view '{name}'{hint}")
            reason = why_not(found)
            if reason is not None:
                raise NotSupportedError(f"feature view '{name}': {reason}")
            views.append(found)
        return views

    def _view(
        self, view: AnalyzedView, until: int | None, on_progress: OnProgress | None
    ) -> RunReport:
        began = time.monotonic()
        clock = now_us() if until is None else until
        instant = instant_of(view, clock)
        cut = clock if view.view.ticks is None else instant + view.view.data_delay
        snapshot = snapshot_of(self.reader, self.analyzed, view)
        report = RunReport(view.name, view.revision, "materialize", tick=instant)
        published = self.online.published(self.project, [view.revision])[0]
        last = last_run(self.registry, self.project, view, "materialize")
        if published is not None and published > instant:
            return replace(report, skipped="a later tick is published already")
        same = last is not None and last.tick == instant and last.snapshot == snapshot
        if published == instant and same:
            return replace(report, skipped="this tick is published, and the source is unchanged")
        with recorded(
            self.registry, self.project, view, "materialize", tick=instant, snapshot=snapshot
        ) as note:
            done = self._parts(_Run(view, instant, cut, published, snapshot), report, on_progress)
            self.online.publish(self.project, view.revision, instant)
            note(rows=done.rows, published_at=now_us())
        return replace(done, seconds=time.monotonic() - began)

    def _parts(self, run: _Run, report: RunReport, on_progress: OnProgress | None) -> RunReport:
        total = parts_of(self.reader, run.view)
        mark = _Mark(self.online, self.project, run, total)
        name = f"materialize-{run.view.revision[:16]}-{run.instant}-{run.snapshot}"
        gate = Gate(run.view, self.quarantine, name)
        for part in range(mark.done(), total):
            found = latest_part(self.reader, run.view, run.instant, run.published, (part, total))
            with gate.part(str(part)):
                report = self._write(run, found, gate, report)
            mark.set(part + 1)
            if on_progress is not None:
                on_progress(Progress(run.view.name, report.rows, part + 1, total))
        mark.clear()
        timeless = set_aside_timeless(self.reader, run.view, self.quarantine, run.snapshot)
        return replace(report, quarantined=gate.rejected + timeless, rules=gate.counts)

    def _write(self, run: _Run, part: LatestPart, gate: Gate, report: RunReport) -> RunReport:
        view = run.view
        layout = Layout(tuple((f.name, f.dtype) for f in view.stored_features))
        for start in range(0, part.rows.num_rows, WRITE_ROWS):
            rows = part.rows.slice(start, WRITE_ROWS)
            times = part.event_time[start : start + WRITE_ROWS]
            known = part.known_at[start : start + WRITE_ROWS] + view.view.data_delay
            timed = rows.append_column("_event_time", pa.array(times))
            passed = gate.let_through(_batch(timed.append_column("_known_at", pa.array(known))))
            report = replace(report, rows=report.rows + rows.num_rows)
            report = self._store(run, layout, passed, report)
        if any(feature.kind == "windowed" for feature in view.features):
            self._forget(run, part.gone)
        return report

    def _store(
        self, run: _Run, layout: Layout, batch: pa.RecordBatch, report: RunReport
    ) -> RunReport:
        keys = _keys(batch, run.view)
        rows = layout.encode_batch(
            batch,
            batch.column("_event_time").cast(pa.timestamp("us", "UTC")),
            batch.column("_known_at").cast(pa.timestamp("us", "UTC")),
            cut=run.cut,
        )
        order = sorted(range(len(keys)), key=keys.__getitem__)
        written = self.online.write(
            self.project,
            run.view.revision,
            [keys[i] for i in order],
            [rows[i] for i in order],
        )
        return replace(
            report,
            written=report.written + written.written,
            ahead=report.ahead + len(written.rejected),
        )

    def _forget(self, run: _Run, gone: pa.Table) -> None:
        """Take back the rows of keys whose windows have emptied."""
        for start in range(0, gone.num_rows, WRITE_ROWS):
            keys = sorted(_keys(_batch(gone.slice(start, WRITE_ROWS)), run.view))
            tombstone = encode_delete(run.instant, run.cut)
            self.online.write(self.project, run.view.revision, keys, [tombstone] * len(keys))


@dataclass(frozen=True)
class _Run:
    """One view's run: evaluated at `instant`, from what is known by `cut`."""

    view: AnalyzedView
    instant: int
    cut: int
    published: int | None
    snapshot: str


@dataclass(frozen=True)
class _Mark:
    """How many parts of a run are written, kept beside the rows, so that a run can go on."""

    online: OnlineStore
    project: str
    run: _Run
    total: int

    @property
    def _name(self) -> str:
        return f"run/{self.run.view.revision}"

    def _content(self, done: int) -> bytes:
        return msgspec.msgpack.encode([self.run.instant, self.run.snapshot, self.total, done])

    def done(self) -> int:
        """The parts that an unfinished run of the same instant and snapshot has written."""
        kept = self.online.get_document(self.project, self._name)
        if kept is None:
            return 0
        instant, snapshot, total, done = msgspec.msgpack.decode(kept)
        same = (instant, snapshot, total) == (self.run.instant, self.run.snapshot, self.total)
        return int(done) if same else 0

    def set(self, done: int) -> None:
        self._put(self._content(done))

    def clear(self) -> None:
        self._put(None)

    def _put(self, new: bytes | None) -> None:
        expected = self.online.get_document(self.project, self._name)
        try:
            self.online.put_document(self.project, self._name, new, expected)
        except ConflictError:
            # Another run of the same view moves the mark: both write the same rows.
            return


def why_not(view: AnalyzedView) -> str | None:
    """Why a view can't be materialized, or None."""
    if not view.stored:
        return "is computed when it is read; there is nothing to materialize"
    if view.view.ticks is None and any(f.kind == "windowed" for f in view.features):
        return (
            "has windows and update_frequency='real_time', which only a stream can keep up; "
            "set update_frequency='hourly' (or another) to materialize it"
        )
    return None


def instant_of(view: AnalyzedView, cut: int) -> int:
    """The instant that a run at `cut` evaluates: the latest visible tick, else the cut itself."""
    ticks = view.view.ticks
    return cut if ticks is None else ticks.latest(cut - view.view.data_delay)


def snapshot_of(reader: Reader, project: AnalyzedProject, view: AnalyzedView) -> str:
    """A text for the rows that a run sees: of the view's source, or of all that it reads."""
    if view.source is not None:
        return reader.engine.snapshot(view.source)
    parts = [snapshot_of(reader, project, project.views[name]) for name in view.inputs]
    return "+".join(sorted(set(parts)))


def _batch(table: pa.Table) -> pa.RecordBatch:
    columns = [whole(column) for column in table.columns]
    if not columns:
        return pa.RecordBatch.from_pylist([{}] * table.num_rows)
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _keys(batch: pa.RecordBatch, view: AnalyzedView) -> list[bytes]:
    if not view.join_keys:
        return [encode_key(()) or b""] * batch.num_rows
    found: Iterable[bytes | None] = encode_keys([batch.column(name) for name in view.join_keys])
    return [key for key in found if key is not None]
