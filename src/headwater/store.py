"""FeatureStore: the one object that users hold. It finds the project and asks the rooms."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater import computing, retrieving
from headwater.admission import check_project
from headwater.compute.historical import Options
from headwater.compute.pieces import GivenRows
from headwater.config import Settings, for_model, load_settings
from headwater.definitions.collection import Definitions, collect, implicit
from headwater.definitions.instants import as_micros
from headwater.definitions.service import FeatureService, each_reference
from headwater.errors import DefinitionError, NotFoundError
from headwater.expressions.analysis import analyze
from headwater.expressions.analyzed import AnalyzedProject
from headwater.historical import Features, HistoricalJob, asked
from headwater.offline.duckdb_names import named_features
from headwater.recording import training_recorder
from headwater.registry.apply import Applied, apply_plan
from headwater.registry.build import build_plan
from headwater.registry.head import Head
from headwater.registry.plan import Plan
from headwater.registry.settling import as_computed
from headwater.registry.state import (
    load_definitions,
    load_schemas,
    revision_definitions,
)
from headwater.registry.versions import Wanted

if TYPE_CHECKING:
    from headwater.compute.engines.duckdb import DuckDBEngine
    from headwater.compute.leakage import FeatureLeakage
    from headwater.compute.progress import OnProgress
    from headwater.datasets import Reproduction, TrainingDataset
    from headwater.lineage.events import Events
    from headwater.lineage.project import Lineages, ProjectLineage
    from headwater.offline.datasets import DatasetFolder
    from headwater.offline.duckdb_names import DuckDBNames
    from headwater.offline.quarantine import Quarantine
    from headwater.offline.tables import OfflineTables
    from headwater.online.store import OnlineStore
    from headwater.pipeline.collection import Garbage
    from headwater.pipeline.runs import RunReport
    from headwater.registry.copying import CopiedProject
    from headwater.registry.governance import Governance
    from headwater.registry.store import Registry
    from headwater.serving.reader import EntityRows, OnlineReader
    from headwater.serving.response import OnlineResponse
    from headwater.splits import Split

Reports = list["RunReport"]
Garbages = list["Garbage"]

_REVISIONS = 64
"""Revisions beside the current ones that are kept analysed; what they say never changes."""


class FeatureStore:
    """A project's definitions, history and latest values.

    store = FeatureStore()                # finds headwater.toml upwards
    store.apply([user_ads])
    store.get_historical_features(spine, ["user_ctr_7d"]).to_polars()
    store.materialize("user_ads")
    store.get_online_features(["user_ctr_7d"], [{"user_id": "u1"}]).to_dict()
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        settings: Settings | None = None,
        model: str | None = None,
    ) -> None:
        """Open the project at or above `path`. Raises ConfigError where there is none.

        `model` is the name under which the use of features is recorded (`usage.model` else).
        """
        found = settings if settings is not None else load_settings(path)
        self.settings = found if model is None else for_model(found, model)
        self._analyzed: tuple[int, AnalyzedProject] | None = None
        self._revisions: dict[str, AnalyzedProject] = {}

    @property
    def project(self) -> str:
        return self.settings.project

    @property
    def author(self) -> str:
        """Who changes things in the project: the user of this process."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"

    def __repr__(self) -> str:
        return f"FeatureStore(project='{self.project}', root='{self.settings.root}')"

    # --- the rooms, each opened when it is first needed -----------------------------------

    @cached_property
    def registry(self) -> Registry:
        from headwater.registry.store import open_registry

        return open_registry(str(self.settings.registry.url))

    @cached_property
    def governance(self) -> Governance:
        """The life of single features: drafts, versions, rollbacks, lineage."""
        from headwater.governed import ViewPlanner
        from headwater.registry.governance import Governance

        return Governance(self.registry, self.project, ViewPlanner(lambda: self))

    @property
    def lineage(self) -> ProjectLineage:
        """Columns, features, services and models, as they depend on one another now."""
        return self._lineages.now()

    @cached_property
    def _lineages(self) -> Lineages:
        from headwater.lineage.project import Lineages

        return Lineages(self.registry, self.project, self.governance.graph)

    @cached_property
    def events(self) -> Events:
        """Tells other systems what applies and runs do, where the settings name any."""
        from headwater.lineage.events import Events
        from headwater.lineage.sinks import outlets_of

        outlets = outlets_of(self.settings.openlineage)
        return Events(self.project, self.settings.root, self._lineages.now, outlets)

    @cached_property
    def engine(self) -> DuckDBEngine:
        from headwater.compute.engines import open_engine
        from headwater.compute.engines.children import Limits
        from headwater.loading import make_importable

        # The engine calls the project's functions, by their import paths.
        make_importable(self.settings.root)
        options, api = self.settings.engine, self.settings.api
        limit = None if options.memory_limit is None else f"{options.memory_limit}B"
        return open_engine(
            options.kind,
            base=self.settings.root,
            threads=options.threads,
            memory_limit=limit,
            limits=Limits(api.memory_limit, api.time_limit, trusted=api.trusted_authors),
        )

    @cached_property
    def online(self) -> OnlineStore:
        from headwater.online.store import open_online_store

        options = self.settings.online
        return open_online_store(options.kind, path=options.path, map_size=options.map_size)

    @cached_property
    def tables(self) -> OfflineTables:
        from headwater.offline.tables import OfflineTables

        return OfflineTables(self.settings.offline.path, self.project)

    @cached_property
    def names(self) -> DuckDBNames:
        from headwater.offline.duckdb_names import DuckDBNames

        return DuckDBNames(self.settings.offline.path / f"{self.project}.duckdb", self.tables)

    @cached_property
    def quarantine(self) -> Quarantine:
        from headwater.offline.quarantine import Quarantine

        return Quarantine(self.settings.offline.path, self.project)

    @cached_property
    def datasets(self) -> DatasetFolder:
        from headwater.offline.datasets import DatasetFolder

        return DatasetFolder(self.settings.offline.path, self.project)

    @cached_property
    def _online_reader(self) -> OnlineReader:
        from headwater.loading import make_importable
        from headwater.recording import online_counter
        from headwater.serving.reader import OnlineReader

        make_importable(self.settings.root)  # on-demand features may be functions of the project
        return OnlineReader(self.online, self.project, usage=online_counter(self))

    def copy_registry(self, url: str) -> tuple[CopiedProject, ...]:
        """Copy the registry, all projects of it, to the one at a URL; what it then holds.

        A copy that was broken off goes on. Raises ConflictError where a project of the target
        holds something else, and StoreError where what is read back is not what was copied.
        """
        from headwater.registry.copying import copy_registry
        from headwater.registry.store import open_registry

        target = open_registry(url)
        try:
            return copy_registry(self.registry, target)
        finally:
            target.close()

    def close(self) -> None:
        """Let go of files and connections."""
        for name in ("_online_reader", "registry", "online"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    # --- definitions ------------------------------------------------------------------------

    def plan(self, objects: Iterable[Any] | Definitions, *, prune: bool = False) -> Plan:
        """What `apply` would do to make the project hold these objects; nothing is changed.

        What the project has beside them stays, unless `prune`: then the objects are all that it
        will hold, but for features that were declared one by one. Raises DefinitionError for what
        is wrong in a definition.
        """
        head = self.registry.head(self.project)
        stored = load_definitions(self.registry, self.project, head)
        return self.plan_definitions(collect(objects, known=_kept(stored, prune=prune)), head)

    def plan_definitions(
        self, given: Definitions, head: Head, numbers: Mapping[str, Wanted] | None = None
    ) -> Plan:
        """The plan that makes the project, as it was read in `head`, hold exactly these.

        `numbers` holds versions that features are to get instead of the next ones.
        """
        from headwater.comparison.comparer import Comparer

        analyzed = analyze(given, self.engine.schema)
        check_project(self.engine, analyzed, head, database=self.names.database)
        compare = Comparer(self.engine, self.project_of, self.settings.registry.compare_rows)
        return build_plan(
            self.registry, self.project, analyzed, head=head, numbers=numbers, compare=compare
        )

    def apply(self, plan: Plan | Iterable[Any] | Definitions, *, prune: bool = False) -> Applied:
        """Execute a plan, or plan objects and execute that.

        Raises ConflictError when the project has changed since it was planned.
        """
        made = plan if isinstance(plan, Plan) else self.plan(plan, prune=prune)
        with self.events.applying(made):
            applied = apply_plan(self.registry, made, author=self.author)
            self.publish_all()
        return applied

    def publish_all(self) -> None:
        """Let what was applied be served, and be found in DuckDB by its names."""
        views = self.analyzed().views.values()
        self.names.publish(item for view in views for item in named_features(view))
        self.publish()

    def publish(self) -> None:
        """Make the serving catalogue say what the registry says; apply and runs do it."""
        from headwater.filling import publish

        publish(self)
        if "_online_reader" in self.__dict__:
            self._online_reader.live.newest()  # who has just changed it reads what was changed

    def is_filled(self, revision: str) -> bool:
        """Whether runs have published values of a revision."""
        return self.online.published(self.project, [revision])[0] is not None

    def analyzed(self, head: Head | None = None) -> AnalyzedProject:
        """The project's definitions as they stand, analysed."""
        now = self.registry.head(self.project) if head is None else head
        if self._analyzed is None or self._analyzed[0] != now.generation:
            definitions = load_definitions(self.registry, self.project, now)
            schemas = load_schemas(self.registry, self.project, now)
            found = analyze(
                definitions, lambda source: schemas.get(source.name) or self.engine.schema(source)
            )
            self._analyzed = (now.generation, as_computed(found, now, self.project_of))
        return self._analyzed[1]

    def applied_head(self) -> Head:
        """The project's head. Raises NotFoundError where nothing has been applied yet."""
        head = self.registry.head(self.project)
        if not head.generation:
            raise NotFoundError(
                f"no features are applied yet to project '{self.project}'; run 'headwater apply'"
            )
        return head

    def project_of(self, revision: str) -> AnalyzedProject:
        """What has to be known to compute a revision that may not be current."""
        found = self._revisions.pop(revision, None) or self._analyzed_revision(revision)
        self._revisions[revision] = found  # the one used last stands last
        if len(self._revisions) > _REVISIONS:
            self._revisions.pop(next(iter(self._revisions)), None)
        return found

    def _analyzed_revision(self, revision: str) -> AnalyzedProject:
        definitions, schemas = revision_definitions(self.registry, self.project, revision)
        found = analyze(definitions, lambda source: schemas[source.name])
        if all(view.revision != revision for view in found.views.values()):
            raise DefinitionError(
                f"revision {revision[:12]} was applied by another version of Headwater, which "
                "understood its definition otherwise; apply again with this one, and pin services "
                "to the versions that come of it"
            )
        return found

    # --- looking around ---------------------------------------------------------------------

    def list(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind (features, views, entities, sources, services, runs, history)."""
        from headwater.listing import listing

        return listing(self, kind)

    def show(self, kind: str, name: str) -> dict[str, Any]:
        """All that is known of one object. Raises NotFoundError with the nearest name."""
        from headwater.listing import details

        self.applied_head()
        return details(self, kind, name)

    # --- training ---------------------------------------------------------------------------

    def get_historical_features(
        self,
        spine: Any,
        features: Features,
        *,
        timestamp: str = "event_timestamp",
        knowledge: bool = True,
        on_progress: OnProgress | None = None,
    ) -> HistoricalJob:
        """The features as they were known at each row of the spine.

        `spine` is an Arrow table, a polars or pandas frame, the path of a Parquet file or a SQL
        query; it has the join keys and a timestamp column. `features` lists references, or names a
        service. `knowledge=False` takes every row as known at its event time. The work is done
        when the result is asked for (`.to_arrow()`, `.to_polars()`, ...).
        """
        options = Options(timestamp, knowledge, on_progress)
        wanted = asked(self, features)
        taken = training_recorder(self, wanted)
        given = GivenRows(self.engine, spine)
        return HistoricalJob(self.engine, given, wanted.requests, options, taken)

    def create_dataset(
        self,
        name: str,
        spine: Any,
        features: Features,
        *,
        split: Split | None = None,
        label: str | None = None,
        timestamp: str = "event_timestamp",
        knowledge: bool = True,
        on_progress: OnProgress | None = None,
    ) -> TrainingDataset:
        """Compute a training set and keep it, as the next version of a dataset, with all that it
        was computed from pinned. `split` is a RandomSplit or a TimeSplit, `label` a column of the
        spine.
        """
        from headwater.datasets import create_dataset

        options = Options(timestamp, knowledge, on_progress)
        return create_dataset(
            self, name, spine, features, split=split, label=label, options=options
        )

    def dataset(self, reference: str) -> TrainingDataset:
        """The latest version of a dataset, or `name@3`."""
        from headwater.datasets import TrainingDataset

        return TrainingDataset(self.datasets, self.datasets.find(reference))

    def reproduce_dataset(self, reference: str) -> Reproduction:
        """Compute a dataset again and compare it with what is kept."""
        from headwater.datasets import reproduce

        return reproduce(self, reference)

    def leakage_report(
        self,
        spine: Any,
        features: Features,
        *,
        label: str | None = None,
        timestamp: str = "event_timestamp",
        knowledge: bool = True,
    ) -> Sequence[FeatureLeakage]:
        """Which features know the future of a spine's rows, or tell its label almost alone."""
        from headwater.compute.leakage import leakage_report

        requests, options = asked(self, features).requests, Options(timestamp, knowledge)
        return leakage_report(self.engine, spine, requests, options, label=label)

    get_features_at = retrieving.get_features_at

    compute_feature = computing.compute_feature
    compute_feature_set = computing.compute_feature_set
    compute_features_batch = computing.compute_features_batch

    # --- serving ----------------------------------------------------------------------------

    def materialize(
        self,
        views: str | Sequence[str] | None = None,
        *,
        until: Any = None,
        on_progress: OnProgress | None = None,
    ) -> Reports:
        """Write the latest values of views (all that can be, unless named) for serving.

        `until` is the time as of which they are taken, now unless given. Running again changes
        nothing that is there already.
        """
        from headwater.filling import materializer

        names = [views] if isinstance(views, str) else views
        runner = materializer(self)
        try:
            return runner.run(names, until=as_micros(until), on_progress=on_progress)
        finally:
            self.publish()

    def garbage(self) -> Garbages:
        """The revisions that nothing can reach any more, and what removing them would free."""
        from headwater.collecting import garbage_of

        return garbage_of(self)

    def collect_garbage(self) -> Garbages:
        """Remove the values of the revisions that nothing can reach; says what they were."""
        from headwater.collecting import collect_garbage

        return collect_garbage(self)

    def backfill(
        self, view: str, start: Any, end: Any, *, on_progress: OnProgress | None = None
    ) -> RunReport:
        """Compute the history of a view over [start, end) into its offline table."""
        from headwater.filling import backfiller

        runner = backfiller(self)
        first, last = as_micros(start), as_micros(end)
        if first is None or last is None:
            raise DefinitionError("backfill: give both ends of the interval")
        return runner.run(view, first, last, on_progress=on_progress)

    def get_online_features(self, features: Features, entity_rows: EntityRows) -> OnlineResponse:
        """The latest values for each row of join keys, with statuses, times and versions."""
        refs, service = self._online_references(features)
        return self._online_reader.get(refs, entity_rows, feature_service=service)

    async def get_online_features_async(
        self, features: Features, entity_rows: EntityRows
    ) -> OnlineResponse:
        """`get_online_features`, for a caller on an event loop."""
        refs, service = self._online_references(features)
        return await self._online_reader.get_async(refs, entity_rows, feature_service=service)

    def online_keys(self, features: Features) -> dict[str, str]:
        """The columns of join keys that reading these features online takes, and their types."""
        refs, service = self._online_references(features)
        return dict(self._online_reader.plan(refs, service, full_feature_names=False).columns)

    def _online_references(self, features: Features) -> tuple[Any, str | None]:
        from headwater.serving.catalogue import reference_of

        if isinstance(features, str):
            services = self._online_reader.live.snapshot().catalogue.services
            return (None, features) if features in services else ([features], None)
        if isinstance(features, FeatureService):
            refs = [reference_of(ref) for ref in features.features]
            applied = self._online_reader.live.snapshot().catalogue.services.get(features.name)
            return (None, features.name) if applied == tuple(refs) else (refs, None)
        given = each_reference(features)
        return [f if isinstance(f, str) else reference_of(f) for f in given], None


def _kept(stored: Definitions, *, prune: bool) -> Definitions:
    """What of a project stays beside what is applied."""
    return implicit(stored) if prune else stored
