"""The audit trail over REST: who changed what and when, from what to what."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from headwater.api.convert import micros, moment
from headwater.api.fields import Line, Moment
from headwater.api.routes import FeatureName, In, ProjectQuery, new_router
from headwater.api.service import FeatureStoreService
from headwater.registry import audit
from headwater.registry.changed import ChangedQuery, ChangeKind, ObjectKind

router = new_router()


class HistoryQuery(ProjectQuery):
    """Which changes, and how many of them."""

    change: ChangeKind | None = None
    author: Line | None = None
    since: Moment | None = Field(default=None, description="changes at this time or later")
    until: Moment | None = Field(default=None, description="changes before this time")
    skip: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=50, ge=1, le=1000)

    def wanted(self, **named: str | None) -> ChangedQuery:
        return ChangedQuery(
            change=self.change,
            author=self.author,
            since=None if self.since is None else micros(self.since),
            until=None if self.until is None else micros(self.until),
            skip=self.skip,
            limit=self.limit,
            **named,
        )


class AuditQuery(HistoryQuery):
    """Changes of which objects, and how many of them."""

    kind: ObjectKind | None = None
    name: Line | None = Field(default=None, description="the object's name")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class AuditField(_Answer):
    """One field before and after; null where it was not set."""

    field: str
    old: Any
    new: Any


class AuditEntryResponse(_Answer):
    """One change of one object; versions, `bump` and `reason` are those of a feature."""

    generation: int
    at: datetime
    author: str
    summary: str
    kind: ObjectKind
    name: str
    change: ChangeKind
    old_version: str | None
    new_version: str | None
    bump: str | None
    reason: str
    fields: list[AuditField]


class AuditResponse(_Answer):
    """A page of changes, the latest first; `total` counts those of all pages."""

    changes: list[AuditEntryResponse]
    total: int


@router.get("/audit")
async def get_audit(query: Annotated[AuditQuery, Query()], services: In) -> AuditResponse:
    """List the changes of a project, the latest first."""
    service = await services.service(query.project)
    return await asyncio.to_thread(_found, service, query.wanted(kind=query.kind, name=query.name))


@router.get("/features/{feature_name}/history")
async def get_feature_history(
    feature_name: FeatureName, query: Annotated[HistoryQuery, Query()], services: In
) -> AuditResponse:
    """List the changes of a feature, the latest first."""
    service = await services.service(query.project)
    wanted = query.wanted(kind="feature", name=feature_name)
    return await asyncio.to_thread(_found, service, wanted)


def _found(service: FeatureStoreService, query: ChangedQuery) -> AuditResponse:
    entries, total = audit.audit(service.registry, service.project, query)
    return AuditResponse(changes=[_entry(entry) for entry in entries], total=total)


def _entry(found: audit.AuditEntry) -> AuditEntryResponse:
    fields = [AuditField(field=c.field, old=c.old, new=c.new) for c in found.fields]
    told = {name: getattr(found, name) for name in AuditEntryResponse.model_fields}
    return AuditEntryResponse(**{**told, "at": moment(found.at), "fields": fields})
