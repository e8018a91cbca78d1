"""Runs: what the pipeline did, recorded before and after, and reported while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from headwater.errors import ConflictError, HeadwaterError
from headwater.expressions.analyzed import AnalyzedView
from headwater.quality.validation import RuleCount
from headwater.registry.kinds import Run, new_id, now_us
from headwater.registry.store import Registry

RECENT = 50
OnRun = Callable[[Run], None]


def unheard(_run: Run) -> None:
    """Tells nobody of a run."""


@dataclass(frozen=True)
class RunReport:
    """What a run did to one view; times in microseconds UTC.

    `rows` were computed, of which `written` changed something; `quarantined` failed a blocking
    rule, `ahead` lie later than the clock and were set aside. `skipped` says why there was nothing
    to do. Of views that runs carry on, `read` counts the rows of the files that were read, and
    `anew` says why all was computed from the first row.
    """

    view: str
    revision: str
    operation: str
    tick: int | None = None
    rows: int = 0
    written: int = 0
    quarantined: int = 0
    ahead: int = 0
    seconds: float = 0.0
    skipped: str | None = None
    read: int | None = None
    anew: str | None = None
    rules: tuple[RuleCount, ...] = field(default=())


@contextmanager
def recorded(
    registry: Registry,
    project: str,
    view: AnalyzedView,
    operation: str,
    on_run: OnRun = unheard,
    **known: object,
) -> Iterator[Callable[..., None]]:
    """Keep a run in the run log: `running` at once, then `done`, or `failed` with its error.

    `on_run` is told of each of these. Yields what takes the fields that the run has found out
    (`rows`, `published_at`, ...). Raises ConflictError where gc has given the revision up.
    """
    at = now_us()
    run = Run(new_id(at), operation, view.name, view.revision, at)
    run = msgspec.structs.replace(run, **known)
    registry.put(project, [run])
    on_run(run)
    found: dict[str, object] = {}
    try:
        _refuse_collected(registry, project, run)
        yield lambda **fields: found.update(fields)
    except BaseException as error:
        text = _why(error)
        failed = msgspec.structs.replace(
            run, status="failed", finished_at=now_us(), error=text[:2_000], **found
        )
        registry.put(project, [failed])
        on_run(failed)
        raise
    done = msgspec.structs.replace(run, status="done", finished_at=now_us(), **found)
    registry.put(project, [done, *_cut_short(registry, project, run)])
    on_run(done)


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "was stopped"
    return str(error) if isinstance(error, HeadwaterError) else type(error).__name__


def _refuse_collected(registry: Registry, project: str, run: Run) -> None:
    """Don't fill what gc is about to remove; it looks for runs after it has marked a revision."""
    entry = registry.head(project).revisions.get(run.revision)
    if entry is not None and entry.collected_at is not None:
        raise ConflictError(
            f"feature view '{run.view}': revision {run.revision[:12]} is no longer read, and gc "
            f"removes its values; run {run.operation} again"
        )


def _cut_short(registry: Registry, project: str, run: Run) -> list[Run]:
    """Earlier runs that have not said how they ended, closed. One that still works says so later.

    When they ended is not known, so `finished_at` stays empty.
    """
    where = {"revision": run.revision, "operation": run.operation, "status": "running"}
    open_runs = registry.list(project, Run, where=where, limit=RECENT)
    error = f"was cut short; run {run.id} finished after it"
    return [
        msgspec.structs.replace(other, status="failed", error=error)
        for other in open_runs
        if other.started_at < run.started_at
    ]


def is_settled(
    registry: Registry, project: str, view: AnalyzedView, tick: int, snapshot: str
) -> bool:
    """Whether the store holds what a run of this tick and snapshot writes.

    It does where such a run is done and none of the tick, but from another snapshot, was still
    writing after it had begun: of two at once the one that is later may be the older.
    """
    where = {"revision": view.revision, "operation": "materialize"}
    runs = [r for r in registry.list(project, Run, where=where, limit=RECENT) if r.tick == tick]
    done = [run for run in runs if run.snapshot == snapshot and run.status == "done"]
    if not done:
        return False
    began = max(run.started_at for run in done)
    others = (run for run in runs if run.snapshot != snapshot and run.finished_at is not None)
    return all((run.finished_at or 0) < began for run in others)
