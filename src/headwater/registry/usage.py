"""Who uses which features: single uses as they are told, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from headwater.errors import NotFoundError
from headwater.registry.kinds import FeatureUsage
from headwater.registry.listed import UsageGroup, UsageTotal
from headwater.registry.state import known_feature, no_version
from headwater.registry.store import Registry
from headwater.registry.versions import known_version


@dataclass(frozen=True)
class UsageStatistics:
    """All uses of a feature taken together; means are over the uses that give a value."""

    total_usage: int
    unique_models: int
    environments: tuple[str, ...]
    avg_importance: float | None
    avg_correlation: float | None
    last_used_at: int | None


def record_usage(
    registry: Registry, project: str, usages: Iterable[FeatureUsage]
) -> tuple[FeatureUsage, ...]:
    """Keep uses, all or none, each once however often it is told (by `id`); as they are kept.

    Raises NotFoundError for an unknown feature or version; `1.0` means 1.0.0.
    """
    head = registry.head(project)
    kept = []
    for usage in usages:
        entry = known_feature(head, usage.feature_name)
        version = known_version(entry, usage.feature_version)
        if version is None:
            raise NotFoundError(no_version(entry, usage.feature_name, usage.feature_version))
        kept.append(msgspec.structs.replace(usage, feature_version=version))
    registry.put(project, kept)
    return tuple(kept)


def usage_history(
    registry: Registry, project: str, name: str, *, limit: int | None = 100
) -> tuple[FeatureUsage, ...]:
    """The uses of a feature, newest first. Raises NotFoundError for an unknown one."""
    known_feature(registry.head(project), name)
    return registry.list(project, FeatureUsage, where={"feature_name": name}, limit=limit)


def usage_groups(registry: Registry, project: str, name: str) -> Sequence[UsageGroup]:
    """Who uses a feature, the most frequent first. Raises NotFoundError for an unknown one."""
    known_feature(registry.head(project), name)
    return sorted(registry.usage_groups(project, [name]), key=lambda group: -group.count)


def usage_totals(registry: Registry, project: str, names: Iterable[str]) -> dict[str, UsageTotal]:
    """How often each of these features was used, 0 included."""
    wanted = list(names)
    found = registry.usage_totals(project, wanted)
    return {name: found.get(name, UsageTotal()) for name in wanted}


def usage_statistics(registry: Registry, project: str, name: str) -> UsageStatistics:
    """What the uses of a feature add up to. Raises NotFoundError for an unknown one."""
    known_feature(registry.head(project), name)
    groups = registry.usage_groups(project, [name])
    return UsageStatistics(
        total_usage=sum(group.count for group in groups),
        unique_models=len({group.used_by_model for group in groups if group.used_by_model}),
        environments=tuple(sorted({group.environment for group in groups})),
        avg_importance=mean_importance(groups),
        avg_correlation=_mean((group.correlation, group.correlations) for group in groups),
        last_used_at=usage_totals(registry, project, [name])[name].last_used_at,
    )


def mean_importance(groups: Iterable[UsageGroup]) -> float | None:
    """The mean importance that uses told of, None where none did."""
    return _mean((group.importance, group.importances) for group in groups)


def _mean(sums: Iterable[tuple[float, int]]) -> float | None:
    told = list(sums)
    number = sum(count for _, count in told)
    return math.fsum(value for value, _ in told) / number if number else None
