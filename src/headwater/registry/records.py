"""What the registry says of a feature now: one record, whoever declared it and how."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.definitions.feature import Feature
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView

if TYPE_CHECKING:
    from headwater.registry.kinds import FeatureVersion

FRAME = ("window", "tail_hop", "offset", "rows", "min_rows", "default", "request", "via")
_SHARED = (
    "description",
    "validation_rules",
    "duckdb_table",
    "duckdb_view",
    "value_kind",
    "data_source",
    "computation_logic",
    "code_by",
)


class Transformation(msgspec.Struct, frozen=True):
    """How values come about: code of a kind (`sql`, `python`, `spark`), and its parameters."""

    transformation_type: str
    code: str
    parameters: dict[str, Any] = {}

    @property
    def code_hash(self) -> str:
        """The SHA-256 of the code with its parameters."""
        content = json.dumps([self.code, self.parameters], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


class FeatureRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The declared state of a feature; immutable, found by the hash of its content.

    `upstream_features` are those that were named, `frame` holds the fields of a Feature that say
    over which rows it is computed. `entity`, `source` and `update_frequency` are its view's,
    `code_by` is who gave the code that it computes over the API.
    """

    name: str
    feature_type: str
    data_type: str
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()
    transformation: Transformation | None = None
    validation_rules: tuple[dict[str, Any], ...] = ()
    upstream_features: tuple[str, ...] = ()
    duckdb_table: str | None = None
    duckdb_view: str | None = None
    value_kind: str | None = None
    data_source: str | None = None
    computation_logic: str | None = None
    update_frequency: str | None = None
    entity: str | None = None
    source: str | None = None
    ttl: str | None = None
    frame: dict[str, Any] = {}
    code_by: str | None = None


def record_of(view: AnalyzedView, feature: AnalyzedFeature) -> FeatureRecord:
    """The record of a feature that a view declares; what it leaves open, its view says."""
    declared = feature.feature.to_dict()
    around = view.view.to_dict(only={"owner", "tags", "update_frequency", "ttl"})
    kind = "derived" if feature.kind == "derived" else "raw"
    return FeatureRecord(
        name=feature.name,
        feature_type=declared.get("feature_type", kind),
        data_type=feature.dtype,
        owner=declared.get("owner", around.get("owner")),
        tags=tuple(dict.fromkeys([*around.get("tags", ()), *declared.get("tags", ())])),
        transformation=transformation_of(feature.feature),
        upstream_features=tuple(feature.feature.upstream_features),
        update_frequency=around.get("update_frequency", "real_time"),
        entity=view.view.entity_name,
        source=view.view.source_name,
        ttl=around.get("ttl"),
        frame={name: declared[name] for name in FRAME if name in declared},
        **{name: _frozen(declared[name]) for name in _SHARED if name in declared},
    )


def restored(record: FeatureRecord, version: FeatureVersion) -> FeatureRecord:
    """The record with the code, rules and type of a version that was rolled back to."""
    return msgspec.structs.replace(
        record,
        transformation=version.transformation,
        validation_rules=tuple(version.rules),
        data_type=version.dtype,
        frame={name: version.definition[name] for name in FRAME if name in version.definition},
    )


def transformation_of(feature: Feature) -> Transformation:
    """How a declared feature is computed; a function is named by import path and hash."""
    if feature.function is not None:
        if feature.function.code is not None:
            return Transformation("python", feature.function.code, feature.function.parameters)
        described = feature.function.to_dict()
        return Transformation("python", described.pop("path"), described)
    return Transformation("sql", feature.definition)


def upstream_of(feature: AnalyzedFeature) -> tuple[str, ...]:
    """The features that one depends on: those that it reads, then those that it names."""
    return tuple(dict.fromkeys([*feature.inputs, *feature.feature.upstream_features]))


def upstream_of_version(version: FeatureVersion, record: FeatureRecord) -> tuple[str, ...]:
    """The same of a version that was rolled back to, with what its feature names now."""
    return tuple(dict.fromkeys([*version.inputs, *record.upstream_features]))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
