"""What a rollback doesn't reach: features made for the bad version, services pinned to it."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.registry.bound import Versioned, bound
from headwater.registry.head import APPLIED
from headwater.registry.kinds import FeatureVersion
from headwater.registry.lineage import FeatureGraph
from headwater.registry.pins import pinned_services
from headwater.registry.state import fetch
from headwater.registry.store import Registry


@dataclass(frozen=True)
class LeftBehind:
    """What goes on reading `version`, which a rollback has replaced: features whose current version
    was made for it, directly or through others, and services that are pinned to it.
    """

    version: str
    features: tuple[Versioned, ...]
    services: tuple[str, ...]


def left_behind(
    registry: Registry, project: str, graph: FeatureGraph, made: Versioned
) -> LeftBehind:
    """Whom a rollback doesn't reach; `made` is the version that it made."""
    name, version = made
    replaced = graph.head.features[name].versions[version].after or version
    return LeftBehind(
        version=replaced,
        features=tuple(readers(registry, project, graph, (name, replaced))),
        services=tuple(pinned_services(registry, project, name, replaced)),
    )


def readers(
    registry: Registry, project: str, graph: FeatureGraph, read: Versioned
) -> list[Versioned]:
    """The features whose current version reads one version of a feature, the nearest first.

    Those that read it through others are among them.
    """
    seen: dict[Versioned, None] = {}
    level = [read]
    while level:
        below = [_direct(registry, project, graph, one) for one in level]
        level = [one for found in below for one in found if one not in seen]
        seen.update(dict.fromkeys(level))
    return list(seen)


def _direct(
    registry: Registry, project: str, graph: FeatureGraph, read: Versioned
) -> list[Versioned]:
    head, (name, version) = graph.head, read
    entries = {below: head.features[below] for below in graph.downstream(name)}
    homes = {
        below: entry.versions[entry.current]
        for below, entry in entries.items()
        if entry.status in APPLIED and entry.versions[entry.current].revision
    }
    keys = {below: home.object for below, home in homes.items()}
    contents = fetch(registry, project, FeatureVersion, keys)
    current = head.features[name].current
    return [
        (below, entries[below].current)
        for below, home in homes.items()
        if name in contents[below].inputs
        and (bound(head, home.revision, name) or current) == version
    ]
