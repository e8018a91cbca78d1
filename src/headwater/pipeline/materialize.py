"""Materialize: the latest values of a view's keys, from its source into the online store.

A run fixes its instant first (the latest visible tick, or the last change of the source), computes
hash part by hash part, and publishes the instant last. Every step may be repeated: rows that are
there already stay as they are, and a run that was cut short goes on behind the last part that it
finished.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import pyarrow as pa

from headwater.compute.fetch import last_change
from headwater.compute.latest import active_keys, parts_of
from headwater.compute.progress import OnProgress, Progress
from headwater.compute.reading import Reader
from headwater.errors import (
    ConflictError,
    DefinitionError,
    HeadwaterError,
    NotFoundError,
    NotSupportedError,
    near_miss,
)
from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.expressions.unseen import unstorable
from headwater.offline.quarantine import Quarantine
from headwater.offline.states import RunStates
from headwater.online.codec import from_micros
from headwater.online.store import ALLOWED_SKEW, OnlineStore
from headwater.pipeline.carrying import Work, work_of
from headwater.pipeline.checking import Gate, set_aside_timeless
from headwater.pipeline.loading import RunLoad
from headwater.pipeline.marks import Evaluation, FirstRuns, Mark, Tombstones
from headwater.pipeline.runs import OnRun, RunReport, is_settled, recorded, unheard
from headwater.registry.kinds import now_us
from headwater.registry.store import Registry


@dataclass(frozen=True)
class Target:
    """A view to run, and a reader of the project with which it was analysed."""

    view: AnalyzedView
    reader: Reader


@dataclass(frozen=True)
class Materializer:
    """Runs of one project: what there is to run, where values go, where runs are logged.

    `earlier` are revisions that are no longer current and still served, since a service is pinned
    to one of their features or a version was rolled back to; `warm` are those that a rollback may
    still lead to. Both run with the view of their name.
    """

    project: str
    current: Sequence[Target]
    earlier: Sequence[Target]
    warm: Sequence[Target]
    registry: Registry
    online: OnlineStore
    quarantine: Quarantine
    states: RunStates
    on_run: OnRun = unheard

    def run(
        self,
        names: Sequence[str] | None,
        *,
        until: int | None = None,
        on_progress: OnProgress | None = None,
        workers: int = 2,
    ) -> list[RunReport]:
        """Materialize the named views, or all that can be; independent views side by side.

        `until` (microseconds) is the time as of which values are taken, now unless given. Where
        one view fails the others are done, then its error is raised.
        """
        clock = now_us() if until is None else until
        if clock > now_us() + ALLOWED_SKEW:
            raise DefinitionError(
                f"materialize: 'until' is {from_micros(clock).isoformat()}, which lies in the "
                "future; the latest values are those of now"
            )
        tell = on_progress or (lambda _: None)
        targets = self._chosen(names)
        done = self._side_by_side(targets, clock, tell, workers)
        views = {target.view.name for target in targets}
        kept = [target for target in self.warm if target.view.name in views]
        return [*done, *(self._keep_warm(target, clock, tell) for target in kept)]

    def _side_by_side(
        self, targets: Sequence[Target], clock: int, tell: OnProgress, workers: int
    ) -> list[RunReport]:
        if len(targets) == 1:
            return [self._run(targets[0], clock, tell)]
        stopped = threading.Event()

        def tell_or_stop(state: Progress) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            tell(state)

        with ThreadPoolExecutor(max_workers=max(1, min(workers, len(targets)))) as pool:
            try:
                jobs = [pool.submit(self._run, target, clock, tell_or_stop) for target in targets]
                wait(jobs)
            except KeyboardInterrupt:
                # It reaches this thread only; the others hear of it at their next step.
                stopped.set()
                raise
        return [job.result() for job in jobs]

    def _keep_warm(self, target: Target, clock: int, tell: OnProgress) -> RunReport:
        """Run a revision that nothing reads; what fails in it fails nobody."""
        try:
            return self._run(target, clock, tell)
        except HeadwaterError as error:
            view = target.view
            reason = f"not kept warm for a rollback: {error}"
            return RunReport(view.name, view.revision, "materialize", skipped=reason)

    def _chosen(self, names: Sequence[str] | None) -> list[Target]:
        if names is None:
            chosen = [target for target in self.current if _can_run(target)]
        else:
            chosen = [self._named(name) for name in dict.fromkeys(names)]
        wanted = {target.view.name for target in chosen}
        earlier = [t for t in self.earlier if names is None or t.view.name in wanted]
        return [*chosen, *(target for target in earlier if _can_run(target))]

    def _named(self, name: str) -> Target:
        known = {target.view.name: target for target in self.current}
        found = known.get(name)
        if found is None:
            raise NotFoundError(f"no feature view '{name}'{near_miss(name, known)}")
        reason = why_not(found.view, found.reader.project)
        if reason is not None:
            raise NotSupportedError(f"feature view '{name}': {reason}")
        return found

    def _run(self, target: Target, clock: int, tell: OnProgress) -> RunReport:
        began = time.monotonic()
        run = self._evaluation(target, clock)
        report = RunReport(run.view.name, run.view.revision, "materialize", tick=run.instant)
        reason = self._nothing_to_do(run)
        if reason is not None:
            return replace(report, skipped=reason)
        known = {"tick": run.instant, "snapshot": run.snapshot}
        with recorded(
            self.registry, self.project, run.view, "materialize", self.on_run, **known
        ) as note:
            self._refuse_emptied(run)
            work = work_of(target.reader, run, self.states, self.online, self.project)
            done = self._parts(target.reader, run, work, report, tell)
            self.online.publish(self.project, run.view.revision, run.instant)
            work.keep()
            note(rows=done.rows, published_at=now_us())
        if run.since is not None:
            self._first_runs(run.view).end(run.since)
        Tombstones(self.online, self.project, run.view.revision).sweep(run.cut)
        return replace(done, seconds=time.monotonic() - began)

    def _evaluation(self, target: Target, clock: int) -> Evaluation:
        view = target.view
        published = self.online.published(self.project, [view.revision])[0]
        snapshot = snapshot_of(target.reader, view)
        instant = instant_of(target.reader, view, clock, published)
        if published is None:
            self._first_runs(view).begin(instant)
        known = [t for t in (published, self._first_runs(view).earliest()) if t is not None]
        cut = instant + view.view.data_delay
        since = min(known, default=None)
        return Evaluation(view, instant, cut, published, since, snapshot)

    def _refuse_emptied(self, run: Evaluation) -> None:
        """Don't bring up to date what has been removed since the run was evaluated."""
        revision = run.view.revision
        is_empty = self.online.published(self.project, [revision])[0] is None
        if is_empty and run.published is not None:
            raise ConflictError(
                f"feature view '{run.view.name}': the values of revision {revision[:12]} were "
                "removed meanwhile; run materialize again"
            )

    def _first_runs(self, view: AnalyzedView) -> FirstRuns:
        return FirstRuns(self.online, self.project, view.revision)

    def _nothing_to_do(self, run: Evaluation) -> str | None:
        if run.published is None or run.published < run.instant:
            return None
        if run.published > run.instant:
            return "a later tick is published already"
        if is_settled(self.registry, self.project, run.view, run.instant, run.snapshot):
            return "this tick is published, and the source is unchanged"
        return None

    def _parts(
        self, reader: Reader, run: Evaluation, work: Work, report: RunReport, tell: OnProgress
    ) -> RunReport:
        view, total = run.view, work.total
        told = replace(run, snapshot=run.snapshot + work.name)
        mark = Mark(self.online, self.project, told, total)
        name = f"materialize-{view.revision[:16]}-{run.instant}-{told.snapshot}"
        gate = Gate(view, self.quarantine, name)
        with RunLoad(self.online, self.project, run, gate, reader.engine.scratch) as load:
            first = work.done(mark.done())
            if first and work.is_whole:
                load.add_seen(_all_keys(reader, run))
            tell(Progress(view.name, 0, first, total))
            for part in range(first, total):
                with gate.part(str(part)):
                    for piece in work.part(part):
                        load.add(piece)
                        tell(Progress(view.name, load.rows, part + piece.share, total))
                    reader.check_sources()
                if load.is_full or part + 1 == total:
                    load.flush(tell)
                    mark.set(part + 1)
            if work.is_whole:
                load.remove_vanished()
        mark.clear()
        timeless = set_aside_timeless(reader, view, self.quarantine)
        return replace(
            report,
            rows=load.rows,
            written=load.written,
            ahead=load.ahead,
            quarantined=gate.rejected + timeless,
            rules=gate.counts,
            read=work.read,
            anew=work.anew,
        )


