"""What features say of a key that has no row anywhere, worked out where plans are applied (C6).

Without recursion: a chain of features may be longer than Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from headwater.errors import ComputeError
from headwater.expressions.analyzed import (
    AnalyzedFeature,
    AnalyzedProject,
    AnalyzedView,
    status_of,
    time_of,
)
from headwater.expressions.closures import compile_row
from headwater.expressions.tree import Node
from headwater.expressions.unseen import over_nothing
from headwater.expressions.walk import uses
from headwater.serving.catalogue import Clock, Column, Nothing
from headwater.serving.nothing import revived, stored_value

T = TypeVar("T", bound=Hashable)
Seen = tuple[str, bool]
"""A feature, and whether a view that is not its own reads it."""


class Empties:
    """The features of one project, as they are for such a key."""

    def __init__(self, project: AnalyzedProject) -> None:
        self._project = project
        self._known = project.features()
        self._total: dict[str, bool] = {}
        self._timed: dict[str, bool] = {}
        self._values: dict[str, Any] = {}
        self._nothings: dict[Seen, Nothing] = {}

    def column(self, view: AnalyzedView, feature: AnalyzedFeature) -> Column:
        """A column of a stored row, with what it holds where there is none."""
        name, dtype = feature.name, feature.dtype
        if feature in view.told_features:
            told = status_of(name), time_of(name)
            return Column(name, dtype, windowed=True, nothing=self._nothing(name), told=told)
        if not self._is_total(name):
            return Column(name, dtype)
        if self._is_timed(name):
            return Column(name, dtype, windowed=True, nothing=self._nothing(name))
        return Column(name, dtype, windowed=True, empty=stored_value(self._value(name)))

    def _inputs(self, name: str) -> Iterable[str]:
        """What stands at the key itself; what stands at the value of a feature is not found, since
        that value is null.
        """
        feature = self._known[name]
        return [read for read in feature.operands if read not in feature.across]

    def _is_total(self, name: str) -> bool:
        """Whether a key without a row has a value, if a null one, since a window is behind it."""
        for one in _unsettled(name, self._inputs, self._total):
            own = self._known[one].kind == "windowed"
            self._total[one] = own or any(self._total[read] for read in self._inputs(one))
        return self._total[name]

    def _is_timed(self, name: str) -> bool:
        """Whether what it says depends on the time, since `as_of()` is behind it."""
        for one in _unsettled(name, self._inputs, self._timed):
            tree = self._tree(one)
            own = tree is not None and uses(tree, "as_of")
            self._timed[one] = own or any(self._timed[read] for read in self._inputs(one))
        return self._timed[name]

    def _value(self, name: str) -> Any:
        """The value at any time, before its own default."""
        for one in _unsettled(name, self._inputs, self._values):
            self._values[one] = self._computed(one)
        return self._values[name]

    def _computed(self, name: str) -> Any:
        tree, feature = self._tree(name), self._known[name]
        if tree is None:
            return None
        row = [
            self._default(read) if read in feature.across else self._defaulted(read)
            for read in feature.operands
        ]
        try:
            return compile_row(tree, feature.operands)(row)
        except ComputeError:
            return None

    def _defaulted(self, name: str) -> Any:
        value = self._values[name]
        return self._default(name) if value is None else value

    def _default(self, name: str) -> Any:
        feature = self._known[name]
        return revived(stored_value(feature.default), feature.dtype)

    def _tree(self, name: str) -> Node | None:
        """The expression over no rows; None where it needs one."""
        feature = self._known[name]
        if feature.kind in ("lookup", "sequence"):
            return None
        if feature.tree is None or feature.kind != "windowed":
            return feature.tree
        return over_nothing(feature.tree)

    def _nothing(self, name: str) -> Nothing:
        """What it says at a time, as its own view sees it."""
        start = name, False
        for one in _unsettled(start, self._read, self._nothings):
            self._nothings[one] = self._made(one)
        return self._nothings[start]

    def _read(self, seen: Seen) -> Iterable[Seen]:
        """What a feature reads, as its view sees it."""
        feature = self._known[seen[0]]
        names = dict.fromkeys([*self._inputs(seen[0]), *feature.feature.via.values()])
        return [self._seen(feature, name) for name in names]

    def _seen(self, by: AnalyzedFeature, name: str) -> Seen:
        return name, self._known[name].view != by.view

    def _made(self, seen: Seen) -> Nothing:
        name, is_elsewhere = seen
        feature = self._known[name]
        view = self._project.views[feature.view].view
        ticks = view.ticks if is_elsewhere else None
        return Nothing(
            name=name,
            dtype=feature.dtype,
            tree=self._tree(name),
            inputs=tuple(self._operand(feature, read) for read in feature.operands),
            keys=tuple(
                self._nothings[self._seen(feature, key)] for key in feature.feature.via.values()
            ),
            clock=None
            if ticks is None
            else Clock(ticks.period, ticks.at, ticks.timezone, view.data_delay),
            windowed=feature.kind == "windowed",
            default=stored_value(feature.default),
        )

    def _operand(self, feature: AnalyzedFeature, name: str) -> Nothing:
        if name not in feature.across:
            return self._nothings[self._seen(feature, name)]
        known = self._known[name]
        return Nothing(name, known.dtype, default=stored_value(known.default))


def _unsettled(start: T, step: Callable[[T], Iterable[T]], settled: dict[T, Any]) -> Iterable[T]:
    """What is still to be settled for `start`, each after all that it needs."""
    waiting = [start]
    while waiting:
        one = waiting[-1]
        missing = [other for other in step(one) if other not in settled]
        if missing and one not in settled:
            waiting.extend(missing)
            continue
        waiting.pop()
        if one not in settled:
            yield one
