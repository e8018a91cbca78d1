"""The audit trail: who changed what in a project, and when. Written with the head, never edited."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from headwater.registry.kinds import Commit
from headwater.registry.store import Registry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 10


def history(
    registry: Registry, project: str, *, author: str | None = None, limit: int | None = 100
) -> tuple[Commit, ...]:
    """The applies of a project, newest first; those of one author where given."""
    where = {} if author is None else {"author": author}
    return registry.list(project, Commit, where=where, limit=limit)


def changes_since(registry: Registry, project: str, generation: int) -> Iterable[str]:
    """One line for each apply after a generation, oldest first, the latest ten at the most."""
    recent = history(registry, project, limit=_SHOWN)
    for commit in reversed(recent):
        if commit.generation > generation:
            yield (
                f"generation {commit.generation} by {commit.author} at {utc_text(commit.at)}: "
                f"{commit.summary}"
            )


def utc_text(at: int) -> str:
    """Microseconds UTC as `2026-01-31 12:00:00Z`."""
    return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%d %H:%M:%S}Z"
