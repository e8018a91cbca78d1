"""Which version of each feature is served: the current one, or until it has values one before it.

What was rolled back never stands in, and nothing stands in for a rollback: whoever goes back wants
that version, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from headwater.registry.bound import Versioned, bound
from headwater.registry.head import FeatureEntry, Head, VersionEntry
from headwater.registry.kinds import FeatureVersion
from headwater.registry.versions import is_rollback


class Standing:
    """The versions that stand for the features of a head.

    `version` gives the content of a key, `filled` tells whether a run has filled a revision.
    """

    def __init__(
        self,
        head: Head,
        version: Callable[[str], FeatureVersion],
        filled: Callable[[str], bool],
    ) -> None:
        self._head = head
        self._version = version
        self._filled = filled
        self._valued: set[Versioned] = set()
        self._found = {name: self._standing(name, e) for name, e in head.applied().items()}

    def of(self, name: str) -> str:
        """The version of a feature that is served under its name."""
        return self._found[name]

    def stand_ins(self) -> list[Versioned]:
        """The versions that are served though they are not current, and those that these read."""
        features = self._head.features
        found = [(n, v) for n, v in self._found.items() if v != features[n].current]
        return self._closure(found)

    def _standing(self, name: str, entry: FeatureEntry) -> str:
        if is_rollback(entry.current) or self._has_values((name, entry.current)):
            return entry.current
        older = (version for version in _older(entry) if self._has_values((name, version)))
        return next(older, entry.current)

    def _has_values(self, version: Versioned) -> bool:
        """Whether all that its value comes from was filled."""
        if version in self._valued:
            return True
        reached = self._closure([version], known=self._valued)
        if not all(self._is_filled(self._entry(one)) for one in reached):
            return False
        self._valued.update(reached)
        return True

    def _is_filled(self, entry: VersionEntry) -> bool:
        if not self._head.revisions[entry.revision].stored:
            return True
        return any(self._filled(home) for home in (entry.revision, *entry.earlier))

    def _closure(
        self, starts: Iterable[Versioned], known: Collection[Versioned] = ()
    ) -> list[Versioned]:
        """Versions and all that is read with them, when they are computed on read, but for those
        that are `known`.
        """
        seen = dict.fromkeys(starts)
        waiting = list(seen)
        while waiting:
            for read in self._inputs(waiting.pop()):
                if read not in seen and read not in known:
                    seen[read] = None
                    waiting.append(read)
        return list(seen)

    def _inputs(self, version: Versioned) -> Iterator[Versioned]:
        entry = self._entry(version)
        if self._head.revisions[entry.revision].stored:
            return
        for name in self._version(entry.object).inputs:
            number = bound(self._head, entry.revision, name)
            yield name, number or self._head.features[name].current

    def _entry(self, version: Versioned) -> VersionEntry:
        name, number = version
        return self._head.features[name].versions[number]


def _older(entry: FeatureEntry) -> list[str]:
    """The versions before the current one that were not rolled back, the newest first."""
    since = entry.versions[entry.current].since
    known = [
        (found.since, version)
        for version, found in entry.versions.items()
        if found.since < since and found.revision and found.rolled_back_at is None
    ]
    return [version for _, version in sorted(known, reverse=True)]
