"""A project's definitions, analysed with some features as the versions that they went back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headwater.definitions.collection import Definitions
from headwater.definitions.feature import Feature
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError
from headwater.expressions.analysis import analyze
from headwater.expressions.analyzed import AnalyzedProject
from headwater.registry.bound import pinned
from headwater.registry.kinds import FeatureVersion

Pins = frozenset[str]
"""Versions, as `name@version`, that stand in place of what the definitions declare."""
DECLARED: Pins = frozenset()


class Worlds:
    """What the definitions of a project mean, depending on the versions in them.

    `declared` is their meaning as they stand; `version` gives the content of a `name@version`.
    """

    def __init__(
        self, declared: AnalyzedProject, version: Callable[[str, str], FeatureVersion]
    ) -> None:
        self._declared = declared
        self._version = version
        self._known: dict[Pins, AnalyzedProject | None] = {DECLARED: declared}

    def project(self, pins: Pins) -> AnalyzedProject | None:
        """The meaning with some versions; None where what is around them doesn't allow these."""
        if pins not in self._known:
            self._known[pins] = self._analyzed(pins)
        return self._known[pins]

    def _analyzed(self, pins: Pins) -> AnalyzedProject | None:
        schemas = {
            view.source.name: view.columns
            for view in self._declared.views.values()
            if view.source is not None
        }
        try:
            return analyze(self._definitions(pins, schemas), lambda source: schemas[source.name])
        except DefinitionError:
            return None

    def _definitions(self, pins: Pins, read: Mapping[str, object]) -> Definitions:
        found = self._declared
        put = {name: self._feature(name, version) for name, version in pinned(pins).items()}
        return Definitions(
            entities=found.entities,
            sources={name: found.sources[name] for name in read},
            views={name: _with(view.view, put) for name, view in found.views.items()},
        )

    def _feature(self, name: str, version: str) -> Feature:
        return Feature.from_dict(self._version(name, version).definition)


def _with(view: FeatureView, put: Mapping[str, Feature]) -> FeatureView:
    if not any(feature.name in put for feature in view.features):
        return view
    features = tuple(put.get(feature.name, feature) for feature in view.features)
    return view.model_copy(update={"features": features})
