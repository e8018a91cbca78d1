"""The registry protocol: one set of verbs over all kinds, and the head of each project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar

from headwater.errors import ConfigError, ConflictError, near_miss
from headwater.registry.changed import ChangedQuery, ChangedRow
from headwater.registry.head import Head
from headwater.registry.kinds import Commit, Kind, Stored
from headwater.registry.listed import ListedFeature, ListedQuery, UsageGroup, UsageTotal

GROUP = "headwater.registries"
T = TypeVar("T")


class Registry(Protocol):
    """Where definitions, versions, runs and the audit trail are kept, project by project.

    Every verb raises StoreError (retryable) when the backend fails, and leaves what it was to
    change as it was, or as it is to be where the connection was lost after the change. A registry
    may be used by several threads; another process opens its own.
    """

    @property
    def url(self) -> str:
        """Where it is, without secrets."""

    def put(self, project: str, objects: Iterable[Stored]) -> None:
        """Keep objects, all or none. What is immutable and there already stays as it is.

        Each object is kept whole or not at all. A backend without transactions that dies in the
        middle may have kept some of them; the same call again completes it.
        """

    def get(self, project: str, kind: type[T], key: str) -> T:
        """The object of that key. Raises NotFoundError."""

    def get_many(self, project: str, kind: type[T], keys: Iterable[str]) -> dict[str, T]:
        """The objects of those keys that exist, by key."""

    def list(
        self,
        project: str,
        kind: type[T],
        *,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> tuple[T, ...]:
        """Objects of a kind whose indexed fields equal `where`, newest first."""

    def replace(
        self, project: str, kind: type[T], objects: Iterable[T], keys: Iterable[str]
    ) -> None:
        """Keep objects of a kind and forget those of some keys, all of it or nothing.

        A backend without transactions that dies in the middle has kept objects, and forgotten
        some of the others or none; the same call again completes it.
        """

    def delete(self, project: str, kind: type[Any], keys: Iterable[str]) -> int:
        """Forget the objects of those keys; how many there were.

        Raises TypeError for commits: the audit trail only grows.
        """

    def projects(self) -> tuple[str, ...]:
        """The names of the projects that something was kept for."""

    def head(self, project: str) -> Head:
        """The project's head; that of an unknown project is empty, of generation 0."""

    def compare_and_set_head(
        self,
        project: str,
        expected_generation: int,
        new_head: Head,
        commit: Commit,
        listed: Sequence[ListedFeature] = (),
    ) -> None:
        """Replace the head of the expected generation by the next one, log the commit, and list
        the features that it changes as they are now.

        All of it happens or nothing. Raises ConflictError when the head is of another generation.
        """

    def generation(self, project: str) -> int:
        """The generation of the project's head."""

    def find(self, project: str, query: ListedQuery) -> tuple[tuple[str, ...], int]:
        """The names of the features of one page, and how many there are on all pages."""

    def changed(self, project: str, query: ChangedQuery) -> tuple[tuple[ChangedRow, ...], int]:
        """One page of what commits changed, and how many rows there are on all pages."""

    def usage_totals(self, project: str, features: Iterable[str]) -> dict[str, UsageTotal]:
        """How often these features were used, those that ever were."""

    def usage_groups(
        self,
        project: str,
        features: Iterable[str] | None = None,
        *,
        since: int | None = None,
    ) -> Sequence[UsageGroup]:
        """What the uses of these features (all, unless given) add up to, those that are alike
        together; where `since` (microseconds UTC) is given, only uses since then.
        """

    def restore_head(
        self, project: str, head: Head, commit: Commit, listed: Sequence[ListedFeature] = ()
    ) -> None:
        """Give a project without a head one of any generation, with its commit, as a copy does.

        `listed` are all features. The earlier commits are put before. Raises ConflictError when
        the project has a head.
        """

    def close(self) -> None:
        """Give the connections back; the next verb opens them again."""


def open_registry(url: str) -> Registry:
    """The registry at a URL as `sqlite:///.headwater/registry.db`; connects at first use.

    Raises ConfigError, with the known backends, when none is registered for the URL's scheme.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    scheme, colon, _ = url.partition(":")
    name = scheme.partition("+")[0].lower()
    if not colon or name not in known:
        raise ConfigError(_unknown(name if colon else None, known))
    backend = known[name].load()
    registry: Registry = backend(url)
    return registry


def check_deletable(kind: Kind[Any]) -> None:
    """Raise TypeError for commits: the audit trail only grows."""
    if kind.type is Commit:
        raise TypeError("commits are never deleted: they are the audit trail")


def another_generation(project: str, found: int, expected: int) -> ConflictError:
    """The error of a compare-and-set that came too late."""
    return ConflictError(
        f"project '{project}': is at generation {found}, no more at {expected}; somebody else "
        "changed it"
    )


def _unknown(name: str | None, known: Mapping[str, EntryPoint]) -> str:
    what = "the URL has no scheme" if name is None else f"no backend '{name}'"
    hint = near_miss(name or "", known)
    listed = ", ".join(sorted(known))
    return f"registry: {what}{hint} (known: {listed}; as in sqlite:///.headwater/registry.db)"
