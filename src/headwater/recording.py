"""Records in the registry what this process uses of features: training sets and online reads."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from headwater.errors import StoreError
from headwater.registry.kinds import FeatureUsage, new_id, now_us

if TYPE_CHECKING:
    from headwater.historical import Asked
    from headwater.registry.store import Registry
    from headwater.serving.usage import Counted, UsageCounter
    from headwater.store import FeatureStore

_log = logging.getLogger(__name__)


def training_recorder(store: FeatureStore, asked: Asked) -> Callable[[int, float], None] | None:
    """What records a training set when it is there; None where nothing is to be recorded."""
    return partial(_record_training, store, asked) if store.settings.usage.enabled else None


def _record_training(store: FeatureStore, asked: Asked, rows: int, seconds: float) -> None:
    """One use of each version of a feature. A registry that fails doesn't take the rows away."""
    now = now_us()
    execution = new_id(now)
    settings = store.settings.usage
    uses = [
        FeatureUsage(
            id=f"{execution}-{place}",
            feature_name=feature,
            feature_version=version,
            used_by_model=settings.model or "",
            environment=settings.environment,
            usage_timestamp=now,
            execution_id=execution,
            execution_duration_ms=round(1000 * seconds, 3),
            service=asked.service,
            operation="training",
            rows=rows,
        )
        for place, (feature, version) in enumerate(asked.versions)
    ]
    try:
        store.registry.put(store.project, uses)
    except StoreError as error:
        _log.warning("the use of features by a training set can't be recorded: %s", error)


def online_counter(store: FeatureStore) -> UsageCounter | None:
    """What counts the store's online reads; None where nothing is to be recorded.

    It is closed with the store, or when the store is gone, or the process ends.
    """
    from headwater.serving.usage import UsageCounter

    settings = store.settings.usage
    if not settings.enabled:
        return None
    counter = UsageCounter(
        partial(_deliver, store.registry, store.project, settings.environment),
        model=settings.model,
        sample=settings.sample,
        interval=settings.interval,
    )
    weakref.finalize(store, counter.close)
    return counter


def _deliver(
    registry: Registry, project: str, environment: str, writer: str, counts: Sequence[Counted]
) -> None:
    from headwater.registry.counts import counted_use, keep_counts

    uses = [counted_use(writer, environment, counted) for counted in counts]
    keep_counts(registry, project, uses)
