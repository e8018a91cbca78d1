"""Which version a change deserves, and how the values of two versions differ."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from headwater.api.convert import moment, snapshot
from headwater.api.problems import documented
from headwater.api.routes import Author, FeatureName, In, ProjectQuery, VersionName, new_router
from headwater.api.schemas import RulesCreate, TransformationCreate
from headwater.registry.comparisons import Comparison, Difference, Example, Sample

Bump = Literal["major", "minor", "patch"]
router = new_router()


class FeatureVersionPropose(BaseModel):
    """What a version would be made of; what is not given stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transformation_snapshot: TransformationCreate | None = None
    validation_snapshot: RulesCreate | None = None


class ComparisonSample(BaseModel):
    """Keys of sources, at instants from `first` to `last`; `sources` maps names to snapshots."""

    sources: dict[str, str]
    keys: int
    rows: int
    first: datetime | None
    last: datetime | None

    @classmethod
    def of(cls, found: Sample) -> Self:
        return cls(
            sources=found.sources,
            keys=found.keys,
            rows=found.rows,
            first=_moment(found.first),
            last=_moment(found.last),
        )


class ComparisonExample(BaseModel):
    """One value that differs."""

    key: dict[str, Any]
    at: datetime | None
    old: Any
    new: Any

    @classmethod
    def of(cls, found: Example) -> Self:
        return cls(key=found.key, at=_moment(found.at), old=found.old, new=found.new)


class ComparisonDifference(BaseModel):
    """How many of `rows` values differ, and by how much; relative to the greater of the two."""

    rows: int
    differing: int
    nulls_gained: int
    nulls_lost: int
    max_abs: float | None
    mean_abs: float | None
    max_rel: float | None
    mean_rel: float | None
    examples: list[ComparisonExample]

    @classmethod
    def of(cls, found: Difference) -> Self:
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        return cls(**{**fields, "examples": [ComparisonExample.of(one) for one in found.examples]})


class FeatureComparison(BaseModel):
    """A feature's values beside those of version `against`; `skipped` says why there is none."""

    against: str
    sample: ComparisonSample | None
    difference: ComparisonDifference | None
    skipped: str

    @classmethod
    def of(cls, found: Comparison) -> Self:
        return cls(
            against=found.against,
            sample=None if found.sample is None else ComparisonSample.of(found.sample),
            difference=(
                None if found.difference is None else ComparisonDifference.of(found.difference)
            ),
            skipped=found.skipped,
        )


class FeatureVersionProposal(BaseModel):
    """The version that a change deserves; `comparison` is null where no values change."""

    feature_name: str
    current_version: str
    version: str
    bump: Bump | None
    reason: str
    comparison: FeatureComparison | None


class FeatureVersionComparison(BaseModel):
    """How a version came by its number; `comparison` is null where no values changed."""

    feature_name: str
    version: str
    bump: Bump | None
    reason: str
    comparison: FeatureComparison | None


@router.post("/features/{feature_name}/versions/propose", responses=documented(400, 409, 413, 415))
async def propose_version(
    feature_name: FeatureName,
    version: FeatureVersionPropose,
    query: Annotated[ProjectQuery, Query()],
    services: In,
    author: Author,
) -> FeatureVersionProposal:
    """Tell which version a change deserves, and why; nothing is made."""
    service = await services.service(query.project)
    given = snapshot(version.transformation_snapshot, version.validation_snapshot)
    governance = service.store.governance
    found = await asyncio.to_thread(governance.propose, feature_name, given, author=author)
    return FeatureVersionProposal(
        feature_name=found.feature,
        current_version=found.current,
        version=found.version,
        bump=found.bump,
        reason=found.reason,
        comparison=_comparison(found.comparison),
    )


@router.get("/features/{feature_name}/versions/{version}/comparison")
async def get_version_comparison(
    feature_name: FeatureName,
    version: VersionName,
    query: Annotated[ProjectQuery, Query()],
    services: In,
) -> FeatureVersionComparison:
    """Get how the values of a version differ from those of the version before it."""
    service = await services.service(query.project)
    found = await asyncio.to_thread(service.store.governance.version, feature_name, version)
    return FeatureVersionComparison(
        feature_name=found.feature,
        version=found.version,
        bump=found.content.bump,
        reason=found.content.reason,
        comparison=_comparison(found.content.comparison),
    )


def _comparison(found: Comparison | None) -> FeatureComparison | None:
    return None if found is None else FeatureComparison.of(found)


def _moment(at: int) -> datetime | None:
    """An instant; None where it is in a year that has no date in RFC 3339."""
    try:
        return moment(at)
    except OverflowError:
        return None
