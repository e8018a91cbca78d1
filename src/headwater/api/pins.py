"""Services that are pinned to a version of a feature, over REST: listed, and re-pinned."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from headwater.api.fields import Line
from headwater.api.problems import documented
from headwater.api.routes import Author, FeatureName, In, ProjectQuery, VersionName, new_router

router = new_router()


class RepinQuery(ProjectQuery):
    """The version that the services are to read, and which services: all, unless given."""

    to: Line
    service: Annotated[list[Line], Field(max_length=1000)] = Field(
        default_factory=list, description="this service alone; may be repeated"
    )


class PinnedServicesResponse(BaseModel):
    """The services that read one version of a feature, whatever is current."""

    model_config = ConfigDict(frozen=True)

    feature_name: str
    version: str
    services: list[str]
    total: int


class RepinResponse(BaseModel):
    """The services that read another version from now on."""

    model_config = ConfigDict(frozen=True)

    feature_name: str
    from_version: str
    to_version: str
    services: list[str]
    total: int


@router.get("/features/{feature_name}/versions/{version}/services")
async def get_pinned_services(
    feature_name: FeatureName,
    version: VersionName,
    query: Annotated[ProjectQuery, Query()],
    services: In,
) -> PinnedServicesResponse:
    """List the services that are pinned to a version."""
    governance = (await services.service(query.project)).governance
    state = await asyncio.to_thread(governance.version, feature_name, version)
    found = await asyncio.to_thread(governance.pinned, feature_name, state.version)
    return PinnedServicesResponse(
        feature_name=feature_name, version=state.version, services=found, total=len(found)
    )


@router.post("/features/{feature_name}/versions/{version}/repin", responses=documented(409))
async def repin_services(
    feature_name: FeatureName,
    version: VersionName,
    query: Annotated[RepinQuery, Query()],
    services: In,
    author: Author,
) -> RepinResponse:
    """Let services that are pinned to a version read another one."""
    governance = (await services.service(query.project)).governance
    done = await asyncio.to_thread(
        governance.repin, feature_name, version, query.to, services=query.service, author=author
    )
    return RepinResponse(
        feature_name=feature_name,
        from_version=done.old,
        to_version=done.new,
        services=list(done.services),
        total=len(done.services),
    )
