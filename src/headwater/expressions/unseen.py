"""What features say of a key of which no row is known, and whether that hangs on others' rows (C6).

A stored row can't hold what is said of keys that nobody has listed. Where it is always the same the
serving catalogue holds it; where it is made of the rows of others (the population's, those of
another key) nothing does, and the value has to be computed when it is read.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView
from headwater.expressions.closures import compile_row
from headwater.expressions.functions import Row
from headwater.expressions.functions.aggregates import COUNTS
from headwater.expressions.kinds import INSTANTS
from headwater.expressions.tree import Aggregate, Node
from headwater.expressions.tree import Literal as Constant
from headwater.expressions.walk import replace

_VARIES: Literal["varies"] = "varies"
_Said = tuple[Any, ...] | Literal["varies"]
"""What is said at each of the instants at which it is tried."""
_COMBINED = 1_000
_SAMPLES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("int32", "int64"), (None, 0, 1, -1, 1_000_000)),
    **dict.fromkeys(("float32", "float64"), (None, 0.0, 1.0, -0.5, 1e6)),
    "bool": (None, True, False),
    "string": (None, "a", "b", ""),
    "bytes": (None, b"a", b""),
    "date": (None, dt.date(2024, 1, 2), dt.date(1960, 1, 2)),
    "timestamp": (None, INSTANTS[0], INSTANTS[-1]),
}


def over_nothing(tree: Node) -> Node:
    """The expression of a window that holds no rows."""

    def settled(node: Node) -> Node | None:
        if not isinstance(node, Aggregate):
            return None
        return Constant(0, "int64") if node.name in COUNTS else Constant(None, "null")

    return replace(tree, settled)


def unstorable(project: AnalyzedProject, view: AnalyzedView) -> str | None:
    """Why no stored row can hold the values of a view that is derived at ticks, or None."""
    if view.source is not None or view.view.ticks is None or not view.join_keys:
        return None
    unseen = _Unseen(project)
    name = next((f.name for f in view.features if unseen.of(f) == _VARIES), None)
    if name is None:
        return None
    return (
        f"feature '{name}' has a value for keys of which no row is known, which hangs on the rows "
        "of others, so no stored row can hold it; leave out 'update_frequency', and it is computed "
        "when it is read"
    )


class _Unseen:
    """What is said of such a key, feature by feature, before defaults."""

    def __init__(self, project: AnalyzedProject) -> None:
        self._project = project
        self._known = project.features()
        self._said: dict[str, _Said] = {}

    def of(self, feature: AnalyzedFeature) -> _Said:
        """Without recursion: a chain of features may be longer than Python's stack."""
        waiting = [feature.name]
        while waiting:
            now = self._known[waiting[-1]]
            missing = [name for name in now.inputs if name not in self._said]
            if missing and now.name not in self._said:
                waiting.extend(missing)
                continue
            waiting.pop()
            if now.name not in self._said:
                self._said[now.name] = self._made(now)
        return self._said[feature.name]

    def _made(self, feature: AnalyzedFeature) -> _Said:
        nothing = (None,) * len(INSTANTS)
        if feature.kind in ("lookup", "sequence"):
            return nothing
        operands = [self._operand(feature, name) for name in feature.operands]
        if feature.tree is None or feature.request:
            return _VARIES if _VARIES in operands else nothing
        tree = over_nothing(feature.tree) if feature.kind == "windowed" else feature.tree
        run = compile_row(tree, (*feature.operands, "as_of()"))
        types = [self._known[name].dtype for name in feature.operands]
        found = [_tried(run, operands, types, place) for place in range(len(INSTANTS))]
        return _VARIES if any(one == _VARIES for one, _ in found) else tuple(v for _, v in found)

    def _operand(self, feature: AnalyzedFeature, name: str) -> _Said:
        """What a feature reads under a name, with its default."""
        read, hop = self._known[name], feature.across.get(name, ())
        if any(self._giver(feature, giver) != (None,) * len(INSTANTS) for _, giver in hop):
            return _VARIES
        said: _Said = (None,) * len(INSTANTS) if hop else self._at_own_key(feature, read)
        return said if said == _VARIES else _defaulted(said, read.default)

    def _giver(self, feature: AnalyzedFeature, name: str) -> _Said:
        giver = self._known[name]
        said = self._at_own_key(feature, giver)
        return said if said == _VARIES else _defaulted(said, giver.default)

    def _at_own_key(self, feature: AnalyzedFeature, read: AnalyzedFeature) -> _Said:
        """Of fewer keys rows may be known, though none of all of them is."""
        own = self._project.views[feature.view].join_keys
        there = self._project.views[read.view].join_keys
        return self._said[read.name] if set(own) == set(there) else _VARIES


def _defaulted(said: Sequence[Any], default: Any) -> tuple[Any, ...]:
    return tuple(default if value is None else value for value in said)


def _tried(
    run: Row, operands: Sequence[_Said], types: Sequence[str], place: int
) -> tuple[str, Any]:
    """What an expression gives at one of the instants, whatever the varying operands are."""
    choices = [
        _SAMPLES.get(dtype, ()) if said == _VARIES else (said[place],)
        for said, dtype in zip(operands, types, strict=True)
    ]
    if not all(choices):
        return _VARIES, None  # of a type of which no samples are at hand
    rows = itertools.islice(itertools.product(*choices), _COMBINED)
    found = [_value(run, [*row, INSTANTS[place]]) for row in rows]
    same = all(repr(one) == repr(found[0]) for one in found)
    return ("", found[0]) if same else (_VARIES, None)


def _value(run: Row, row: Iterable[Any]) -> Any:
    try:
        return run(list(row))
    except ComputeError:
        return None
