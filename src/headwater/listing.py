"""What `list` and `show` say about the objects of a project, as plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.definitions.base import Definition
from headwater.errors import NotFoundError, near_miss
from headwater.registry.head import VersionEntry
from headwater.registry.kinds import Commit, FeatureVersion, Run
from headwater.registry.state import load_versions

if TYPE_CHECKING:
    from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
    from headwater.store import FeatureStore

Rows = list[dict[str, Any]]
RECENT = 50


def listing(store: FeatureStore, kind: str) -> Rows:
    """All objects of a kind, one dict each. Raises NotFoundError for an unknown kind."""
    rows: Rows = _of(kind, _LISTS)(store)
    return rows


def details(store: FeatureStore, kind: str, name: str) -> dict[str, Any]:
    """All that is known of one object. Raises NotFoundError with the nearest name."""
    found: dict[str, Any] = _of(kind, _SHOWS)(store, name)
    return found


def _of(kind: str, table: dict[str, Any]) -> Any:
    plural = {"entity": "entities", "history": "history"}.get(kind, f"{kind}s")
    found = table.get(kind) or table.get(plural)
    if found is None:
        raise NotFoundError(
            f"no kind '{kind}'{near_miss(kind, table)} (kinds: {', '.join(sorted(table))})"
        )
    return found


# --- lists ------------------------------------------------------------------------------


def _features(store: FeatureStore) -> Rows:
    head = store.registry.head(store.project)
    project = store.analyzed(head)
    return [
        {
            "name": feature.name,
            "version": head.features[feature.name].current,
            "view": view.name,
            "entity": view.view.entity_name,
            "kind": feature.kind,
            "dtype": feature.dtype,
            "status": head.features[feature.name].status,
            "owner": feature.feature.owner or view.view.owner,
        }
        for view in project.views.values()
        for feature in view.features
    ]


def _views(store: FeatureStore) -> Rows:
    views = list(store.analyzed().views.values())
    published = store.online.published(store.project, [view.revision for view in views])
    return [
        {
            "name": view.name,
            "entity": view.view.entity_name,
            "source": view.view.source_name,
            "features": len(view.features),
            "update_frequency": view.view.to_dict({"update_frequency"}).get(
                "update_frequency", "real_time"
            ),
            "revision": view.revision[:12],
            "published": _time(tick),
        }
        for view, tick in zip(views, published, strict=True)
    ]


def _objects(field: str) -> Callable[[FeatureStore], Rows]:
    def rows(store: FeatureStore) -> Rows:
        found: dict[str, Definition] = getattr(store.analyzed(), field)
        return [item.to_dict() for item in found.values()]

    return rows


def _runs(store: FeatureStore) -> Rows:
    runs = store.registry.list(store.project, Run, limit=RECENT)
    return [_run(run) for run in runs]


def _run(run: Run) -> dict[str, Any]:
    row = msgspec.structs.asdict(run)
    row["revision"] = run.revision[:12]
    times = ("started_at", "finished_at", "published_at", "start", "end", "tick")
    return {k: _time(v) if k in times else v for k, v in row.items()}


def _history(store: FeatureStore) -> Rows:
    commits = store.registry.list(store.project, Commit, limit=RECENT)
    return [
        {"generation": c.generation, "author": c.author, "at": _time(c.at), "summary": c.summary}
        for c in commits
    ]


def _time(micros: int | None) -> str | None:
    if micros is None:
        return None
    from headwater.online.codec import from_micros

    return from_micros(micros).isoformat().replace("+00:00", "Z")


# --- one object -------------------------------------------------------------------------


def _feature(store: FeatureStore, name: str) -> dict[str, Any]:
    project = store.analyzed()
    found = project.features().get(name)
    if found is None:
        raise NotFoundError(f"no feature '{name}'{near_miss(name, project.features())}")
    versions = load_versions(store.registry, store.project, name)
    return {
        **found.feature.to_dict(),
        "view": found.view,
        "kind": found.kind,
        "dtype": found.dtype,
        "columns": list(found.columns),
        "upstream_features": list(found.inputs),
        "downstream_features": _readers(store, name),
        "versions": [_version(entry, content) for entry, content in versions],
    }


def _version(entry: VersionEntry, content: FeatureVersion) -> dict[str, Any]:
    return {
        "version": content.version,
        "bump": content.bump,
        "reason": content.reason,
        "revision": entry.revision[:12],
        "comparison": msgspec.to_builtins(content.comparison),
    }


def _readers(store: FeatureStore, name: str) -> list[str]:
    features: Mapping[str, AnalyzedFeature] = store.analyzed().features()
    return sorted(other.name for other in features.values() if name in other.inputs)


def _view(store: FeatureStore, name: str) -> dict[str, Any]:
    views = store.analyzed().views
    view: AnalyzedView | None = views.get(name)
    if view is None:
        raise NotFoundError(f"no feature view '{name}'{near_miss(name, views)}")
    tick = store.online.published(store.project, [view.revision])[0]
    where = {"revision": view.revision}
    runs = store.registry.list(store.project, Run, where=where, limit=5)
    return {
        **view.view.to_dict(),
        "join_keys": dict(view.join_keys),
        "revision": view.revision,
        "stored": view.stored,
        "reads": list(view.inputs),
        "kinds": {feature.name: feature.kind for feature in view.features},
        "dtypes": {feature.name: feature.dtype for feature in view.features},
        "published": _time(tick),
        "runs": [_run(run) for run in runs],
    }


def _object(field: str, kind: str) -> Callable[[FeatureStore, str], dict[str, Any]]:
    def row(store: FeatureStore, name: str) -> dict[str, Any]:
        found: dict[str, Definition] = getattr(store.analyzed(), field)
        if name not in found:
            raise NotFoundError(f"no {kind} '{name}'{near_miss(name, found)}")
        return found[name].to_dict()

    return row


_LISTS: dict[str, Callable[[FeatureStore], Rows]] = {
    "features": _features,
    "views": _views,
    "entities": _objects("entities"),
    "sources": _objects("sources"),
    "services": _objects("services"),
    "runs": _runs,
    "history": _history,
}
_SHOWS: dict[str, Callable[[FeatureStore, str], dict[str, Any]]] = {
    "features": _feature,
    "views": _view,
    "entities": _object("entities", "entity"),
    "sources": _object("sources", "source"),
    "services": _object("services", "feature service"),
}
