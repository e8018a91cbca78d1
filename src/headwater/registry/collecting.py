"""Revisions that are given up, so that their values can be removed; and one that is wanted again.

What they were stays: definitions, versions and the audit trail are small, and kept for ever.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection

from msgspec.structs import replace

from headwater.errors import ConflictError
from headwater.registry.apply import stamped
from headwater.registry.changes import RevisionChange
from headwater.registry.head import Head
from headwater.registry.kinds import Commit, now_us
from headwater.registry.store import Registry

_ATTEMPTS = 20
_LONGEST_PAUSE = 0.2

Change = Callable[[Head], tuple[Head, Commit] | None]


def commit_change(registry: Registry, project: str, change: Change) -> Head | None:
    """Make a change of the head, on the newer one where somebody else was quicker.

    Returns the new head, None where `change` finds nothing to do. Raises ConflictError where others
    keep being quicker.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        head = registry.head(project)
        made = change(head)
        if made is None:
            return None
        commit = replace(made[1], parent=head.trail)
        after = stamped(made[0], commit)
        try:
            registry.compare_and_set_head(project, head.generation, after, commit)
        except ConflictError:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(random.uniform(0, min(0.01 * attempt, _LONGEST_PAUSE)))  # noqa: S311
        else:
            return after
    raise AssertionError("the last attempt raises")


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
