"""gc of a project: what it would remove, and the removal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headwater.definitions.service import FeatureService
from headwater.definitions.ticks import DAY
from headwater.offline.states import RunStates
from headwater.pipeline.collection import Collector, Garbage
from headwater.registry.head import Head
from headwater.registry.pins import services_of

if TYPE_CHECKING:
    from headwater.store import FeatureStore


def garbage_of(store: FeatureStore) -> list[Garbage]:
    """The revisions that nothing can reach any more, and what removing them frees."""
    return _collector(store).survey()


def collect_garbage(store: FeatureStore) -> list[Garbage]:
    """Remove what nothing can reach any more; says what it was.

    Readers are led away from it first. One that is read again by then is left alone.
    """
    collector = _collector(store)
    collector.mark(author=store.author)
    store.publish_all()
    return collector.remove()


def _collector(store: FeatureStore) -> Collector:
    def services(head: Head) -> Iterable[FeatureService]:
        return services_of(store.registry, store.project, head).values()

    return Collector(
        project=store.project,
        registry=store.registry,
        online=store.online,
        tables=store.tables,
        states=RunStates(store.settings.offline.path, store.project),
        window=store.settings.registry.rollback_days * DAY,
        services=services,
        served=lambda: _served(store),
    )


def _served(store: FeatureStore) -> list[str]:
    from headwater.serving.live import published_catalogue

    found = published_catalogue(store.online, store.project)
    return [] if found is None else [one.revision for one in found.revisions]
