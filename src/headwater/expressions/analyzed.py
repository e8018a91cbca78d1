"""What the analysis of definitions finds out: kinds, types, dependencies, hashes. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from headwater.definitions.defaults import held_default
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.tree import Node

Kind = Literal["lookup", "windowed", "sequence", "derived", "on_demand"]


Hop = tuple[tuple[str, str], ...]
"""Join keys, in their order, with the features whose values they are."""


def slot_of(feature: str, hop: Hop) -> str:
    """A name for a feature at other keys, which no feature has."""
    return f"{feature} via {', '.join(f'{key}={name}' for key, name in hop)}"


def status_of(feature: str) -> str:
    """The column of an online row that says why a feature is null, where that is not plain."""
    return f"{feature}#status"


def time_of(feature: str) -> str:
    """The column of an online row that holds a feature's own event time."""
    return f"{feature}#time"


@dataclass(frozen=True)
class AnalyzedFeature:
    """One feature, resolved against the columns of its source and the other features.

    `columns` are the source's columns that it reads, `inputs` the features that it reads (of its
    own view or of others): those that its definition names, its `operands`, then those whose values
    are keys of others. `across` tells, of operands that are read at such keys, the join keys and
    the features whose values these are. `data_hash` covers what defines its values, `serving_hash`
    also what defines how they are served (ttl, default). `tree` is None where a Python function
    computes it. `on_read` marks a derived feature that can't stand in a stored row: it depends on
    the time of reading, or has a value even where there is no row. `request` holds the values, name
    to type, that must come with a request, for the feature itself or for what it reads.
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
    request: Mapping[str, str] = field(default_factory=dict)
    across: Mapping[str, Hop] = field(default_factory=dict)
    named: int | None = None

    @property
    def name(self) -> str:
        return self.feature.name

    @property
    def default(self) -> Any:
        """What stands for a value that is not PRESENT, in the form of the feature's type."""
        return held_default(self.feature.default, self.dtype)

    @property
    def reads_features(self) -> bool:
        """Whether it is computed from values of features, and not from rows of a source."""
        return self.kind in ("derived", "on_demand")

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a feature that reads features is computed from, values of the request last."""
        return (*self.operands, *self.feature.request)

    @property
    def operands(self) -> tuple[str, ...]:
        """The features that its definition names."""
        return self.inputs[: self.named]

    @property
    def here(self) -> tuple[str, ...]:
        """The inputs that are read at the feature's own key."""
        own = [name for name in self.operands if name not in self.across]
        return tuple(dict.fromkeys([*own, *self.feature.via.values()]))

    def slot(self, operand: str) -> str:
        """What an operand is called among all that is read for a view: one name a key."""
        hop = self.across.get(operand)
        return operand if hop is None else slot_of(operand, hop)


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
    def is_foreign(self) -> bool:
        """Whether code that came over the API is among what it evaluates."""
        return any(feature.feature.code_by is not None for feature in self.features)

    @property
    def stored_features(self) -> tuple[AnalyzedFeature, ...]:
        """The features that a stored row holds, each after those that it reads."""
        return tuple(feature for feature in self.features if not feature.on_read)

    @property
    def row_features(self) -> tuple[AnalyzedFeature, ...]:
        """The same in the order of the row: that of their names, since a revision, whose rows these
        are, does not depend on the order in which its features are declared.
        """
        return tuple(sorted(self.stored_features, key=lambda feature: feature.name))

    @property
    def told_features(self) -> tuple[AnalyzedFeature, ...]:
        """Those of them that a row tells more of than their value: why it is null, how old it is.

        A row of a source tells it for all its features; what is derived from other views has
        statuses and times of its own.
        """
        return self.row_features if self.source is None else ()

    @property
    def row_columns(self) -> tuple[tuple[str, str], ...]:
        """Names and types of what an online row holds, in order."""
        values = [(feature.name, feature.dtype) for feature in self.row_features]
        told = [
            column
            for feature in self.told_features
            for column in (
                (status_of(feature.name), "string"),
                (time_of(feature.name), "timestamp"),
            )
        ]
        return (*values, *told)

    def feature(self, name: str) -> AnalyzedFeature:
        return next(feature for feature in self.features if feature.name == name)


@dataclass(frozen=True)
class AnalyzedProject:
    """All objects of a project, by name."""

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    views: Mapping[str, AnalyzedView] = field(default_factory=dict)
    services: Mapping[str, FeatureService] = field(default_factory=dict)

    def features(self) -> Mapping[str, AnalyzedFeature]:
        """Every feature of the project by name."""
        return self._features

    @cached_property
    def _features(self) -> Mapping[str, AnalyzedFeature]:
        return {f.name: f for view in self.views.values() for f in view.features}
