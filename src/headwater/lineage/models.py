"""Which models use which features, as their recorded uses tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from headwater.registry.kinds import FeatureUsage
from headwater.registry.listed import UsageGroup
from headwater.registry.store import Registry

_FEW = 1_000
"""As many features are asked for by name; of more, all uses are read."""


@dataclass(frozen=True)
class ModelUse:
    """What the uses of a version of a feature by a model add up to; `service` is the list of
    features by which it asked, where that is known.
    """

    feature: str
    version: str
    model: str
    environment: str
    service: str | None
    count: int


def model_uses(registry: Registry, project: str, features: Collection[str]) -> list[ModelUse]:
    """The uses of these features by models that are named, by model and feature."""
    if len(features) <= _FEW:
        return _uses(registry.usage_groups(project, features)) if features else []
    wanted = frozenset(features)
    return [use for use in _uses(registry.usage_groups(project)) if use.feature in wanted]


def used_by(registry: Registry, project: str, model: str) -> list[ModelUse]:
    """What one model uses."""
    found = _uses(registry.usage_groups(project))
    return [use for use in found if use.model == model]


def last_use(registry: Registry, project: str, model: str, environment: str) -> FeatureUsage | None:
    """The latest use that a model made of any feature, in an environment."""
    where = {"used_by_model": model, "environment": environment}
    return next(iter(registry.list(project, FeatureUsage, where=where, limit=1)), None)


def _uses(groups: Iterable[UsageGroup]) -> list[ModelUse]:
    counts: dict[tuple[str, str, str, str, str | None], int] = {}
    for group in groups:
        if group.used_by_model:
            alike = (
                *(group.feature_name, group.feature_version, group.used_by_model),
                *(group.environment, group.service),
            )
            counts[alike] = counts.get(alike, 0) + group.count
    found = [ModelUse(*alike, count) for alike, count in counts.items()]
    return sorted(found, key=lambda use: (use.model, use.environment, use.feature, use.version))
