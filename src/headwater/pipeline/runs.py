"""Runs: what the pipeline did, recorded before and after, and reported while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from headwater.errors import HeadwaterError
from headwater.expressions.analyzed import AnalyzedView
from headwater.quality.validation import RuleCount
from headwater.registry.kinds import Run, new_id, now_us
from headwater.registry.store import Registry


@dataclass(frozen=True)
class Progress:
    """How far a run is: rows done, parts done of all parts."""

    view: str
    rows: int
    done: int
    total: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class RunReport:
    """What a run did to one view; times in microseconds UTC.

    `rows` were computed, of which `written` changed something; `quarantined` failed a blocking
    rule, `ahead` lie later than the clock and were set aside. `skipped` says why there was nothing
    to do.
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
    rules: tuple[RuleCount, ...] = field(default=())


@contextmanager
def recorded(
    registry: Registry, project: str, view: AnalyzedView, operation: str, **known: object
) -> Iterator[Callable[..., None]]:
    """Keep a run in the run log: `running` at once, then `done`, or `failed` with its error.

    Yields what takes the fields that the run has found out (`rows`, `published_at`, ...).
    """
    at = now_us()
    run = Run(new_id(at), operation, view.name, view.revision, at)
    run = msgspec.structs.replace(run, **known)
    registry.put(project, [run])
    found: dict[str, object] = {}
    try:
        yield lambda **fields: found.update(fields)
    except BaseException as error:
        text = str(error) if isinstance(error, HeadwaterError) else type(error).__name__
        failed = msgspec.structs.replace(
            run, status="failed", finished_at=now_us(), error=text[:2_000], **found
        )
        registry.put(project, [failed])
        raise
    done = msgspec.structs.replace(run, status="done", finished_at=now_us(), **found)
    registry.put(project, [done])


def last_run(registry: Registry, project: str, view: AnalyzedView, operation: str) -> Run | None:
    """The newest run of the view's revision that came to its end."""
    where = {"revision": view.revision, "operation": operation, "status": "done"}
    found = registry.list(project, Run, where=where, limit=1)
    return found[0] if found else None
