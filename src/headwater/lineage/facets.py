"""The parts of OpenLineage events: datasets, jobs, runs and what is said of them.

Shapes and addresses are those of OpenLineage 2-0-2 and its facets (https://openlineage.io/spec).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater import __version__
from headwater.lineage.roles import Role

PRODUCER = f"urn:headwater:{__version__}"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
Json = dict[str, Any]

_INDIRECT: Mapping[Role, str] = {
    "filter": "FILTER",
    "key": "GROUP_BY",
    "event_time": "WINDOW",
    "available_at": "FILTER",
    "id": "FILTER",
    "sequence": "SORT",
}


@dataclass(frozen=True)
class Name:
    """The name of a dataset: unique in its namespace."""

    namespace: str
    name: str


@dataclass(frozen=True)
class InputField:
    """A column from which a value is computed, and what it is for; `value` says how it gets in."""

    dataset: Name
    field: str
    roles: tuple[Role, ...]
    value: str = "TRANSFORMATION"


def _facet(name: str, version: str, /, **fields: Any) -> Json:
    address = f"{_FACETS}/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": address, **fields}


def schema(columns: Iterable[tuple[str, str, str]]) -> Json:
    """Names, types and descriptions of columns."""
    fields = [
        {"name": name, "type": dtype, **({"description": text} if text else {})}
        for name, dtype, text in columns
    ]
    return _facet("SchemaDatasetFacet", "1-2-0", fields=fields)


def column_lineage(fields: Mapping[str, Iterable[InputField]]) -> Json:
    """The columns behind each column of an output."""
    return _facet(
        "ColumnLineageDatasetFacet",
        "1-2-0",
        fields={name: {"inputFields": [_input(one) for one in f]} for name, f in fields.items()},
    )


def _input(one: InputField) -> Json:
    steps = [
        {"type": "DIRECT", "subtype": one.value}
        if role == "value"
        else {"type": "INDIRECT", "subtype": _INDIRECT[role]}
        for role in one.roles
    ]
    said = {"namespace": one.dataset.namespace, "name": one.dataset.name, "field": one.field}
    return {**said, "transformations": [{**step, "masking": False} for step in steps]}


def version(text: str) -> Json:
    """Which rows a dataset had, or which revision it is of."""
    return _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=text)


def ownership(owner: str) -> Json:
    return _facet("OwnershipDatasetFacet", "1-0-1", owners=[{"name": owner, "type": "OWNER"}])


def rows(count: int) -> Json:
    """How many rows an output got."""
    return _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", rowCount=count)


def sql(query: str) -> Json:
    return _facet("SQLJobFacet", "1-1-0", query=query, dialect="duckdb")


def job_type(kind: str) -> Json:
    """What kind of job this is, as MATERIALIZE."""
    said = {"processingType": "BATCH", "integration": "HEADWATER", "jobType": kind}
    return _facet("JobTypeJobFacet", "2-0-4", **said)


def engine() -> Json:
    said = {"version": __version__, "name": "headwater", "openlineageAdapterVersion": __version__}
    return _facet("ProcessingEngineRunFacet", "1-1-1", **said)


def nominal_time(start: str, end: str | None = None) -> Json:
    """The tick or the interval that a run is for."""
    said = {"nominalStartTime": start, **({"nominalEndTime": end} if end else {})}
    return _facet("NominalTimeRunFacet", "1-0-1", **said)


def error(message: str) -> Json:
    return _facet("ErrorMessageRunFacet", "1-0-1", message=message, programmingLanguage="python")


def dataset(name: Name, facets: Json, **more: Any) -> Json:
    return {"namespace": name.namespace, "name": name.name, "facets": facets, **more}
