"""Large loads in the order of keys, whatever the order in which their batches come.

Batches that each spread over all keys make a store touch all of its pages for each of them: two
million rows in forty such batches take seven times as long as in order, and map the whole file
into memory. Gathered rows wait in a temporary file, as sorted runs that are merged in the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import starmap
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from headwater.online.spilled import Spilled
from headwater.online.store import ALLOWED_SKEW, OnlineStore, Written

_RUN_ROWS = 65_536
_RUN_BYTES = 32 * 1024 * 1024
_BLOCK_ROWS = 2048
_WRITE_ROWS = 32_768

_encode = msgspec.msgpack.Encoder().encode
_block_of = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes], list[int]]).decode


class _Rows(NamedTuple):
    """Rows with their keys and the positions in which they came."""

    keys: list[bytes]
    rows: list[bytes]
    places: list[int]

    def take(self, start: int, stop: int) -> _Rows:
        return _Rows(self.keys[start:stop], self.rows[start:stop], self.places[start:stop])

    def sorted(self) -> _Rows:
        """The rows in the order of their keys; rows of one key stay in theirs."""
        order = sorted(range(len(self.keys)), key=self.keys.__getitem__)
        return _Rows(
            [self.keys[place] for place in order],
            [self.rows[place] for place in order],
            [self.places[place] for place in order],
        )

    def extend(self, other: _Rows) -> None:
        self.keys.extend(other.keys)
        self.rows.extend(other.rows)
        self.places.extend(other.places)


class SortedLoad:
    """Gathers rows for one revision and writes them in the order of their keys.

        with SortedLoad(store, project, revision) as load:
            for keys, rows in batches:
                load.add(keys, rows)
            written = load.flush()

    The result is that of writing the batches one after the other. What is not flushed is
    forgotten. Memory stays bounded; what does not fit waits in a file in `folder` (the system's
    folder for temporary files unless given).
    """

    def __init__(
        self,
        store: OnlineStore,
        project: str,
        revision: str,
        *,
        folder: Path | None = None,
        now: int | None = None,
        allowed_skew: int = ALLOWED_SKEW,
    ) -> None:
        self._write = partial(store.write, project, revision, now=now, allowed_skew=allowed_skew)
        self._spilled = Spilled(folder)
        self._held = _Rows([], [], [])
        self._count = self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget()
        self._spilled.close()

    @property
    def pending(self) -> int:
        """How many rows wait to be flushed."""
        return self._count

    def add(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> None:
        """Gather rows, `rows[i]` for `keys[i]`."""
        places = list(range(self._count, self._count + len(keys)))
        self._held.extend(_Rows(list(keys), list(rows), places))
        self._count += len(keys)
        self._bytes += sum(map(len, rows))
        if len(self._held.keys) >= _RUN_ROWS or self._bytes >= _RUN_BYTES:
            self._spill()

    def flush(self, on_written: Callable[[list[bytes]], None] | None = None) -> Written:
        """Write what was gathered; `rejected` are positions in the order of adding.

        `on_written` is given all keys, rejected ones too, in lists of which each lies behind the
        one before.
        """
        total = Written()
        for part in _larger(self._parts()):
            done = self._write(part.keys, part.rows)
            if on_written is not None:
                on_written(part.keys)
            total = Written(
                total.written + done.written,
                total.unchanged + done.unchanged,
                total.older + done.older,
                total.rejected + tuple(part.places[place] for place in done.rejected),
            )
        self._forget()
        return total._replace(rejected=tuple(sorted(total.rejected)))

    def _parts(self) -> Iterator[_Rows]:
        """What was gathered, in parts whose keys go up from part to part."""
        if not self._spilled.runs:
            return iter([self._held])
        if self._held.keys:
            self._spill()
        return _merged([starmap(_Rows, map(_block_of, run)) for run in self._spilled.read()])

    def _spill(self) -> None:
        rows = self._held.sorted()
        blocks = (rows.take(start, stop) for start, stop in _blocks(rows.keys))
        self._spilled.append(map(_encode, blocks))
        self._held, self._bytes = _Rows([], [], []), 0

    def _forget(self) -> None:
        self._held, self._bytes, self._count = _Rows([], [], []), 0, 0
        self._spilled.clear()


def _blocks(keys: list[bytes]) -> Iterator[tuple[int, int]]:
    """Ranges of bounded size over sorted keys; equal keys stay together."""
    start = 0
    while start < len(keys):
        stop = min(start + _BLOCK_ROWS, len(keys))
        stop = bisect_right(keys, keys[stop - 1], stop)
        yield start, stop
        start = stop


class _Head:
    """Where a run is read: its block, and how much of that is taken already."""

    def __init__(self, blocks: Iterator[_Rows]) -> None:
        self._blocks = blocks
        self.rows = next(blocks, None)
        self._taken = 0

    def take(self, bound: bytes) -> _Rows | None:
        """The rows of the block up to the bound; behind its last one comes the next block."""
        if self.rows is None:
            return None
        start = self._taken
        self._taken = bisect_right(self.rows.keys, bound, start)
        found = self.rows.take(start, self._taken)
        if self._taken == len(self.rows.keys):
            self.rows, self._taken = next(self._blocks, None), 0
        return found


def _merged(runs: list[Iterator[_Rows]]) -> Iterator[_Rows]:
    """Rows of sorted runs in parts whose keys go up from part to part.

    Within a part rows stand run by run, so rows of one key stay in the order in which they came.
    """
    heads = [_Head(run) for run in runs]
    while waiting := [head.rows.keys[-1] for head in heads if head.rows is not None]:
        bound = min(waiting)
        part = _Rows([], [], [])
        for head in heads:
            found = head.take(bound)
            if found is not None:
                part.extend(found)
        yield part


def _larger(parts: Iterator[_Rows]) -> Iterator[_Rows]:
    """The same rows in fewer parts: each one is a commit."""
    gathered = _Rows([], [], [])
    for part in parts:
        gathered.extend(part)
        if len(gathered.keys) >= _WRITE_ROWS:
            yield gathered
            gathered = _Rows([], [], [])
    if gathered.keys:
        yield gathered