def _all_keys(reader: Reader, run: Evaluation) -> Iterator[pa.Table]:
    """The keys that a run looks at, in tables of bounded size."""
    total = parts_of(reader, run.view)
    for part in range(total):
        yield active_keys(reader, run.view, run.instant, run.since, (part, total)).table


def _can_run(target: Target) -> bool:
    return why_not(target.view, target.reader.project) is None


def why_not(view: AnalyzedView, project: AnalyzedProject) -> str | None:
    """Why a view of a project can't be materialized, or None."""
    if not view.stored:
        return "is computed when it is read; there is nothing to materialize"
    if view.view.ticks is None and any(f.kind == "windowed" for f in view.features):
        return (
            "has windows and update_frequency='real_time', which only a stream can keep up; "
            "set update_frequency='hourly' (or another) to materialize it"
        )
    return unstorable(project, view)


def instant_of(reader: Reader, view: AnalyzedView, clock: int, published: int | None) -> int:
    """The instant that a run at `clock` evaluates: the latest visible tick, else the last change.

    Without ticks the values at the clock are those of the last instant at which a row took effect.
    As the run's cut that instant leaves alone what was pushed since (C13), and a rerun finds that
    nothing has changed. It never goes back, even where the source has lost rows.
    """
    ticks = view.view.ticks
    if ticks is not None:
        return ticks.latest(clock - view.view.data_delay)
    changed = None
    if view.source is not None:
        changed = last_change(reader.engine_of(view), reader.scan(view.source), clock)
    known = [instant for instant in (changed, published) if instant is not None]
    return max((instant for instant in known if instant <= clock), default=clock)


def snapshot_of(reader: Reader, view: AnalyzedView) -> str:
    """A text for the rows that a run sees: of the view's source, or of all that it reads."""
    if view.source is not None:
        return reader.engine.snapshot(view.source)
    parts = {snapshot_of(reader, reader.project.views[name]) for name in view.inputs}
    return "+".join(sorted(parts))
