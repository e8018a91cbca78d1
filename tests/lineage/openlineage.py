"""Reads an event as OpenLineage's own classes do: every field known, every required one there."""

from __future__ import annotations

import importlib
import re
import types
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlparse

import attr
from openlineage.client.generated import base

_MODULES = {
    "SchemaDatasetFacet": "schema_dataset",
    "ColumnLineageDatasetFacet": "column_lineage_dataset",
    "DatasetVersionDatasetFacet": "dataset_version_dataset",
    "OwnershipDatasetFacet": "ownership_dataset",
    "OutputStatisticsOutputDatasetFacet": "output_statistics_output_dataset",
    "SQLJobFacet": "sql_job",
    "JobTypeJobFacet": "job_type_job",
    "ProcessingEngineRunFacet": "processing_engine_run",
    "NominalTimeRunFacet": "nominal_time_run",
    "ErrorMessageRunFacet": "error_message_run",
}
_KEYS = {
    "schema": "SchemaDatasetFacet",
    "columnLineage": "ColumnLineageDatasetFacet",
    "version": "DatasetVersionDatasetFacet",
    "ownership": "OwnershipDatasetFacet",
    "outputStatistics": "OutputStatisticsOutputDatasetFacet",
    "sql": "SQLJobFacet",
    "jobType": "JobTypeJobFacet",
    "processing_engine": "ProcessingEngineRunFacet",
    "nominalTime": "NominalTimeRunFacet",
    "errorMessage": "ErrorMessageRunFacet",
}
_SAID = ("_producer", "_schemaURL")


def check(event: dict[str, Any]) -> None:
    """Raise where an event is not one of OpenLineage 2-0-2."""
    given = dict(event)
    assert given.pop("schemaURL") == base.RunEvent._get_schema()
    assert urlparse(given["producer"]).scheme
    given["eventType"] = base.EventType(given["eventType"])
    given["run"] = _built(base.Run, _without_facets(given["run"]))
    given["job"] = _built(base.Job, _without_facets(given["job"]))
    given["inputs"] = [_built(base.InputDataset, _without_facets(d)) for d in given["inputs"]]
    given["outputs"] = [_built(base.OutputDataset, _without_facets(d)) for d in given["outputs"]]
    base.RunEvent(**given)


def _without_facets(part: dict[str, Any]) -> dict[str, Any]:
    """A part whose facets have been checked."""
    plain = dict(part)
    for place in ("facets", "inputFacets", "outputFacets"):
        for key, facet in plain.pop(place, {}).items():
            _check_facet(key, facet)
    return plain


def _check_facet(key: str, facet: dict[str, Any]) -> None:
    name = _KEYS[key]
    module = importlib.import_module(f"openlineage.client.generated.{_MODULES[name]}")
    cls = getattr(module, name)
    assert facet["_schemaURL"] == cls._get_schema()
    assert urlparse(facet["_producer"]).scheme
    _built(cls, {k: v for k, v in facet.items() if k not in _SAID})


def _built(cls: type, given: Any) -> Any:
    """An instance of a class with all of its nested classes; unknown fields raise TypeError."""
    hints = get_type_hints(cls)
    names = {a.name for a in attr.fields(cls)}
    assert set(given) <= names, f"{cls.__name__} has no {set(given) - names}"
    return cls(**{name: _typed(hints[name], value) for name, value in given.items()})


def _typed(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _typed(next(one for one in inner if one is not type(None)), value)
    if origin is list:
        assert isinstance(value, list)
        return [_typed(inner[0], item) for item in value]
    if origin is dict:
        assert isinstance(value, dict)
        return {key: _typed(inner[1], item) for key, item in value.items()}
    if attr.has(hint):
        return _built(hint, value)
    if isinstance(hint, type):
        assert isinstance(value, hint), f"{value!r} is no {hint}"
        if hint is str:
            assert not re.search(r"^\s*$", value)
    return value
