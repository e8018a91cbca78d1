"""Services that are pinned to a version of a feature, and their move to another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from headwater.definitions.service import FeatureRef, FeatureService
from headwater.errors import NotFoundError, RefusedError, near_miss
from headwater.registry.changes import ObjectChange
from headwater.registry.commits import commit_change
from headwater.registry.diff import field_changes
from headwater.registry.head import FeatureEntry, Head
from headwater.registry.kinds import Commit, content_key, now_us
from headwater.registry.reach import live
from headwater.registry.revisions import with_live
from headwater.registry.rollback import refuse_collected
from headwater.registry.state import known_feature, named_version
from headwater.registry.store import Registry
from headwater.registry.versions import known_version

Services = Mapping[str, FeatureService]


@dataclass(frozen=True)
class Repinned:
    """Services that read version `new` of a feature instead of `old` from now on."""

    feature: str
    old: str
    new: str
    services: tuple[str, ...]


def services_of(registry: Registry, project: str, head: Head) -> dict[str, FeatureService]:
    """The services of a head, by name."""
    found = registry.get_many(project, FeatureService, head.services.values())
    return {name: found[key] for name, key in head.services.items()}


def listing_services(
    registry: Registry, project: str, head: Head, features: Iterable[str]
) -> dict[str, list[str]]:
    """The names of the services that list each of some features, in whichever version."""
    found: dict[str, list[str]] = {name: [] for name in features}
    for name, service in services_of(registry, project, head).items():
        for feature in dict.fromkeys(ref.feature for ref in service.features):
            if feature in found:
                found[feature].append(name)
    return found


def pinned_services(registry: Registry, project: str, feature: str, version: str) -> list[str]:
    """The names of the services that are pinned to a version. Raises NotFoundError."""
    head = registry.head(project)
    entry = known_feature(head, feature)
    wanted = named_version(entry, feature, version)
    return _pinned(services_of(registry, project, head), feature, entry, wanted)


def repin(
    registry: Registry,
    project: str,
    feature: str,
    versions: tuple[str, str],
    *,
    services: Sequence[str] = (),
    author: str,
) -> Repinned:
    """Let services that are pinned to the first of two versions read the second one.

    All of them, unless `services` names some; one commit. Where none is pinned nothing changes.
    Raises NotFoundError for an unknown feature, version or service, RefusedError for a service that
    is not pinned to the first version, or where gc has removed the values of the second one.
    """
    old, new = versions
    chosen: list[str] = []

    def change(head: Head) -> tuple[Head, Commit] | None:
        nonlocal old, new
        entry = known_feature(head, feature)
        old, new = (named_version(entry, feature, text) for text in versions)
        refuse_collected(head, feature, new)
        known = services_of(registry, project, head)
        pinned = _pinned(known, feature, entry, old)
        chosen[:] = _chosen(services, known, pinned, f"{feature}@{old}") if services else pinned
        if old == new or not chosen:
            chosen.clear()
            return None
        moved = {name: _moved(known[name], feature, entry, (old, new)) for name in chosen}
        registry.put(project, moved.values())
        summary = f"{', '.join(chosen)} re-pinned from {feature}@{old} to {new}"
        return _committed(head, known, moved, author, summary)

    commit_change(registry, project, change)
    return Repinned(feature, old, new, tuple(chosen))


def _pinned(services: Services, feature: str, entry: FeatureEntry, version: str) -> list[str]:
    return sorted(
        name
        for name, service in services.items()
        if any(_is_pinned(ref, feature, entry, version) for ref in service.features)
    )


def _is_pinned(ref: FeatureRef, feature: str, entry: FeatureEntry, version: str) -> bool:
    return (
        ref.feature == feature
        and ref.version is not None
        and known_version(entry, ref.version) == version
    )


def _chosen(
    wanted: Iterable[str], services: Services, pinned: Sequence[str], version: str
) -> list[str]:
    names = sorted(set(wanted))
    for name in names:
        if name not in services:
            raise NotFoundError(f"no feature service '{name}'{near_miss(name, services)}")
        if name not in pinned:
            raise RefusedError(
                f"feature service '{name}': is not pinned to {version} "
                f"(pinned to it: {', '.join(pinned) or 'none'})"
            )
    return names


def _moved(
    service: FeatureService, feature: str, entry: FeatureEntry, versions: tuple[str, str]
) -> FeatureService:
    old, new = versions
    refs = tuple(
        ref.model_copy(update={"version": new}) if _is_pinned(ref, feature, entry, old) else ref
        for ref in service.features
    )
    return service.model_copy(update={"features": refs})


def _committed(
    head: Head, known: Services, moved: Services, author: str, summary: str
) -> tuple[Head, Commit]:
    """The head in which services are what they have moved to, and its commit."""
    generation = head.generation + 1
    objects = tuple(
        ObjectChange(
            "changed", "service", name, field_changes(known[name].to_dict(), service.to_dict())
        )
        for name, service in moved.items()
    )
    views = [view.revision for view in head.views.values()]
    after = {**known, **moved}
    read = live(views, after.values(), head.revisions, head.features)
    changed = replace(
        head,
        generation=generation,
        services={name: content_key(service) for name, service in after.items()},
        revisions=with_live(head.revisions, read, generation),
    )
    return changed, Commit(generation, author, now_us(), summary, objects=objects)
