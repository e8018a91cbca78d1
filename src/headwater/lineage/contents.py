"""What the names and keys of a head stand for, read from the registry when it is first asked for.

Everything that is kept here is immutable: it is found by the hash of its content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from headwater.definitions.entity import Entity
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.lineage.graph import reach
from headwater.registry.bound import Versioned, bound
from headwater.registry.head import VersionEntry
from headwater.registry.kinds import FeatureVersion, Revision
from headwater.registry.lineage import FeatureGraph
from headwater.registry.state import fetch, load_schemas
from headwater.registry.store import Registry

T = TypeVar("T")


class Contents:
    """The objects of one generation of a project."""

    def __init__(self, registry: Registry, project: str, graph: FeatureGraph) -> None:
        self.registry = registry
        self.project = project
        self.head = graph.head
        self.graph = graph
        self._read: dict[type[Any], dict[str, Any]] = {}

    # --- objects by their keys --------------------------------------------------------------

    def many(self, kind: type[T], keys: Iterable[str]) -> Mapping[str, T]:
        """The objects of those keys; what was read before is not read again."""
        known = self._read.setdefault(kind, {})
        wanted = {key: key for key in keys if key not in known}
        if wanted:
            known.update(fetch(self.registry, self.project, kind, wanted))
        return known

    def named(self, kind: type[T], keys: Mapping[str, str]) -> dict[str, T]:
        """Objects by their names, given their keys."""
        found = self.many(kind, keys.values())
        return {name: found[key] for name, key in keys.items()}

    def one(self, kind: type[T], key: str) -> T:
        return self.many(kind, [key])[key]

    # --- versions ---------------------------------------------------------------------------

    def entry(self, version: Versioned) -> VersionEntry:
        name, number = version
        return self.head.features[name].versions[number]

    def load(self, versions: Iterable[Versioned]) -> None:
        """Read at once what many versions and their homes are."""
        found = [self.entry(version) for version in versions]
        self.many(FeatureVersion, (entry.object for entry in found))
        self.many(Revision, dict.fromkeys(entry.revision for entry in found if entry.revision))

    def content(self, version: Versioned) -> FeatureVersion:
        return self.one(FeatureVersion, self.entry(version).object)

    def revision(self, name: str) -> Revision:
        return self.one(Revision, name)

    def home(self, version: Versioned) -> Revision | None:
        """The revision in which a version's values are computed; None where none are."""
        revision = self.entry(version).revision
        return self.revision(revision) if revision else None

    def source(self, home: Revision) -> Source | None:
        """The source of a revision's view, as it was then."""
        return None if home.source is None else self.one(Source, home.sources[home.source])

    def view(self, home: Revision) -> FeatureView:
        return self.one(FeatureView, home.views[home.name])

    def entity(self, home: Revision) -> Entity | None:
        name = self.view(home).entity_name
        return None if name is None else self.one(Entity, home.entities[name])

    def inputs(self, version: Versioned) -> tuple[Versioned, ...]:
        """The versions of features that a computed version reads: of a revision that is no longer
        current those for which it was made.
        """
        if not self.entry(version).revision:
            return ()
        return tuple((name, self._read_as(version, name)) for name in self.content(version).inputs)

    def _read_as(self, version: Versioned, name: str) -> str:
        found = bound(self.head, self.entry(version).revision, name)
        return found or self.head.features[name].current

    # --- what is read now -------------------------------------------------------------------

    @cached_property
    def services(self) -> Mapping[str, FeatureService]:
        return fetch(self.registry, self.project, FeatureService, self.head.services)

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        return fetch(self.registry, self.project, Source, self.head.sources)

    @cached_property
    def schemas(self) -> Mapping[str, Mapping[str, str]]:
        """The columns of each source that a view reads, as they were when one was last applied."""
        return load_schemas(self.registry, self.project, self.head)

    @cached_property
    def live(self) -> tuple[Versioned, ...]:
        """The versions that are computed now and somebody may read: the current ones, what views
        declare beside them after a rollback, those to which services are pinned, and all that
        these read.
        """
        found: dict[Versioned, None] = {}
        for name, entry in self.head.applied().items():
            found[name, entry.current] = None
            found[name, entry.declared] = None
        for service in self.services.values():
            for ref in service.features:
                feature = self.head.features.get(ref.feature)
                if ref.version is not None and feature and ref.version in feature.versions:
                    found[ref.feature, ref.version] = None
        computed = [version for version in found if self.entry(version).revision]
        self.load(computed)
        return tuple(reach(computed, self.inputs))
