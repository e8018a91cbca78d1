"""The states of a feature, and the ways from one to another."""

from __future__ import annotations

from headwater.errors import RefusedError
from headwater.registry.head import Status

TRANSITIONS: dict[Status, tuple[Status, ...]] = {
    "draft": ("active", "deprecated"),
    "active": ("deprecated",),
    "deprecated": ("archived",),
    "archived": (),
}
"""By request. Beside them `apply` archives a feature that its definitions no longer hold, and
makes one active again that they hold once more. One that was archived by request stays so."""


def check_transition(name: str, before: Status, after: Status) -> None:
    """Raise RefusedError, which names the legal ways, unless one leads to the wanted state."""
    legal = TRANSITIONS[before]
    if after in legal:
        return
    ways = f"it may become {' or '.join(legal)}" if legal else "nothing leads out of that"
    raise RefusedError(
        f"feature '{name}': field 'status': it is {before}, not to be {after}; {ways}"
    )
