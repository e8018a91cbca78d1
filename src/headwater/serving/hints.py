"""Names that a stranger sent, in messages: bounded in length and in the time to find near ones."""

from __future__ import annotations

import heapq
from collections.abc import Collection

from headwater.errors import near_miss

LONGEST = 128
_COMPARED = 50


def shown(name: str) -> str:
    """A name as a message shows it."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


def hint_for(name: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?`, as `near_miss`; of many names only the likely ones are compared.

    Comparing thousands would hold up a server's other requests for a third of a second.
    """
    if len(name) > LONGEST:
        return ""
    if len(known) > _COMPARED:
        parts = {name[i : i + 3] for i in range(len(name) - 2)}
        known = heapq.nlargest(_COMPARED, known, lambda other: sum(p in other for p in parts))
    return near_miss(name, known)
