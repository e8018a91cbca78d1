"""What every online store can do, and how one is opened.

A store keeps, per project, the rows of revisions (bytes made by `codec`, one per key), the tick
that each revision has published, and small named documents. All of it is addressed by text names;
how they become physical keys is the backend's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple, Protocol

from headwater.errors import ConfigError, MissingExtraError, near_miss

GROUP = "headwater.online_stores"
ALLOWED_SKEW = 300_000_000
"""Microseconds by which a row may lie ahead of the clock (C2)."""

Reads = Sequence[tuple[str, Sequence[bytes]]]
"""Per revision the keys to read there (keys as `codec.encode_key` makes them)."""

Rows = list[list[bytes | None]]
"""Per read, per key: the row, or None where there is none."""

Ticks = list[int | None]
"""Per revision: the published tick in microseconds, or None before the first one."""


class Written(NamedTuple):
    """What became of the rows of one write; all of them are counted, each once.

    `older` rows lost to what was stored, or to another row of the same write.
    """

    written: int = 0
    unchanged: int = 0
    older: int = 0
    rejected: tuple[int, ...] = ()
    """Positions of the rows that lie ahead of the clock: set them aside, bring them later."""


class Known:
    """What a document holds as a reader knows it, so that a read notices when that changes.

    `seen` is the store's note of the state in which it last found it so.
    """

    __slots__ = ("content", "name", "seen")

    def __init__(self, name: str, content: bytes | None) -> None:
        self.name = name
        self.content = content
        self.seen: object = None


class Size(NamedTuple):
    """What a revision takes up: its rows, and the bytes of their keys and values."""

    rows: int
    bytes: int


class OnlineStore(Protocol):
    """One row per (project, revision, key).

    Safe to use from several threads and processes; after a fork the child opens its own
    connection. Every method raises StoreError when the store can't be reached.
    """

    is_local: bool
    """Whether `read` waits for no network, so that an event loop may call it."""

    def read(
        self,
        project: str,
        reads: Reads,
        ticks_of: Sequence[str] = (),
        known: Known | None = None,
    ) -> tuple[Rows, Ticks]:
        """Read rows of many revisions and the published ticks of some, in one transaction.

        A row comes as it was written, a deleted key's tombstone too: `Layout.decode` tells. Raises
        PreconditionError where the document `known` is another one in that transaction.
        """
        ...

    async def read_async(
        self,
        project: str,
        reads: Reads,
        ticks_of: Sequence[str] = (),
        known: Known | None = None,
    ) -> tuple[Rows, Ticks]:
        """`read`, for a caller on an event loop."""
        ...

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
        """Put rows where C13 says so, each key on its own before or after.

        `rows[i]` belongs to `keys[i]`; a key may come more than once. Rows say themselves whether
        they were pushed, come from a run, or delete (`Layout.encode_batch`, `encode_delete`).
        Rows later than `now` (the clock, unless given) plus `allowed_skew`, in microseconds, are
        not written but reported. A write that fails half-way has written some keys; writing
        everything again is right. Raises ConflictError where the revision is dropped meanwhile.
        """
        ...

    def keys(self, project: str, revision: str) -> Iterator[list[bytes]]:
        """The keys of all rows of a revision, tombstones too, in pages that go on in their order.

        Memory stays bounded, and readers and writers are not held up. A key whose row is written
        or removed meanwhile may come or not.
        """
        ...

    def drop(self, project: str, revision: str) -> int:
        """Remove all rows and the published tick of a revision; returns the number of rows.

        They are gone for readers at once, whatever a crash leaves to be removed: the next drop of
        that revision goes on with it. What is written from then on is not touched.
        """
        ...

    def size(self, project: str, revision: str) -> Size:
        """What a revision takes up, and what a drop that was cut short has left of it."""
        ...

    def sweep(self, project: str, revision: str, before: int) -> int:
        """Remove the tombstones of runs with a cut earlier than `before`; returns their number.

        From then on rows of runs with such a cut count as older.
        """
        ...

    def publish(self, project: str, revision: str, tick: int) -> bool:
        """Publish a tick; False, and nothing changes, where a later one is published already."""
        ...

    def published(self, project: str, revisions: Sequence[str]) -> Ticks:
        """The published tick of each revision."""
        ...

    def get_document(self, project: str, name: str) -> bytes | None:
        """A small document by name, or None."""
        ...

    def put_document(
        self, project: str, name: str, new: bytes | None, expected: bytes | None = None
    ) -> None:
        """Replace a document that equals `expected` (None: that does not exist) by `new`.

        `new=None` removes it. Raises ConflictError, and changes nothing, if it holds anything else.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; closing twice is fine."""
        ...


def open_online_store(kind: str, **options: Any) -> OnlineStore:
    """Open the online store `kind` (`lmdb`, or one that an installed package brings).

    Raises ConfigError for an unknown kind or an option that it does not know, MissingExtraError
    when a library that it needs is not installed.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        known = ", ".join(sorted(found))
        raise ConfigError(
            f"online store '{kind}' is not known{near_miss(kind, found)} (known: {known})"
        )
    factory = _load(found[kind])
    try:
        store: OnlineStore = factory(**options)
    except TypeError as error:
        raise ConfigError(f"online store '{kind}': {error}") from error
    return store


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"online store '{point.name}'", point.name) from error
