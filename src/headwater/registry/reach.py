"""Which revisions something reads, or may come to read: the others can be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from headwater.definitions.service import FeatureService
from headwater.registry.head import APPLIED, FeatureEntry, Head, RevisionEntry
from headwater.registry.versions import known_version

Entries = Mapping[str, RevisionEntry]
Features = Mapping[str, FeatureEntry]


def live(
    views: Iterable[str], services: Iterable[FeatureService], entries: Entries, features: Features
) -> set[str]:
    """The revisions `views` that views compute, those that services are pinned to or that hold what
    is current, and all that these read.
    """
    pins = (
        f"{ref.feature}@{ref.version}"
        for service in services
        for ref in service.features
        if ref.version is not None
    )
    applied = (found for found in features.values() if found.view and found.status in APPLIED)
    current = (found.versions[found.current].revision for found in applied)
    return with_inputs([*views, *_homes(pins, features), *current], entries, features)


def with_inputs(start: Iterable[str], entries: Entries, features: Features) -> set[str]:
    """Some revisions and all that they read, directly or not."""
    waiting = [name for name in start if name]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_homes(entries[name].inputs, features))
    return found


def reachable(
    head: Head,
    services: Iterable[FeatureService],
    since: int,
    filled: Callable[[str], bool],
    in_use: Iterable[str] = (),
) -> set[str]:
    """The revisions that something may read, be it after a rollback.

    A rollback may lead to those that were read at `since` (microseconds UTC) or later; `filled`
    tells whether a run has filled one, `in_use` are others that are read or written now. A version
    whose home is still empty is served from its home before.
    """
    views = [view.revision for view in head.views.values()]
    start = live(views, services, head.revisions, head.features)
    start |= {*head.live_revisions(), *head.warm_revisions(since)}
    start |= head.revisions.keys() & set(in_use)
    found: set[str] = set()
    while start - found:
        found |= with_inputs(start, head.revisions, head.features)
        start = set(_homes_before(head.features, found, filled))
    return found


def _homes_before(
    features: Features, homes: set[str], filled: Callable[[str], bool]
) -> Iterable[str]:
    for entry in features.values():
        for version in entry.versions.values():
            if version.earlier and version.revision in homes and not filled(version.revision):
                yield from [name for name in version.earlier if filled(name)][:1]


def _homes(pins: Iterable[str], features: Features) -> Iterable[str]:
    for pin in pins:
        name, _, text = pin.partition("@")
        entry = features.get(name)
        version = known_version(entry, text) if entry is not None else None
        if entry is not None and version is not None:
            yield entry.versions[version].revision
