"""What reading some features takes: each view once, after those that it reads, beside others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from headwater.compute.progress import OnShare
from headwater.compute.reading import Keys, Reader, closure, visible
from headwater.compute.values import Values
from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView

Ints = NDArray[np.int64]
OnRead = Callable[[float, int], None]
"""Called with the reads that are done, parts of them too, and all that there are."""


@dataclass
class SharingReader(Reader):
    """A reader that takes what it has read before, with the same keys at the same times."""

    known: dict[str, list[Read]] = field(default_factory=dict)

    def read(
        self,
        view: AnalyzedView,
        names: Collection[str],
        keys: Keys,
        times: Ints,
        *,
        defaults: bool = True,
    ) -> Values:
        for done in self.known.get(view.name, ()) if defaults else ():
            alike = done.reader.telling == self.telling and done.is_of(keys, times)
            if alike and done.names.issuperset(names):
                return done.of(names)
        return super().read(view, names, keys, times, defaults=defaults)


@dataclass(eq=False)
class Read:
    """One view, read with some keys at some times (microseconds), and the reads it is made of."""

    reader: SharingReader
    view: AnalyzedView
    keys: Keys
    times: Ints
    names: set[str] = field(default_factory=set)
    inputs: list[Read] = field(default_factory=list)
    values: Values | None = None

    @cached_property
    def instants(self) -> Ints:
        """The instants as of which the view was evaluated that is seen at its times."""
        return visible(self.view, self.times)

    def is_of(self, keys: Keys, times: Ints) -> bool:
        """Whether it is one with these keys (the same arrays) and times."""
        if any(self.keys.get(name) is not column for name, column in keys.items()):
            return False
        return times is self.times or np.array_equal(times, self.times)

    def of(self, names: Iterable[str]) -> Values:
        """The values of some of its features, once they are computed."""
        assert self.values is not None  # noqa: S101
        chosen = {name: self.values.columns[name] for name in names}
        told = {name: self.values.told[name] for name in chosen if name in self.values.told}
        return replace(self.values, columns=chosen, told=told)

    def compute(self, on_share: OnShare) -> list[str]:
        """Read, and return the statements that were run."""
        reader = replace(self.reader, on_share=on_share)
        with reader.engine.traced() as statements:
            self.values = reader.read(self.view, sorted(self.names), self.keys, self.times)
        return statements


class _Shares:
    """Tells how much of some reads is done, whichever threads they are computed by."""

    def __init__(self, total: int, on_read: OnRead | None) -> None:
        self._total = total
        self._on_read = on_read
        self._done: dict[Read, float] = {}
        self._lock = threading.Lock()

    def of(self, read: Read) -> OnShare:
        return lambda share: self._tell(read, share)

    def _tell(self, read: Read, share: float) -> None:
        if self._on_read is None:
            return
        with self._lock:
            self._done[read] = share
            self._on_read(sum(self._done.values()), self._total)


@dataclass
class Reads:
    """All that has to be read: what is asked for, and what that is computed from, each once."""

    found: list[Read] = field(default_factory=list)

    def add(
        self,
        reader: SharingReader,
        view: AnalyzedView,
        names: Collection[str],
        keys: Keys,
        times: Ints,
    ) -> Read:
        """A read of features of a view; one that is there already is widened."""
        read = next((r for r in self.found if _same(r, reader, view, keys, times)), None)
        if read is None:
            read = Read(reader, view, keys, times)
            self.found.append(read)
        new = set(names) - read.names
        if new:
            read.names |= new
            self._add_inputs(read, new)
        return read

    def _add_inputs(self, read: Read, names: Collection[str]) -> None:
        if read.view.source is not None:
            return
        wanted = {name for f in closure(read.view, names) for name in f.here}
        for name in read.view.inputs:
            view = read.reader.project.views[name]
            here = wanted & {feature.name for feature in view.features}
            if not here or not set(view.join_keys) <= set(read.keys):
                continue
            keys = {key: read.keys[key] for key in view.join_keys}
            made_of = self.add(read.reader, view, here, keys, read.instants)
            if made_of not in read.inputs:
                read.inputs.append(made_of)

    def compute(self, side_by_side: int, on_read: OnRead | None = None) -> None:
        """Compute all, each after those it is made of, at most `side_by_side` at a time.

        The values are the same however many those are. Of several errors the first is raised, in
        the order of the reads.
        """
        for read in self.found:
            _look_at_sources(read)
        order = TopologicalSorter({read: read.inputs for read in self.found})
        shares = _Shares(len(self.found), on_read)
        if side_by_side == 1 or len(self.found) == 1:
            for read in order.static_order():
                self._keep(read, read.compute(shares.of(read)), shares)
        else:
            with ThreadPoolExecutor(side_by_side, "headwater-read") as pool:
                self._side_by_side(order, pool, shares)

    def _side_by_side(
        self, order: TopologicalSorter[Read], pool: ThreadPoolExecutor, shares: _Shares
    ) -> None:
        order.prepare()
        running: dict[Future[list[str]], Read] = {}
        while order.is_active():
            for read in order.get_ready():
                running[pool.submit(read.compute, shares.of(read))] = read
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            _raise_failure(finished, running, pool)
            for future in finished:
                read = running.pop(future)
                self._keep(read, future.result(), shares)
                order.done(read)

    @staticmethod
    def _keep(read: Read, statements: Sequence[str], shares: _Shares) -> None:
        """Let what is computed from it find it; tell who traces this thread what was run."""
        for sql in statements:
            read.reader.engine.note(sql)
        read.reader.known.setdefault(read.view.name, []).append(read)
        shares.of(read)(1.0)


def _raise_failure(
    finished: Iterable[Future[list[str]]],
    running: Iterable[Future[list[str]]],
    pool: ThreadPoolExecutor,
) -> None:
    """Where a read has failed, let go of the others and raise what the first of them raised."""
    if any(future.exception() is not None for future in finished):
        pool.shutdown(cancel_futures=True)
        failed = (future.exception() for future in running if not future.cancelled())
        raise next(error for error in failed if error is not None)


def _same(read: Read, reader: SharingReader, view: AnalyzedView, keys: Keys, times: Ints) -> bool:
    return read.reader is reader and read.view is view and read.is_of(keys, times)


def _look_at_sources(read: Read) -> None:
    """Fix what stands in the sources behind a read, before several threads ask for it."""
    for view in views_behind(read.reader.project, read.view):
        if view.source is not None:
            read.reader.scan(view.source)


def views_behind(project: AnalyzedProject, view: AnalyzedView) -> list[AnalyzedView]:
    """A view and all that it reads, itself or through others."""
    found = {view.name: view}
    waiting = [view]
    while waiting:
        for name in waiting.pop().inputs:
            if name not in found:
                found[name] = project.views[name]
                waiting.append(found[name])
    return list(found.values())
