"""Who reads what in a project: the way from a change to everything downstream of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.registry.changes import Downstream


class Readers:
    """The edges of a project from what is read to what reads it."""

    def __init__(self, project: AnalyzedProject) -> None:
        self._project = project
        self._features: dict[str, list[str]] = {}
        self._services: dict[str, list[str]] = {}
        for feature in project.features().values():
            for name in feature.inputs:
                self._features.setdefault(name, []).append(feature.name)
        for service in project.services.values():
            for ref in service.features:
                if ref.version is None:  # a pinned reference doesn't feel a change
                    self._services.setdefault(ref.feature, []).append(service.name)

    def of_features(self, names: Iterable[str]) -> Downstream:
        """Features that read one of these, directly or not, and services that follow any."""
        start = set(names)
        seen, waiting = set(start), list(start)
        while waiting:
            found = set(self._features.get(waiting.pop(), ())) - seen
            seen |= found
            waiting.extend(found)
        services = {service for name in seen for service in self._services.get(name, ())}
        return Downstream(tuple(sorted(seen - start)), tuple(sorted(services)))

    def of_object(self, kind: str, name: str) -> Downstream:
        """What a change of an entity, source or view reaches; nothing reads a service."""
        if kind == "view":
            view = self._project.views.get(name)
            return self.of_features(f.name for f in view.features) if view else Downstream()
        tests: dict[str, Callable[[AnalyzedView], str | None]] = {
            "entity": lambda view: view.view.entity_name,
            "source": lambda view: view.view.source_name,
        }
        if kind not in tests:
            return Downstream()
        users = [view for view in self._project.views.values() if tests[kind](view) == name]
        direct = {feature.name for view in users for feature in view.features}
        below = self.of_features(direct)
        return Downstream(tuple(sorted(direct | set(below.features))), below.services)
