"""Between what the API says and what the registry keeps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from headwater.api import schemas
from headwater.api.fields import shown_dtype
from headwater.definitions.entity import Entity
from headwater.definitions.rules import ValidationRule
from headwater.definitions.source import Source
from headwater.errors import RequestError
from headwater.registry import records
from headwater.registry.governance import FeatureState, VersionState
from headwater.registry.kinds import FeatureUsage, new_id, now_us
from headwater.registry.left_behind import LeftBehind
from headwater.registry.lineage import Lineage
from headwater.registry.listed import UsageTotal
from headwater.registry.usage import UsageStatistics
from headwater.registry.versions import Wanted

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAME = (
    "feature_type",
    "owner",
    "duckdb_table",
    "duckdb_view",
    "value_kind",
    "data_source",
    "computation_logic",
    "update_frequency",
    "ttl",
)
"""Fields of a feature that both sides call and spell alike."""
_USE = (
    "feature_name",
    "feature_version",
    "used_by_model",
    "model_version",
    "environment",
    "feature_importance",
    "correlation_with_target",
    "execution_id",
    "execution_duration_ms",
)
_SKEW = 300_000_000
"""Microseconds by which a caller's clock may be ahead."""


def record_of(feature: schemas.FeatureCreate) -> records.FeatureRecord:
    """What the registry keeps of a feature that is to be registered."""
    return records.FeatureRecord(
        name=feature.feature_name,
        data_type=feature.data_type,
        description=feature.description or "",
        tags=tuple(feature.tags or ()),
        transformation=transformation_of(feature.transformation),
        validation_rules=rules_of(feature.validation_rules or ()),
        upstream_features=tuple(feature.upstream_features or ()),
        entity=_name(feature.entity),
        source=_name(feature.source),
        frame=feature.frame(),
        **{name: getattr(feature, name) for name in _SAME},
    )


def definitions_of(feature: schemas.FeatureCreate) -> list[Entity | Source]:
    """The whole definitions that come with a feature."""
    return [item for item in (feature.entity, feature.source) if isinstance(item, Entity | Source)]


def _name(given: str | Entity | Source | None) -> str | None:
    return given.name if isinstance(given, Entity | Source) else given


def changes_of(update: schemas.FeatureUpdate) -> dict[str, Any]:
    """The fields of a record that an update sets, and `status`."""
    given = {name: getattr(update, name) for name in ("description", "status")}
    if update.tags is not None:
        given["tags"] = tuple(update.tags)
    given |= snapshot(update.transformation, update.validation_rules)
    return {name: value for name, value in given.items() if value is not None}


def snapshot_of(version: schemas.FeatureVersionCreate) -> dict[str, Any]:
    """The fields of a record that a version is made of, as far as they are given."""
    return snapshot(version.transformation_snapshot, version.validation_snapshot)


def wanted_of(version: schemas.FeatureVersionCreate, *, force: bool) -> Wanted:
    """The number that was asked for."""
    breaking = version.breaking_changes
    return Wanted(
        version=version.version,
        changelog=version.changelog,
        breaking_changes=breaking if isinstance(breaking, bool) else tuple(breaking),
        force=force,
    )


def snapshot(
    transformation: schemas.TransformationCreate | None,
    rules: Iterable[schemas.ValidationRuleCreate] | None,
) -> dict[str, Any]:
    """The fields of a record that code and rules set, as far as they are given."""
    found: dict[str, Any] = {}
    if transformation is not None:
        found["transformation"] = transformation_of(transformation)
    if rules is not None:
        found["validation_rules"] = rules_of(rules)
    return found


def transformation_of(
    given: schemas.TransformationCreate | None,
) -> records.Transformation | None:
    if given is None:
        return None
    return records.Transformation(given.transformation_type, given.code, given.parameters)


def rules_of(given: Iterable[schemas.ValidationRuleCreate]) -> tuple[dict[str, Any], ...]:
    """Rules as definitions write them, so that one declared in YAML is the same."""
    return tuple(
        ValidationRule(
            rule.rule_type, parameters=rule.parameters, is_blocking=rule.is_blocking
        ).to_dict()
        for rule in given
    )


