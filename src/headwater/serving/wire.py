"""The answer as Feast's JSON: one column an element of `results`, join keys first.

Fragments that repeat are made once: the statuses of a column in which all is PRESENT, the times
of all columns of one read, the metadata of a compiled request.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from headwater.serving.execute import NULL_VALUE, PRESENT, Times
from headwater.serving.plan import Plan
from headwater.serving.response import OnlineResponse

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_NEVER = b'"1970-01-01T00:00:00Z"'
_KEPT_ROWS = 1000
"""Fragments for up to so many rows are kept."""
_KEPT_METADATA = 16
_FEW_ROWS = 8

_Convert = Callable[[Sequence[Any]], Sequence[Any]]

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
    metadata = _metadata(response, versions=versions)
    if response.count <= _FEW_ROWS:
        text = _encode(_Answer(_results(response, convert=_TIMES), metadata))
        # msgspec writes NaN as null: looking for that in a short text costs less than looking
        # through every column
        if b"null" not in text:
            return text
    return _encode(_Answer(_results(response, convert=_CONVERT), metadata))


def _results(response: OnlineResponse, convert: Mapping[str, _Convert]) -> list[_Result]:
    count = response.count
    present, never = _present(count), _never(count)
    results = []
    for values in response.entities.values():
        told: Any = present if None not in values else list(map(_key_status, values))
        results.append(_Result(values, told, never))
    shared: dict[int, msgspec.Raw] = {}
    get = convert.get
    for output, (values, statuses, times) in zip(response.plan.outputs, response.cells):  # noqa: B905
        stamps = shared.get(id(times))
        if stamps is None:
            stamps = shared[id(times)] = _timestamps(times)
        f = get(output.dtype)
        told = present if statuses is None else statuses
        results.append(_Result(values if f is None else f(values), told, stamps))
    return results


def json_values(values: Sequence[Any], dtype: str) -> Sequence[Any]:
    """The values of a feature in the form in which they are encoded as JSON."""
    convert = _CONVERT.get(dtype)
    return values if convert is None else convert(values)


def _metadata(response: OnlineResponse, *, versions: bool) -> msgspec.Raw:
    plan, names = response.plan, tuple(response.entities)
    found: msgspec.Raw | None = plan.memo.get((names, versions))
    if found is None:
        found = msgspec.Raw(_encode(_metadata_of(plan, names, versions=versions)))
        if len(plan.memo) < _KEPT_METADATA:
            plan.memo[names, versions] = found
    return found


def _metadata_of(plan: Plan, names: tuple[str, ...], *, versions: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {"feature_names": [*names, *plan.versions]}
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


def _key_status(value: Any) -> str:
    return NULL_VALUE if value is None else PRESENT


def _timestamps(times: Times) -> msgspec.Raw:
    """RFC 3339 in UTC with 0 or 6 digits of a second; the epoch where there is no time."""
    text = _encode(times)
    return msgspec.Raw(text.replace(b"null", _NEVER) if b"null" in text else text)


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


def _each(convert: Callable[[Any], Any]) -> _Convert:
    return lambda values: [convert(value) for value in values]


def _lists(convert: _Convert) -> _Convert:
    return lambda values: [None if value is None else convert(value) for value in values]


_TIMES: dict[str, _Convert] = {
    "timestamp": _each(_seconds),
    "list[timestamp]": _lists(_each(_seconds)),
}
_CONVERT: dict[str, _Convert] = {
    **_TIMES,
    "float32": _floats,
    "float64": _floats,
    "list[float32]": _lists(_floats),
    "list[float64]": _lists(_floats),
}
"""Types whose values JSON, or Feast, writes otherwise than msgspec: all others go as they are."""
