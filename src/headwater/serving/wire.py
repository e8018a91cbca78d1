"""The answer as Feast's JSON: one column an element of `results`, join keys first.

Fragments that repeat are made once: the statuses of a column in which all is PRESENT, the times
of all columns of one read, the metadata of a compiled request.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from headwater.serving.execute import NULL_VALUE, PRESENT, Times
from headwater.serving.response import OnlineResponse

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_KEPT_ROWS = 1000
"""Fragments for up to so many rows are kept."""

_encode = msgspec.json.Encoder().encode


class _Result(msgspec.Struct):
    values: Sequence[Any]
    statuses: Any
    event_timestamps: msgspec.Raw


class _Answer(msgspec.Struct):
    results: list[_Result]
    metadata: Any


def render(response: OnlineResponse, *, versions: bool = False) -> bytes:
    """The body of an answer; `versions` adds those of the views and features to the metadata."""
    plan, count = response.plan, response.count
    present = _present(count)
    results = [
        _Result(values, _key_statuses(values, present), _never(count))
        for values in response.entities.values()
    ]
    shared: dict[int, msgspec.Raw] = {}
    for output, (values, statuses, times) in zip(plan.outputs, response.cells, strict=True):
        stamps = shared.get(id(times))
        if stamps is None:
            stamps = shared[id(times)] = _timestamps(times)
        told = present if statuses is None else statuses
        results.append(_Result(json_values(values, output.dtype), told, stamps))
    return _encode(_Answer(results, _metadata(response, versions=versions)))


def json_values(values: Sequence[Any], dtype: str) -> Sequence[Any]:
    """The values of a feature in the form in which they are encoded as JSON."""
    convert = _CONVERT.get(dtype)
    return values if convert is None else convert(values)


def _metadata(response: OnlineResponse, *, versions: bool) -> dict[str, Any]:
    plan = response.plan
    metadata: dict[str, Any] = {"feature_names": [*response.entities, *plan.versions]}
    if versions:
        metadata["feature_view_metadata"] = [
            {"name": view, "version": number, "revision": revision}
            for view, number, revision in plan.views
        ]
        metadata["feature_versions"] = plan.versions
    return metadata


def _present(count: int) -> msgspec.Raw:
    return _kept_present(count) if count <= _KEPT_ROWS else _all_present(count)


def _never(count: int) -> msgspec.Raw:
    return _kept_never(count) if count <= _KEPT_ROWS else _timestamps([None] * count)


def _all_present(count: int) -> msgspec.Raw:
    return msgspec.Raw(_encode([PRESENT] * count))


_kept_present = lru_cache(256)(_all_present)
_kept_never = lru_cache(256)(lambda count: _timestamps([None] * count))


def _key_statuses(values: Sequence[Any], present: msgspec.Raw) -> Any:
    if None in values:
        return [NULL_VALUE if value is None else PRESENT for value in values]
    return present


def _timestamps(times: Times) -> msgspec.Raw:
    """RFC 3339 in UTC with 0, 3 or 6 digits of a second; the epoch where there is no time."""
    # msgspec writes 0 or 6 digits, and `000Z` can only end the latter
    text = _encode(times).replace(b'000Z"', b'Z"')
    return msgspec.Raw(text.replace(b"null", b'"1970-01-01T00:00:00Z"'))


def _floats(values: Sequence[float | None]) -> Sequence[Any]:
    """JSON has no NaN and no infinities: they are sent as Feast sends them, as text."""
    try:
        if math.isfinite(sum(values)):  # type: ignore[arg-type]
            return values
    except TypeError:
        pass  # a null among the values
    return [_float(value) for value in values]


def _float(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _seconds(value: dt.datetime | None) -> float | None:
    """Seconds since the epoch: an integer where they are whole, as Feast's UnixTimestamp."""
    if value is None:
        return None
    micros = (value - _EPOCH) // _MICROSECOND
    return micros // 1_000_000 if micros % 1_000_000 == 0 else micros / 1_000_000


def _each(convert: Callable[[Any], Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    return lambda values: [convert(value) for value in values]


def _lists(
    convert: Callable[[Sequence[Any]], Sequence[Any]],
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    return lambda values: [None if value is None else convert(value) for value in values]


_CONVERT: dict[str, Callable[[Sequence[Any]], Sequence[Any]]] = {
    "float32": _floats,
    "float64": _floats,
    "timestamp": _each(_seconds),
    "list[float32]": _lists(_floats),
    "list[float64]": _lists(_floats),
    "list[timestamp]": _lists(_each(_seconds)),
}
"""Types whose values JSON, or Feast, writes otherwise than msgspec: all others go as they are."""
