"""Explain a value: what it is, by which definition and version, and from which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headwater.compute.describe import feature_line
from headwater.compute.provenance import Provenance, rows_behind
from headwater.compute.reading import Keys, Reader, visible
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
    features that it reads, explained in their turn: one that is read at the value of another has
    a `key` that says so. `sql` are the statements that were run, of the whole explanation, and
    stand at its top.
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
    key: Mapping[str, Any] = field(default_factory=dict)


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
    found = _Explainer(reader, rows).of(view, feature, at, keys)
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
    """Walks from a feature to what it reads; each feature is explained once for each instant and
    key.
    """

    def __init__(self, reader: Reader, rows: int) -> None:
        self._reader = reader
        self._rows = rows
        self._known: dict[tuple[str, int, str], Explanation] = {}

    def of(self, view: AnalyzedView, feature: AnalyzedFeature, at: int, given: Keys) -> Explanation:
        """A feature for the key that is among the `given`, by a reader at a time."""
        keys = {name: given[name] for name in view.join_keys}
        known = feature.name, at, repr(_plain(keys))
        if known not in self._known:
            self._known[known] = self._made(view, feature, at, keys)
        return self._known[known]

    def _made(
        self, view: AnalyzedView, feature: AnalyzedFeature, at: int, keys: Keys
    ) -> Explanation:
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
            inputs=self._inputs(view, feature, at, keys),
            request={
                name: self._reader.given[name][0].as_py(maps_as_pydicts="strict")
                for name in feature.feature.request
            },
            key=_plain(keys),
        )

    def _inputs(
        self, view: AnalyzedView, feature: AnalyzedFeature, at: int, keys: Keys
    ) -> tuple[Explanation, ...]:
        """What a feature reads: at its own key, or at the values of others, which come last."""
        by = {name: self._input(view, name, at, keys) for name in feature.feature.via.values()}
        found = []
        for name in feature.operands:
            hop = feature.across.get(name, ())
            types = self._home(view, name).join_keys
            there = {k: pa.array([by[giver].value], to_arrow(types[k])) for k, giver in hop}
            found.append(self._input(view, name, at, {**keys, **there}))
        told = {name for name in feature.operands if name not in feature.across}
        return (*found, *(by[name] for name in by if name not in told))

    def _input(self, view: AnalyzedView, name: str, at: int, keys: Keys) -> Explanation:
        """Of its own view a feature is read as of the same tick, of another as of this one's."""
        home = self._home(view, name)
        instant = at if home is view else int(visible(view, np.array([at]))[0])
        return self.of(home, home.feature(name), instant, keys)

    def _home(self, view: AnalyzedView, name: str) -> AnalyzedView:
        views = [view, *(self._reader.project.views[read] for read in view.inputs)]
        return next(home for home in views if any(f.name == name for f in home.features))


def _plain(keys: Keys) -> dict[str, Any]:
    return {name: column[0].as_py() for name, column in keys.items()}


def _status(told: Told | None) -> str:
    return STATUSES[int(told.status[0])] if told is not None else "PRESENT"


def _event_time(told: Told | None) -> int | None:
    found = _NEVER if told is None else int(told.event_time[0])
    return None if found == _NEVER else found
