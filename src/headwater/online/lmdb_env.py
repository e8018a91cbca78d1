"""One LMDB environment per directory and process: opening, transactions, growth, forks.

LMDB allows a directory to be open once per process, its map to be resized only while the process
has no transaction open, and no use after a fork. All three are handled here, so that the store
only sees transactions.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import lmdb

from headwater.errors import StoreError

T = TypeVar("T")

_MAX_READERS = 512
_DATABASES = (b"rows", b"revisions", b"documents")


class Environment:
    """An LMDB directory, opened when it is used and not open; made by `environment`.

    `rows`, `revisions` and `documents` are its databases, valid inside a transaction. Two locks
    keep transactions away from a change of the map: `_writes` is held through a write, `_gate`
    through a read (of microseconds); a change of the map takes both, in this order. A long read
    only counts itself in and out, lest short ones wait for it; a change waits until all are out.
    """

    rows: Any
    revisions: Any
    documents: Any

    def __init__(self, path: Path, map_size: int, *, sync: bool) -> None:
        self.path = path
        self._map_size = map_size
        self._sync = sync
        self._env: Any = None
        self._writes = threading.Lock()
        self._gate = threading.Lock()
        self._left = threading.Condition(self._gate)
        self._reading = 0

    def view(self, use: Callable[[Any], T], *, long: bool = False) -> T:
        """The result of `use` on a reading transaction over `rows`; `long` if it takes a while."""
        while True:
            try:
                if long:
                    return self._view_long(use)
                with self._gate, (self._env or self._open()).begin(self.rows) as txn:
                    return use(txn)
            except lmdb.MapResizedError:
                self._resize(0)
            except lmdb.Error as error:
                raise self._failed(error) from error

    def _view_long(self, use: Callable[[Any], T]) -> T:
        with self._gate:
            txn = (self._env or self._open()).begin(self.rows)
            self._reading += 1
        try:
            with txn:
                return use(txn)
        finally:
            with self._gate:
                self._reading -= 1
                self._left.notify_all()

    def update(self, change: Callable[[Any], T]) -> T:
        """The result of `change` on a writing transaction, committed.

        Waits while another process writes. `change` runs again where the map was too small.
        """
        while True:
            try:
                with self._writes, self._opened().begin(self.rows, write=True) as txn:
                    return change(txn)
            except lmdb.MapFullError:
                self._resize(2)
            except lmdb.MapResizedError:
                self._resize(0)
            except lmdb.Error as error:
                raise self._failed(error) from error

    def forget_dead_readers(self) -> None:
        """Free the slots of killed readers, which would keep old pages from being used again."""
        with self._gate:
            (self._env or self._open()).reader_check()

    def release(self) -> None:
        """Give back the pages of the files that this process has mapped so far.

        They would count as its memory as long as the files are open: after a load that compares
        rows with stored ones that is all of them.
        """
        self._resize(0)

    def close(self) -> None:
        with self._writes, self._gate:
            self._await_long_reads()
            self._close()

    def hold(self) -> None:
        """Close, and keep everybody out until `let_go`."""
        self._writes.acquire()
        self._gate.acquire()
        self._await_long_reads()
        self._close()

    def let_go(self) -> None:
        self._gate.release()
        self._writes.release()

    def _opened(self) -> Any:
        if self._env is None:
            with self._gate:
                return self._env or self._open()
        return self._env

    def _open(self) -> Any:
        """Open the directory; the caller holds the gate."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            env = lmdb.open(
                str(self.path),
                map_size=self._map_size,
                max_dbs=len(_DATABASES),
                max_readers=_MAX_READERS,
                sync=self._sync,
            )
            self.rows, self.revisions, self.documents = _databases(env)
        except (lmdb.Error, OSError) as error:
            raise self._failed(error) from error
        self._env = env
        return env

    def _close(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None

    def _resize(self, factor: int) -> None:
        """Grow the map by a factor; 0 adopts the size that another process gave it."""
        with self._writes, self._gate:
            self._await_long_reads()
            env = self._env or self._open()
            env.set_mapsize(factor * env.info()["map_size"])

    def _await_long_reads(self) -> None:
        """Wait, with the gate in hand, until no long read is under way."""
        self._left.wait_for(lambda: self._reading == 0)

    def _failed(self, error: Exception) -> StoreError:
        return StoreError(f"online store {self.path}: {error}")


def environment(path: Path, map_size: int, *, sync: bool) -> Environment:
    """The environment of a directory, the same one for all that use it in this process."""
    place = path.resolve()
    with _shared.lock:
        found = _shared.environments.get(place)
        if found is None:
            found = _shared.environments[place] = Environment(place, map_size, sync=sync)
            _shared.watch_forks()
        return found


class _Shared:
    """The environments of this process, by directory."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.environments: WeakValueDictionary[Path, Environment] = WeakValueDictionary()
        self._held: list[Environment] = []
        self._watching = False

    def watch_forks(self) -> None:
        """Have no environment open while the process forks; both sides open theirs when needed.

        A child can't close what it inherits: that would free the reader slots of its parent.
        """
        if not self._watching and hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._hold, after_in_parent=self._let_go, after_in_child=self._let_go
            )
            self._watching = True

    def _hold(self) -> None:
        self.lock.acquire()
        self._held = list(self.environments.values())
        for env in self._held:
            env.hold()

    def _let_go(self) -> None:
        for env in self._held:
            env.let_go()
        self._held = []
        self.lock.release()


_shared = _Shared()


def _databases(env: Any) -> tuple[Any, ...]:
    while True:
        try:
            return tuple(map(env.open_db, _DATABASES))
        except lmdb.MapResizedError:
            env.set_mapsize(0)
