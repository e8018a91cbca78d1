"""Revisions that are given up, so that their values can be removed.

What they were stays: definitions, versions and the audit trail are small, and kept for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec.structs import replace

from headwater.registry.changes import RevisionChange
from headwater.registry.commits import commit_change
from headwater.registry.head import Head
from headwater.registry.kinds import Commit, now_us
from headwater.registry.store import Registry


def give_up(
    registry: Registry,
    project: str,
    chosen: Callable[[Head], Collection[str]],
    *,
    author: str,
) -> None:
    """Mark the revisions that `chosen` names for a head as collected, in one commit."""

    def change(head: Head) -> tuple[Head, Commit] | None:
        names = sorted(name for name in chosen(head) if head.revisions[name].collected_at is None)
        if not names:
            return None
        commit = Commit(
            head.generation + 1,
            author,
            now_us(),
            f"{len(names)} revision{'' if len(names) == 1 else 's'} collected",
            revisions=tuple(
                RevisionChange("collected", head.revisions[name].view, name, "nothing can reach it")
                for name in names
            ),
        )
        marked = {name: replace(head.revisions[name], collected_at=commit.at) for name in names}
        revisions = {**head.revisions, **marked}
        return replace(head, generation=commit.generation, revisions=revisions), commit

    commit_change(registry, project, change)
