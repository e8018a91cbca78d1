"""Tells other systems what applies and runs do, as events of OpenLineage."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from headwater.errors import HeadwaterError
from headwater.lineage import facets
from headwater.lineage.datasets import Datasets, as_sql
from headwater.lineage.facets import Json
from headwater.lineage.project import ProjectLineage
from headwater.lineage.sinks import Outlets, warn
from headwater.registry.bound import Versioned
from headwater.registry.kinds import Revision, Run, now_us
from headwater.registry.plan import Plan

EventType = Literal["START", "COMPLETE", "FAIL"]
_TYPES: dict[str, EventType] = {"running": "START", "done": "COMPLETE", "failed": "FAIL"}
_LONGEST = 2_000


@dataclass(frozen=True)
class Events:
    """The events of a project: a job for each view and operation, and one for applies.

    What goes wrong in telling is told in a line, and fails neither a run nor an apply.
    """

    project: str
    root: Path
    lineage: Callable[[], ProjectLineage]
    outlets: Outlets

    def run(self, run: Run) -> None:
        """Tell of a run: that it begins, or how it ended."""
        if not self.outlets:
            return
        try:
            event = self._run_event(run)
        except HeadwaterError as error:
            warn("anybody", error)
        else:
            self.outlets.send(msgspec.json.encode(event))

    @contextmanager
    def applying(self, plan: Plan) -> Iterator[None]:
        """Tell of an apply while it is done; one that changes nothing is none."""
        if not self.outlets or not plan.has_changes:
            yield
            return
        run_id = str(uuid.uuid4())
        self._tell_apply(run_id, plan, "START")
        try:
            yield
        except Exception as error:
            text = str(error) if isinstance(error, HeadwaterError) else type(error).__name__
            self._tell_apply(run_id, plan, "FAIL", text)
            raise
        self._tell_apply(run_id, plan, "COMPLETE")

    # --- runs -------------------------------------------------------------------------------

    def _run_event(self, run: Run) -> Json:
        datasets = self._datasets()
        contents = datasets.lineage.contents
        home = contents.revision(run.revision)
        versions = _versions_of(datasets.lineage, home)
        kind = _TYPES[run.status]
        query = as_sql(home, contents.view(home), [contents.content(v) for v in versions])
        job = {
            "jobType": facets.job_type(run.operation.upper()),
            "sql": facets.sql(query),
        }
        inputs = [
            told
            for source in datasets.inputs(home)
            for told in datasets.input(source, home, run.snapshot)
        ]
        output = datasets.output(home, versions)
        if kind == "COMPLETE":
            output["outputFacets"] = {"outputStatistics": facets.rows(run.rows)}
        at = run.started_at if run.finished_at is None else run.finished_at
        return {
            **_event(kind, at),
            "run": {
                "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.project}/{run.id}")),
                "facets": _run_facets(run),
            },
            "job": self._job(f"{run.operation}.{run.view}", job),
            "inputs": _distinct(inputs),
            "outputs": [output],
        }

    # --- applies ----------------------------------------------------------------------------

    def _tell_apply(
        self, run_id: str, plan: Plan, kind: EventType, message: str | None = None
    ) -> None:
        try:
            event = self._apply_event(run_id, plan, kind, message)
        except HeadwaterError as error:
            warn("anybody", error)
        else:
            self.outlets.send(msgspec.json.encode(event))

    def _apply_event(self, run_id: str, plan: Plan, kind: EventType, message: str | None) -> Json:
        run: Json = {"processing_engine": facets.engine()}
        if message is not None:
            run["errorMessage"] = facets.error(message[:_LONGEST])
        inputs: list[Json] = []
        outputs: list[Json] = []
        if kind == "COMPLETE":  # before that the registry doesn't know the new versions
            datasets = self._datasets()
            views = {change.view for change in plan.features if change.action != "removed"}
            for name in sorted(views & plan.head.views.keys()):
                home = datasets.lineage.contents.revision(plan.head.views[name].revision)
                outputs.append(datasets.output(home, _versions_of(datasets.lineage, home)))
                for source in datasets.inputs(home):
                    inputs += datasets.input(source, home, "")
        return {
            **_event(kind, now_us()),
            "run": {"runId": run_id, "facets": run},
            "job": self._job("apply", {"jobType": facets.job_type("APPLY")}),
            "inputs": _distinct(inputs),
            "outputs": outputs,
        }

    # --- parts ------------------------------------------------------------------------------

    def _datasets(self) -> Datasets:
        return Datasets(self.project, self.root, self.lineage())

    def _job(self, name: str, told: Json) -> Json:
        return {"namespace": self.project, "name": name, "facets": told}


def _event(kind: EventType, at: int) -> Json:
    return {
        "eventType": kind,
        "eventTime": _time(at),
        "producer": facets.PRODUCER,
        "schemaURL": facets.SCHEMA,
    }


def _run_facets(run: Run) -> Json:
    told: Json = {"processing_engine": facets.engine()}
    if run.start is not None and run.end is not None:
        told["nominalTime"] = facets.nominal_time(_time(run.start), _time(run.end))
    elif run.tick is not None:
        told["nominalTime"] = facets.nominal_time(_time(run.tick))
    if run.error is not None:
        told["errorMessage"] = facets.error(run.error)
    return told


def _versions_of(lineage: ProjectLineage, home: Revision) -> list[Versioned]:
    """The version of each feature whose values a revision holds, the one that is served first."""
    found: list[Versioned] = []
    for column in home.features:
        entry = lineage.contents.head.features[column.name]
        here = [v for v, e in entry.versions.items() if e.revision == home.revision]
        chosen = entry.current if entry.current in here else next(iter(reversed(here)), None)
        if chosen is not None:
            found.append((column.name, chosen))
    lineage.contents.load(found)
    return found


def _distinct(datasets: list[Json]) -> list[Json]:
    return list({(one["namespace"], one["name"]): one for one in datasets}.values())


def _time(micros: int) -> str:
    from headwater.online.codec import from_micros

    return from_micros(micros).isoformat().replace("+00:00", "Z")
