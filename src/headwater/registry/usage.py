"""Who uses which features: single uses as they are told, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.errors import NotFoundError
from headwater.registry.kinds import FeatureUsage
from headwater.registry.listed import UsageTotal
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


def record_usage(registry: Registry, project: str, usages: Iterable[FeatureUsage]) -> None:
    """Keep uses, all or none; one that is kept already (by `id`) stays as it is.

    Raises NotFoundError for an unknown feature or version.
    """
    given = list(usages)
    head = registry.head(project)
    for usage in given:
        entry = known_feature(head, usage.feature_name)
        if known_version(entry, usage.feature_version) is None:
            raise NotFoundError(no_version(entry, usage.feature_name, usage.feature_version))
    registry.put(project, given)


def usage_history(
    registry: Registry, project: str, name: str, *, limit: int | None = 100
) -> tuple[FeatureUsage, ...]:
    """The uses of a feature, newest first. Raises NotFoundError for an unknown one."""
    known_feature(registry.head(project), name)
    return registry.list(project, FeatureUsage, where={"feature_name": name}, limit=limit)


def usage_totals(registry: Registry, project: str, names: Iterable[str]) -> dict[str, UsageTotal]:
    """How often each of these features was used, 0 included."""
    wanted = list(names)
    found = registry.usage_totals(project, wanted)
    return {name: found.get(name, UsageTotal()) for name in wanted}


def usage_statistics(registry: Registry, project: str, name: str) -> UsageStatistics:
    """What the uses of a feature add up to. Raises NotFoundError for an unknown one."""
    uses = usage_history(registry, project, name, limit=None)
    return UsageStatistics(
        total_usage=sum(use.count for use in uses),
        unique_models=len({use.used_by_model for use in uses}),
        environments=tuple(sorted({use.environment for use in uses})),
        avg_importance=_mean(use.feature_importance for use in uses),
        avg_correlation=_mean(use.correlation_with_target for use in uses),
        last_used_at=max((use.usage_timestamp for use in uses), default=None),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None
