"""The answer as Feast's JSON: one column an element of `results`, join keys first.

What repeats is made once: statuses where all is PRESENT, the times of the columns of one read, the
metadata of a compiled request. Most of the time that an answer takes is spent here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from headwater.definitions.types import is_nested
from headwater.serving.execute import Times, settled_cell
from headwater.serving.json_values import Convert, converter, json_values
from headwater.serving.plan import Plan
from headwater.serving.response import OnlineResponse
from headwater.serving.statuses import NULL_VALUE, PRESENT

_NEVER = b'"1970-01-01T00:00:00Z"'
_KEPT_ROWS = 1000
"""Fragments for up to so many rows are kept."""
_KEPT_METADATA = 4
_KEPT_BYTES = 64 * 1024
"""Metadata of a compiled request are kept for so many lists of columns, each of so many bytes."""
_FEW_ROWS = 4
_CONVERTERS = "converters"
_NEXT = b',{"values":'

_encode = msgspec.json.Encoder().encode


def render(response: OnlineResponse, *, versions: bool = False) -> list[bytes]:
    """The body of an answer, in parts; `versions` adds those of views and features to the metadata.

    The parts are joined by whoever has more to join, since they may be long.
    """
    count = response.count
    parts = [b'{"results":[{"values":']
    for name, values in response.entities.items():
        statuses = list(map(_key_status, values)) if None in values else None
        text = _encode(_echoed(values, response.plan.columns.get(name, "")))
        parts += (text, _tail(statuses, _never(count), count), _NEXT)
    alike = _alike(response) if count <= _FEW_ROWS else None
    if alike is None:
        _add_columns(parts, response)
    else:
        parts += (alike, _NEXT)
    parts[-1] = parts[-1].removesuffix(_NEXT) + b'],"metadata":'
    parts += (_metadata(response, versions=versions), b"}")
    return parts


def _echoed(values: Sequence[Any], dtype: str) -> Sequence[Any]:
    """A column of the request in the form of JSON: only keys of maps may have none as they are."""
    return json_values(values, dtype) if is_nested(dtype) else values


def _alike(response: OnlineResponse) -> bytes | None:
    """All features in one go, where all is PRESENT and of one time; None where that isn't so.

    With few rows, calls cost more than work: the columns are encoded together, then parted. None
    also where what parts them stands in a text.
    """
    cells = response.found
    times = cells[0][2]
    for _, statuses, at in cells:
        if statuses is not None or at is not times:
            return None
    if any(_converters(response.plan)):
        return None
    text = _encode([values for values, _, _ in cells])
    if b"null" in text or text.count(b"],[") != len(cells) - 1:
        return None
    tail = _tail(None, _timestamps(times), response.count)
    return text[1:-1].replace(b"],[", b"]" + tail + _NEXT + b"[") + tail


def _add_columns(parts: list[bytes], response: OnlineResponse) -> None:
    plan, count, cells = response.plan, response.count, response.found
    converters = _converters(plan)
    rest, shared = b"", None
    for place, (values, statuses, times) in enumerate(cells):
        convert = converters[place]
        text = _encode(values if convert is None else convert(values))
        # a null, or a NaN, is written as null; the search for one letter is by far the fastest
        if b"n" in text:
            settled, statuses, times = settled_cell(plan, place, cells[place])  # noqa: PLW2901
            text = _encode(json_values(settled, plan.outputs[place].dtype))
        if statuses is not None:
            rest, shared = _tail(statuses, _timestamps(times), count) + _NEXT, None
        elif times is not shared:
            rest, shared = _tail(None, _timestamps(times), count) + _NEXT, times
        parts += (text, rest)


def _converters(plan: Plan) -> list[Convert | None]:
    """What each output's values have to go through before they are encoded."""
    found: list[Convert | None] | None = plan.memo.get(_CONVERTERS)
    if found is None:
        found = [converter(output.dtype) for output in plan.outputs]
        plan.memo[_CONVERTERS] = found
    return found


def _metadata(response: OnlineResponse, *, versions: bool) -> bytes:
    plan, names = response.plan, tuple(response.entities)
    found: bytes | None = plan.memo.get((names, versions))
    if found is None:
        found = _encode(_metadata_of(plan, names, versions=versions))
        if len(plan.memo) <= _KEPT_METADATA and len(found) <= _KEPT_BYTES:
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


def _tail(statuses: Sequence[str] | None, times: bytes, count: int) -> bytes:
    """What follows the values of a column; no statuses are all PRESENT."""
    told = _present(count) if statuses is None else _encode(statuses)
    return b"".join((b',"statuses":', told, b',"event_timestamps":', times, b"}"))


def _present(count: int) -> bytes:
    return _kept_present(count) if count <= _KEPT_ROWS else _encode([PRESENT] * count)


def _never(count: int) -> bytes:
    return _kept_never(count) if count <= _KEPT_ROWS else _timestamps([None] * count)


_kept_present = lru_cache(256)(lambda count: _encode([PRESENT] * count))
_kept_never = lru_cache(256)(lambda count: _timestamps([None] * count))


def _key_status(value: Any) -> str:
    return NULL_VALUE if value is None else PRESENT


def _timestamps(times: Times) -> bytes:
    """RFC 3339 in UTC with 0 or 6 digits of a second; the epoch where there is no time."""
    text = _encode(times)
    return text.replace(b"null", _NEVER) if b"n" in text else text
