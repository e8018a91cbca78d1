"""Names that a stranger sent, in messages: bounded in length."""

from __future__ import annotations

from collections.abc import Collection

from headwater.errors import near_miss

LONGEST = 128


def shown(name: str) -> str:
    """A name as a message shows it."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


def hint_for(name: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?`, as `near_miss`; nothing for what is too long to be a name."""
    return "" if len(name) > LONGEST else near_miss(name, known)
