"""Compute single values from the sources, as training does: one feature, a set, a set for many."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headwater.compute.historical import Historical, Options, Request
from headwater.compute.reading import visible
from headwater.compute.reads import views_behind
from headwater.compute.spine import Spine
from headwater.compute.told import STATUSES
from headwater.compute.values import Values
from headwater.definitions.instants import as_micros
from headwater.definitions.types import to_arrow
from headwater.errors import RequestError, near_miss
from headwater.historical import asked
from headwater.serving.keys import check_column

if TYPE_CHECKING:
    from headwater.definitions.service import FeatureRef
    from headwater.historical import Features
    from headwater.store import FeatureStore

EntityRow = Mapping[str, Any]
"""A value per join key, and per value of the request for features on demand."""
_TIME = "#time"
_NEVER = 2**63 - 1
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class FeatureValue:
    """One value of one feature for one entity.

    `entity_id` is the key as text; of several join keys a JSON object of them, in the entity's
    order; empty for a feature without entity. `timestamp` (UTC) is the event time of the row
    behind a looked-up value, the tick or the time of computing for a window, the oldest of its
    inputs' for a derived one; None where nothing is behind it. `metadata` holds `status` (PRESENT,
    NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE), `keys`, `request`, `view`, `revision`, `data_type`,
    `sources`, `as_of` (the time that was asked for), `evaluated_at` (the tick as of which it is)
    and `computed_at`.
    """

    entity_id: str
    feature_name: str
    value: Any
    timestamp: dt.datetime | None
    version: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def compute_feature(
    store: FeatureStore, feature: str | FeatureRef, entity: EntityRow, *, at: Any = None
) -> FeatureValue:
    """One feature of one entity, as known at `at` (now unless given); see the batch."""
    [value] = compute_features_batch(store, [feature], [entity], at=at)[0].values()
    return value


def compute_feature_set(
    store: FeatureStore, features: Features, entity: EntityRow, *, at: Any = None
) -> dict[str, FeatureValue]:
    """Features of one entity by output name, as known at `at` (now unless given); see the batch."""
    return compute_features_batch(store, features, [entity], at=at)[0]


def compute_features_batch(
    store: FeatureStore, features: Features, entities: Sequence[EntityRow], *, at: Any = None
) -> list[dict[str, FeatureValue]]:
    """For each entity its features by output name, computed from the sources as known at `at`.

    An entity is given by a value for each join key, and for each value of the request where a
    feature is on demand. What several features need is computed once. Raises NotFoundError for an
    unknown feature, RequestError for a value that is missing, unknown or of another type.
    """
    return _Computation(store, features, _instant(at)).of(entities)


class _Computation:
    def __init__(self, store: FeatureStore, features: Features, at: int) -> None:
        wanted = asked(store, features)
        self._engine = store.engine
        self._requests = wanted.requests
        self._at = at

    @cached_property
    def _types(self) -> dict[str, str]:
        """The columns that the rows have to give, and their types."""
        found: dict[str, str] = {}
        for request in self._requests:
            renamed = request.join_keys
            for name, dtype in request.given_types.items():
                column = renamed.get(name, name)
                if found.setdefault(column, dtype) != dtype:
                    raise RequestError(
                        f"'{column}' is to be {found[column]} and, for feature "
                        f"'{request.feature}', {dtype}; ask for them in two calls"
                    )
        return found

    def of(self, rows: Sequence[EntityRow]) -> list[dict[str, FeatureValue]]:
        table = _table(rows, self._types)
        times = np.full(len(rows), self._at, dtype=np.int64)
        spine = Spine(table, _TIME, times)
        historical = Historical(self._engine, self._requests, Options(_TIME), telling=True)
        values = historical.values(spine)
        historical.check_sources()
        computed_at = _moment(time.time_ns() // 1_000)
        found: list[dict[str, FeatureValue]] = [{} for _ in rows]
        for request, one in zip(self._requests, values, strict=True):
            about = self._about(request) | {"computed_at": computed_at}
            for place, value in enumerate(_values(request, one, table, about)):
                found[place][request.output] = value
        return found

    def _about(self, request: Request) -> dict[str, Any]:
        """What is the same of all values of one feature."""
        view = request.project.views[request.view]
        evaluated_at = int(visible(view, np.array([self._at]))[0])
        sources = {one.view.source_name for one in views_behind(request.project, view)}
        return {
            "view": view.name,
            "revision": view.revision,
            "data_type": view.feature(request.feature).dtype,
            "sources": sorted(source for source in sources if source is not None),
            "as_of": _moment(self._at),
            "evaluated_at": _moment(evaluated_at),
        }


def _values(
    request: Request, values: Values, table: pa.Table, about: Mapping[str, Any]
) -> list[FeatureValue]:
    view = request.project.views[request.view]
    keys = _given(table, {key: request.join_keys.get(key, key) for key in view.join_keys})
    asked_with = _given(table, {name: name for name in view.feature(request.feature).request})
    told = values.told[request.feature]
    column = values.columns[request.feature].to_pylist(maps_as_pydicts="strict")
    return [
        FeatureValue(
            entity_id=_entity_id(keys[row]),
            feature_name=request.feature,
            value=column[row],
            timestamp=None if at == _NEVER else _moment(at),
            version=request.version or "",
            metadata={
                "status": STATUSES[status],
                "keys": keys[row],
                "request": asked_with[row],
                **about,
            },
        )
        for row, (status, at) in enumerate(
            zip(told.status.tolist(), told.event_time.tolist(), strict=True)
        )
    ]


def _given(table: pa.Table, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Row by row the values of some columns, under their own names."""
    lists = {
        name: table[column].to_pylist(maps_as_pydicts="strict") for name, column in columns.items()
    }
    return [{name: lists[name][row] for name in lists} for row in range(table.num_rows)]


def _table(rows: Sequence[EntityRow], types: Mapping[str, str]) -> pa.Table:
    for row in rows:
        unknown = next((name for name in row if name not in types), None)
        if unknown is not None:
            raise RequestError(
                f"these features take no '{unknown}'{near_miss(unknown, types)} "
                f"(they take: {', '.join(types) or 'nothing'})"
            )
        missing = next((name for name in types if name not in row), None)
        if missing is not None:
            raise RequestError(
                f"'{missing}' ({types[missing]}) is missing: give a value for each join key and "
                "each value of a request"
            )
    if not types:
        return pa.table({"_": pa.nulls(len(rows))})
    return pa.table(
        {
            name: pa.array(check_column(name, dtype, [row[name] for row in rows]), to_arrow(dtype))
            for name, dtype in types.items()
        }
    )


def _instant(at: Any) -> int:
    found = as_micros(at)
    return time.time_ns() // 1_000 if found is None else found


def _entity_id(keys: Mapping[str, Any]) -> str:
    if not keys:
        return ""
    if len(keys) > 1:
        plain = {name: _plain(value) for name, value in keys.items()}
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    [value] = keys.values()
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _moment(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=micros)
