"""Build the serving catalogue of a project from what its registry says is current.

This runs where plans are applied, never in a serving worker.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headwater.expressions.analyzed import (
    AnalyzedFeature,
    AnalyzedProject,
    AnalyzedView,
    status_of,
    time_of,
)
from headwater.expressions.tree import Aggregate, Literal, Node
from headwater.expressions.walk import replace, uses
from headwater.registry.head import FeatureEntry, Head, VersionEntry
from headwater.registry.kinds import FeatureVersion
from headwater.serving.catalogue import (
    Catalogue,
    Clock,
    Column,
    Derived,
    Feature,
    Input,
    Nothing,
    Revision,
    Stored,
    reference_of,
)
from headwater.serving.nothing import sayer


@dataclass(frozen=True)
class Contents:
    """What stands behind the names and hashes of a head.

    `project` gives the analysed project of any revision, `version` what a version is, `filled`
    tells whether a run has filled a revision: a version whose values have moved to a revision
    that is still empty is served from the one before, which holds the same values.
    """

    project: Callable[[str], AnalyzedProject]
    version: Callable[[VersionEntry], FeatureVersion]
    filled: Callable[[str], bool]


def build_catalogue(
    project: str, head: Head, current: AnalyzedProject, contents: Contents
) -> Catalogue:
    """What is served at the head's generation."""
    builder = _Builder(head, current, contents)
    features = {name: builder.feature(entry) for name, entry in head.applied().items()}
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
        self._projects = {view.revision: current for view in current.views.values()}
        self._contents = contents

    def feature(self, entry: FeatureEntry) -> Feature:
        live = set(self._head.live_revisions())
        served = {
            version: found
            for version, found in entry.versions.items()
            if version == entry.current or found.revision in live
        }
        versions = {v: self._version(found) for v, found in served.items()}
        return Feature(view=entry.view, current=entry.current, versions=versions)

    def _version(self, entry: VersionEntry) -> Stored | Derived:
        home = self._view(entry.revision)
        feature = home.feature(entry.column)
        version = self._contents.version(entry)
        default = stored_value(version.definition.get("default"))
        if feature.reads_features and (feature.on_read or not home.stored):
            function = feature.feature.function
            inputs = tuple(self._input(name, entry.revision) for name in feature.inputs)
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
            )
        revision = entry.revision
        if not self._contents.filled(revision):
            revision = next((r for r in entry.earlier if self._contents.filled(r)), revision)
        self._need(revision)
        return Stored(revision=revision, column=entry.column, ttl=version.ttl, default=default)

    def _input(self, name: str, revision: str) -> Input:
        """What a derived value reads: of a revision that is no longer current, the versions that
        it was made for.
        """
        entry = self._head.revisions[revision]
        if self._is_current(revision):
            held = self._head.features[name].held  # what reads it was made for this version
            return Input(name=name, feature=name, version=held)
        pinned = dict(item.rsplit("@", 1) for item in entry.inputs)
        if name in pinned:
            return Input(name=name, feature=name, version=pinned[name])
        own = self._head.features[name].versions
        version = next((v for v, found in own.items() if found.revision == revision), None)
        return Input(name=name, feature=name, version=version)

    def _arguments(self, feature: AnalyzedFeature, revision: str) -> dict[str, str]:
        known = self._project(revision).features()
        types = {name: known[name].dtype for name in feature.inputs}
        return {**types, **feature.feature.request}

    def _is_current(self, revision: str) -> bool:
        return any(entry.revision == revision for entry in self._head.views.values())

    def _need(self, revision: str) -> None:
        if revision not in self.revisions:
            view = self._view(revision)
            entry = self._head.revisions[revision]
            earlier = [e.since for e in self._head.revisions.values() if e.view == view.name]
            number = sorted(earlier).index(entry.since) + 1
            self.revisions[revision] = revision_of(self._project(revision), view, number)

    def _project(self, revision: str) -> AnalyzedProject:
        if revision not in self._projects:
            self._projects[revision] = self._contents.project(revision)
        return self._projects[revision]

    def _view(self, revision: str) -> AnalyzedView:
        views = self._project(revision).views.values()
        return next(view for view in views if view.revision == revision)


def revision_of(project: AnalyzedProject, view: AnalyzedView, number: int = 1) -> Revision:
    """The served form of a view's revision: its columns in the order of its rows."""
    columns = [_column(project, view, feature) for feature in view.stored_features]
    known = {column.name for column in columns}
    columns += [Column(name, dtype) for name, dtype in view.row_columns if name not in known]
    return Revision(
        revision=view.revision,
        view=view.name,
        columns=tuple(columns),
        join_keys=tuple(view.join_keys.items()),
        number=number,
    )


def _column(project: AnalyzedProject, view: AnalyzedView, feature: AnalyzedFeature) -> Column:
    nothing = nothing_of(project, feature)
    if feature in view.told_features:
        told = status_of(feature.name), time_of(feature.name)
        return Column(feature.name, feature.dtype, windowed=True, nothing=nothing, told=told)
    if not _is_total(nothing):
        return Column(feature.name, feature.dtype)
    if _depends_on_time(nothing):
        return Column(feature.name, feature.dtype, windowed=True, nothing=nothing)
    empty = stored_value(sayer(nothing)(0).value)
    return Column(feature.name, feature.dtype, windowed=True, empty=empty)


def nothing_of(project: AnalyzedProject, feature: AnalyzedFeature, reader: str = "") -> Nothing:
    """What a feature says of a key that has no row anywhere, as its view or `reader` sees it."""
    tree = feature.tree
    if feature.kind in ("lookup", "sequence"):
        tree = None
    elif tree is not None and feature.kind == "windowed":
        tree = replace(tree, _over_nothing)
    known = project.features()
    view = project.views[feature.view].view
    ticks = view.ticks if reader not in ("", feature.view) else None
    return Nothing(
        name=feature.name,
        dtype=feature.dtype,
        tree=tree,
        inputs=tuple(nothing_of(project, known[name], feature.view) for name in feature.inputs),
        clock=None
        if ticks is None
        else Clock(ticks.period, ticks.at, ticks.timezone, view.data_delay),
        windowed=feature.kind == "windowed",
        default=stored_value(feature.feature.default),
    )


def _is_total(nothing: Nothing) -> bool:
    """Whether a key without a row has a value, if a null one (C6), since a window is behind it."""
    return nothing.windowed or any(_is_total(one) for one in nothing.inputs)


def _depends_on_time(nothing: Nothing) -> bool:
    own = nothing.tree is not None and uses(nothing.tree, "as_of")
    return own or any(_depends_on_time(one) for one in nothing.inputs)


def _over_nothing(node: Node) -> Node | None:
    if not isinstance(node, Aggregate):
        return None
    return Literal(0, "int64") if node.name == "count" else Literal(None, "null")


def stored_value(value: Any) -> Any:
    """A value as the row codec holds it: timestamps as microseconds, dates as days."""
    if isinstance(value, dt.datetime):
        since = value - dt.datetime(1970, 1, 1, tzinfo=value.tzinfo)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if isinstance(value, dt.date):
        return (value - dt.date(1970, 1, 1)).days
    return value
