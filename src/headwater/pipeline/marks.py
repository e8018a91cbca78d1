"""What runs leave beside their rows in the online store, so that others can go on from there."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from headwater.errors import ConflictError
from headwater.expressions.analyzed import AnalyzedView
from headwater.online.store import OnlineStore


@dataclass(frozen=True)
class Evaluation:
    """What one run evaluates: a view at `instant`, from what is known by `cut` (microseconds).

    `published` is the instant of the run before, None for the first one; `since` is the first
    instant of which there may be rows, None where there are none.
    """

    view: AnalyzedView
    instant: int
    cut: int
    published: int | None
    since: int | None
    snapshot: str


@dataclass(frozen=True)
class Mark:
    """How many parts of a run are in the store, so that one that was cut short can go on."""

    online: OnlineStore
    project: str
    run: Evaluation
    total: int

    @property
    def _name(self) -> str:
        return f"run/{self.run.view.revision}"

    def _content(self, done: int) -> bytes:
        return msgspec.msgpack.encode([self.run.instant, self.run.snapshot, self.total, done])

    def done(self) -> int:
        """The parts that an unfinished run of the same instant and snapshot has written."""
        kept = self.online.get_document(self.project, self._name)
        if kept is None:
            return 0
        instant, snapshot, total, done = msgspec.msgpack.decode(kept)
        same = (instant, snapshot, total) == (self.run.instant, self.run.snapshot, self.total)
        return int(done) if same else 0

    def set(self, done: int) -> None:
        _replace(self.online, self.project, self._name, self._content(done))

    def clear(self) -> None:
        _replace(self.online, self.project, self._name, None)


@dataclass(frozen=True)
class Tombstones:
    """Whether a revision may hold tombstones: to look for them means to read all of its rows."""

    online: OnlineStore
    project: str
    revision: str

    @property
    def _name(self) -> str:
        return f"tombstones/{self.revision}"

    def expect(self, cut: int) -> None:
        """Say, before they are written, that there are tombstones of a run with that cut."""
        known = self._latest()
        if known is None or known < cut:
            _replace(self.online, self.project, self._name, msgspec.msgpack.encode(cut))

    def sweep(self, cut: int) -> int:
        """Remove those of runs before the one that is complete at `cut`; returns their number.

        From then on no earlier run may write, so nothing that they hold back can come.
        """
        latest = self._latest()
        if latest is None:
            return 0
        swept = self.online.sweep(self.project, self.revision, cut)
        if latest < cut:
            _replace(self.online, self.project, self._name, None)
        return swept

    def _latest(self) -> int | None:
        kept = self.online.get_document(self.project, self._name)
        return None if kept is None else msgspec.msgpack.decode(kept, type=int)


@dataclass(frozen=True)
class FirstRuns:
    """The earliest instant of the runs that began before any was published.

    One that was cut short leaves rows of keys which a later run, whose windows have moved on, would
    not look at otherwise.
    """

    online: OnlineStore
    project: str
    revision: str

    @property
    def _name(self) -> str:
        return f"first/{self.revision}"

    def earliest(self) -> int | None:
        kept = self.online.get_document(self.project, self._name)
        return None if kept is None else msgspec.msgpack.decode(kept, type=int)

    def begin(self, instant: int) -> None:
        """Say that a run of this instant is about to write."""
        while True:
            kept = self.earliest()
            if kept is not None and kept <= instant:
                return
            expected = None if kept is None else msgspec.msgpack.encode(kept)
            new = msgspec.msgpack.encode(instant)
            try:
                self.online.put_document(self.project, self._name, new, expected)
            except ConflictError:
                continue
            return

    def end(self, since: int) -> None:
        """A run that has looked at all keys since then is complete."""
        expected = msgspec.msgpack.encode(since)
        try:
            self.online.put_document(self.project, self._name, None, expected)
        except ConflictError:
            # An earlier one has begun meanwhile, or another one was complete first.
            return


def state_name(revision: str) -> str:
    """The document that names what the last run of a revision has left for the next one."""
    return f"state/{revision}"


def marks_of(online: OnlineStore, project: str, revision: str) -> list[str]:
    """The names of the documents that runs have left beside the rows of a revision."""
    names = (f"{kind}/{revision}" for kind in ("run", "tombstones", "first", "state"))
    return [name for name in names if online.get_document(project, name) is not None]


def remove_marks(online: OnlineStore, project: str, revision: str) -> None:
    """Remove what runs have left beside the rows of a revision."""
    for name in marks_of(online, project, revision):
        _replace(online, project, name, None)


def _replace(online: OnlineStore, project: str, name: str, new: bytes | None) -> None:
    expected = online.get_document(project, name)
    try:
        online.put_document(project, name, new, expected)
    except ConflictError:
        # Two runs of one view at once: whichever resumes looks whose mark it is.
        return
