"""The routes of lineage: columns behind features, graphs, and what breaks if something changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from headwater.api.convert import moment
from headwater.api.fields import FeatureStatus, Line
from headwater.api.problems import documented
from headwater.api.routes import FeatureName, In, ProjectQuery, new_router
from headwater.lineage import formats
from headwater.lineage.columns import FeatureColumns
from headwater.lineage.graph import Direction, Graph
from headwater.lineage.impact import Impact, impact_of
from headwater.lineage.project import ProjectLineage
from headwater.lineage.roles import Role

T = TypeVar("T")
Format = Literal["json", "mermaid", "dot"]
_MEDIA = {"mermaid": "text/vnd.mermaid", "dot": "text/vnd.graphviz"}

router = new_router("lineage")


# --- what is asked --------------------------------------------------------------------------


class ColumnsQuery(ProjectQuery):
    """Of which version."""

    version: Line | None = Field(default=None, description="the current one, unless given")


class ImpactQuery(ProjectQuery):
    """Of what."""

    of: Line = Field(description="a feature, a source or `source.column`")


class GraphQuery(ProjectQuery):
    """From where, which way and how far, and how it is written."""

    start: Annotated[list[Line], Field(max_length=100)] = Field(
        default_factory=list,
        description="a feature, source, `source.column`, service or `model:name`; may be repeated; "
        "all features unless given",
    )
    direction: Direction = "both"
    depth: int | None = Field(default=None, ge=1, le=1_000_000, description="features gone through")
    format: Format = "json"


# --- what is answered -----------------------------------------------------------------------


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ColumnUse(_Answer):
    """A column of a source, and what it is for."""

    source: str
    column: str
    roles: list[Role]


class FeatureColumnsResponse(_Answer):
    """The columns that a version is computed from.

    `ties` are the sources of which all columns count where rows of a key agree in their times.
    """

    feature_name: str
    version: str
    columns: list[ColumnUse]
    ties: list[str]


class LineageNode(_Answer):
    """Something that values pass through; of a feature, its current version and its status."""

    id: str
    kind: str
    name: str
    version: str | None = None
    status: str | None = None


class LineageEdge(_Answer):
    """From what is read to what reads it, by their ids."""

    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    labels: list[str]


class LineageGraphResponse(_Answer):
    """A part of the lineage of a project."""

    starts: list[str]
    nodes: list[LineageNode]
    edges: list[LineageEdge]


class ImpactedFeature(_Answer):
    """A version whose values may change; `roles` of the column, or `reads` the features between."""

    feature_name: str
    version: str
    status: FeatureStatus
    owner: str | None
    roles: list[Role]
    reads: list[str]


class ImpactedService(_Answer):
    """A service that follows such features, or is pinned to versions of them."""

    service: str
    following: list[str]
    pinned: list[str]


class ImpactedModel(_Answer):
    """A model that has used such features; `last_used_at` is its last use of any feature."""

    model: str
    model_version: str | None
    environment: str
    features: list[str]
    services: list[str]
    uses: int
    last_used_at: datetime | None


class ImpactedView(_Answer):
    """A view to be computed again; one that is not stored is computed when it is read."""

    view: str
    is_stored: bool
    features: list[str]


class ImpactResponse(_Answer):
    """What a change reaches.

    Services that are pinned don't feel a change of a feature, but one of a source or column.
    """

    of: str
    kind: Literal["feature", "source", "column"]
    features: list[ImpactedFeature]
    services: list[ImpactedService]
    models: list[ImpactedModel]
    views: list[ImpactedView]
    ties: list[str]


# --- routes ---------------------------------------------------------------------------------


@router.get("/features/{feature_name}/columns")
async def get_feature_columns(
    feature_name: FeatureName, query: Annotated[ColumnsQuery, Query()], services: In
) -> FeatureColumnsResponse:
    """Get the columns of sources from which a feature is computed."""

    def asked(found: ProjectLineage) -> FeatureColumns:
        return found.columns.of(found.version(feature_name, query.version))

    made = await _asked(services, query.project, asked)
    columns = [
        ColumnUse(source=c.source, column=c.column, roles=list(c.roles)) for c in made.columns
    ]
    return FeatureColumnsResponse(
        feature_name=made.feature, version=made.version, columns=columns, ties=list(made.ties)
    )


@router.get("/features/{feature_name}/impact", responses=documented(409))
async def get_feature_impact(
    feature_name: FeatureName, query: Annotated[ProjectQuery, Query()], services: In
) -> ImpactResponse:
    """Get what breaks if a feature changes."""
    node = f"feature:{feature_name}"
    return _impact(await _asked(services, query.project, lambda o: impact_of(o, o.find(node))))


@router.get("/lineage/impact", responses=documented(409))
async def get_impact(query: Annotated[ImpactQuery, Query()], services: In) -> ImpactResponse:
    """Get what breaks if a feature, a source or a column changes."""
    return _impact(await _asked(services, query.project, lambda o: impact_of(o, o.find(query.of))))


@router.get(
    "/lineage/graph",
    response_model=LineageGraphResponse,
    responses={
        200: {"content": {media: {"schema": {"type": "string"}} for media in _MEDIA.values()}}
    },
)
async def get_lineage_graph(query: Annotated[GraphQuery, Query()], services: In) -> Response:
    """Get what values come from and lead to, as a graph."""

    def asked(found: ProjectLineage) -> Graph:
        starts = [found.find(text) for text in query.start] or found.features()
        return found.graph(starts, direction=query.direction, depth=query.depth)

    graph = await _asked(services, query.project, asked)
    if query.format == "mermaid":
        return Response(formats.to_mermaid(graph), media_type=_MEDIA["mermaid"])
    if query.format == "dot":
        return Response(formats.to_dot(graph), media_type=_MEDIA["dot"])
    return Response(msgspec.json.encode(formats.to_dict(graph)), media_type="application/json")


async def _asked(services: In, project: str | None, work: Callable[[ProjectLineage], T]) -> T:
    """Ask the lineage of a project, on another thread."""
    store = (await services.service(project)).store
    return await asyncio.to_thread(lambda: work(store.lineage))


def _impact(found: Impact) -> ImpactResponse:
    told = asdict(found)
    for feature in told["features"]:
        feature["feature_name"] = feature.pop("feature")
    for model in told["models"]:
        at = model["last_used_at"]
        model["last_used_at"] = None if at is None else moment(at)
    return ImpactResponse.model_validate(told)
