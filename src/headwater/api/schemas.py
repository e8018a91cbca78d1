"""The requests and answers of the REST API, and the objects that they are about.

Requests refuse fields that they don't know; where a field of a request may be left out, null
stands for that. Names and fields are a contract with those who call the API.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, model_validator

from headwater.api.fields import (
    Breaking,
    Code,
    Correlation,
    DataType,
    Duration,
    Environment,
    FeatureStatus,
    Finite,
    Frequency,
    Json,
    KeyFeatures,
    Line,
    Milliseconds,
    Moment,
    Name,
    Names,
    OfEntity,
    OfSource,
    Parameters,
    Relation,
    RequestValues,
    Tags,
    Text,
    Told,
    TransformationType,
    Version,
    Window,
    checked_rule,
)
from headwater.definitions.feature import Feature, FeatureType, ValueKind
from headwater.errors import DefinitionError

FRAME = ("window", "tail_hop", "offset", "rows", "min_rows", "default", "request", "via")
"""The fields that say over which rows a feature is computed."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


# --- parts ----------------------------------------------------------------------------------


class Transformation(_Answer):
    """How values come about: code, and the parameters that it is given."""

    transformation_type: TransformationType
    code: str
    parameters: dict[str, Any]


class ValidationRule(_Answer):
    """What values must satisfy; rows that fail a blocking rule go to quarantine."""

    rule_type: str
    parameters: dict[str, Any]
    is_blocking: bool


class TransformationCreate(_Request):
    """How values come about: code, and the parameters that it is given."""

    transformation_type: TransformationType
    code: Code
    parameters: Parameters = Field(default_factory=dict)


class ValidationRuleCreate(_Request):
    """What values must satisfy; a kind that is not built yet is stored, and not activated."""

    rule_type: Line = Field(examples=["range", "null_check", "enum", "regex", "outlier"])
    parameters: Parameters = Field(default_factory=dict)
    is_blocking: StrictBool = False

    @model_validator(mode="after")
    def _known(self) -> Self:
        checked_rule(self.rule_type, self.parameters, is_blocking=self.is_blocking)
        return self


RulesCreate = Annotated[list[ValidationRuleCreate], Field(max_length=50)]


# --- requests -------------------------------------------------------------------------------


class FeatureCreate(_Request):
    """A feature to be registered. With an entity and a source its values can be computed."""

    feature_name: Name
    feature_type: FeatureType
    data_type: DataType = Field(
        description="float (64 bits), integer (64 bits), string, boolean, timestamp; also float32, "
        "int32, bytes, date, and list[...], struct[name: type, ...] and map[key, value] of these"
    )
    description: Text | None = None
    owner: Line | None = None
    tags: Tags | None = None
    transformation: TransformationCreate | None = None
    validation_rules: RulesCreate | None = None
    upstream_features: Names | None = None
    duckdb_table: Relation | None = None
    duckdb_view: Relation | None = None
    value_kind: ValueKind | None = None
    data_source: Text | None = None
    computation_logic: Text | None = None
    update_frequency: Frequency | None = Field(
        default=None, description="real_time, hourly, daily, weekly or a duration"
    )
    entity: OfEntity | None = Field(
        default=None, description="the name of an entity, or its whole definition"
    )
    source: OfSource | None = Field(
        default=None, description="the name of a source, or its whole definition"
    )
    window: Window | None = Field(default=None, description="a duration, or lifetime")
    tail_hop: Duration | None = None
    offset: Duration | None = None
    rows: int | None = Field(default=None, ge=1, le=100_000, strict=True)
    min_rows: int | None = Field(default=None, ge=1, le=100_000, strict=True)
    default: Json = None
    request: RequestValues | None = Field(
        default=None, description="the values that come with each request, name to type"
    )
    via: KeyFeatures | None = Field(
        default=None,
        description="join keys of what it reads, with the features whose values they are",
    )
    ttl: Duration | None = None

    @model_validator(mode="after")
    def _one_frame(self) -> Self:
        self.frame()
        return self

    def frame(self) -> dict[str, Any]:
        """The fields that say over which rows it is computed, in their canonical form."""
        given = {name: getattr(self, name) for name in FRAME}
        try:
            declared = Feature(self.feature_name, **given).to_dict()
        except DefinitionError as error:
            raise ValueError(str(error)) from None
        return {name: declared[name] for name in FRAME if name in declared}


class FeatureUpdate(_Request):
    """What is to be changed; the rest stays. `status` follows the table of legal transitions."""

    description: Text | None = None
    tags: Tags | None = None
    status: FeatureStatus | None = None
    transformation: TransformationCreate | None = None
    validation_rules: RulesCreate | None = None


