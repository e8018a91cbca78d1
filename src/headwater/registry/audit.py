"""The audit trail: who changed what in a project, and when. Written with the head, never edited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from headwater.errors import NotFoundError, StoreError, near_miss
from headwater.registry.changed import ChangedQuery, ChangedRow
from headwater.registry.changes import FieldChange
from headwater.registry.kinds import Commit, digest_of
from headwater.registry.store import Registry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 10


@dataclass(frozen=True)
class AuditEntry:
    """One change of one object: who made it, when, in which commit, from what to what.

    `change` is one of create, update, status, version, rollback, repin, remove; versions, `bump`
    and `reason` are those of a feature. `at` is in microseconds UTC.
    """

    generation: int
    at: int
    author: str
    summary: str
    kind: str
    name: str
    change: str
    fields: tuple[FieldChange, ...]
    old_version: str | None = None
    new_version: str | None = None
    bump: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Verified:
    """An audit trail that is whole.

    `checked` commits are those that the next one, or the head, names by its digest; earlier ones
    were made by a Headwater that did not. `digest` is that of the last commit: who keeps it
    elsewhere can tell later whether the trail was written anew.
    """

    project: str
    generation: int
    checked: int
    digest: str


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


def audit(
    registry: Registry, project: str, query: ChangedQuery
) -> tuple[tuple[AuditEntry, ...], int]:
    """One page of the changes of a project, the latest first, and how many there are on all.

    Raises NotFoundError where a feature is named that never was.
    """
    rows, total = registry.changed(project, query)
    if not total and query.kind == "feature" and query.name is not None:
        known = registry.head(project).features
        if query.name not in known:
            raise NotFoundError(f"no feature '{query.name}'{near_miss(query.name, known)}")
    keys = {str(row.generation) for row in rows}
    told = {key: _Told(commit) for key, commit in registry.get_many(project, Commit, keys).items()}
    return tuple(told[str(row.generation)].entry(row) for row in rows), total


class _Told:
    """A commit, with what it says of each object."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._features = {change.name: change for change in commit.features}
        self._objects = {(change.kind, change.name): change for change in commit.objects}

    def entry(self, row: ChangedRow) -> AuditEntry:
        commit = self._commit
        made = AuditEntry(
            generation=commit.generation,
            at=commit.at,
            author=commit.author,
            summary=commit.summary,
            kind=row.kind,
            name=row.name,
            change=row.change,
            fields=(),
        )
        if row.kind != "feature":
            return replace(made, fields=self._objects[row.kind, row.name].fields)
        change = self._features[row.name]
        told = ("fields", "old_version", "new_version", "bump", "reason")
        return replace(made, **{name: getattr(change, name) for name in told})


def verify(registry: Registry, project: str) -> Verified:
    """Recompute the digests of a project's audit trail. Raises StoreError where one is wrong.

    A commit that was changed, left out or put in between shows in the one after it, the last in
    the head.
    """
    head = registry.head(project)
    before, number, checked = "", 0, 0
    for commit in reversed(registry.list(project, Commit)):
        number += 1
        if commit.generation != number:
            raise _broken(project, number, "is missing")
        if commit.parent and commit.parent != before:
            raise _broken(project, number - 1, f"is not the one that {number} was made after")
        if checked and not commit.parent:
            raise _broken(project, number, "does not name the one before it")
        checked += bool(commit.parent)
        before = digest_of(commit)
    if number != head.generation:
        raise _broken(project, head.generation, "is missing, or there is a later one")
    if head.trail and head.trail != before:
        raise _broken(project, number, "is not the one that made the head")
    return Verified(project, number, checked + bool(head.trail), before)


def check_anchor(registry: Registry, project: str, generation: int, digest: str) -> None:
    """Raise StoreError where the commit of a generation has not this digest, or is not there."""
    found = registry.get_many(project, Commit, [str(generation)])
    if {digest_of(commit) for commit in found.values()} != {digest}:
        raise _broken(project, generation, f"is not the one of digest {digest}")


def _broken(project: str, generation: int, what: str) -> StoreError:
    return StoreError(f"project '{project}': the commit of generation {generation} {what}")
