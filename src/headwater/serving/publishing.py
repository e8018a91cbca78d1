"""Build the serving catalogue of a project from what its registry says is current.

This runs where plans are applied, never in a serving worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from headwater.definitions.defaults import held_default
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView
from headwater.registry.bound import bound
from headwater.registry.head import FeatureEntry, Head, VersionEntry
from headwater.registry.kinds import FeatureVersion
from headwater.serving.catalogue import (
    Catalogue,
    Column,
    Derived,
    Feature,
    Input,
    Revision,
    Stored,
    reference_of,
)
from headwater.serving.empties import Empties
from headwater.serving.nothing import stored_value
from headwater.serving.standing import Standing


@dataclass(frozen=True)
class Contents:
    """What stands behind the names and hashes of a head.

    `project` gives the analysed project of any revision, `version` what stands behind the key of
    a version, `filled` tells whether a run has filled a revision: a version whose values have moved
    to a revision that is still empty is served from the one before, which holds the same values.
    """

    project: Callable[[str], AnalyzedProject]
    version: Callable[[str], FeatureVersion]
    filled: Callable[[str], bool]


def served_versions(entry: FeatureEntry, live: Collection[str]) -> dict[str, VersionEntry]:
    """The versions of a feature that are served: the current one, and those that stand in
    revisions that are `live`.
    """
    return {
        version: found
        for version, found in entry.versions.items()
        if version == entry.current or found.revision in live
    }


def served_keys(head: Head) -> list[str]:
    """The keys of all versions that are served, but for those that stand in for others."""
    live = frozenset(head.live_revisions())
    entries = (served_versions(entry, live).values() for entry in head.applied().values())
    return [found.object for versions in entries for found in versions]


def build_catalogue(
    project: str, head: Head, current: AnalyzedProject, contents: Contents
) -> Catalogue:
    """What is served at the head's generation."""
    builder = _Builder(head, current, contents)
    features = {name: builder.feature(name, entry) for name, entry in head.applied().items()}
    return Catalogue(
        project=project,
        generation=head.generation,
        revisions=tuple(builder.revisions.values()),
        features=features,
        services={
            name: tuple(map(reference_of, service.features))
            for name, service in current.services.items()
        },
    )


class _Builder:
    """Collects the revisions that the served versions need."""

    def __init__(self, head: Head, current: AnalyzedProject, contents: Contents) -> None:
        self.revisions: dict[str, Revision] = {}
        self._head = head
        self._projects = {
            view.revision: current
            for view in current.views.values()
            if not head.stands_apart(view.revision)
        }
        self._views = {view.revision: view for view in current.views.values()}
        self._empties: dict[int, Empties] = {}
        self._contents = contents
        self._live = frozenset(head.live_revisions())
        self._standing = Standing(head, contents.version, contents.filled)
        self._besides: dict[str, list[str]] = {}
        for name, version in self._standing.stand_ins():
            self._besides.setdefault(name, []).append(version)
        self._begun: dict[str, list[int]] = {}
        for entry in head.revisions.values():
            self._begun.setdefault(entry.view, []).append(entry.since)

    def feature(self, name: str, entry: FeatureEntry) -> Feature:
        besides = {version: entry.versions[version] for version in self._besides.get(name, ())}
        served = {**served_versions(entry, self._live), **besides}
        versions = {v: self._version(found) for v, found in served.items()}
        return Feature(view=entry.view, current=self._standing.of(name), versions=versions)

    def _version(self, entry: VersionEntry) -> Stored | Derived:
        home = self._view(entry.revision)
        feature = home.feature(entry.column)
        version = self._contents.version(entry.object)
        default = stored_value(held_default(version.definition.get("default"), feature.dtype))
        if feature.reads_features and (feature.on_read or not home.stored):
            function = feature.feature.function
            inputs = tuple(self._input(name, entry.revision) for name in feature.operands)
            via = feature.feature.via.items()
            return Derived(
                tree=feature.tree,
                inputs=inputs,
                dtype=feature.dtype,
                default=default,
                join_keys=tuple(home.join_keys.items()),
                ticked=home.view.ticks is not None,
                request=tuple(feature.feature.request.items()),
                function=None if function is None else function.to_dict(),
                arguments={} if function is None else self._arguments(feature, entry.revision),
                via=tuple((key, self._input(name, entry.revision)) for key, name in via),
            )
        revision = entry.revision
        if not self._contents.filled(revision):
            revision = next((r for r in entry.earlier if self._contents.filled(r)), revision)
        self._need(revision)
        return Stored(revision=revision, column=entry.column, ttl=version.ttl, default=default)

    def _input(self, name: str, revision: str) -> Input:
        version = bound(self._head, revision, name)
        current = self._head.features[name].current
        if version is None and self._standing.of(name) != current:
            version = current  # what stands in for it is not what this was made for
        return Input(name=name, feature=name, version=version)

    def _arguments(self, feature: AnalyzedFeature, revision: str) -> dict[str, str]:
        known = self._project(revision).features()
        types = {name: known[name].dtype for name in feature.operands}
        return {**types, **feature.feature.request}

    def _need(self, revision: str) -> None:
        if revision not in self.revisions:
            view = self._view(revision)
            entry = self._head.revisions[revision]
            number = sorted(self._begun[view.name]).index(entry.since) + 1
            empties = self._empties_of(self._project(revision))
            self.revisions[revision] = revision_of(empties, view, number)

    def _empties_of(self, project: AnalyzedProject) -> Empties:
        if id(project) not in self._empties:
            self._empties[id(project)] = Empties(project)
        return self._empties[id(project)]

    def _project(self, revision: str) -> AnalyzedProject:
        if revision not in self._projects:
            self._projects[revision] = self._contents.project(revision)
        return self._projects[revision]

    def _view(self, revision: str) -> AnalyzedView:
        if revision not in self._views:
            views = self._project(revision).views.values()
            self._views |= {view.revision: view for view in views if view.revision == revision}
        return self._views[revision]


def revision_of(empties: Empties, view: AnalyzedView, number: int = 1) -> Revision:
    """The served form of a view's revision: its columns in the order of its rows."""
    columns = [empties.column(view, feature) for feature in view.row_features]
    known = {column.name for column in columns}
    columns += [Column(name, dtype) for name, dtype in view.row_columns if name not in known]
    return Revision(
        revision=view.revision,
        view=view.name,
        columns=tuple(columns),
        join_keys=tuple(view.join_keys.items()),
        number=number,
    )
