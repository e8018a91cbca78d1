"""Keys in their order, whatever their number: gathered, merged, and compared page by page."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from headwater.online.spilled import Spilled

Pages = Iterator[list[bytes]]
"""Lists of keys, each sorted, and each one behind the one before it."""

_RUN_KEYS = 65_536
_PAGE_KEYS = 4096

_encode = msgspec.msgpack.Encoder().encode
_page_of = msgspec.msgpack.Decoder(list[bytes]).decode


class SortedKeys:
    """Gathers keys and gives them back in their order; `close` forgets them.

    Memory stays bounded; what does not fit waits in a file in `folder` (the system's folder for
    temporary files unless given). Keys that come in order already cost next to nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._spilled = Spilled(folder)
        self._held: list[bytes] = []
        self._last: bytes | None = None

    def add(self, keys: Iterable[bytes]) -> None:
        """Gather keys; one may come more than once."""
        self._held.extend(keys)
        if len(self._held) >= _RUN_KEYS:
            self._spill()

    def pages(self) -> Pages:
        """All keys that were gathered; one that came twice may come twice."""
        self._held.sort()
        runs = [map(_page_of, run) for run in self._spilled.read()]
        return merged([*runs, iter([self._held])])

    def close(self) -> None:
        self._spilled.close()
        self._held = []

    def _spill(self) -> None:
        keys = sorted(self._held)
        pages = (keys[start : start + _PAGE_KEYS] for start in range(0, len(keys), _PAGE_KEYS))
        if self._last is None or keys[0] < self._last:
            self._spilled.append(map(_encode, pages))
        else:
            self._spilled.extend(map(_encode, pages))
        self._last, self._held = keys[-1], []


class _Head:
    """Where pages are read: the page, and how much of it is taken already."""

    def __init__(self, pages: Pages) -> None:
        self._pages = (page for page in pages if page)
        self.page = next(self._pages, None)
        self._taken = 0

    def take(self, bound: bytes) -> list[bytes]:
        """The keys of this page up to the bound; behind its last one comes the next page."""
        if self.page is None:
            return []
        found = self.page[self._taken : bisect_right(self.page, bound, self._taken)]
        self._taken += len(found)
        if self._taken == len(self.page):
            self.page, self._taken = next(self._pages, None), 0
        return found

    def take_all(self, bound: bytes) -> list[bytes]:
        """All keys up to the bound."""
        found: list[bytes] = []
        while self.page is not None and self.page[self._taken] <= bound:
            found += self.take(bound)
        return found


def merged(runs: Sequence[Pages]) -> Pages:
    """The keys of all runs as one."""
    heads = [_Head(run) for run in runs]
    while waiting := [head.page[-1] for head in heads if head.page is not None]:
        bound = min(waiting)
        page = [key for head in heads for key in head.take_all(bound)]
        page.sort()
        yield page


def without(keys: Pages, others: Pages) -> Pages:
    """The keys that are not among the others."""
    head = _Head(others)
    for page in keys:
        found = head.take_all(page[-1]) if page else page
        # Most often they are the same, which is told sooner than what differs.
        if found != page and (left := set(page).difference(found)):
            yield sorted(left)
