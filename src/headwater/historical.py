"""Training sets: what is asked for, and the job that computes it when its rows are taken."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.describe import describe
from headwater.compute.frames import as_pandas, as_polars
from headwater.compute.historical import Options, Request
from headwater.compute.pieces import Retrieval, Rows
from headwater.definitions.service import FeatureRef, FeatureService, each_reference, parse_ref
from headwater.errors import DefinitionError, NotFoundError, near_miss
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
    """The rows of a spine with features as known at their times; computed when they are needed."""

    def __init__(
        self,
        engine: DuckDBEngine,
        rows: Rows,
        requests: Sequence[Request],
        options: Options,
        on_taken: OnTaken | None = None,
    ) -> None:
        self._engine = engine
        self._retrieval = Retrieval(engine, rows, tuple(requests), options)
        self._on_taken = on_taken
        self._table: pa.Table | None = None
        self._statements: tuple[str, ...] | None = None
        self._rows, self._columns = 0, list[str]()

    @property
    def requests(self) -> tuple[Request, ...]:
        """What is asked for, resolved against the project."""
        return self._retrieval.requests

    @property
    def rows(self) -> int:
        """How many rows there were when they were last computed."""
        return self._rows

    @property
    def columns(self) -> list[str]:
        """The names of their columns then."""
        return self._columns

    def to_arrow(self) -> pa.Table:
        """An Arrow table: the spine's columns, then the features, in the spine's order."""
        if self._table is None:
            began = time.monotonic()
            with self._engine.traced() as statements:
                self._table = self._retrieval.whole()
            self._statements = tuple(statements)
            self._tell(self._table.num_rows, self._table.column_names, began)
        return self._table

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The same rows batch by batch, in memory that does not grow with their number.

        What is not computed yet is computed piece by piece, each time this is called.
        """
        for table in self._tables():
            yield from table.to_batches()
            del table

    def _tables(self) -> Iterator[pa.Table]:
        if self._table is not None:
            yield self._table
            return
        began, rows, columns = time.monotonic(), 0, list[str]()
        for table in self._retrieval.pieces():
            rows += table.num_rows
            columns = table.column_names
            yield table
            del table  # lest it stays while the next one is computed
        self._tell(rows, columns, began)

    def _tell(self, rows: int, columns: list[str], began: float) -> None:
        self._rows, self._columns = rows, columns
        if self._on_taken is not None:
            self._on_taken(rows, time.monotonic() - began)

    def to_polars(self) -> Any:
        """A polars DataFrame. Raises MissingExtraError where polars is not installed."""
        return as_polars(self.to_arrow())

    def to_pandas(self) -> Any:
        """A pandas DataFrame; integers with nulls stay integers (nullable types)."""
        return as_pandas(self.to_arrow())

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file (zstd), the whole of it or nothing, and return its path.

        Rows that are not computed yet are computed and written piece by piece, as `to_batches`.
        """
        target = Path(path)
        if target.exists() and not target.is_file():  # a pipe, a device
            self._write(target)
            return target
        place = target.resolve()
        unfinished = place.with_name(f".{place.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            self._write(unfinished)
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)
        return target

    def _write(self, target: Path) -> None:
        with self._engine.traced() as statements:
            writer: pq.ParquetWriter | None = None
            with ExitStack() as opened:
                for table in self._tables():
                    if writer is None:
                        made = pq.ParquetWriter(target, table.schema, compression="zstd")
                        writer = opened.enter_context(made)
                    writer.write_table(table)
                    del table  # lest it stays while the next one is computed
        self._statements = self._statements or tuple(statements)

    def sql(self) -> str:
        """The SQL statements that read and evaluate; the kernels work between them.

        Computes the training set if that was not done yet.
        """
        if self._statements is None:
            self.to_arrow()
        return ";\n\n".join(self._statements or ()) + ";\n"

    def explain(self) -> str:
        """In words: what is read, as of when, and how; nothing is computed."""
        return describe(self.requests, knowledge=self._retrieval.options.knowledge)


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
