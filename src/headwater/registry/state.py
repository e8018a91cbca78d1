"""From a head back to definitions, and from a feature reference to what it points to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from headwater.definitions.collection import Definitions
from headwater.definitions.entity import Entity
from headwater.definitions.service import FeatureRef, FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import NotFoundError, StoreError, near_miss
from headwater.registry.head import FeatureEntry, Head, VersionEntry
from headwater.registry.kinds import FeatureVersion, Revision, kind_of
from headwater.registry.store import Registry
from headwater.registry.versions import known_version, sort_versions

T = TypeVar("T")
_SHOWN = 10


@dataclass(frozen=True)
class Resolved:
    """What a reference points to: a version of a feature and the column that holds its values.

    `object` is the key of its FeatureVersion; `earlier` are former revisions with the same
    column, newest first, which may be read until `revision` has been filled.
    """

    feature: str
    version: str
    view: str
    revision: str
    column: str
    object: str
    earlier: tuple[str, ...] = ()


def resolve(head: Head, ref: FeatureRef) -> Resolved:
    """The version that a reference means: the one that it names, else the current one.

    Raises NotFoundError for an unknown or removed feature, another view's name before it, or a
    version that the feature doesn't have.
    """
    entry = head.features.get(ref.feature)
    if entry is None:
        hint = near_miss(ref.feature, head.applied())
        raise NotFoundError(f"no feature '{ref.feature}'{hint}")
    if entry.status == "archived":
        raise NotFoundError(
            f"feature '{ref.feature}' was removed; its last version was {entry.current}"
        )
    if not entry.view:
        what = "a draft" if entry.status == "draft" else "an entry of the catalogue"
        raise NotFoundError(
            f"feature '{ref.feature}' is {what}: no values of it are computed; declare its entity, "
            "source and SQL, and activate it"
        )
    if ref.view is not None and ref.view != entry.view:
        hint = "" if ref.view in head.views else near_miss(ref.view, head.views)
        raise NotFoundError(
            f"'{ref}': feature '{ref.feature}' belongs to view '{entry.view}', not '{ref.view}'"
            f"{hint}"
        )
    version = _find_version(entry, ref.feature, ref.version or entry.current)
    found = entry.versions[version]
    return Resolved(
        feature=ref.feature,
        version=version,
        view=entry.view,
        revision=found.revision,
        column=found.column,
        object=found.object,
        earlier=found.earlier,
    )


def _find_version(entry: FeatureEntry, name: str, text: str) -> str:
    found = known_version(entry, text)
    if found is not None:
        return found
    raise NotFoundError(no_version(entry, name, text))


def known_feature(head: Head, name: str) -> FeatureEntry:
    """The entry of a feature, whatever its status. Raises NotFoundError with the nearest name."""
    entry = head.features.get(name)
    if entry is None:
        raise NotFoundError(f"no feature '{name}'{near_miss(name, head.features)}")
    return entry


def named_version(entry: FeatureEntry, name: str, text: str) -> str:
    """The version that a text means; `1.0` means 1.0.0. Raises NotFoundError."""
    version = known_version(entry, text)
    if version is None:
        raise NotFoundError(no_version(entry, name, text))
    return version


def no_version(entry: FeatureEntry, name: str, text: str) -> str:
    """Says that a feature has no version of that number, and which it has."""
    known = sort_versions(entry.versions)
    more = f"{len(known) - _SHOWN} older, " if len(known) > _SHOWN else ""
    return (
        f"feature '{name}' has no version '{text}' (versions: {more}{', '.join(known[-_SHOWN:])})"
    )


def load_definitions(registry: Registry, project: str, head: Head | None = None) -> Definitions:
    """All definitions of a project as they stand, equal to those that were applied."""
    now = registry.head(project) if head is None else head
    views = {name: entry.object for name, entry in now.views.items()}
    return Definitions(
        entities=fetch(registry, project, Entity, now.entities),
        sources=fetch(registry, project, Source, now.sources),
        views=fetch(registry, project, FeatureView, views),
        services=fetch(registry, project, FeatureService, now.services),
    )


def load_revisions(
    registry: Registry, project: str, head: Head | None = None
) -> dict[str, Revision]:
    """The current revision of each view, by the view's name."""
    now = registry.head(project) if head is None else head
    keys = {name: entry.revision for name, entry in now.views.items()}
    return fetch(registry, project, Revision, keys)


def load_schemas(
    registry: Registry, project: str, head: Head | None = None
) -> dict[str, dict[str, str]]:
    """The columns of each source that a view reads, as they were when one was last applied."""
    now = registry.head(project) if head is None else head
    revisions = load_revisions(registry, project, now).values()
    by_age = sorted(revisions, key=lambda found: now.revisions[found.revision].since)
    return {found.source: found.schemas[found.source] for found in by_age if found.source}


def load_versions(
    registry: Registry, project: str, name: str, head: Head | None = None
) -> list[tuple[VersionEntry, FeatureVersion]]:
    """Every version of a feature, newest first. Raises NotFoundError for an unknown feature."""
    now = registry.head(project) if head is None else head
    entry = known_feature(now, name)
    keys = {version: found.object for version, found in entry.versions.items()}
    objects = fetch(registry, project, FeatureVersion, keys)
    newest_first = reversed(sort_versions(entry.versions))
    return [(entry.versions[version], objects[version]) for version in newest_first]


def revision_definitions(
    registry: Registry, project: str, revision: str
) -> tuple[Definitions, dict[str, dict[str, str]]]:
    """What has to be analysed to compute a revision again, current or not.

    Returns the definitions of its view and of all views that this one reads, as they were then,
    and the columns of their sources. Raises NotFoundError for an unknown revision.
    """
    body = registry.get(project, Revision, revision)
    definitions = Definitions(
        entities=fetch(registry, project, Entity, body.entities),
        sources=fetch(registry, project, Source, body.sources),
        views=fetch(registry, project, FeatureView, body.views),
    )
    return definitions, body.schemas


def fetch(registry: Registry, project: str, kind: type[T], keys: Mapping[str, str]) -> dict[str, T]:
    """The objects of a kind by name, given their keys. Raises StoreError when one is missing."""
    found = registry.get_many(project, kind, keys.values())
    lost = next((name for name, key in keys.items() if key not in found), None)
    if lost is not None:
        raise StoreError(
            f"registry {registry.url}: project '{project}': {kind_of(kind).name} '{lost}' is "
            f"named, but its content '{keys[lost]}' is not there"
        )
    return {name: found[key] for name, key in keys.items()}
