"""What features are listed and found by: one row each, written with the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headwater.registry.records import FeatureRecord

if TYPE_CHECKING:
    from headwater.registry.head import Head
    from headwater.registry.store import Registry


class ListedFeature(msgspec.Struct, frozen=True):
    """The fields of a feature that lists are filtered and sorted by."""

    feature_name: str
    current_version: str
    status: str
    feature_type: str
    owner: str | None
    created_at: int
    tags: tuple[str, ...] = ()


class ListedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which features are wanted: equal fields, any of the tags; newest first, then by name.

    `limit` rows from the `skip`-th on; None lists them all.
    """

    feature_type: str | None = None
    status: str | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    skip: int = 0
    limit: int | None = None

    @property
    def equal(self) -> dict[str, str]:
        """The fields that are asked for, with their values."""
        fields = {"feature_type": self.feature_type, "status": self.status, "owner": self.owner}
        return {name: value for name, value in fields.items() if value is not None}


class UsageTotal(msgspec.Struct, frozen=True):
    """How often a feature was used, and when last (microseconds UTC)."""

    count: int = 0
    last_used_at: int | None = None


class UsageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Uses of one version of a feature that were alike, added up.

    `importance` and `correlation` are the sums of what was told, by `importances` and
    `correlations` uses.
    """

    feature_name: str
    feature_version: str
    used_by_model: str
    service: str | None
    environment: str
    operation: str | None
    count: int = 0
    rows: int = 0
    importance: float = 0.0
    importances: int = 0
    correlation: float = 0.0
    correlations: int = 0


GROUPED = UsageGroup.__struct_fields__[:6]
"""The fields in which uses that are alike agree."""


def listed(
    registry: Registry, project: str, head: Head, *, every: bool = False
) -> list[ListedFeature]:
    """The rows of the features that the last change of a head touched; their records are stored.

    `every` asks for the rows of all features that ever were touched.
    """
    entries = {
        name: entry
        for name, entry in head.features.items()
        if (entry.record if every else entry.touched == head.generation)
    }
    keys = [entry.record for entry in entries.values()]
    records = registry.get_many(project, FeatureRecord, keys)
    return [
        ListedFeature(
            feature_name=name,
            current_version=entry.current,
            status=entry.status,
            feature_type=records[entry.record].feature_type,
            owner=records[entry.record].owner,
            created_at=entry.created_at,
            tags=tuple(dict.fromkeys(records[entry.record].tags)),
        )
        for name, entry in entries.items()
    ]
