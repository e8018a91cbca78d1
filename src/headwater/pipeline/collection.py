"""What gc removes: the values of revisions that nothing can reach any more.

A revision is marked in the registry first, then its rows, its offline table and the marks of its
runs are removed. A run says in the registry that it writes before it looks whether its revision is
marked; gc marks before it looks for runs: so one of the two always sees the other. What was cut
short is finished by the next gc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from headwater.definitions.service import FeatureService
from headwater.definitions.ticks import DAY
from headwater.offline.states import RunStates
from headwater.offline.tables import OfflineTables
from headwater.online.store import OnlineStore
from headwater.pipeline.marks import marks_of, remove_marks
from headwater.registry.collecting import give_up
from headwater.registry.head import Head
from headwater.registry.kinds import Run, now_us
from headwater.registry.reach import reachable
from headwater.registry.store import Registry

LONGEST_RUN = DAY
"""Microseconds after which a run that has not said how it ended counts as cut short."""


@dataclass(frozen=True)
class Garbage:
    """A revision that nothing can reach, and what removing it frees.

    `versions` are those whose values it holds (`feature@version`); `since` (microseconds UTC) is
    when the last reader left it. The bytes are those of keys and values online, of files offline.
    """

    view: str
    revision: str
    versions: tuple[str, ...]
    since: int | None
    rows: int
    online_bytes: int
    offline_bytes: int


@dataclass(frozen=True)
class Collector:
    """Finds and removes the garbage of one project.

    `window` is the number of microseconds for which a rollback may lead to what was replaced,
    `services` gives the services of a head, `served` the revisions that readers use now.
    """

    project: str
    registry: Registry
    online: OnlineStore
    tables: OfflineTables
    states: RunStates
    window: int
    services: Callable[[Head], Iterable[FeatureService]]
    served: Callable[[], Iterable[str]]

    def survey(self) -> list[Garbage]:
        """What there is to remove, the largest first; nothing is changed."""
        head = self.registry.head(self.project)
        names = self._unreachable(head) | set(_given_up(head))
        found = [self._measured(head, name) for name in sorted(names) if self._holds(name)]
        return sorted(found, key=lambda one: -(one.online_bytes + one.offline_bytes))

    def mark(self, *, author: str) -> None:
        """Give up what nothing can reach, in one commit."""
        give_up(self.registry, self.project, self._to_give_up, author=author)

    def remove(self) -> list[Garbage]:
        """Remove the values of what was given up and is not wanted again; says what it was."""
        head = self.registry.head(self.project)
        done = []
        for name in _given_up(head):
            if not self._holds(name) or self._is_wanted(name):
                continue
            done.append(self._measured(head, name))
            self._close_runs(name)
            self.tables.drop(name)
            self.states.drop(name)
            remove_marks(self.online, self.project, name)
            self.online.drop(self.project, name)
        return done

    # --- inside -----------------------------------------------------------------------------

    def _to_give_up(self, head: Head) -> list[str]:
        return [name for name in self._unreachable(head) if self._holds(name)]

    def _unreachable(self, head: Head) -> set[str]:
        names = list(head.revisions)
        ticks = self.online.published(self.project, names)
        filled = {name for name, tick in zip(names, ticks, strict=True) if tick is not None}
        in_use = [*self.served(), *(run.revision for run in self._runs() if _may_work(run))]
        since = now_us() - self.window
        services = self.services(head)
        return set(names) - reachable(head, services, since, filled.__contains__, in_use)

    def _is_wanted(self, name: str) -> bool:
        """Whether somebody reads or writes a revision again, now that it is marked."""
        entry = self.registry.head(self.project).revisions[name]
        return entry.collected_at is None or any(_may_work(run) for run in self._runs(name))

    def _holds(self, name: str) -> bool:
        """Whether there is anything of a revision to remove."""
        return (
            self.online.published(self.project, [name])[0] is not None
            or self.online.size(self.project, name).rows > 0
            or self.tables.size(name) > 0
            or bool(marks_of(self.online, self.project, name))
        )

    def _measured(self, head: Head, name: str) -> Garbage:
        entry, online = head.revisions[name], self.online.size(self.project, name)
        versions = (
            f"{feature}@{version}"
            for feature, found in head.features.items()
            for version, home in found.versions.items()
            if name in (home.revision, *home.earlier)
        )
        return Garbage(
            view=entry.view,
            revision=name,
            versions=tuple(versions),
            since=entry.retired_at,
            rows=online.rows,
            online_bytes=online.bytes,
            offline_bytes=self.tables.size(name) + self.states.size(name),
        )

    def _runs(self, revision: str | None = None) -> Iterable[Run]:
        """The runs that have not said how they ended."""
        where = {"status": "running"} | ({} if revision is None else {"revision": revision})
        return self.registry.list(self.project, Run, where=where)

    def _close_runs(self, name: str) -> None:
        error = "was cut short; its revision is no longer reached, and its values were removed"
        closed = [
            msgspec.structs.replace(run, status="failed", error=error) for run in self._runs(name)
        ]
        self.registry.put(self.project, closed)


def _given_up(head: Head) -> list[str]:
    return [name for name, entry in head.revisions.items() if entry.collected_at is not None]


def _may_work(run: Run) -> bool:
    return run.started_at > now_us() - LONGEST_RUN
