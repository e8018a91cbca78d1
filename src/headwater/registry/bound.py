"""Which version of a feature is read by what is computed in a revision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headwater.registry.head import Head

Versioned = tuple[str, str]
"""A feature's name and the number of one of its versions."""


def bound(head: Head, revision: str, name: str) -> str | None:
    """The version of a feature that a revision reads; None where that is the current one."""
    entry, home = head.features[name], head.revisions[revision]
    back = pinned(home.back).get(name)
    if back is not None:
        return back
    view = head.views.get(home.view)
    if view is not None and view.revision == revision:
        return entry.held  # what was there before a rollback was made for this version
    found = pinned(home.inputs).get(name)
    if found in entry.versions:
        return found
    own = (version for version, at in entry.versions.items() if at.revision == revision)
    return next(own, None)


def pinned(pins: Iterable[str]) -> Mapping[str, str]:
    """The version of each feature in some `name@version`."""
    return {name: version for name, _, version in (pin.partition("@") for pin in pins)}
