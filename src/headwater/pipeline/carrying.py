"""What a run computes, part by part: all keys anew, or those that have changed since the last run.

What a run leaves for the next one lies in files; a document beside the online rows names those
that count, so that neither is ever without the other. Before a run writes rows it notes there what
it sees of the source: a run that finds such a note goes on from the state before, if it sees at
least as much, since then it computes every key that the one before it may have written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Protocol

import msgspec
import pyarrow as pa

from headwater.compute.continued import Carried, Continuation, why_anew
from headwater.compute.latest import LatestPart, latest_part, latest_parts_of, parts_of
from headwater.compute.reading import Reader
from headwater.compute.seen import Seen
from headwater.errors import ConflictError
from headwater.offline.states import RunStates
from headwater.online.store import OnlineStore
from headwater.pipeline.marks import Evaluation, state_name

_WITH = f"1 {version('headwater')} {version('duckdb')}"
"""What computed a state; another one may compute other bits."""


class State(msgspec.Struct, frozen=True):
    """What a run has left: the files of the parts, and what it saw of the source."""

    computed_with: str
    seen: Seen
    parts: list[str]


class Pointer(msgspec.Struct, frozen=True, array_like=True):
    """The note that holds the state that counts, and those of runs that have begun since."""

    state: str | None = None
    begun: tuple[str, ...] = ()


_seen_of = msgspec.msgpack.Decoder(Seen).decode
_state_of = msgspec.msgpack.Decoder(State).decode
_pointer_of = msgspec.msgpack.Decoder(Pointer).decode


class Work(Protocol):
    """The parts of a run. With `name` it is told from other works of the same run."""

    name: str
    total: int
    is_whole: bool
    anew: str | None

    @property
    def read(self) -> int | None: ...

    def done(self, parts: int) -> int:
        """How many of the first parts, all of which are written, need not be done again."""

    def part(self, number: int) -> Iterator[LatestPart]: ...

    def keep(self) -> None:
        """All parts are written and published."""


@dataclass
class Plainly:
    """All keys, from all rows, and nothing is left for the next run."""

    reader: Reader
    run: Evaluation
    name: str = ""
    is_whole: bool = True
    anew: str | None = None
    read: int | None = None

    def __post_init__(self) -> None:
        self.total = latest_parts_of(self.reader, self.run.view)

    def done(self, parts: int) -> int:
        return parts

    def part(self, number: int) -> Iterator[LatestPart]:
        run, share = self.run, (number, self.total)
        return latest_part(self.reader, run.view, run.instant, run.since, share)

    def keep(self) -> None:
        pass


@dataclass
class Carrying:
    """A run that leaves a state, and goes on from the one before it where that can be."""

    carried: Carried
    run: Evaluation
    states: RunStates
    online: OnlineStore
    project: str
    before: State | None = None
    anew: str | None = None
    is_whole: bool = True
    name: str = ""
    total: int = 0
    _pointer: Pointer = field(default_factory=Pointer)
    _continuation: Continuation | None = None

    def __post_init__(self) -> None:
        while not self._begin():
            self._continuation = None

    @property
    def read(self) -> int:
        return self.carried.read

    def done(self, parts: int) -> int:
        """Those whose state was kept, too."""
        revision = self.run.view.revision
        found = 0
        while found < parts and self.states.exists(revision, self._file(found)):
            found += 1
        if self.before is not None:
            for name in self.before.parts[:found]:
                self._continued().places(self._table(name))
        return found

    def part(self, number: int) -> Iterator[LatestPart]:
        if self.before is None:
            yield from self._first(number)
            return
        is_last = number + 1 == self.total
        left = self._table(self.before.parts[number])
        found, after = self._continued().advanced(left, is_last=is_last)
        yield from found
        self.states.write_table(self.run.view.revision, self._file(number), after)

    def keep(self) -> None:
        """Let the next run go on from here; where another one has begun meanwhile, from nothing."""
        revision = self.run.view.revision
        names = [self._file(number) for number in range(self.total)]
        parts = [name for name in names if self.states.exists(revision, name)]
        state = State(_WITH, self.seen, parts)
        note, last = f"{self._files}.state", self._pointer.state
        self.states.write_note(revision, note, msgspec.msgpack.encode(state))
        if not self._replace(Pointer(note)):
            self._forget()
            return
        # Another run may be going on from the state before.
        others = [] if self.before is None else [last or "", *self.before.parts]
        self.states.keep_only(revision, {note, *parts, *others})

    # --- inside -----------------------------------------------------------------------------

    def _first(self, number: int) -> Iterator[LatestPart]:
        tables = []
        for piece in self.carried.anew(self.run.since, (number, self.total)):
            yield piece.part
            if piece.left.num_rows:
                tables.append(piece.left)
        if tables:
            after = pa.concat_tables(tables, promote_options="permissive")
            self.states.write_table(self.run.view.revision, self._file(number), after)

    def _continued(self) -> Continuation:
        if self._continuation is None:
            assert self.before is not None  # noqa: S101
            self._continuation = Continuation(self.carried, self.before.seen)
        return self._continuation

    def _usable(self, parts: int) -> tuple[State | None, str | None]:
        """The state to go on from, or why there is none."""
        published = self.run.published
        if self._pointer.state is None or published is None:
            return None, None if published is None else "nothing was left by the last run"
        state = self._state(self._pointer.state)
        if state is None:
            return None, "what the last run left can't be read"
        if state.computed_with != _WITH:
            return None, "the last run was of another version"
        if not state.parts or len(state.parts) < parts or state.seen.instant > published:
            return None, "the source has grown"
        self.seen = self.carried.seen(state.seen)
        for seen in (state.seen, *self._begun()):
            reason = "a run was cut short" if seen is None else seen.why_not(self.seen)
            if reason is not None:
                return None, reason
        return state, None

    def _begun(self) -> list[Seen | None]:
        found = []
        for name in self._pointer.begun:
            note = self.states.read_note(self.run.view.revision, name)
            found.append(None if note is None else _seen_of(note))
        return found

    def _state(self, name: str) -> State | None:
        revision = self.run.view.revision
        note = self.states.read_note(revision, name)
        if note is None:
            return None
        try:
            state = _state_of(note)
        except msgspec.DecodeError:
            return None
        return state if all(self.states.exists(revision, name) for name in state.parts) else None

    def _table(self, name: str) -> pa.Table:
        found = self.states.read_table(self.run.view.revision, name)
        if found is None:
            self._forget()
            raise ConflictError(
                f"feature view '{self.run.view.name}': '{name}', which the last run left, can't be "
                "read any more; run materialize again, and all is computed anew"
            )
        return found

    def _begin(self) -> bool:
        """Decide from where to go on, and note what this run sees before it writes a row; False
        where another run has done so at the same time.
        """
        run, parts = self.run, parts_of(self.carried.reader, self.run.view)
        self._pointer = self._read_pointer()
        self.before, self.anew = self._usable(parts)
        if self.before is None:
            self.seen = self.carried.seen(None)
        self.total = parts if self.before is None else len(self.before.parts)
        self.is_whole = self.before is None
        state = None if self.before is None else self._pointer.state
        self.name = "" if state is None else f"-since-{state}"
        told = (_WITH, run.instant, run.snapshot, self.total, state)
        self._files = hashlib.sha256(repr(told).encode()).hexdigest()[:24]
        name = f"{self._files}.begun"
        self.states.write_note(run.view.revision, name, msgspec.msgpack.encode(self.seen))
        begun = tuple(dict.fromkeys((*self._pointer.begun, name)))
        return self._replace(Pointer(self._pointer.state, begun))

    # --- the document -----------------------------------------------------------------------

    @property
    def _document(self) -> str:
        return state_name(self.run.view.revision)

    def _read_pointer(self) -> Pointer:
        kept = self.online.get_document(self.project, self._document)
        return Pointer() if kept is None else _pointer_of(kept)

    def _replace(self, new: Pointer) -> bool:
        """Put a pointer where the one that this run knows is; False where there is another one."""
        known = None if self._pointer == Pointer() else msgspec.msgpack.encode(self._pointer)
        try:
            self.online.put_document(
                self.project, self._document, msgspec.msgpack.encode(new), known
            )
        except ConflictError:
            return False
        self._pointer = new
        return True

    def _forget(self) -> None:
        kept = self.online.get_document(self.project, self._document)
        try:
            self.online.put_document(self.project, self._document, None, kept)
        except ConflictError:
            return

    def _file(self, number: int) -> str:
        return f"{self._files}-{number:05}.arrow"


def work_of(
    reader: Reader, run: Evaluation, states: RunStates, online: OnlineStore, project: str
) -> Work:
    """How to compute a run."""
    if why_anew(reader, run.view) is not None:
        return Plainly(reader, run)
    return Carrying(Carried(reader, run.view, run.instant), run, states, online, project)
