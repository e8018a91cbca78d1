"""Build the serving catalogue of a project from what its registry says is current.

This runs where plans are applied, never in a serving worker.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.definitions.service import FeatureService
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView
from headwater.expressions.closures import compile_row
from headwater.expressions.tree import Aggregate, Literal, Node
from headwater.expressions.walk import replace, uses
from headwater.registry.head import FeatureEntry, Head, VersionEntry
from headwater.registry.kinds import FeatureVersion
from headwater.serving.catalogue import (
    Catalogue,
    Column,
    Derived,
    Feature,
    Input,
    Reference,
    Revision,
    Stored,
)


@dataclass(frozen=True)
class Contents:
    """What stands behind the names and hashes of a head.

    `view` gives the analysed view of any revision, `version` what a feature version is, `filled`
    tells whether a run has filled a revision: a version whose values have moved to a revision
    that is still empty is served from the one before, which holds the same values.
    """

    view: Callable[[str], AnalyzedView]
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
        services={name: _references(s) for name, s in current.services.items()},
    )


class _Builder:
    """Collects the revisions that the served versions need."""

    def __init__(self, head: Head, current: AnalyzedProject, contents: Contents) -> None:
        self.revisions: dict[str, Revision] = {}
        self._head = head
        self._views: dict[str, AnalyzedView] = {v.revision: v for v in current.views.values()}
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
        if feature.tree is not None and (feature.on_read or not home.stored):
            inputs = tuple(self._input(name, entry.revision) for name in feature.inputs)
            return Derived(tree=feature.tree, inputs=inputs, dtype=feature.dtype, default=default)
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
            return Input(name=name, feature=name)
        pinned = dict(item.rsplit("@", 1) for item in entry.inputs)
        if name in pinned:
            return Input(name=name, feature=name, version=pinned[name])
        own = self._head.features[name].versions
        version = next((v for v, found in own.items() if found.revision == revision), None)
        return Input(name=name, feature=name, version=version)

    def _is_current(self, revision: str) -> bool:
        return any(entry.revision == revision for entry in self._head.views.values())

    def _need(self, revision: str) -> None:
        if revision not in self.revisions:
            view = self._view(revision)
            entry = self._head.revisions[revision]
            earlier = [e.since for e in self._head.revisions.values() if e.view == view.name]
            number = sorted(earlier).index(entry.since) + 1
            self.revisions[revision] = revision_of(view, number)

    def _view(self, revision: str) -> AnalyzedView:
        if revision not in self._views:
            self._views[revision] = self._contents.view(revision)
        return self._views[revision]


def revision_of(view: AnalyzedView, number: int = 1) -> Revision:
    """The served form of a view's revision: its columns in the order of its rows."""
    windowed = any(feature.kind == "windowed" for feature in view.features)
    empty = empty_values(view.stored_features) if windowed else {}
    columns = tuple(
        Column(name=f.name, dtype=f.dtype, windowed=windowed, empty=empty.get(f.name))
        for f in view.stored_features
    )
    return Revision(
        revision=view.revision,
        view=view.name,
        columns=columns,
        join_keys=tuple(view.join_keys.items()),
        number=number,
    )


def empty_values(features: Iterable[AnalyzedFeature]) -> dict[str, Any]:
    """The value of each feature of a windowed view where no row lies in any window."""
    found: dict[str, Any] = {}
    read: dict[str, Any] = {}
    for feature in features:
        tree = None if feature.tree is None else replace(feature.tree, _over_nothing)
        value = None if tree is None or uses(tree, "as_of") else _value(tree, read)
        found[feature.name] = stored_value(value)
        default = feature.feature.default
        read[feature.name] = default if value is None else value
    return found


def _over_nothing(node: Node) -> Node | None:
    if not isinstance(node, Aggregate):
        return None
    return Literal(0, "int64") if node.name == "count" else Literal(None, "null")


def _value(tree: Node, read: Mapping[str, Any]) -> Any:
    names = tuple(read)
    return compile_row(tree, names)([read[name] for name in names])


def stored_value(value: Any) -> Any:
    """A value as the row codec holds it: timestamps as microseconds, dates as days."""
    if isinstance(value, dt.datetime):
        since = value - dt.datetime(1970, 1, 1, tzinfo=value.tzinfo)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if isinstance(value, dt.date):
        return (value - dt.date(1970, 1, 1)).days
    return value


def _references(service: FeatureService) -> tuple[Reference, ...]:
    return tuple(
        Reference(
            feature=ref.feature,
            view=ref.view,
            version=ref.version,
            alias=ref.alias,
            join_keys=dict(ref.join_keys),
        )
        for ref in service.features
    )
