"""The graph of features: what each depends on and what depends on it, from a project's head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headwater.errors import RefusedError
from headwater.registry.head import Head
from headwater.registry.state import known_feature

LIVE = frozenset({"draft", "active"})


@dataclass(frozen=True)
class Lineage:
    """The neighbours of a feature; `all_*` reach as far as was asked, nearest first."""

    feature: str
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    all_upstream: tuple[str, ...]
    all_downstream: tuple[str, ...]


class FeatureGraph:
    """The edges of one generation of a project. Names that nothing is registered under may occur
    upstream: a draft may be written before what it needs.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._features = head.features
        self._down: dict[str, list[str]] = {}
        for name, entry in head.features.items():
            for above in entry.upstream:
                self._down.setdefault(above, []).append(name)

    @property
    def head(self) -> Head:
        """The generation whose edges these are."""
        return self._head

    def upstream(self, name: str) -> tuple[str, ...]:
        entry = self._features.get(name)
        return entry.upstream if entry is not None else ()

    def downstream(self, name: str) -> tuple[str, ...]:
        return tuple(self._down.get(name, ()))

    def live_downstream(self, name: str) -> tuple[str, ...]:
        """Drafts and active features that depend on one directly."""
        return tuple(n for n in self.downstream(name) if self._features[n].status in LIVE)

    def unresolved(self, name: str) -> tuple[str, ...]:
        """The names upstream of a feature that nothing usable is registered under."""
        return tuple(above for above in self.upstream(name) if not self._is_usable(above))

    def _is_usable(self, name: str) -> bool:
        entry = self._features.get(name)
        return entry is not None and entry.status in LIVE

    def lineage(self, name: str, *, depth: int | None = None) -> Lineage:
        """The neighbours of a feature, `depth` steps away at the most (None: all).

        Raises NotFoundError for an unknown feature.
        """
        known_feature(self._head, name)
        return Lineage(
            feature=name,
            upstream=self.upstream(name),
            downstream=self.downstream(name),
            all_upstream=self._reach(name, up=True, depth=depth),
            all_downstream=self._reach(name, up=False, depth=depth),
        )

    def _reach(self, start: str, *, up: bool, depth: int | None) -> tuple[str, ...]:
        """Level by level, without recursion: a chain may be longer than Python's stack."""
        step = self.upstream if up else self.downstream
        seen = {start: None}
        level, gone = [start], 0
        while level and (depth is None or gone < depth):
            found = dict.fromkeys(other for name in level for other in step(name))
            level = [name for name in found if name not in seen]
            seen.update(dict.fromkeys(level))
            gone += 1
        return tuple(seen)[1:]


def refuse_cycle(head: Head, name: str, upstream: Iterable[str]) -> None:
    """Raise RefusedError, which prints the cycle, where `name` would depend on itself."""
    way = _way(head, upstream, name)
    if way is not None:
        raise RefusedError(
            f"feature '{name}': field 'upstream_features': it would depend on itself: "
            f"{' -> '.join([name, *way])}"
        )


def _way(head: Head, starts: Iterable[str], goal: str) -> list[str] | None:
    """The names from one of `starts` upstream to `goal`, or None."""
    came: dict[str, str | None] = dict.fromkeys(starts)
    waiting = list(came)
    while waiting:
        name = waiting.pop()
        if name == goal:
            return _back(came, name)
        entry = head.features.get(name)
        for above in entry.upstream if entry is not None else ():
            if above not in came:
                came[above] = name
                waiting.append(above)
    return None


def _back(came: Mapping[str, str | None], name: str) -> list[str]:
    way: list[str] = []
    step: str | None = name
    while step is not None:
        way.append(step)
        step = came[step]
    return way[::-1]
