"""From definitions to what they mean: kinds, types, dependencies, order and hashes. No I/O.

The schema of a source is asked of the caller, since reading it is an engine's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from headwater.definitions.collection import Definitions
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError, near_miss
from headwater.expressions.across import check_keys, hops_of, refuse_unknown_keys
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView
from headwater.expressions.drafts import Draft, Schema, check_source, hint
from headwater.expressions.hashes import revision
from headwater.expressions.kinds import analyze_feature
from headwater.expressions.nested import field_read, qualified
from headwater.expressions.on_demand import refuse_shadowing
from headwater.expressions.walk import aggregates_of, columns_of, uses


def analyze(definitions: Definitions, schema_of: Callable[[Source], Schema]) -> AnalyzedProject:
    """Resolve all definitions against one another and against the columns of their sources.

    Raises DefinitionError (or ExpressionError) that names object, field and fix.
    """
    schemas = {name: dict(schema_of(source)) for name, source in definitions.sources.items()}
    for name, source in definitions.sources.items():
        check_source(source, schemas[name])
    drafts = {
        view.name: Draft.of(view, definitions, schemas) for view in definitions.views.values()
    }
    owners = {f.name: name for name, draft in drafts.items() for f in draft.view.features}
    views: dict[str, AnalyzedView] = {}
    for name in _view_order(drafts, owners):
        views[name] = _finish(drafts[name], owners, drafts, views)
    project = AnalyzedProject(
        entities=definitions.entities,
        sources=definitions.sources,
        views={name: views[name] for name in definitions.views},
        services=definitions.services,
    )
    _check_services(project)
    return project


def _view_order(drafts: Mapping[str, Draft], owners: Mapping[str, str]) -> list[str]:
    """Views so that each comes after those it reads. A cycle is an error that prints it."""
    edges: dict[str, tuple[str, ...]] = {}
    for draft in drafts.values():
        for feature in draft.view.features:
            reads = draft.reads(feature)
            refuse_unknown_keys(draft, feature, owners)
            refuse_shadowing(draft, feature, owners)
            for name in reads:
                if name not in owners or (name == feature.name and draft.source is not None):
                    raise _unknown(draft, feature.name, name, owners)
            edges[feature.name] = reads
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        first, cycle = _circle(error)
        raise DefinitionError(
            f"feature '{first}': its definition depends on itself: {cycle}"
        ) from None
    ranks = {name: position for position, name in enumerate(order)}
    views = {
        name: [
            owners[read]
            for feature in draft.view.features
            for read in draft.reads(feature)
            if owners[read] != name
        ]
        for name, draft in drafts.items()
    }
    try:
        return list(TopologicalSorter(views).static_order())
    except CycleError as error:
        first, cycle = _circle(error)
        way = min((f.name for f in drafts[first].view.features), key=ranks.__getitem__)
        raise DefinitionError(
            f"feature view '{first}': depends on itself through other views: {cycle} "
            f"(by way of '{way}'); move its features into a view of their own"
        ) from None


def _circle(error: CycleError) -> tuple[str, str]:
    """The first name of a circle, and the whole of it, each before what it reads."""
    ring: list[str] = list(reversed(error.args[1]))[1:]
    at = ring.index(min(ring))
    first, *rest = ring[at:] + ring[:at]
    return first, " -> ".join([first, *rest, first])


def _unknown(draft: Draft, feature: str, name: str, owners: Mapping[str, str]) -> DefinitionError:
    request = draft.view.feature(feature).request
    places = [*draft.schema, *request, *(owner for owner in owners if owner != feature)]
    if draft.source is not None:
        other = "another feature" if name == feature else "a feature"
        what = f"no column '{name}' in source '{draft.source.name}', nor {other} of that name"
    else:
        what = f"no feature '{name}'"
    tree = draft.trees[feature]
    of = None if tree is None else field_read(tree, name)
    if of is not None:
        raise DefinitionError(f"{draft.where(feature)}: {qualified(name, of)}")
    given = draft.view.feature(feature)
    field = "function" if given.function is not None else "expression"
    near = hint(name, places)
    if field == "expression" and f'"{name}"' in given.definition:
        near = f"{near_miss(name, places)}; a text stands in single quotes: '{name}'"
    return DefinitionError(f"{draft.where(feature, field)}: {what}{near}")


# --- one view ---------------------------------------------------------------------------


def _finish(
    draft: Draft,
    owners: Mapping[str, str],
    drafts: Mapping[str, Draft],
    views: Mapping[str, AnalyzedView],
) -> AnalyzedView:
    view = draft.view
    inputs = _input_views(draft, owners)
    if draft.source is not None and inputs:
        raise DefinitionError(
            f"feature view '{view.name}': reads features of view '{inputs[0]}' beside its source "
            f"'{draft.source.name}'; put these features into a view without 'source'"
        )
    if draft.source is None:
        _check_derived_view(draft, inputs)
    keys = {name: views[name].join_keys for name in inputs}
    check_keys(draft, owners, keys)
    known: dict[str, AnalyzedFeature] = {f.name: f for name in inputs for f in views[name].features}
    done: dict[str, AnalyzedFeature] = {}
    for feature in _feature_order(draft, owners):
        sofar = {**known, **done}
        across = hops_of(draft, feature, sofar, keys)
        done[feature.name] = analyze_feature(draft, feature, sofar, across)
    features = tuple(done.values())
    _check_kinds(view, features)
    stored = draft.source is not None or view.ticks is not None
    return AnalyzedView(
        view=view,
        entity=draft.entity,
        source=draft.source,
        columns=draft.schema,
        features=features,
        inputs=inputs,
        revision=revision(draft, features),
        stored=stored,
        notes=tuple(_notes(draft, owners, drafts)),
    )


def _input_views(draft: Draft, owners: Mapping[str, str]) -> tuple[str, ...]:
    found = {owners[n] for f in draft.view.features for n in draft.reads(f)}
    return tuple(sorted(found - {draft.view.name}))


def _check_derived_view(draft: Draft, inputs: tuple[str, ...]) -> None:
    view = draft.view
    if view.ttl is not None:
        raise DefinitionError(
            f"feature view '{view.name}': field 'ttl': bounds the age of source rows; set it on "
            "the views that this one reads"
        )
    if not inputs and not any(feature.request for feature in view.features):
        raise DefinitionError(
            f"feature view '{view.name}': has neither 'source' nor features of other views to "
            "compute from; give 'source'"
        )


def _feature_order(draft: Draft, owners: Mapping[str, str]) -> list[Feature]:
    features = {f.name: f for f in draft.view.features}
    edges = {
        name: [read for read in draft.reads(f) if owners.get(read) == draft.view.name]
        for name, f in features.items()
    }
    order = TopologicalSorter(edges).static_order()
    return [features[name] for name in order]


def _check_kinds(view: FeatureView, features: tuple[AnalyzedFeature, ...]) -> None:
    windowed = [f.name for f in features if f.kind == "windowed"]
    rows = [f.name for f in features if f.kind in ("lookup", "sequence")]
    if windowed and rows:
        raise DefinitionError(
            f"feature view '{view.name}': '{windowed[0]}' is an aggregate over a window and "
            f"'{rows[0]}' belongs to the latest row; put them into two views"
        )


# --- notes and services -----------------------------------------------------------------


def _notes(draft: Draft, owners: Mapping[str, str], drafts: Mapping[str, Draft]) -> Iterable[str]:
    source, view = draft.source, draft.view
    if source is not None and source.available_at is None:
        yield (
            f"source '{source.name}' has no 'available_at': its rows are taken to be known at "
            "their event time"
        )
    read = {
        name
        for tree in draft.trees.values()
        if tree is not None
        for name in columns_of(tree)
        if name in draft.schema and name in owners
    }
    for name in sorted(read):
        owner = drafts[owners[name]]
        if owner.source != source or owner.view.feature(name).definition != name:
            yield (
                f"feature view '{view.name}': '{name}' is the column of source "
                f"'{source.name if source else ''}', which shadows the feature '{name}'"
            )
    for name, tree in draft.trees.items():
        if tree is not None and any(uses(part, "as_of") for part in aggregates_of(tree)):
            yield (
                f"feature '{name}': as_of() inside an aggregate is computed for every row of every "
                "window anew; its cost is the number of rows in all the windows asked for"
            )
    windowed = any(f.window is not None for f in view.features)
    if windowed and view.ticks is None:
        yield (
            f"feature view '{view.name}': has windows and no ticks; training sets work, serving "
            "needs update_frequency='hourly' (or another), or a stream"
        )


def _check_services(project: AnalyzedProject) -> None:
    features = project.features()
    for service in project.services.values():
        outputs: set[str] = set()
        for ref in service.features:
            where = f"feature service '{service.name}': field 'features': '{ref}'"
            found = features.get(ref.feature)
            if found is None:
                raise DefinitionError(f"{where}: no such feature{near_miss(ref.feature, features)}")
            if ref.view is not None and ref.view != found.view:
                raise DefinitionError(
                    f"{where}: '{ref.feature}' belongs to view '{found.view}', not '{ref.view}'"
                )
            keys = project.views[found.view].join_keys
            wrong = [key for key in ref.join_keys if key not in keys]
            if wrong:
                raise DefinitionError(
                    f"{where}: field 'join_keys': '{wrong[0]}' is no join key of view "
                    f"'{found.view}'{hint(wrong[0], keys)}"
                )
            if ref.output in outputs:
                raise DefinitionError(
                    f"{where}: two outputs are called '{ref.output}'; give one an alias="
                )
            outputs.add(ref.output)
