"""The online store on LMDB: files in a directory, read by many processes, written by one at a time.

Three databases. `rows`: the revision's prefix and the key, so that a load in the order of keys
appends, and a revision is dropped as one range. `revisions`: per project and revision its number,
its published tick, and the cut before which its tombstones were swept; a revision that is dropped
loses its number first, and under project, revision and number stands what is to be removed yet.
`documents`: the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from headwater.errors import ConflictError, PreconditionError, StoreError
from headwater.online import lmdb_rows
from headwater.online.codec import from_micros
from headwater.online.lmdb_env import Environment, environment
from headwater.online.lmdb_rows import Prefix
from headwater.online.order import too_late
from headwater.online.sorted_keys import SortedKeys, merged
from headwater.online.store import ALLOWED_SKEW, Known, Reads, Rows, Size, Ticks, Written

_MAP_SIZE = 256 * 1024 * 1024
_MANY_KEYS = 1000
_SCANNED_ROWS = 4096
_DELETED_ROWS = 16_384
_LARGE_ROWS = 16_384
_NEXT_NUMBER = b"next"
_DROPS = b"drops"


class _Revision(msgspec.Struct, array_like=True, frozen=True):
    """What `revisions` holds. The number is never given to another revision, nor again to this."""

    number: int
    tick: int | None = None
    swept: int | None = None


class _Prefixes(NamedTuple):
    """The prefixes that are known in the state `number` of the store, after `drops` drops."""

    number: int
    drops: bytes | None
    of: dict[tuple[str, str], Prefix]


_encode = msgspec.msgpack.Encoder().encode
_revision_of = msgspec.msgpack.Decoder(_Revision).decode
_integer_of = msgspec.msgpack.Decoder(int).decode
_unlinked_of = msgspec.msgpack.Decoder(tuple[str, str, int]).decode


class LmdbStore:
    """An OnlineStore in the directory `path`, which is made at first use.

    `map_size` is the size in bytes with which the map of the files starts; it doubles when full.
    `sync=False` leaves it to the operating system when to write to disk: pushes are faster, and
    a crash of the machine (not of the process) may lose the latest or damage the files.
    """

    is_local = True

    def __init__(self, path: str | Path, *, map_size: int = _MAP_SIZE, sync: bool = True) -> None:
        self._env: Environment = environment(Path(path), map_size, sync=sync)
        self._prefixes = _Prefixes(-1, None, {})

    def __repr__(self) -> str:
        return f"LmdbStore('{self._env.path}')"

    def read(
        self,
        project: str,
        reads: Reads,
        ticks_of: Sequence[str] = (),
        known: Known | None = None,
    ) -> tuple[Rows, Ticks]:
        long = sum([len(keys) for _, keys in reads]) > _MANY_KEYS
        return self._env.view(partial(self._read, project, reads, ticks_of, known), long=long)

    async def read_async(
        self,
        project: str,
        reads: Reads,
        ticks_of: Sequence[str] = (),
        known: Known | None = None,
    ) -> tuple[Rows, Ticks]:
        """`read` itself: handing it to a thread would take longer."""
        return self.read(project, reads, ticks_of, known)

    def _read(
        self, project: str, reads: Reads, ticks_of: Sequence[str], known: Known | None, txn: Any
    ) -> tuple[Rows, Ticks]:
        number = txn.id()  # of the last commit: while it stays nothing has changed
        if known is not None and known.seen != number:
            self._compare(txn, project, known, number)
        seen, _, prefixes = self._prefixes
        if seen != number:
            prefixes = self._renewed(txn, number)
        get = txn.get
        found: Rows = []
        for revision, keys in reads:
            prefix = prefixes.get((project, revision))
            if prefix is None:
                prefix = self._prefix(txn, project, revision)
                if prefix is None:
                    found.append([None] * len(keys))
                    continue
                prefixes[project, revision] = prefix
            short = prefix[0]
            rows = [get(short + key) for key in keys]
            if None in rows:
                lmdb_rows.fill_long(txn, prefix, keys, rows)
            found.append(rows)
        if not ticks_of:
            return found, []
        entries = [self._revision(txn, project, revision) for revision in ticks_of]
        return found, [None if entry is None else entry.tick for entry in entries]

    def _compare(self, txn: Any, project: str, known: Known, number: int) -> None:
        if txn.get(_encode((project, known.name)), db=self._env.documents) != known.content:
            raise PreconditionError(
                f"document '{known.name}' of project '{project}' has changed; read it again"
            )
        known.seen = number

    def _renewed(self, txn: Any, number: int) -> dict[tuple[str, str], Prefix]:
        """The prefixes in the state of a transaction; none is known if there was a drop.

        Threads may read in different states at once: each goes by the one that it gets here.
        """
        drops = txn.get(_DROPS, db=self._env.revisions)
        known = self._prefixes
        of = known.of if drops == known.drops else {}
        self._prefixes = _Prefixes(number, drops, of)
        return of

    def write(
        self,
        project: str,
        revision: str,
        keys: Sequence[bytes],
        rows: Sequence[bytes],
        *,
        now: int | None = None,
        allowed_skew: int = ALLOWED_SKEW,
    ) -> Written:
        if len(keys) != len(rows):
            raise StoreError(f"write of {len(rows)} rows for {len(keys)} keys")
        self._env.forget_dead_readers()
        prefix = self._env.view(lambda txn: self._prefix(txn, project, revision))
        if prefix is None:
            prefix = self._env.update(partial(self._make_prefix, project, revision))
        clock = time.time_ns() // 1000 if now is None else now
        late = too_late(rows, from_micros(clock + allowed_skew))
        places = sorted(set(range(len(rows))).difference(late)) if late else range(len(rows))
        written = unchanged = older = 0
        for chunk in lmdb_rows.chunks(prefix, keys, rows, places):
            done = self._env.update(partial(self._put, project, revision, prefix, chunk))
            written += done.written
            unchanged += done.unchanged
            older += done.older
        if len(rows) >= _LARGE_ROWS:
            self._env.release()
        return Written(written, unchanged, older, tuple(late))

    def _put(
        self, project: str, revision: str, prefix: Prefix, chunk: lmdb_rows.Chunk, txn: Any
    ) -> Written:
        entry = self._revision(txn, project, revision)
        if entry is None or Prefix.of(entry.number) != prefix:
            raise ConflictError(
                f"revision {revision[:12]} was removed from the online store while rows were "
                "written to it; run it again"
            )
        swept = None if entry.swept is None else from_micros(entry.swept)
        return lmdb_rows.put(txn, chunk, swept)

    def keys(self, project: str, revision: str) -> Iterator[list[bytes]]:
        prefix = self._env.view(lambda txn: self._prefix(txn, project, revision))
        if prefix is None:
            return
        with closing(SortedKeys()) as long:
            for page in self._pages(lmdb_rows.some_long_keys, prefix.long, prefix.end):
                long.add(page)
            short = self._pages(lmdb_rows.some_keys, prefix.short, prefix.long)
            yield from merged([short, long.pages()])

    def _pages(
        self, scan: Callable[[bytes, bytes, int, Any], lmdb_rows.Page], start: bytes, end: bytes
    ) -> Iterator[list[bytes]]:
        """What a scan gives from `start` to `end`, a transaction a page."""
        after: bytes | None = start
        while after is not None:
            keys, after = self._env.view(partial(scan, after, end, _SCANNED_ROWS), long=True)
            yield keys

    def drop(self, project: str, revision: str) -> int:
        self._env.update(partial(self._unlink, project, revision))
        dropped = 0
        for number in self._env.view(lambda txn: self._unlinked(txn, project, revision)):
            rows = partial(lmdb_rows.delete_some, Prefix.of(number), _DELETED_ROWS)
            while count := self._env.update(rows):
                dropped += count
            self._env.update(partial(self._removed, _encode((project, revision, number))))
        return dropped

    def _unlink(self, project: str, revision: str, txn: Any) -> None:
        """Take the number from a revision, and say that the rows under it are to be removed."""
        entry, db = self._revision(txn, project, revision), self._env.revisions
        if entry is not None:
            txn.delete(_encode((project, revision)), db=db)
            txn.put(_encode((project, revision, entry.number)), b"", db=db)
            drops = txn.get(_DROPS, db=db)
            txn.put(_DROPS, _encode(1 if drops is None else _integer_of(drops) + 1), db=db)

    def _removed(self, key: bytes, txn: Any) -> None:
        txn.delete(key, db=self._env.revisions)

    def _unlinked(self, txn: Any, project: str, revision: str) -> list[int]:
        """The numbers that a revision has lost, whose rows are to be removed."""
        start = _encode((project, revision, 0))[:-1]  # its last byte is the number
        cursor = txn.cursor(db=self._env.revisions)
        found: list[int] = []
        more = cursor.set_range(start)
        while more and cursor.key().startswith(start):
            found.append(_unlinked_of(cursor.key())[2])
            more = cursor.next()
        return found

    def size(self, project: str, revision: str) -> Size:
        numbers = self._env.view(lambda txn: self._unlinked(txn, project, revision))
        prefix = self._env.view(lambda txn: self._prefix(txn, project, revision))
        rows = size = 0
        for one in [*map(Prefix.of, numbers), *([] if prefix is None else [prefix])]:
            start: bytes | None = one.short
            while start is not None:
                measure = partial(lmdb_rows.some_sizes, one, start, _SCANNED_ROWS)
                count, more, start = self._env.view(measure, long=True)
                rows, size = rows + count, size + more
        return Size(rows, size)

    def sweep(self, project: str, revision: str, before: int) -> int:
        prefix = self._env.update(partial(self._raise_swept, project, revision, before))
        if prefix is None:
            return 0
        swept, limit = 0, from_micros(before)
        start: bytes | None = prefix.short
        while start is not None:
            scan = partial(lmdb_rows.some_tombstones, prefix, start, _SCANNED_ROWS)
            keys, start = self._env.view(scan)
            if keys:
                remove = partial(lmdb_rows.delete_tombstones, prefix, keys, limit)
                swept += self._env.update(remove)
        return swept

    def _raise_swept(self, project: str, revision: str, before: int, txn: Any) -> Prefix | None:
        entry = self._revision(txn, project, revision)
        if entry is None:
            return None
        if entry.swept is None or entry.swept < before:
            changed = _Revision(entry.number, entry.tick, before)
            self._put_revision(txn, project, revision, changed)
        return Prefix.of(entry.number)

    def publish(self, project: str, revision: str, tick: int) -> bool:
        return self._env.update(partial(self._publish, project, revision, tick))

    def _publish(self, project: str, revision: str, tick: int, txn: Any) -> bool:
        self._make_prefix(project, revision, txn)
        entry = self._revision(txn, project, revision)
        if entry is None or (entry.tick is not None and entry.tick > tick):
            return False
        if entry.tick != tick:
            changed = _Revision(entry.number, tick, entry.swept)
            self._put_revision(txn, project, revision, changed)
        return True

    def published(self, project: str, revisions: Sequence[str]) -> Ticks:
        return self.read(project, (), revisions)[1]

    def get_document(self, project: str, name: str) -> bytes | None:
        key = _encode((project, name))
        found: bytes | None = self._env.view(lambda txn: txn.get(key, db=self._env.documents))
        return found

    def put_document(
        self, project: str, name: str, new: bytes | None, expected: bytes | None = None
    ) -> None:
        if not self._env.update(partial(self._swap, _encode((project, name)), new, expected)):
            raise ConflictError(
                f"document '{name}' of project '{project}' was changed by somebody else"
            )

    def _swap(self, key: bytes, new: bytes | None, expected: bytes | None, txn: Any) -> bool:
        documents = self._env.documents
        if txn.get(key, db=documents) != expected:
            return False
        if new is not None:
            txn.put(key, new, db=documents)
        elif expected is not None:
            txn.delete(key, db=documents)
        return True

    def close(self) -> None:
        """Close the files for this process; whoever uses them again opens them again."""
        self._env.close()

    def _revision(self, txn: Any, project: str, revision: str) -> _Revision | None:
        found = txn.get(_encode((project, revision)), db=self._env.revisions)
        return None if found is None else _revision_of(found)

    def _put_revision(self, txn: Any, project: str, revision: str, entry: _Revision) -> None:
        txn.put(_encode((project, revision)), _encode(entry), db=self._env.revisions)

    def _prefix(self, txn: Any, project: str, revision: str) -> Prefix | None:
        entry = self._revision(txn, project, revision)
        if entry is None:
            return None
        return Prefix.of(entry.number)

    def _make_prefix(self, project: str, revision: str, txn: Any) -> Prefix:
        """The prefix of a revision, which gets the next number if it is new."""
        entry = self._revision(txn, project, revision)
        if entry is not None:
            return Prefix.of(entry.number)
        found = txn.get(_NEXT_NUMBER, db=self._env.revisions)
        number = 0 if found is None else _integer_of(found)
        txn.put(_NEXT_NUMBER, _encode(number + 1), db=self._env.revisions)
        self._put_revision(txn, project, revision, _Revision(number))
        return Prefix.of(number)
