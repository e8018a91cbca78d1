"""A change of a project's head that is made again where somebody else was quicker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from headwater.errors import ConflictError
from headwater.registry.apply import stamped
from headwater.registry.head import Head
from headwater.registry.kinds import Commit
from headwater.registry.store import Registry

_ATTEMPTS = 20
_LONGEST_PAUSE = 0.2

T = TypeVar("T")
Change = Callable[[Head], tuple[Head, Commit] | None]


def commit_change(registry: Registry, project: str, change: Change) -> Head | None:
    """Make a change of the head, on the newer one where somebody else was quicker.

    Returns the new head, None where `change` finds nothing to do. Raises ConflictError where others
    keep being quicker.
    """

    def once() -> Head | None:
        head = registry.head(project)
        made = change(head)
        if made is None:
            return None
        commit = replace(made[1], parent=head.trail)
        after = stamped(made[0], commit)
        registry.compare_and_set_head(project, head.generation, after, commit)
        return after

    return settled(once, _ATTEMPTS)


def settled(once: Callable[[], T], attempts: int) -> T:
    """What a change comes to, made anew after a pause where somebody else was quicker.

    Raises ConflictError where that is so at each of the attempts.
    """
    for attempt in range(1, attempts):
        try:
            return once()
        except ConflictError:
            time.sleep(random.uniform(0, min(0.01 * attempt, _LONGEST_PAUSE)))  # noqa: S311
    return once()
