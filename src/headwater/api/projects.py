"""The projects of one registry, each with its service."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from headwater.api.service import FeatureStoreService
from headwater.config import Settings
from headwater.errors import NotFoundError, near_miss
from headwater.registry.store import open_registry


class Projects:
    """Finds the service of a project of the registry that the settings name.

    Nothing is opened before it is needed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._default = settings.project
        self.registry = open_registry(str(settings.registry.url))
        self._services: dict[str, FeatureStoreService] = {}
        self._known = {settings.project}

    async def service(self, project: str | None, *, new: bool = False) -> FeatureStoreService:
        """The service of a project, the default one where none is named.

        Raises NotFoundError for one that the registry doesn't know, unless it may be `new`.
        """
        name = project or self._default
        if not new and name not in self._known:
            await asyncio.to_thread(self._check, name)
            self._known.add(name)
        if name not in self._services:
            made = await asyncio.to_thread(self._open, name)
            self._services.setdefault(name, made)  # two may have asked at once
        return self._services[name]

    def _open(self, name: str) -> FeatureStoreService:
        from headwater.store import FeatureStore

        store = FeatureStore(settings=replace(self._settings, project=name))
        store.registry = self.registry  # one for all projects
        return FeatureStoreService(store)

    def _check(self, name: str) -> None:
        known = self.registry.projects()
        if name not in known:
            raise NotFoundError(
                f"no project '{name}'{near_miss(name, known)}; the first feature makes one"
            )

    def close(self) -> None:
        """Let go of the registry's connections."""
        self.registry.close()
