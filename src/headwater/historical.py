"""Training sets: what is asked for, and the job that computes it when its rows are taken."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.describe import describe
from headwater.compute.historical import Options, Request, compute_historical
from headwater.definitions.service import FeatureRef, FeatureService, each_reference, parse_ref
from headwater.errors import DefinitionError, MissingExtraError, NotFoundError, near_miss
from headwater.expressions.analyzed import AnalyzedProject
from headwater.registry.head import Head
from headwater.registry.kinds import FeatureVersion
from headwater.registry.state import Resolved, resolve

if TYPE_CHECKING:
    from headwater.compute.engines.duckdb import DuckDBEngine
    from headwater.store import FeatureStore

Features = Sequence[str | FeatureRef] | FeatureService | str


@dataclass(frozen=True)
class Asked:
    """What a training set is to hold: how each feature is computed, the versions of features that
    this means, and the service that lists them where one was asked for.
    """

    requests: tuple[Request, ...]
    versions: tuple[tuple[str, str], ...]
    service: str | None


OnTaken = Callable[[int, float], None]
"""Called with the rows of a training set and the seconds that it took, when it is there."""


class HistoricalJob:
    """The rows of a spine with features as known at their times; computed once, when needed."""

    def __init__(
        self,
        engine: DuckDBEngine,
        spine: Any,
        requests: Sequence[Request],
        options: Options,
        on_taken: OnTaken | None = None,
    ) -> None:
        self._engine = engine
        self._spine = spine
        self._requests = tuple(requests)
        self._options = options
        self._on_taken = on_taken

    @property
    def requests(self) -> tuple[Request, ...]:
        """What is asked for, resolved against the project."""
        return self._requests

    @cached_property
    def _computed(self) -> tuple[pa.Table, tuple[str, ...]]:
        began = time.monotonic()
        with self._engine.traced() as statements:
            table = compute_historical(self._engine, self._spine, self._requests, self._options)
        if self._on_taken is not None:
            self._on_taken(table.num_rows, time.monotonic() - began)
        return table, tuple(statements)

    def to_arrow(self) -> pa.Table:
        """An Arrow table: the spine's columns, then the features, in the spine's order."""
        return self._computed[0]

    def to_polars(self) -> Any:
        """A polars DataFrame. Raises MissingExtraError where polars is not installed."""
        try:
            import polars as pl
        except ImportError:
            raise MissingExtraError("to_polars()", "polars") from None
        return pl.from_arrow(self.to_arrow())

    def to_pandas(self) -> Any:
        """A pandas DataFrame; integers with nulls stay integers (nullable types)."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("to_pandas()", "pandas") from None
        nullable = {
            pa.int32(): pd.Int32Dtype(),
            pa.int64(): pd.Int64Dtype(),
            pa.bool_(): pd.BooleanDtype(),
        }
        table = self.to_arrow()
        with_nulls = {
            field.type: nullable[field.type]
            for field in table.schema
            if field.type in nullable and table[field.name].null_count
        }
        return table.to_pandas(types_mapper=with_nulls.get)

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file (zstd), the whole of it or nothing, and return its path."""
        target, table = Path(path), self.to_arrow()
        if target.exists() and not target.is_file():  # a pipe, a device
            pq.write_table(table, target, compression="zstd")
            return target
        place = target.resolve()
        unfinished = place.with_name(f".{place.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            pq.write_table(table, unfinished, compression="zstd")
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)
        return target

    def sql(self) -> str:
        """The SQL statements that read and evaluate; the kernels work between them.

        Computes the training set if that was not done yet.
        """
        return ";\n\n".join(self._computed[1]) + ";\n"

    def explain(self) -> str:
        """In words: what is read, as of when, and how; nothing is computed."""
        return describe(self._requests, knowledge=self._options.knowledge)


def asked(store: FeatureStore, features: Features) -> Asked:
    """What computing these features takes, in their order.

    Raises NotFoundError for an unknown feature or version, DefinitionError for join keys that a
    reference renames and its view has not.
    """
    head = store.applied_head()
    found = [(ref, resolve(head, ref)) for ref in _references(store, head, features)]
    return Asked(
        requests=tuple(_request(store, head, ref, of) for ref, of in found),
        versions=tuple(dict.fromkeys((of.feature, of.version) for _, of in found)),
        service=_service(store.analyzed(head), features),
    )


def _service(project: AnalyzedProject, features: Features) -> str | None:
    """The name of the service that features are asked for by, if it is one that was applied."""
    if isinstance(features, FeatureService):
        return features.name if project.services.get(features.name) == features else None
    return features if isinstance(features, str) and features in project.services else None


def _references(store: FeatureStore, head: Head, features: Features) -> list[FeatureRef]:
    if isinstance(features, FeatureService):
        return list(features.features)
    if isinstance(features, str):
        services = store.analyzed(head).services
        if features in services:
            return list(services[features].features)
        if features not in head.features:
            names = [*services, *head.applied()]
            raise NotFoundError(
                f"no feature service or feature '{features}'{near_miss(features, names)}"
            )
        return [parse_ref(features)]
    given = each_reference(features)
    if not given:
        raise DefinitionError("features: the list is empty; name at least one")
    return [parse_ref(feature) for feature in given]


def _request(store: FeatureStore, head: Head, ref: FeatureRef, found: Resolved) -> Request:
    project = _version_project(store, head, found)
    view = project.views[found.view]
    unknown = [key for key in ref.join_keys if key not in view.join_keys]
    if unknown:
        raise DefinitionError(
            f"feature reference '{ref}': field 'join_keys': '{unknown[0]}' is no join key of "
            f"view '{view.name}'{near_miss(unknown[0], view.join_keys)}"
        )
    join_keys = dict(ref.join_keys)
    return Request(project, found.view, found.column, ref.output, join_keys, found.version)


def _version_project(store: FeatureStore, head: Head, found: Resolved) -> AnalyzedProject:
    """The project as the version means it: the current one, or an earlier revision's."""
    view = head.views.get(found.view)
    is_current = view is not None and view.revision == found.revision
    is_declared = found.version == head.features[found.feature].declared
    if is_current and is_declared and not head.stands_apart(found.revision):
        return store.analyzed(head)
    version = store.registry.get(store.project, FeatureVersion, found.object)
    return _as_version(store.project_of(found.revision), found, version)


def _as_version(
    project: AnalyzedProject, found: Resolved, version: FeatureVersion
) -> AnalyzedProject:
    """A revision's project with the age and default that one version of a feature has."""
    view = project.views[found.view]
    default = version.definition.get("default")
    features = tuple(
        replace(f, feature=f.feature.model_copy(update={"default": default}))
        if f.name == found.column
        else f
        for f in view.features
    )
    aged = view.view.model_copy(update={"ttl": version.ttl})
    changed = replace(view, view=aged, features=features)
    return replace(project, views={**project.views, view.name: changed})