class FeatureVersionCreate(_Request):
    """A version by number; without snapshots, of the present code and rules."""

    version: Version = Field(examples=["1.1.0"])
    changelog: Told
    breaking_changes: Breaking = False
    transformation_snapshot: TransformationCreate | None = None
    validation_snapshot: RulesCreate | None = None


class FeatureUsageCreate(_Request):
    """One use of a feature by a model."""

    feature_name: Name
    feature_version: Line
    used_by_model: Line
    environment: Environment
    model_version: Line | None = None
    feature_importance: Finite | None = None
    correlation_with_target: Correlation | None = None
    usage_timestamp: Moment | None = Field(default=None, description="now, unless given")
    execution_id: Line | None = None
    execution_duration_ms: Milliseconds | None = None


# --- objects --------------------------------------------------------------------------------


class FeatureDefinition(_Answer):
    """A feature as the registry knows it now."""

    feature_name: str
    current_version: str
    feature_type: FeatureType
    data_type: str
    status: FeatureStatus
    description: str
    owner: str | None
    tags: list[str]
    upstream_features: list[str]
    downstream_features: list[str]
    transformation: Transformation | None
    validation_rules: list[ValidationRule]
    duckdb_table: str | None
    duckdb_view: str | None
    value_kind: ValueKind | None
    data_source: str | None
    computation_logic: str | None
    update_frequency: str | None
    entity: str | None
    source: str | None
    window: str | None
    tail_hop: str | None
    offset: str | None
    rows: int | None
    min_rows: int | None
    default: Any
    request: dict[str, str] | None
    via: dict[str, str] | None
    ttl: str | None
    usage_count: int
    last_used_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deprecated_at: datetime | None


class FeatureVersion(_Answer):
    """What one version of a feature is, and whether it was rolled back."""

    feature_name: str
    version: str
    changelog: str
    breaking_changes: bool | list[str]
    transformation_snapshot: Transformation | None
    validation_snapshot: list[ValidationRule]
    created_by: str
    created_at: datetime
    is_rolled_back: bool
    rolled_back_at: datetime | None


class FeatureUsage(_Answer):
    """One use of a feature by a model."""

    feature_name: str
    feature_version: str
    used_by_model: str
    model_version: str | None
    environment: Environment
    feature_importance: float | None
    correlation_with_target: float | None
    usage_timestamp: datetime
    execution_id: str | None
    execution_duration_ms: float | None


# --- answers --------------------------------------------------------------------------------


class _Kept(_Answer):
    id: str


class FeatureResponse(FeatureDefinition, _Kept):
    """A feature; `unresolved_features` are names upstream under which nothing usable is known.

    `view` is the view that computes it, and `computed_in` says where its code is evaluated: in the
    engine, or apart, if `code_by` gave it over the API. They are null where nothing is computed.
    `code_hash` is the SHA-256 of its code and parameters. `warnings` say what should be looked
    after, as a service that lists a deprecated feature.
    """

    unresolved_features: list[str]
    view: str | None
    computed_in: Literal["engine", "child process"] | None
    code_by: str | None
    code_hash: str | None
    warnings: list[str]
    _etag: str = PrivateAttr("")

    @property
    def etag(self) -> str:
        """Changes whenever the feature does; use doesn't count."""
        return self._etag

    def tagged(self, etag: str) -> Self:
        self._etag = etag
        return self


class FeatureListResponse(_Answer):
    """A page of features; `total` counts those of all pages."""

    features: list[FeatureResponse]
    total: int


class FeatureVersionResponse(FeatureVersion, _Kept):
    """A version of a feature."""


class RollbackResponse(FeatureVersionResponse):
    """The version that a rollback made. `still_read_by` are the live features whose current version
    (`name@version`) goes on reading the `replaced_version`, itself or through others;
    `pinned_services` are the services that do.
    """

    replaced_version: str
    still_read_by: list[str]
    pinned_services: list[str]


class FeatureVersionListResponse(_Answer):
    """The versions of a feature, newest first."""

    versions: list[FeatureVersionResponse]
    total: int


class FeatureUsageResponse(FeatureUsage, _Kept):
    """A use that was recorded."""


class FeatureLineageResponse(_Answer):
    """What a feature depends on, and what depends on it."""

    feature_name: str
    current_version: str
    upstream_features: list[str]
    downstream_features: list[str]
    all_upstream: list[str]
    all_downstream: list[str]
    direct_dependents_count: int
    total_dependents_count: int


class FeatureStatisticsResponse(_Answer):
    """How a feature is used."""

    total_usage: int
    unique_models: int
    environments: list[str]
    avg_importance: float | None
    avg_correlation: float | None
    last_used_at: datetime | None


class FeatureValidationResult(_Answer):
    """What the rules of a feature found."""

    is_valid: bool
    passed_rules: list[str]
    failed_rules: list[str]
    errors: list[str]
