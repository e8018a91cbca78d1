"""The projects of one registry, each with its service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from headwater.api.service import FeatureStoreService
from headwater.config import Settings
from headwater.errors import HeadwaterError, NotFoundError, RefusedError, near_miss
from headwater.registry.governance import Governance, Planner
from headwater.registry.head import Head
from headwater.registry.plan import Plan
from headwater.registry.records import FeatureRecord
from headwater.registry.store import Registry, open_registry
from headwater.registry.versions import Wanted

if TYPE_CHECKING:
    from headwater.store import FeatureStore

_log = logging.getLogger(__name__)


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
    registry = open_registry(str(settings.registry.url))
    return Projects(
        registry,
        settings.project,
        lambda project: Declared(registry, replace(settings, project=project)),
    )


class Declared:
    """Features whose values are computed are those that a project's definitions declare."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings

    @cached_property
    def _store(self) -> FeatureStore:
        from headwater.store import FeatureStore

        return FeatureStore(settings=self._settings)

    def activation(self, head: Head, record: FeatureRecord) -> Plan | None:  # noqa: ARG002
        if record.source is None:
            return None
        raise RefusedError(
            f"feature '{record.name}': field 'source': values are computed of what the project's "
            "definitions declare; declare it there and apply, or leave out 'source'"
        )

    def edition(self, head: Head, record: FeatureRecord, wanted: Wanted | None) -> Plan:  # noqa: ARG002
        view = head.features[record.name].view
        raise RefusedError(
            f"feature '{record.name}': view '{view}' of the project's definitions computes it; "
            "change it there, and apply"
        )

    def applied(self) -> None:
        """Let workers see what is current now."""
        project = self._settings.project
        if not self._registry.head(project).views:
            return
        try:
            self._store.publish()
        except HeadwaterError as error:  # the change is made; it will be seen with the next one
            _log.warning("project '%s': can't be published: %s", project, error)
