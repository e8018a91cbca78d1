"""What processes count of the use of features: so much of a day so far, told again as it grows.

Each process has rows of its own, one for each day and each way in which a feature is used; what
it tells replaces what it told before. So nothing is counted twice, however often it is told, and
nobody waits for anybody. When a day is long over, the rows of all processes are folded into one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from headwater.registry.kinds import FeatureUsage, now_us
from headwater.registry.listed import GROUPED
from headwater.registry.store import Registry
from headwater.registry.versions import known_version

DAY = 86_400_000_000
_OPEN_DAYS = 2
"""Days for which a process may still tell more: it may have had nobody to tell for a while."""
_LOOK_BACK = 14
"""Days after which nobody looks any more whether a day was folded."""


class DayCount(Protocol):
    """What a process has counted so far of the online reads of a day (in days since the epoch)."""

    @property
    def feature_name(self) -> str: ...
    @property
    def feature_version(self) -> str: ...
    @property
    def used_by_model(self) -> str: ...
    @property
    def service(self) -> str | None: ...
    @property
    def day(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def last_used_at(self) -> int: ...


def counted_use(writer: str, environment: str, counted: DayCount) -> FeatureUsage:
    """The row of what the process named `writer` has counted."""
    return _named(
        writer,
        FeatureUsage(
            id="",
            feature_name=counted.feature_name,
            feature_version=counted.feature_version,
            used_by_model=counted.used_by_model,
            environment=environment,
            usage_timestamp=counted.last_used_at,
            count=counted.count,
            service=counted.service,
            operation="online",
            rows=counted.rows,
            day=counted.day,
        ),
    )


def _named(writer: str, use: FeatureUsage) -> FeatureUsage:
    """A row under the id that it has whenever it is told."""
    told = msgspec.json.encode([writer, use.day, *(getattr(use, name) for name in GROUPED)])
    return msgspec.structs.replace(use, id=f"day-{hashlib.sha256(told).hexdigest()[:40]}")


def keep_counts(registry: Registry, project: str, uses: Iterable[FeatureUsage]) -> int:
    """Keep what processes counted, but for versions that the registry doesn't know, and days that
    are closed or yet to come; how many.
    """
    features, today = registry.head(project).features, now_us() // DAY
    known = [
        use
        for use in uses
        if use.day is not None
        and today - _OPEN_DAYS <= use.day <= today + 1
        and use.feature_name in features
        and known_version(features[use.feature_name], use.feature_version) is not None
    ]
    registry.put(project, known)
    return len(known)


def fold_day(registry: Registry, project: str, day: int) -> int:
    """Add up what processes counted of a day, a row each, into one row; how many rows went.

    A day to which something may still be added is left alone. What was broken off goes on: a row
    that says that another is in it counts, and the other is removed.
    """
    if day >= now_us() // DAY - _OPEN_DAYS:
        return 0
    alike: defaultdict[tuple[object, ...], list[FeatureUsage]] = defaultdict(list)
    for use in registry.list(project, FeatureUsage, where={"day": day}):
        alike[tuple(getattr(use, name) for name in GROUPED)].append(use)
    many = [uses for uses in alike.values() if len(uses) > 1]
    whole = [_folded(uses) for uses in many]
    kept = {use.id for use in whole}
    over = [use.id for uses in many for use in uses if use.id not in kept]
    registry.replace(project, FeatureUsage, whole, over)
    return len(over)


class Keeper:
    """Keeps what processes tell, and folds the days that are over, once a day."""

    def __init__(self, registry: Registry, project: str) -> None:
        self._registry = registry
        self._project = project
        self._folded = 0

    def keep(self, uses: Iterable[FeatureUsage]) -> int:
        """Keep counts; how many were kept."""
        kept = keep_counts(self._registry, self._project, uses)
        today = now_us() // DAY
        if self._folded < today:
            self._folded = today
            for day in range(today - _OPEN_DAYS - _LOOK_BACK, today - _OPEN_DAYS):
                fold_day(self._registry, self._project, day)
        return kept


def _folded(uses: Sequence[FeatureUsage]) -> FeatureUsage:
    inside = {name for use in uses for name in use.folds}
    parts = [use for use in uses if use.id not in inside]
    whole = _named("", uses[0])
    return msgspec.structs.replace(
        whole,
        count=sum(use.count for use in parts),
        rows=sum(use.rows for use in parts),
        usage_timestamp=max(use.usage_timestamp for use in parts),
        folds=tuple(sorted({*inside, *(use.id for use in parts if use.id != whole.id)})),
    )
