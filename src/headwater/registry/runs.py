"""The run log: what the pipeline computed, from which rows, and when it became visible."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from headwater.registry.kinds import Run, RunStatus, new_id, now_us
from headwater.registry.store import Registry


def record_run(
    registry: Registry,
    project: str,
    *,
    operation: str,
    view: str,
    revision: str,
    start: int | None = None,
    end: int | None = None,
    tick: int | None = None,
    snapshot: str = "",
    at: int | None = None,
) -> Run:
    """Log that a run has begun, over the interval [start, end) or for a tick (microseconds UTC)."""
    started = now_us() if at is None else at
    run = Run(
        id=new_id(started),
        operation=operation,
        view=view,
        revision=revision,
        started_at=started,
        start=start,
        end=end,
        tick=tick,
        snapshot=snapshot,
    )
    registry.put(project, [run])
    return run


def finish_run(
    registry: Registry,
    project: str,
    run: Run,
    *,
    status: Literal["done", "failed"] = "done",
    rows: int = 0,
    published_at: int | None = None,
    error: str | None = None,
    snapshot: str | None = None,
    at: int | None = None,
) -> Run:
    """Log how a run ended; the finished run."""
    finished = msgspec.structs.replace(
        run,
        status=status,
        rows=rows,
        finished_at=now_us() if at is None else at,
        published_at=published_at,
        error=error,
        snapshot=run.snapshot if snapshot is None else snapshot,
    )
    registry.put(project, [finished])
    return finished


def last_run(
    registry: Registry,
    project: str,
    view: str,
    revision: str,
    *,
    operation: str | None = None,
    status: RunStatus | None = "done",
) -> Run | None:
    """The latest run of a revision, of one operation where given; None where there is none."""
    found = list_runs(
        registry,
        project,
        view=view,
        revision=revision,
        operation=operation,
        status=status,
        limit=1,
    )
    return found[0] if found else None


def list_runs(
    registry: Registry,
    project: str,
    *,
    view: str | None = None,
    revision: str | None = None,
    operation: str | None = None,
    status: RunStatus | None = None,
    limit: int | None = 100,
) -> tuple[Run, ...]:
    """Runs, newest first, selected by what is given."""
    wanted: dict[str, Any] = {
        "view": view,
        "revision": revision,
        "operation": operation,
        "status": status,
    }
    where = {field: value for field, value in wanted.items() if value is not None}
    return registry.list(project, Run, where=where, limit=limit)
