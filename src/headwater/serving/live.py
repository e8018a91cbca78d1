"""The serving catalogue in the online store: published by `apply`, followed by every reader."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable

from headwater.errors import ConflictError, NotFoundError, NotSupportedError, StoreError
from headwater.online.store import Known, OnlineStore
from headwater.serving.catalogue import Catalogue, decode, encode
from headwater.serving.request import Snapshot

DOCUMENT = "serving"
"""The name of the document in the online store."""
STAMP = "serving/stamp"
"""A small document that is another one after each `publish`: every read compares it."""
REFRESH = 0.1
"""Seconds after which a reader looks all the same, should a publisher have died in between."""
_ATTEMPTS = 5

_log = logging.getLogger(__name__)


def publish(store: OnlineStore, catalogue: Catalogue) -> bool:
    """Make a catalogue the one that is served; False where a later generation already is.

    Atomic: readers see the old one or the new one, and once this returns only the new one. Raises
    ConflictError where other writers keep getting in between, NotSupportedError where a newer
    Headwater has published.
    """
    is_newest = _put(store, catalogue)
    # Whose change gets in between has read nothing older, and makes readers look as well.
    with contextlib.suppress(ConflictError):
        known = store.get_document(catalogue.project, STAMP)
        store.put_document(catalogue.project, STAMP, os.urandom(12), known)
    return is_newest


def _put(store: OnlineStore, catalogue: Catalogue) -> bool:
    document = encode(catalogue)
    for _ in range(_ATTEMPTS):
        current = store.get_document(catalogue.project, DOCUMENT)
        if current is not None and _generation(current) > catalogue.generation:
            return False
        try:
            store.put_document(catalogue.project, DOCUMENT, document, current)
        except ConflictError:
            continue
        return True
    raise ConflictError(f"the serving catalogue of '{catalogue.project}' keeps changing; try again")


def published_catalogue(store: OnlineStore, project: str) -> Catalogue | None:
    """The catalogue that readers use now; None before the first one.

    Raises StoreError where it is damaged, NotSupportedError where a newer Headwater wrote it.
    """
    document = store.get_document(project, DOCUMENT)
    return None if document is None else decode(document)


def _generation(document: bytes) -> int:
    """The generation of a document, -1 of a damaged one: the next apply replaces that."""
    try:
        return decode(document).generation
    except StoreError:
        return -1


class LiveCatalogue:
    """The newest sound catalogue of a project. Safe between threads.

    It looks for a new one when `refresh` seconds have passed or a read has found that there is one;
    a broken or missing one keeps the old one in service, and `problem` says why.
    """

    def __init__(
        self,
        store: OnlineStore,
        project: str,
        *,
        refresh: float = REFRESH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.project = project
        self.problem: str | None = None
        self._store = store
        self._refresh = refresh
        self._clock = clock
        self._due = clock()
        self._seen: bytes | None = None
        self._flaw: str | None = None
        self._snapshot: Snapshot | None = None
        self._looking = threading.Lock()

    def snapshot(self) -> Snapshot:
        """The catalogue to serve.

        Raises NotFoundError where none was ever published, StoreError where none can be read.
        """
        now = self._clock()
        if now >= self._due or self._snapshot is None:
            self._due = now + self._refresh
            self._look()
        if self._snapshot is None:
            if self.problem is not None:
                raise StoreError(self.problem)
            raise NotFoundError(
                f"no features are applied yet to project '{self.project}'; run 'headwater apply'"
            )
        return self._snapshot

    def newest(self) -> Snapshot:
        """The catalogue to serve, looked for just now. Raises as `snapshot`."""
        self._due = self._clock()
        return self.snapshot()

    def check(self) -> Snapshot:
        """`newest`, which moreover raises StoreError where the store fails now."""
        self._store.get_document(self.project, DOCUMENT)
        return self.newest()

    def _look(self) -> None:
        with self._looking:
            self._look_alone()

    def _look_alone(self) -> None:
        try:
            stamp = self._store.get_document(self.project, STAMP)  # first: it is put last
            document = self._store.get_document(self.project, DOCUMENT)
        except StoreError as error:
            self._complain(str(error))
            return
        if document is None or document != self._seen:
            self._flaw = self._take(document)
            self._seen = document
        if self._snapshot is not None:
            self._snapshot.known.content = stamp
        if self._flaw is None:
            self.problem = None
        else:
            self._complain(self._flaw)

    def _take(self, document: bytes | None) -> str | None:
        """Serve a document from now on; what is wrong with it, where that can't be."""
        if document is None:
            gone = self._snapshot is not None
            return f"the serving catalogue of '{self.project}' is gone" if gone else None
        try:
            snapshot = Snapshot(decode(document), Known(STAMP, None))
        except (StoreError, NotSupportedError) as error:
            return str(error)
        self._snapshot = snapshot
        _log.info("serving '%s', generation %d", self.project, snapshot.generation)
        return None

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            kept = "" if self._snapshot is None else "; the last sound one stays in service"
            _log.warning("%s%s", problem, kept)
        self.problem = problem
