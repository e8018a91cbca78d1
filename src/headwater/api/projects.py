"""The projects of one registry, each with its service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from headwater.api.service import FeatureStoreService
from headwater.config import Settings
from headwater.errors import NotFoundError, near_miss
from headwater.governed import ViewPlanner
from headwater.registry.governance import Governance, Planner
from headwater.registry.store import Registry, open_registry

if TYPE_CHECKING:
    from headwater.store import FeatureStore


class Projects:
    """Finds the service of a project; `planner_of` makes what computes a project's features."""

    def __init__(
        self, registry: Registry, default: str, planner_of: Callable[[str], Planner]
    ) -> None:
        self._registry = registry
        self._default = default
        self._planner_of = planner_of
        self._services: dict[str, FeatureStoreService] = {}
        self._known = {default}

    async def service(self, project: str | None, *, new: bool = False) -> FeatureStoreService:
        """The service of a project, the default one where none is named.

        Raises NotFoundError for one that the registry doesn't know, unless it may be `new`.
        """
        name = project or self._default
        if not new and name not in self._known:
            await asyncio.to_thread(self._check, name)
            self._known.add(name)
        found = self._services.get(name)
        if found is None:
            governance = Governance(self._registry, name, self._planner_of(name))
            found = FeatureStoreService(governance, self._registry, name)
            self._services[name] = found
        return found

    def _check(self, name: str) -> None:
        known = self._registry.projects()
        if name not in known:
            raise NotFoundError(
                f"no project '{name}'{near_miss(name, known)}; the first feature makes one"
            )

    def close(self) -> None:
        """Let go of the registry's connections."""
        self._registry.close()


def open_projects(settings: Settings) -> Projects:
    """The projects of the registry that the settings name; nothing is opened yet."""

    def planner(project: str) -> Planner:
        return ViewPlanner(lambda: _store(replace(settings, project=project)))

    return Projects(open_registry(str(settings.registry.url)), settings.project, planner)


def _store(settings: Settings) -> FeatureStore:
    from headwater.store import FeatureStore  # what computes is loaded when something is computed

    return FeatureStore(settings=settings)
