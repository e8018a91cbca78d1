"""The routes of `/api/v1`: what a request says becomes a call of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from headwater.api import schemas
from headwater.api.bodies import JsonRoute
from headwater.api.fields import FeatureStatus, Line, Tag, Words
from headwater.api.problems import documented
from headwater.api.service import FeatureStoreService
from headwater.definitions.feature import FeatureType
from headwater.errors import RequestError

PREFIX = "/api/v1"
_AUTHOR = "rest"


def operation_id(route: APIRoute) -> str:
    """`getFeature` for get_feature, as the data plane's are."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def new_router(tag: str = "features") -> APIRouter:
    """A router below `/api/v1`, whose routes are named and fail as all of them do."""
    return APIRouter(
        prefix=PREFIX,
        tags=[tag],
        route_class=JsonRoute,
        responses=documented(404, 422, 503),
        generate_unique_id_function=operation_id,
    )


router = new_router()


class Services(Protocol):
    """The services of the projects that one registry keeps."""

    async def service(self, project: str | None, *, new: bool = False) -> FeatureStoreService:
        """The service of a project, the server's own where none is named.

        Raises NotFoundError for one that the registry doesn't know, unless it may be `new`.
        """


# --- what requests say beside their bodies --------------------------------------------------


class ProjectQuery(BaseModel):
    """In which project; the server's own, unless given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = None


class ListQuery(ProjectQuery):
    """Which features, and how many of them."""

    q: Words | None = Field(
        default=None, description="words that each feature holds; the best come first"
    )
    feature_type: FeatureType | None = None
    status: FeatureStatus | None = None
    owner: Line | None = None
    tags: Annotated[list[Tag], Field(max_length=50)] = Field(
        default_factory=list, description="any of them; may be repeated"
    )
    skip: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=50, ge=1, le=1000)


class UsageQuery(ProjectQuery):
    """How many uses."""

    limit: int = Field(default=100, ge=1, le=10_000)


class LineageQuery(ProjectQuery):
    """How far."""

    recursive: bool = Field(default=False, description="everything, not only the next ones")


class VersionQuery(ProjectQuery):
    """Whether the version's number may be less than the change deserves."""

    force: bool = False


class RollbackQuery(ProjectQuery):
    """To which version, and whether it may be one whose values were never computed."""

    target_version: Line
    force: bool = False


@dataclass(frozen=True)
class Change:
    """Who changes something, and which state of it was seen."""

    author: str
    expected: str | None

    @property
    def arguments(self) -> dict[str, Any]:
        return {"author": self.author, "expected": self.expected}


# Asynchronous, though they wait for nothing: others would each be sent to another thread.
async def _author(
    x_headwater_user: Annotated[
        Line | None, Header(description="who asks, as the proxy in front knows it")
    ] = None,
) -> str:
    return x_headwater_user or _AUTHOR


async def _change(
    author: Annotated[str, Depends(_author)],
    if_match: Annotated[
        str | None, Header(max_length=200, description="the `ETag` of the state that was seen")
    ] = None,
) -> Change:
    return Change(author, _tag_in(if_match))


def _tag_in(header: str | None) -> str | None:
    """The one tag that If-Match names; None where any state will do."""
    if header is None or header.strip() == "*":
        return None
    tag = header.strip()
    if len(tag) < 2 or not (tag[0] == tag[-1] == '"') or '"' in tag[1:-1]:
        raise RequestError(
            f"header 'If-Match': give '*' or one entity tag in quotes, as '\"7\"'; got {tag!r}"
        )
    return tag[1:-1]


async def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


FeatureName = Annotated[str, Path(max_length=128, examples=["stock_rsi_14d"])]
VersionName = Annotated[str, Path(max_length=128, examples=["1.0.0"])]
In = Annotated[Services, Depends(_services)]
Author = Annotated[str, Depends(_author)]
Changed = Annotated[Change, Depends(_change)]


def _written(answer: BaseModel) -> Response:
    """An answer as JSON at once: FastAPI would check it again first, which takes longer."""
    return Response(answer.model_dump_json(), media_type="application/json")


def _tagged(response: Response, feature: schemas.FeatureResponse) -> schemas.FeatureResponse:
    response.headers["ETag"] = f'"{feature.etag}"'
    return feature


# --- features -------------------------------------------------------------------------------


@router.post("/features", status_code=201, responses=documented(400, 409, 413, 415))
async def create_feature(
    feature: schemas.FeatureCreate,
    query: Annotated[ProjectQuery, Query()],
    services: In,
    author: Author,
    response: Response,
) -> schemas.FeatureResponse:
    """Register a feature as a draft, version 1.0.0."""
    service = await services.service(query.project, new=True)
    made = await service.create_feature(feature, author=author)
    response.headers["Location"] = f"{PREFIX}/features/{made.feature_name}"
    return _tagged(response, made)


@router.get("/features", response_model=schemas.FeatureListResponse)
async def list_features(query: Annotated[ListQuery, Query()], services: In) -> Response:
    """List features, the latest first; with `q` search them, the best first."""
    service = await services.service(query.project)
    return _written(await service.list_features(**query.model_dump(exclude={"project"})))


# Before the routes of a feature: `usage` is a reserved name.
@router.post("/features/usage", status_code=201, responses=documented(400, 413, 415))
async def record_feature_usage(
    usage: schemas.FeatureUsageCreate, query: Annotated[ProjectQuery, Query()], services: In
) -> schemas.FeatureUsageResponse:
    """Record that a model uses a feature."""
    service = await services.service(query.project)
    return await service.record_feature_usage(usage)


