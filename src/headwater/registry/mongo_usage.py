"""Adds uses up where they are kept, in MongoDB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headwater.registry.listed import GROUPED, UsageGroup
from headwater.registry.mongo_client import Database, Document

_CHUNK = 500
_ALIKE = {name: f"${name}" for name in GROUPED}
_COUNT: Document = {"$count": {}}
_IMPORTANCE: Document = {"feature_importance": {"$ne": None}}
_CORRELATION: Document = {"correlation_with_target": {"$ne": None}}
# Of several sums of one group, FerretDB 1 tells only the first: each has a pipeline of its own.
_SUMS: tuple[tuple[str, Document, Document], ...] = (
    ("count", {"$sum": "$count"}, {}),
    ("rows", {"$sum": "$rows"}, {"rows": {"$gt": 0}}),
    ("importance", {"$sum": "$feature_importance"}, _IMPORTANCE),
    ("importances", _COUNT, _IMPORTANCE),
    ("correlation", {"$sum": "$correlation_with_target"}, _CORRELATION),
    ("correlations", _COUNT, _CORRELATION),
)


def groups(
    found: Database, project: str, names: Iterable[str] | None, since: int | None
) -> Sequence[UsageGroup]:
    """What uses add up to, those that are alike together."""
    match: Document = {"project": {"$eq": project}}
    if since is not None:
        match["usage_timestamp"] = {"$gte": since}
    if names is None:
        return _run(found, match)
    wanted = list(dict.fromkeys(names))
    return [
        group
        for start in range(0, len(wanted), _CHUNK)
        for group in _run(found, {**match, "feature_name": {"$in": wanted[start : start + _CHUNK]}})
    ]


def _run(found: Database, match: Document) -> list[UsageGroup]:
    sums: dict[tuple[Any, ...], Document] = {}
    for name, added, told in _SUMS:
        pipeline = [{"$match": {**match, **told}}, {"$group": {"_id": _ALIKE, "sum": added}}]
        for row in found["usages"].aggregate(pipeline):
            key = tuple(row["_id"].get(field) for field in GROUPED)
            sums.setdefault(key, {})[name] = row["sum"]
    return [
        UsageGroup(**dict(zip(GROUPED, key, strict=True)), **added) for key, added in sums.items()
    ]
