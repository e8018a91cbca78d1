"""What breaks if something changes: the features, services, models and runs behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.errors import RefusedError
from headwater.lineage.columns import Place
from headwater.lineage.contents import Contents
from headwater.lineage.graph import Node, NodeKind, reach
from headwater.lineage.models import ModelUse, last_use
from headwater.lineage.project import ProjectLineage
from headwater.lineage.roles import Role
from headwater.registry.bound import Versioned
from headwater.registry.records import FeatureRecord


@dataclass(frozen=True)
class ImpactedFeature:
    """A version of a feature whose values may change.

    `roles` says what the changed column is for, where the version reads it itself; otherwise
    `reads` names the features through which the change comes.
    """

    feature: str
    version: str
    status: str
    owner: str | None
    roles: tuple[Role, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImpactedService:
    """A service that reads such features: `following` the current version, or `pinned` to one."""

    service: str
    following: tuple[str, ...]
    pinned: tuple[str, ...]


@dataclass(frozen=True)
class ImpactedModel:
    """A model that has used such features, `uses` times. `last_used_at` (microseconds UTC) is
    when it last used any feature of the project, `model_version` the version of it that did.
    """

    model: str
    model_version: str | None
    environment: str
    features: tuple[str, ...]
    services: tuple[str, ...]
    uses: int
    last_used_at: int | None


@dataclass(frozen=True)
class ImpactedView:
    """A view whose values have to be computed again; one that is not stored is computed when it
    is read.
    """

    view: str
    is_stored: bool
    features: tuple[str, ...]


@dataclass(frozen=True)
class Impact:
    """What lies downstream of a change, the nearest features first.

    Services that are pinned to a version don't feel a change of the feature, but one of what its
    values come from. `ties` are features that read other columns of the source: there the changed
    one decides only between rows of a key that agree in their times.
    """

    of: str
    kind: NodeKind
    features: tuple[ImpactedFeature, ...]
    services: tuple[ImpactedService, ...]
    models: tuple[ImpactedModel, ...]
    views: tuple[ImpactedView, ...]
    ties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Affected:
    """A version that is touched: by the columns that it reads, or through other features."""

    version: Versioned
    roles: tuple[Role, ...] = ()
    reads: tuple[str, ...] = ()


def impact_of(lineage: ProjectLineage, node: Node) -> Impact:
    """What a change of a feature, source or column reaches. Raises RefusedError for the rest."""
    if node.kind == "feature":
        return _of_feature(lineage, node)
    if node.kind not in ("source", "column"):
        raise RefusedError(
            f"{node.kind} '{node.name}': nothing depends on it; ask for a feature, a source or a "
            "column of one"
        )
    source, _, column = node.name.partition(".")
    places = [p for p in lineage.readers if p[0] == source and (not column or p[1] == column)]
    return _of_columns(lineage, node, places)


def _of_feature(lineage: ProjectLineage, node: Node) -> Impact:
    graph = lineage.contents.graph
    names = reach([node.name], graph.downstream, None)
    affected = set(names)
    features = [
        Affected(version, reads=tuple(n for n in graph.upstream(version[0]) if n in affected))
        for version in lineage.current(names)
    ]
    return _impact(lineage, node, features)


def _of_columns(lineage: ProjectLineage, node: Node, places: Iterable[Place]) -> Impact:
    contents, given = lineage.contents, list(places)
    direct = dict.fromkeys(v for place in given for v in lineage.readers[place])
    versions = reach(direct, lambda version: lineage.below.get(version, ()), None)
    affected = set(versions)
    features = []
    for version in versions:
        is_direct = node.kind == "column" and version in direct
        roles = lineage.columns.roles(version, given[0]) if is_direct else ()
        reads = tuple(read[0] for read in contents.inputs(version) if read in affected)
        features.append(Affected(version, roles, reads))
    ties = _ties(lineage, node, affected) if node.kind == "column" else ()
    return _impact(lineage, node, features, ties)


def _ties(lineage: ProjectLineage, node: Node, affected: set[Versioned]) -> tuple[str, ...]:
    """Other features of the source in which the order of equal rows matters."""
    source = node.name.partition(".")[0]
    readers = dict.fromkeys(
        version
        for place, found in lineage.readers.items()
        if place[0] == source
        for version in found
    )
    others = (v for v in readers if v not in affected and lineage.columns.has_order(v))
    return tuple(dict.fromkeys(name for name, _ in others))


def _impact(
    lineage: ProjectLineage,
    node: Node,
    features: list[Affected],
    ties: tuple[str, ...] = (),
) -> Impact:
    versions = [found.version for found in features]
    return Impact(
        of=node.name,
        kind=node.kind,
        features=_features(lineage.contents, features),
        services=_services(lineage, versions, of_feature=node.kind == "feature"),
        models=_models(lineage, versions),
        views=_views(lineage.contents, versions),
        ties=ties,
    )


def _features(contents: Contents, found: Iterable[Affected]) -> tuple[ImpactedFeature, ...]:
    given = list(found)
    entries = {name: contents.head.features[name] for name, _ in (one.version for one in given)}
    records = contents.many(FeatureRecord, [e.record for e in entries.values() if e.record])
    return tuple(
        ImpactedFeature(
            feature=name,
            version=number,
            status=entries[name].status,
            owner=records[entries[name].record].owner if entries[name].record else None,
            roles=one.roles,
            reads=one.reads,
        )
        for one in given
        for name, number in [one.version]
    )


def _services(
    lineage: ProjectLineage, versions: Iterable[Versioned], *, of_feature: bool
) -> tuple[ImpactedService, ...]:
    """The services that list a version that is touched; of a changed feature, all that pin it."""
    touched = set(versions)
    following: dict[str, list[str]] = {}
    pinned: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name, _ in touched):
        current = lineage.contents.head.features[name].current
        for service, version in lineage.served.get(name, ()):
            if version is None and (name, current) in touched:
                following.setdefault(service, []).append(name)
            elif version is not None and (of_feature or (name, version) in touched):
                pinned.setdefault(service, []).append(f"{name}@{version}")
    return tuple(
        ImpactedService(
            name, tuple(sorted(following.get(name, ()))), tuple(sorted(pinned.get(name, ())))
        )
        for name in sorted({*following, *pinned})
    )


def _models(lineage: ProjectLineage, versions: Iterable[Versioned]) -> tuple[ImpactedModel, ...]:
    groups: dict[tuple[str, str], list[ModelUse]] = {}
    for use in lineage.uses(dict.fromkeys(name for name, _ in versions)):
        groups.setdefault((use.model, use.environment), []).append(use)
    return tuple(
        _model(lineage.contents, model, environment, uses)
        for (model, environment), uses in groups.items()
    )


def _model(
    contents: Contents, model: str, environment: str, uses: Iterable[ModelUse]
) -> ImpactedModel:
    given = list(uses)
    last = last_use(contents.registry, contents.project, model, environment)
    return ImpactedModel(
        model=model,
        model_version=None if last is None else last.model_version,
        environment=environment,
        features=tuple(sorted({use.feature for use in given})),
        services=tuple(sorted({use.service for use in given if use.service})),
        uses=sum(use.count for use in given),
        last_used_at=None if last is None else last.usage_timestamp,
    )


def _views(contents: Contents, versions: Iterable[Versioned]) -> tuple[ImpactedView, ...]:
    by_view: dict[str, dict[str, None]] = {}
    for name, _ in versions:
        view = contents.head.features[name].view
        if view in contents.head.views:
            by_view.setdefault(view, {})[name] = None
    revisions = {view: contents.head.views[view].revision for view in by_view}
    return tuple(
        ImpactedView(
            view=view,
            is_stored=contents.head.revisions[revisions[view]].stored,
            features=tuple(names),
        )
        for view, names in sorted(by_view.items())
    )
