"""FeatureStoreService: what a team does with a project's features, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from headwater.api import convert, schemas
from headwater.api.declared import bring
from headwater.definitions.rules import ValidationRule
from headwater.errors import RefusedError
from headwater.registry.counts import Keeper
from headwater.registry.governance import FeatureState
from headwater.registry.head import Status
from headwater.registry.listed import ListedQuery
from headwater.registry.usage import (
    record_usage,
    usage_history,
    usage_statistics,
    usage_totals,
)

if TYPE_CHECKING:
    from headwater.store import FeatureStore

P = ParamSpec("P")
T = TypeVar("T")
_AUTHOR = "service"


class FeatureStoreService:
    """The verbs of the registry for one project; each does its work on another thread.

        service = FeatureStoreService(FeatureStore())
        await service.activate_feature("user_ctr_7d")

    Methods raise NotFoundError for an unknown feature, RefusedError where its state doesn't allow
    what is asked, PreconditionError where `expected` (the `etag` of an answer) is no longer its
    tag, ConflictError where too many others write, StoreError where the registry fails.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self.governance = store.governance
        self.registry = store.registry
        self.counts = Keeper(store.registry, store.project)
        self.project = store.project

    # --- features ---------------------------------------------------------------------------

    async def create_feature(
        self, feature: schemas.FeatureCreate, *, author: str = _AUTHOR
    ) -> schemas.FeatureResponse:
        """Register a draft, version 1.0.0. A name that exists, in whatever state, is refused."""
        return await self._answer(self._create, feature, author=author)

    async def get_feature(self, feature_name: str) -> schemas.FeatureResponse:
        """All that is known of a feature."""
        return await self._answer(self.governance.get, feature_name)

    async def list_features(
        self,
        *,
        q: str | None = None,
        feature_type: str | None = None,
        status: str | None = None,
        owner: str | None = None,
        tags: Sequence[str] = (),
        skip: int = 0,
        limit: int = 50,
    ) -> schemas.FeatureListResponse:
        """Features, the latest first: those that meet every filter, and have any of the tags.

        With `q` those that hold all its words, the best first.
        """
        query = ListedQuery(
            feature_type=feature_type,
            status=status,
            owner=owner,
            tags=tuple(tags),
            skip=skip,
            limit=limit,
        )
        return await asyncio.to_thread(self._list, query, q)

    async def update_feature(
        self,
        feature_name: str,
        update: schemas.FeatureUpdate,
        *,
        author: str = _AUTHOR,
        expected: str | None = None,
    ) -> schemas.FeatureResponse:
        """Change a feature; other code or rules change a draft, else make the next version."""
        changes = convert.changes_of(update)
        return await self._changed(
            self.governance.update, feature_name, changes, author=author, expected=expected
        )

    async def delete_feature(
        self, feature_name: str, *, author: str = _AUTHOR, expected: str | None = None
    ) -> schemas.FeatureResponse:
        """Deprecate a draft or an active feature on which nothing depends."""
        return await self._become("deprecated", feature_name, author, expected)

    async def activate_feature(
        self, feature_name: str, *, author: str = _AUTHOR, expected: str | None = None
    ) -> schemas.FeatureResponse:
        """Make a draft active, once all that it depends on is registered."""
        return await self._become("active", feature_name, author, expected)

    async def deprecate_feature(
        self, feature_name: str, *, author: str = _AUTHOR, expected: str | None = None
    ) -> schemas.FeatureResponse:
        """Deprecate an active feature on which nothing depends."""
        state = await _run(self.governance.get, feature_name)
        if state.entry.status == "draft" and expected in (None, state.tag):
            raise RefusedError(
                f"feature '{feature_name}': field 'status': it is draft, and only what was active "
                "is deprecated; activate it, or delete it"
            )
        return await self._become("deprecated", feature_name, author, expected)

    # --- versions ---------------------------------------------------------------------------

    async def create_version(
        self,
        feature_name: str,
        version: schemas.FeatureVersionCreate,
        *,
        force: bool = False,
        author: str = _AUTHOR,
        expected: str | None = None,
    ) -> schemas.FeatureVersionResponse:
        """Make a version by number and let it be the current one."""
        made = await _run(
            self.governance.create_version,
            feature_name,
            convert.wanted_of(version, force=force),
            convert.snapshot_of(version),
            author=author,
            expected=expected,
        )
        return convert.version_response(self.project, made)

    async def get_feature_versions(self, feature_name: str) -> schemas.FeatureVersionListResponse:
        """Every version of a feature, newest first."""
        found = await _run(self.governance.versions, feature_name)
        versions = [convert.version_response(self.project, state) for state in found]
        return schemas.FeatureVersionListResponse(versions=versions, total=len(versions))

    async def get_version(self, feature_name: str, version: str) -> schemas.FeatureVersionResponse:
        """One version of a feature; `1.0` means 1.0.0."""
        found = await _run(self.governance.version, feature_name, version)
        return convert.version_response(self.project, found)

    async def rollback_version(
        self,
        feature_name: str,
        target_version: str,
        *,
        force: bool = False,
        author: str = _AUTHOR,
        expected: str | None = None,
    ) -> schemas.RollbackResponse:
        """Go back to an earlier version, by a new one that has its code, rules and values."""
        made = await _run(
            self.governance.rollback,
            feature_name,
            target_version,
            author=author,
            expected=expected,
            force=force,
        )
        left = await _run(self.governance.left_behind, made)
        return convert.rollback_response(self.project, made, left)

    async def validate_feature(
        self, feature_name: str, values: Sequence[Any]
    ) -> schemas.FeatureValidationResult:
        """Check values, as JSON holds them, against the present rules of a feature."""
        return await asyncio.to_thread(self._validate, feature_name, values)

    # --- lineage and use --------------------------------------------------------------------

    async def get_feature_lineage(
        self, feature_name: str, *, recursive: bool = False
    ) -> schemas.FeatureLineageResponse:
        """What a feature depends on and what depends on it: the next ones, or all."""
        found = await _run(self.governance.lineage, feature_name, depth=None if recursive else 1)
        state = await _run(self.governance.get, feature_name)
        return convert.lineage_response(state.entry.current, found)

    async def record_feature_usage(
        self, usage: schemas.FeatureUsageCreate
    ) -> schemas.FeatureUsageResponse:
        """Record one use of a feature, now unless it says when."""
        return await asyncio.to_thread(self._record, usage)

    async def get_feature_usage_history(
        self, feature_name: str, *, limit: int = 100
    ) -> list[schemas.FeatureUsageResponse]:
        """The uses of a feature, newest first."""
        found = await _run(usage_history, self.registry, self.project, feature_name, limit=limit)
        return [convert.usage_response(self.project, usage) for usage in found]

    async def get_feature_statistics(self, feature_name: str) -> schemas.FeatureStatisticsResponse:
        """What the uses of a feature add up to."""
        found = await _run(usage_statistics, self.registry, self.project, feature_name)
        return convert.statistics_response(found)

    # --- inside -----------------------------------------------------------------------------

    def _create(self, feature: schemas.FeatureCreate, *, author: str) -> FeatureState:
        record = convert.record_of(feature)
        given = convert.definitions_of(feature)
        planned = partial(bring, self.store, given) if given else None
        return self.governance.create(record, author=author, bring=planned)

    def _list(self, query: ListedQuery, text: str | None) -> schemas.FeatureListResponse:
        states, total = self.governance.find(query, text)
        return schemas.FeatureListResponse(features=self._features(states), total=total)

    def _validate(self, name: str, values: Sequence[Any]) -> schemas.FeatureValidationResult:
        from headwater.quality.values import check_values

        record = self.governance.get(name).record
        rules = [ValidationRule.from_dict(rule) for rule in record.validation_rules]
        found = check_values(name, record.data_type, rules, values)
        return schemas.FeatureValidationResult(
            is_valid=found.is_valid,
            passed_rules=list(found.passed_rules),
            failed_rules=list(found.failed_rules),
            errors=list(found.errors),
        )

    def _record(self, usage: schemas.FeatureUsageCreate) -> schemas.FeatureUsageResponse:
        (kept,) = record_usage(self.registry, self.project, [convert.usage_of(usage)])
        return convert.usage_response(self.project, kept)

    async def _become(
        self, status: Status, name: str, author: str, expected: str | None
    ) -> schemas.FeatureResponse:
        return await self._changed(
            self.governance.set_status, name, status, author=author, expected=expected
        )

    async def _answer(
        self, work: Callable[P, FeatureState], *args: P.args, **kwargs: P.kwargs
    ) -> schemas.FeatureResponse:
        """Do some work on another thread, and tell of the feature that comes of it."""

        def answered() -> schemas.FeatureResponse:
            return self._features([work(*args, **kwargs)])[0]

        return await asyncio.to_thread(answered)

    async def _changed(
        self, work: Callable[P, FeatureState], *args: P.args, **kwargs: P.kwargs
    ) -> schemas.FeatureResponse:
        """The same of a change, which may have made a version that has no values yet."""

        def answered() -> schemas.FeatureResponse:
            state = work(*args, **kwargs)
            found = self._features([state])[0]
            found.warnings.extend(self._without_values(state))
            return found

        return await asyncio.to_thread(answered)

    def _without_values(self, state: FeatureState) -> Iterator[str]:
        home = state.entry.versions[state.entry.current]
        revision = self.governance.graph().head.revisions.get(home.revision)
        if revision is None or not revision.stored or state.entry.status != "active":
            return
        if not any(map(self.store.is_filled, (home.revision, *home.earlier))):
            yield (
                f"version {state.entry.current} has no values online until 'headwater materialize "
                f"{revision.view}' has computed them; an earlier version that has some is served "
                "meanwhile"
            )

    def _features(self, states: Sequence[FeatureState]) -> list[schemas.FeatureResponse]:
        totals = usage_totals(self.registry, self.project, [state.name for state in states])
        gone = [state.name for state in states if state.entry.status == "deprecated"]
        listed = self.governance.listed_by(gone) if gone else {}
        return [
            convert.feature_response(
                self.project, state, totals[state.name], self._warnings(state, listed)
            )
            for state in states
        ]

    def _warnings(self, state: FeatureState, listed: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """What should be looked after: services that list what is deprecated."""
        services = listed.get(state.name)
        if services:
            yield (
                f"deprecated, and listed by {', '.join(services)}; take it off these services "
                "before it is archived"
            )


async def _run(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.to_thread(work, *args, **kwargs)
