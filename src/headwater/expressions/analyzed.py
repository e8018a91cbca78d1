"""What the analysis of definitions finds out: kinds, types, dependencies, hashes. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.tree import Node

Kind = Literal["lookup", "windowed", "sequence", "derived"]


@dataclass(frozen=True)
class AnalyzedFeature:
    """One feature, resolved against the columns of its source and the other features.

    `columns` are the source's columns that it reads, `inputs` the features that it reads (of its
    own view or of others); `data_hash` covers what defines its values, `serving_hash` also what
    defines how they are served (ttl, default). `tree` is None where a Python function computes it.
    `on_read` marks a derived feature that can't stand in a stored row: it depends on the time of
    reading, or has a value even where there is no row.
    """

    feature: Feature
    view: str
    kind: Kind
    dtype: str
    tree: Node | None
    columns: tuple[str, ...]
    inputs: tuple[str, ...]
    data_hash: str
    serving_hash: str
    on_read: bool = False

    @property
    def name(self) -> str:
        return self.feature.name


@dataclass(frozen=True)
class AnalyzedView:
    """A view with its entity and source, its features in dependency order, and its revision.

    `columns` is the source's schema (name to type); `inputs` names the views whose features this
    one reads; `revision` is the hex hash of all that defines its data; `stored` tells whether a
    run writes its values (a `real_time` derived view is computed when it is read); `notes` are
    what `plan` tells the user once.
    """

    view: FeatureView
    entity: Entity | None
    source: Source | None
    columns: Mapping[str, str]
    features: tuple[AnalyzedFeature, ...]
    inputs: tuple[str, ...]
    revision: str
    stored: bool
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.view.name

    @property
    def join_keys(self) -> Mapping[str, str]:
        """Join key to type, in the entity's order; empty for a view without entity."""
        return {} if self.entity is None else self.entity.join_keys

    @property
    def stored_features(self) -> tuple[AnalyzedFeature, ...]:
        """The features that a stored row holds, in order."""
        return tuple(feature for feature in self.features if not feature.on_read)

    def feature(self, name: str) -> AnalyzedFeature:
        return next(feature for feature in self.features if feature.name == name)


@dataclass(frozen=True)
class AnalyzedProject:
    """All objects of a project, by name."""

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    views: Mapping[str, AnalyzedView] = field(default_factory=dict)
    services: Mapping[str, FeatureService] = field(default_factory=dict)

    def features(self) -> dict[str, AnalyzedFeature]:
        """Every feature of the project by name."""
        return {f.name: f for view in self.views.values() for f in view.features}
