"""What runs fill of a project: its views, and the revisions beside them that somebody reads.

What they have filled is served, as the catalogue says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from headwater.compute.reading import Reader
from headwater.definitions.ticks import DAY
from headwater.errors import DefinitionError
from headwater.expressions.analyzed import AnalyzedView
from headwater.offline.states import RunStates
from headwater.pipeline.backfill import Backfiller
from headwater.pipeline.materialize import Materializer, Target
from headwater.registry.head import Head
from headwater.registry.kinds import FeatureVersion, now_us

if TYPE_CHECKING:
    from headwater.store import FeatureStore


def materializer(store: FeatureStore) -> Materializer:
    """What writes the latest values of a project's views, and of all else that is served."""
    head = store.applied_head()
    analyzed = store.analyzed(head)
    readers = _Readers(store, head)
    return Materializer(
        project=store.project,
        current=[Target(view, readers.of(view)) for view in analyzed.views.values()],
        earlier=[
            _earlier(store, revision) for revision in _stored_besides(head, head.live_revisions())
        ],
        warm=_warm(store, head),
        registry=store.registry,
        online=store.online,
        quarantine=store.quarantine,
        states=RunStates(store.settings.offline.path, store.project),
        on_run=store.events.run,
    )


def publish(store: FeatureStore) -> None:
    """Make the serving catalogue say what the registry says, and what runs have filled."""
    from headwater.serving.live import publish as put
    from headwater.serving.publishing import Contents, build_catalogue, served_keys

    head = store.registry.head(store.project)
    versions = store.registry.get_many(store.project, FeatureVersion, served_keys(head))

    def version(key: str) -> FeatureVersion:
        return versions.get(key) or store.registry.get(store.project, FeatureVersion, key)

    contents = Contents(store.project_of, version, cache(store.is_filled))
    put(store.online, build_catalogue(store.project, head, store.analyzed(head), contents))


class _Readers:
    """What reads the inputs of views: in one project, but for views that are computed apart."""

    def __init__(self, store: FeatureStore, head: Head) -> None:
        self._store = store
        self._head = head
        self._shared = Reader(store.engine, store.analyzed(head))
        self._apart: dict[str, Reader] = {}

    def of(self, view: AnalyzedView) -> Reader:
        if not self._head.stands_apart(view.revision):
            return self._shared
        if view.revision not in self._apart:
            project = self._store.project_of(view.revision)
            self._apart[view.revision] = Reader(self._store.engine, project)
        return self._apart[view.revision]


def backfiller(store: FeatureStore) -> Backfiller:
    """What computes the history of a project's views."""
    head = store.applied_head()
    return Backfiller(
        project=store.project,
        analyzed=store.analyzed(head),
        reader_of=_Readers(store, head).of,
        registry=store.registry,
        tables=store.tables,
        names=store.names,
        quarantine=store.quarantine,
        on_run=store.events.run,
    )


def _warm(store: FeatureStore, head: Head) -> Sequence[Target]:
    """What a rollback may need at once: revisions that were given up a short time ago.

    One that can't be understood any more is no hindrance.
    """
    since = now_us() - store.settings.registry.rollback_days * DAY
    found = []
    for revision in _stored_besides(head, head.warm_revisions(since)):
        with contextlib.suppress(DefinitionError):
            if store.is_filled(revision):
                found.append(_earlier(store, revision))
    return found


def _earlier(store: FeatureStore, revision: str) -> Target:
    """A revision that is no longer its view's, and what reads it."""
    found = store.project_of(revision)
    view = next(view for view in found.views.values() if view.revision == revision)
    return Target(view, Reader(store.engine, found))


def _stored_besides(head: Head, revisions: Iterable[str]) -> Sequence[str]:
    """Those of some revisions that runs write, though no view computes them."""
    current = {view.revision for view in head.views.values()}
    return [r for r in revisions if head.revisions[r].stored and r not in current]