@router.get("/features/{feature_name}", response_model=schemas.FeatureResponse)
async def get_feature(
    feature_name: FeatureName, query: Annotated[ProjectQuery, Query()], services: In
) -> Response:
    """Get a feature."""
    service = await services.service(query.project)
    found = await service.get_feature(feature_name)
    response = _written(found)
    _tagged(response, found)
    return response


@router.put("/features/{feature_name}", responses=documented(400, 409, 412, 413, 415))
async def update_feature(  # noqa: PLR0917 (each is a part of the request)
    feature_name: FeatureName,
    update: schemas.FeatureUpdate,
    query: Annotated[ProjectQuery, Query()],
    services: In,
    change: Changed,
    response: Response,
) -> schemas.FeatureResponse:
    """Change a feature: other code or rules change a draft, else they make the next version."""
    service = await services.service(query.project)
    made = await service.update_feature(feature_name, update, **change.arguments)
    return _tagged(response, made)


@router.delete(
    "/features/{feature_name}",
    status_code=204,
    response_class=Response,
    responses=documented(409, 412),
)
async def delete_feature(
    feature_name: FeatureName,
    query: Annotated[ProjectQuery, Query()],
    services: In,
    change: Changed,
) -> None:
    """Deprecate a draft or an active feature on which nothing depends."""
    service = await services.service(query.project)
    await service.delete_feature(feature_name, **change.arguments)


@router.post("/features/{feature_name}/activate", responses=documented(409, 412))
async def activate_feature(
    feature_name: FeatureName,
    query: Annotated[ProjectQuery, Query()],
    services: In,
    change: Changed,
    response: Response,
) -> schemas.FeatureResponse:
    """Make a draft active, once all that it depends on is registered."""
    service = await services.service(query.project)
    return _tagged(response, await service.activate_feature(feature_name, **change.arguments))


@router.post("/features/{feature_name}/deprecate", responses=documented(409, 412))
async def deprecate_feature(
    feature_name: FeatureName,
    query: Annotated[ProjectQuery, Query()],
    services: In,
    change: Changed,
    response: Response,
) -> schemas.FeatureResponse:
    """Deprecate an active feature on which nothing depends."""
    service = await services.service(query.project)
    return _tagged(response, await service.deprecate_feature(feature_name, **change.arguments))


# --- versions -------------------------------------------------------------------------------


@router.post(
    "/features/{feature_name}/versions",
    status_code=201,
    responses=documented(400, 409, 412, 413, 415),
)
async def create_version(  # noqa: PLR0917 (each is a part of the request)
    feature_name: FeatureName,
    version: schemas.FeatureVersionCreate,
    query: Annotated[VersionQuery, Query()],
    services: In,
    change: Changed,
    response: Response,
) -> schemas.FeatureVersionResponse:
    """Make a version by number, which becomes the current one."""
    service = await services.service(query.project)
    made = await service.create_version(
        feature_name, version, force=query.force, **change.arguments
    )
    response.headers["Location"] = f"{PREFIX}/features/{feature_name}/versions/{made.version}"
    return made


@router.get("/features/{feature_name}/versions")
async def get_feature_versions(
    feature_name: FeatureName, query: Annotated[ProjectQuery, Query()], services: In
) -> schemas.FeatureVersionListResponse:
    """List the versions of a feature, newest first."""
    service = await services.service(query.project)
    return await service.get_feature_versions(feature_name)


@router.get("/features/{feature_name}/versions/{version}")
async def get_version(
    feature_name: FeatureName,
    version: VersionName,
    query: Annotated[ProjectQuery, Query()],
    services: In,
) -> schemas.FeatureVersionResponse:
    """Get one version of a feature."""
    service = await services.service(query.project)
    return await service.get_version(feature_name, version)


@router.post("/features/{feature_name}/rollback", responses=documented(409, 412))
async def rollback_version(
    feature_name: FeatureName,
    query: Annotated[RollbackQuery, Query()],
    services: In,
    change: Changed,
) -> schemas.RollbackResponse:
    """Go back to an earlier version, by a new one that has its code, rules and values."""
    service = await services.service(query.project)
    return await service.rollback_version(
        feature_name, query.target_version, force=query.force, **change.arguments
    )


# --- lineage and use ------------------------------------------------------------------------


@router.get("/features/{feature_name}/lineage")
async def get_feature_lineage(
    feature_name: FeatureName, query: Annotated[LineageQuery, Query()], services: In
) -> schemas.FeatureLineageResponse:
    """Get what a feature depends on and what depends on it."""
    service = await services.service(query.project)
    return await service.get_feature_lineage(feature_name, recursive=query.recursive)


@router.get("/features/{feature_name}/usage")
async def get_feature_usage_history(
    feature_name: FeatureName, query: Annotated[UsageQuery, Query()], services: In
) -> list[schemas.FeatureUsageResponse]:
    """List the uses of a feature, newest first."""
    service = await services.service(query.project)
    return await service.get_feature_usage_history(feature_name, limit=query.limit)


@router.get("/features/{feature_name}/statistics")
async def get_feature_statistics(
    feature_name: FeatureName, query: Annotated[ProjectQuery, Query()], services: In
) -> schemas.FeatureStatisticsResponse:
    """Get what the uses of a feature add up to."""
    service = await services.service(query.project)
    return await service.get_feature_statistics(feature_name)
