"""From feature references to a compiled request: names, versions, near misses."""

from __future__ import annotations

import re
from functools import lru_cache

from headwater.errors import NotFoundError, RequestError
from headwater.online.store import Known
from headwater.serving.catalogue import Catalogue, Feature, Reference
from headwater.serving.compilation import Compilation, Indexes
from headwater.serving.hints import hint_for, shown
from headwater.serving.plan import Plan

PLANS = 256
"""Compiled requests that are kept, the least recently used one goes first."""
_KEPT_FEATURES = 512
"""A request that names more features is compiled each time: such plans could fill the memory."""
_LONGEST_COLUMN = 128

_REFERENCE = re.compile(
    r"(?:(?P<view>\w{1,128}):)?(?P<feature>\w{1,128})(?:@(?P<version>[\w.\-]{1,64}))?", re.ASCII
)
_LISTED = 10
_NAME = re.compile(r"[A-Za-z]\w{0,127}", re.ASCII)


class Snapshot:
    """One generation of a project's catalogue, ready to compile requests. Safe between threads.

    `known` is the document that changes with the catalogue, as it was when this one was read.
    """

    def __init__(self, catalogue: Catalogue, known: Known) -> None:
        self.catalogue = catalogue
        self.known = known
        self.generation = catalogue.generation
        self._indexes = Indexes(catalogue)
        self._kept = lru_cache(PLANS)(self._plan)

    def plan(
        self, features: tuple[str | Reference, ...], service: str | None, *, full: bool
    ) -> Plan:
        """The compiled request for references or for a service; `full` gives `view__feature`.

        Raises NotFoundError with the near miss, RequestError where the request contradicts itself.
        """
        make = self._kept if len(features) <= _KEPT_FEATURES else self._plan
        return make(features, service, full=full)

    def _plan(
        self, features: tuple[str | Reference, ...], service: str | None, *, full: bool
    ) -> Plan:
        references = self._references(features, service)
        compilation = Compilation(self._indexes)
        for reference in references:
            feature = self._feature(reference)
            version = self._version(reference, feature)
            compilation.add(self._output(reference, feature, full=full), reference, version)
        return compilation.finish(self.generation, service)._replace(known=self.known)

    def _references(
        self, features: tuple[str | Reference, ...], service: str | None
    ) -> tuple[Reference, ...]:
        if service is not None:
            if features:
                raise RequestError("give 'features' or 'feature_service', not both")
            return self._service(service)
        if not features:
            raise RequestError("no features are asked for; give 'features' or 'feature_service'")
        return tuple(parse_reference(f) if isinstance(f, str) else f for f in features)

    def _service(self, name: str) -> tuple[Reference, ...]:
        found = self.catalogue.services.get(name)
        if found is None:
            hint = hint_for(name, self.catalogue.services)
            raise NotFoundError(f"feature service '{shown(name)}' does not exist{hint}")
        return found

    def _feature(self, reference: Reference) -> Feature:
        name, view = reference.feature, reference.view
        feature = self.catalogue.features.get(name)
        if feature is not None and view in (None, feature.view):
            return feature
        asked = name if view is None else f"{view}:{name}"
        if feature is not None:
            raise NotFoundError(
                f"feature '{shown(asked)}' does not exist; '{name}' is a feature of view "
                f"'{feature.view}'"
            )
        raise NotFoundError(f"feature '{shown(asked)}' does not exist{self._nearest(name, view)}")

    def _nearest(self, name: str, view: str | None) -> str:
        features = self.catalogue.features
        views = {feature.view for feature in features.values()}
        if view is not None and view not in views:
            return f", nor does view '{shown(view)}'{hint_for(view, views)}"
        if name in self.catalogue.services:
            return "; it is a feature service: ask for that (--service, 'feature_service')"
        if name in views:
            own = [other for other, feature in features.items() if feature.view == name]
            return f"; it is a view, with the features {', '.join(own[:_LISTED])}"
        return hint_for(name, [*features, *self.catalogue.services])

    def _version(self, reference: Reference, feature: Feature) -> str:
        version = reference.version or feature.current
        if version not in feature.versions:
            served = ", ".join(sorted(feature.versions))
            raise NotFoundError(
                f"feature '{reference.feature}' has no version '{shown(version)}' that is served "
                f"(served: {served})"
            )
        return version

    def _output(self, reference: Reference, feature: Feature, *, full: bool) -> str:
        for key, column in reference.join_keys.items():
            if len(column) > _LONGEST_COLUMN:
                raise RequestError(
                    f"feature '{reference.feature}', join key '{shown(key)}': the column "
                    f"'{shown(column)}' has a name of {len(column)} characters, "
                    f"{_LONGEST_COLUMN} at the most"
                )
        if reference.alias is not None:
            if not _NAME.fullmatch(reference.alias):
                raise RequestError(
                    f"alias '{shown(reference.alias)}' of feature '{reference.feature}' is not a "
                    "name; use a letter, then letters, digits and '_', 128 at the most"
                )
            return reference.alias
        return f"{feature.view}__{reference.feature}" if full else reference.feature


def parse_reference(text: str) -> Reference:
    """A reference from `feature` or `view:feature`, either with `@version`. Raises RequestError."""
    form = _REFERENCE.fullmatch(text)
    if form is None:
        raise RequestError(
            f"feature reference '{shown(text)}' can't be read; write 'feature' or 'view:feature', "
            "either with '@version'"
        )
    return Reference(form["feature"], view=form["view"], version=form["version"])
