"""How features are used and what that is worth, and what processes count of it."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from headwater.api.convert import moment
from headwater.api.fields import Environment, Line, Name
from headwater.api.problems import documented
from headwater.api.routes import FeatureName, In, ProjectQuery, new_router
from headwater.registry.counts import counted_use
from headwater.registry.listed import UsageGroup
from headwater.registry.ranking import RankedFeature, rank_features
from headwater.registry.usage import mean_importance, usage_groups

router = new_router("usage")
Number = Annotated[int, Field(ge=0, le=2**53)]
Writer = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["5f0c9a7be1d24c36"])]


class RankingQuery(ProjectQuery):
    """Which features, in what period."""

    days: int = Field(default=90, ge=1, le=3650, description="the period, up to now")
    unused: bool = Field(default=False, description="only those that nobody used in the period")
    skip: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=50, ge=1, le=1000)


class FeatureWorth(BaseModel):
    """How a feature was used in a period, what it cost, and whether it deserves to stay."""

    feature_name: str
    current_version: str
    status: str
    owner: str | None
    uses: int
    training: int
    online: int
    rows: int
    models: list[str]
    services: list[str]
    environments: list[str]
    last_used_at: datetime | None
    importance: float | None
    seconds: float
    bytes: int
    worth: float | None
    hint: Literal["keep", "watch", "retire"]
    reason: str

    @classmethod
    def of(cls, found: RankedFeature) -> Self:
        at = found.last_used_at
        fields = dataclasses.asdict(found) | {"last_used_at": None if at is None else moment(at)}
        return cls(**fields)


class FeatureRankingResponse(BaseModel):
    """Features by their worth, and how many there are on all pages."""

    features: list[FeatureWorth]
    total: int
    days: int


class FeatureUse(BaseModel):
    """Uses of one version of a feature that were alike, added up."""

    feature_version: str
    used_by_model: str | None
    service: str | None
    environment: str
    operation: Literal["training", "online"] | None
    uses: int
    rows: int
    importance: float | None

    @classmethod
    def of(cls, found: UsageGroup) -> Self:
        return cls(
            feature_version=found.feature_version,
            used_by_model=found.used_by_model or None,
            service=found.service,
            environment=found.environment,
            operation=found.operation,
            uses=found.count,
            rows=found.rows,
            importance=mean_importance([found]),
        )


class FeatureUsesResponse(BaseModel):
    """Who uses a feature, and for what."""

    feature_name: str
    uses: list[FeatureUse]


class UsageCount(BaseModel):
    """What a process has counted so far of a day (in days since 1970)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature_name: Name
    feature_version: Line
    day: Annotated[int, Field(ge=0, le=100_000)]
    count: Annotated[int, Field(ge=1, le=2**53)]
    rows: Number
    last_used_at: Annotated[int, Field(ge=0, le=2**53, description="microseconds since 1970")]
    used_by_model: Line | Literal[""] = ""
    service: Line | None = None


class UsageCounts(BaseModel):
    """What a process has counted; what it tells again replaces what it told before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Environment
    counts: Annotated[list[UsageCount], Field(max_length=1000)]


class UsageCountsResponse(BaseModel):
    """How many counts were kept: not those of unknown versions, or of days that are closed."""

    kept: int


@router.get("/usage")
async def rank_usage(
    query: Annotated[RankingQuery, Query()], services: In
) -> FeatureRankingResponse:
    """Rank features by use, importance and cost."""
    service = await services.service(query.project)
    found = await asyncio.to_thread(
        rank_features, service.registry, service.project, days=query.days
    )
    chosen = [one for one in found if not (query.unused and one.uses)]
    page = chosen[query.skip : query.skip + query.limit]
    return FeatureRankingResponse(
        features=[FeatureWorth.of(one) for one in page], total=len(chosen), days=query.days
    )


@router.get("/usage/{feature_name}")
async def get_feature_uses(
    feature_name: FeatureName, query: Annotated[ProjectQuery, Query()], services: In
) -> FeatureUsesResponse:
    """List who uses a feature: versions, models, services, environments."""
    service = await services.service(query.project)
    found = await asyncio.to_thread(usage_groups, service.registry, service.project, feature_name)
    return FeatureUsesResponse(feature_name=feature_name, uses=[FeatureUse.of(g) for g in found])


@router.put("/usage/counts/{writer}", responses=documented(400, 413, 415))
async def keep_usage_counts(
    writer: Writer, counts: UsageCounts, query: Annotated[ProjectQuery, Query()], services: In
) -> UsageCountsResponse:
    """Keep what a process has counted of online reads; telling it again changes nothing."""
    service = await services.service(query.project)
    uses = [counted_use(writer, counts.environment, counted) for counted in counts.counts]
    kept = await asyncio.to_thread(service.counts.keep, uses)
    return UsageCountsResponse(kept=kept)