def feature_response(
    project: str, state: FeatureState, usage: UsageTotal, warnings: Iterable[str] = ()
) -> schemas.FeatureResponse:
    """All that is known of a feature; `etag` changes whenever it does."""
    entry, record = state.entry, state.record
    made = schemas.FeatureResponse(
        id=f"{project}/{state.name}",
        feature_name=state.name,
        current_version=entry.current,
        status=entry.status,
        data_type=shown_dtype(record.data_type),
        description=record.description,
        tags=list(record.tags),
        upstream_features=list(entry.upstream),
        downstream_features=list(state.downstream),
        unresolved_features=list(state.unresolved),
        view=entry.view or None,
        computed_in=_computed_in(state),
        code_by=record.code_by,
        code_hash=_code_hash(record.transformation),
        warnings=list(warnings),
        transformation=_transformation(record.transformation),
        validation_rules=_rules(record.validation_rules),
        entity=record.entity,
        source=record.source,
        usage_count=usage.count,
        last_used_at=_moment(usage.last_used_at),
        created_at=moment(entry.created_at),
        updated_at=moment(entry.updated_at),
        deprecated_at=_moment(entry.deprecated_at),
        **{name: record.frame.get(name) for name in schemas.FRAME},
        **{name: getattr(record, name) for name in _SAME},
    )
    return made.tagged(state.tag)


def version_response(project: str, state: VersionState) -> schemas.FeatureVersionResponse:
    """What a version is, and whether it was rolled back."""
    content, entry = state.content, state.entry
    breaking = content.breaking_changes or content.bump == "major"
    return schemas.FeatureVersionResponse(
        id=f"{project}/{state.feature}@{state.version}",
        feature_name=state.feature,
        version=state.version,
        changelog=content.changelog or content.reason,
        breaking_changes=breaking if isinstance(breaking, bool) else list(breaking),
        transformation_snapshot=_transformation(content.transformation),
        validation_snapshot=_rules(content.rules),
        created_by=entry.made_by,
        created_at=moment(entry.made_at),
        is_rolled_back=entry.rolled_back_at is not None,
        rolled_back_at=_moment(entry.rolled_back_at),
    )


def rollback_response(
    project: str, state: VersionState, left: LeftBehind
) -> schemas.RollbackResponse:
    """The version that a rollback made, and who doesn't feel it."""
    return schemas.RollbackResponse(
        **dict(version_response(project, state)),
        replaced_version=left.version,
        still_read_by=[f"{name}@{version}" for name, version in left.features],
        pinned_services=list(left.services),
    )


def lineage_response(current: str, found: Lineage) -> schemas.FeatureLineageResponse:
    return schemas.FeatureLineageResponse(
        feature_name=found.feature,
        current_version=current,
        upstream_features=list(found.upstream),
        downstream_features=list(found.downstream),
        all_upstream=list(found.all_upstream),
        all_downstream=list(found.all_downstream),
        direct_dependents_count=len(found.downstream),
        total_dependents_count=len(found.all_downstream),
    )


def usage_of(usage: schemas.FeatureUsageCreate) -> FeatureUsage:
    """What the registry keeps of a use. Raises RequestError where it has not happened yet."""
    now = now_us()
    at = now if usage.usage_timestamp is None else micros(usage.usage_timestamp)
    if at > now + _SKEW:
        raise RequestError(f"field 'usage_timestamp': {usage.usage_timestamp} is yet to come")
    fields = {name: getattr(usage, name) for name in _USE}
    return FeatureUsage(id=new_id(now), usage_timestamp=at, **fields)


def usage_response(project: str, usage: FeatureUsage) -> schemas.FeatureUsageResponse:
    fields = {name: getattr(usage, name) for name in _USE}
    return schemas.FeatureUsageResponse(
        id=f"{project}/{usage.id}", usage_timestamp=moment(usage.usage_timestamp), **fields
    )


def statistics_response(found: UsageStatistics) -> schemas.FeatureStatisticsResponse:
    return schemas.FeatureStatisticsResponse(
        total_usage=found.total_usage,
        unique_models=found.unique_models,
        environments=list(found.environments),
        avg_importance=found.avg_importance,
        avg_correlation=found.avg_correlation,
        last_used_at=_moment(found.last_used_at),
    )


def _transformation(found: records.Transformation | None) -> schemas.Transformation | None:
    if found is None:
        return None
    return schemas.Transformation(
        transformation_type=found.transformation_type,
        code=found.code,
        parameters=found.parameters,
    )


def _code_hash(found: records.Transformation | None) -> str | None:
    return None if found is None else found.code_hash


def _computed_in(state: FeatureState) -> Literal["engine", "child process"] | None:
    if not state.entry.view:
        return None
    return "engine" if state.record.code_by is None else "child process"


def _rules(found: Iterable[dict[str, Any]]) -> list[schemas.ValidationRule]:
    """Rules in the words of the API, which says `null_check` for `not_null`."""
    return [
        schemas.ValidationRule(
            rule_type="null_check" if rule["rule_type"] == "not_null" else rule["rule_type"],
            parameters=rule.get("parameters", {}),
            is_blocking=rule.get("is_blocking", False),
        )
        for rule in found
    ]


def moment(microseconds: int) -> datetime:
    """Microseconds since the epoch as a time in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)


def micros(time: datetime) -> int:
    """A time in UTC as microseconds since the epoch."""
    return (time - _EPOCH) // timedelta(microseconds=1)
