"""Keys that the online store holds and a run has not come upon: all their rows have gone (C8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from headwater.online.order import is_tombstone
from headwater.online.sorted_keys import SortedKeys, without
from headwater.online.store import OnlineStore


class Vanished:
    """Compares the keys of a revision's rows with those that a run has seen.

    Where the store holds none when the run begins, nothing need be remembered. Memory stays
    bounded: what a run has seen waits, sorted, in a file in `folder`.
    """

    def __init__(self, store: OnlineStore, project: str, revision: str, folder: Path) -> None:
        self._store = store
        self._project = project
        self._revision = revision
        self._seen = SortedKeys(folder)
        self.possible = any(store.keys(project, revision))

    def saw(self, keys: Iterable[bytes]) -> None:
        """Say that a run has looked at these keys; what it made of them is written."""
        if self.possible:
            self._seen.add(keys)

    def pages(self) -> Iterator[list[bytes]]:
        """The keys of rows that the run has not looked at, page by page; no tombstones."""
        if not self.possible:
            return
        stored = self._store.keys(self._project, self._revision)
        for page in without(stored, self._seen.pages()):
            [rows], _ = self._store.read(self._project, [(self._revision, page)])
            yield [
                key
                for key, row in zip(page, rows, strict=True)
                if row is not None and not is_tombstone(row)
            ]

    def close(self) -> None:
        self._seen.close()
