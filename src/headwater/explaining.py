"""Explain a value: what it is, by which definition and version, and from which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headwater.compute.describe import feature_line
from headwater.compute.provenance import Provenance, rows_behind
from headwater.compute.reading import Reader, visible
from headwater.compute.told import STATUSES, Told
from headwater.definitions.types import to_arrow
from headwater.errors import RequestError, near_miss
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.serving.keys import check_column

if TYPE_CHECKING:
    from headwater.store import FeatureStore

ROWS = 20
_NEVER = 2**63 - 1


@dataclass(frozen=True)
class Explanation:
    """One value of one feature, and what it was made of. Times are microseconds UTC.

    `at` is the time of the reader, `evaluated_at` the tick (or `at`) as of which the value is,
    `event_time` its own age. `rows` are those of the source, for what reads one; `inputs` the
    features that it reads, explained in their turn. `sql` are the statements that were run, of
    the whole explanation, and stand at its top.
    """

    feature: str
    version: str | None
    view: str
    revision: str
    definition: str
    value: Any
    status: str
    at: int
    evaluated_at: int
    event_time: int | None
    source: str | None
    rows: Provenance | None
    inputs: tuple[Explanation, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    sql: tuple[str, ...] = ()


def explain(
    store: FeatureStore, reference: str, given: Mapping[str, Any], at: int, *, rows: int = ROWS
) -> Explanation:
    """The value of `feature` or `feature@version` for one key, as it was known at a time.

    `given` holds a value per join key, and per value of the request where the feature is on
    demand; `rows` is how many rows of a source are shown at the most. Raises RequestError for a
    key that is missing, unknown or of another type.
    """
    job = store.get_historical_features({}, [reference])
    [request] = job.requests
    project, view = request.project, request.project.views[request.view]
    feature = view.feature(request.feature)
    types = {**view.join_keys, **feature.request}
    columns = _typed(feature, types, given)
    reader = Reader(
        store.engine,
        project,
        telling=True,
        given={name: columns[name] for name in feature.request},
    )
    keys = {name: columns[name] for name in view.join_keys}
    with store.engine.traced() as statements:
        reader.read(view, [feature.name], keys, np.array([at]))
    found = _Explainer(reader, keys, rows).of(view, feature, at)
    return replace(found, version=request.version, sql=tuple(statements))


def _typed(
    feature: AnalyzedFeature, types: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, pa.Array]:
    unknown = next((name for name in given if name not in types), None)
    if unknown is not None:
        raise RequestError(
            f"feature '{feature.name}' takes no '{unknown}'{near_miss(unknown, types)} "
            f"(it takes: {', '.join(types) or 'nothing'})"
        )
    missing = next((name for name in types if name not in given), None)
    if missing is not None:
        what = "request value" if missing in feature.request else "join key"
        raise RequestError(f"{what} '{missing}' ({types[missing]}) is missing")
    return {
        name: pa.array(check_column(name, dtype, [given[name]]), to_arrow(dtype))
        for name, dtype in types.items()
    }


class _Explainer:
    """Walks from a feature to what it reads; each feature is explained once for each instant."""

    def __init__(self, reader: Reader, keys: Mapping[str, pa.Array], rows: int) -> None:
        self._reader = reader
        self._keys = keys
        self._rows = rows
        self._known: dict[tuple[str, int], Explanation] = {}

    def of(self, view: AnalyzedView, feature: AnalyzedFeature, at: int) -> Explanation:
        if (feature.name, at) not in self._known:
            self._known[feature.name, at] = self._made(view, feature, at)
        return self._known[feature.name, at]

    def _made(self, view: AnalyzedView, feature: AnalyzedFeature, at: int) -> Explanation:
        keys = {name: self._keys[name] for name in view.join_keys}
        values = self._reader.read(view, [feature.name], keys, np.array([at]))
        instant = int(visible(view, np.array([at]))[0])
        told = values.told.get(feature.name)
        return Explanation(
            feature=feature.name,
            version=None,
            view=view.name,
            revision=view.revision,
            definition=feature_line(feature),
            value=values.columns[feature.name][0].as_py(maps_as_pydicts="strict"),
            status=_status(told),
            at=at,
            evaluated_at=instant,
            event_time=_event_time(told),
            source=None if feature.reads_features else view.view.source_name,
            rows=rows_behind(self._reader, view, feature, keys, instant, limit=self._rows),
            inputs=tuple(self._input(view, name, at, instant) for name in feature.inputs),
            request={
                name: self._reader.given[name][0].as_py(maps_as_pydicts="strict")
                for name in feature.feature.request
            },
        )

    def _input(self, view: AnalyzedView, name: str, at: int, instant: int) -> Explanation:
        """Of its own view a feature is read as of the same tick, of another as of this one's."""
        if any(feature.name == name for feature in view.features):
            return self.of(view, view.feature(name), at)
        views = self._reader.project.views
        home = next(views[n] for n in view.inputs if any(f.name == name for f in views[n].features))
        return self.of(home, home.feature(name), instant)


def _status(told: Told | None) -> str:
    return STATUSES[int(told.status[0])] if told is not None else "PRESENT"


def _event_time(told: Told | None) -> int | None:
    found = _NEVER if told is None else int(told.event_time[0])
    return None if found == _NEVER else found
