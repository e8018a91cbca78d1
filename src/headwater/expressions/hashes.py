"""Hashes of content: what defines a feature's values, and a view's physical data (C14)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.expressions.analyzed import AnalyzedFeature, Kind
from headwater.expressions.drafts import Draft
from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Node


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict | list):
        return [type(value).__name__, json.dumps(value, sort_keys=True)]
    return [type(value).__name__, repr(value)]


def _source_content(source: Source | None) -> Any:
    if source is None:
        return None
    content = source.model_dump(mode="json", exclude={"description", "owner", "tags", "name"})
    for field in ("event_time", "available_at"):
        if content[field] is not None:
            content[field] = canonical(parse(content[field], f"source '{source.name}'"))
    content["format"] = source.resolved_format()
    return content


def _view_content(draft: Draft) -> Any:
    view = draft.view
    ticks = view.ticks
    return {
        "source": _source_content(draft.source),
        "columns": dict(draft.schema) if draft.source is not None and draft.source.query else None,
        "keys": list(draft.entity.join_keys.items()) if draft.entity is not None else None,
        "ticks": [ticks.period, ticks.at, ticks.timezone] if ticks is not None else None,
        "data_delay": view.data_delay,
    }


@dataclass(frozen=True)
class Content:
    """What defines the values of one feature."""

    feature: Feature
    kind: Kind
    dtype: str
    tree: Node | None
    inputs: tuple[AnalyzedFeature, ...]


def serving_hash(draft: Draft, feature: Feature, values: str) -> str:
    """Covers the values and how they are served."""
    return _digest([values, draft.view.ttl, _jsonable(feature.default)])


def data_hash(draft: Draft, content: Content) -> str:
    """Covers all that defines a feature's values, and nothing that does not."""
    feature, tree = content.feature, content.tree
    own = {f.name for f in draft.view.features}
    request = {"request": sorted(feature.request.items())} if feature.request else {}
    via = {"via": sorted(feature.via.items())} if feature.via else {}
    return _digest(
        {
            **request,
            **via,
            "view": _view_content(draft),
            "kind": content.kind,
            "dtype": content.dtype,
            "expression": canonical(tree) if tree is not None else None,
            "function": feature.function.to_dict() if feature.function is not None else None,
            "frame": [
                feature.window,
                feature.tail_hop,
                feature.offset or 0,
                feature.rows,
                feature.min_rows or feature.rows,
            ],
            "inputs": [_input(f, own=f.name in own) for f in content.inputs],
        }
    )


def _input(feature: AnalyzedFeature, *, own: bool) -> list[Any]:
    """What of an input defines a derived value: within a view its default, across views its ttl
    too.
    """
    if own:
        return [feature.name, feature.data_hash, _jsonable(feature.feature.default)]
    return [feature.name, feature.serving_hash]


def revision(draft: Draft, features: tuple[AnalyzedFeature, ...]) -> str:
    columns = sorted((f.name, f.data_hash) for f in features)
    return _digest({"view": _view_content(draft), "features": columns})
