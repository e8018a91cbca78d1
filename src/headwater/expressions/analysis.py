"""From definitions to what they mean: kinds, types, dependencies, order and hashes. No I/O.

The schema of a source is asked of the caller, since reading it is an engine's work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from headwater.definitions.collection import Definitions
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.types import FLOATS, INTEGERS, KEY_TYPES, NUMBERS
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError, near_miss
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView, Kind
from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Cast, Column, Node
from headwater.expressions.types import type_of
from headwater.expressions.walk import (
    aggregates_of,
    columns_of,
    replace,
    sequence_calls_of,
    uses,
)

Schema = Mapping[str, str]


def analyze(definitions: Definitions, schema_of: Callable[[Source], Schema]) -> AnalyzedProject:
    """Resolve all definitions against one another and against the columns of their sources.

    Raises DefinitionError (or ExpressionError) that names object, field and fix.
    """
    schemas = {name: dict(schema_of(source)) for name, source in definitions.sources.items()}
    for name, source in definitions.sources.items():
        check_source(source, schemas[name])
    drafts = {
        view.name: _Draft.of(view, definitions, schemas) for view in definitions.views.values()
    }
    owners = {f.name: name for name, draft in drafts.items() for f in draft.view.features}
    views: dict[str, AnalyzedView] = {}
    for name in _view_order(drafts, owners):
        views[name] = _finish(drafts[name], owners, views)
    project = AnalyzedProject(
        entities=definitions.entities,
        sources=definitions.sources,
        views={name: views[name] for name in definitions.views},
        services=definitions.services,
    )
    _check_services(project)
    return project


def check_source(source: Source, schema: Schema) -> None:
    """Check that the columns that a source names exist, and that its times are times."""
    where = f"source '{source.name}'"
    for field in ("event_time", "available_at"):
        text = getattr(source, field)
        if text is None:
            continue
        place = f"{where}: field '{field}'"
        found = type_of(parse(text, place), schema, place)
        if found not in ("timestamp", "date"):
            raise DefinitionError(f"{place}: is a {found}; a timestamp or a date is expected")
    named = [("id", column) for column in source.id_columns]
    named += [("sequence", source.sequence)] if source.sequence is not None else []
    for field, column in named:
        if column not in schema:
            raise DefinitionError(
                f"{where}: field '{field}': no column '{column}'{_hint(column, schema)}"
            )
    if source.sequence is not None and schema[source.sequence] not in (*INTEGERS, "timestamp"):
        raise DefinitionError(
            f"{where}: field 'sequence': column '{source.sequence}' is a "
            f"{schema[source.sequence]}; an integer or a timestamp is expected"
        )


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return near_miss(name, names) or f" (columns: {', '.join(names[:12])})"


@dataclass(frozen=True)
class _Draft:
    """A view with its objects looked up and its expressions parsed."""

    view: FeatureView
    entity: Entity | None
    source: Source | None
    schema: Schema
    trees: Mapping[str, Node | None]

    @classmethod
    def of(
        cls, view: FeatureView, definitions: Definitions, schemas: Mapping[str, Schema]
    ) -> _Draft:
        entity = definitions.entities[view.entity_name] if view.entity_name else None
        source = definitions.sources[view.source_name] if view.source_name else None
        schema = schemas[source.name] if source else {}
        if source is not None and entity is not None:
            _check_keys(view, entity, source, schema)
        trees = {f.name: _tree(view, f) for f in view.features}
        return cls(view, entity, source, schema, trees)

    def where(self, feature: str, field: str = "expression") -> str:
        return f"feature view '{self.view.name}': feature '{feature}': field '{field}'"

    def reads(self, feature: Feature) -> tuple[str, ...]:
        """The features that a feature reads: names that are no column of the source."""
        names: Iterable[str]
        if feature.function is not None:
            names = feature.function.inputs
        else:
            tree = self.trees[feature.name]
            names = columns_of(tree) if tree is not None else ()
        return tuple(name for name in names if name not in self.schema)


def _tree(view: FeatureView, feature: Feature) -> Node | None:
    if feature.function is not None:
        return None
    where = f"feature view '{view.name}': feature '{feature.name}': field 'expression'"
    return parse(feature.definition, where)


def _check_keys(view: FeatureView, entity: Entity, source: Source, schema: Schema) -> None:
    for key, dtype in entity.join_keys.items():
        where = f"feature view '{view.name}': join key '{key}' of entity '{entity.name}'"
        if key not in schema:
            raise DefinitionError(
                f"{where}: source '{source.name}' has no column '{key}'{_hint(key, schema)}"
            )
        found = schema[key]
        if found != dtype and not (found in INTEGERS and dtype in INTEGERS):
            raise DefinitionError(
                f"{where}: is a {dtype}, but column '{key}' of source '{source.name}' is a {found}"
            )
        if found not in KEY_TYPES:
            raise DefinitionError(f"{where}: a {found} can't be a join key")


def _view_order(drafts: Mapping[str, _Draft], owners: Mapping[str, str]) -> list[str]:
    """Views so that each comes after those it reads. A cycle is an error that prints it."""
    edges: dict[str, set[str]] = {}
    for draft in drafts.values():
        for feature in draft.view.features:
            reads = draft.reads(feature)
            for name in reads:
                if name not in owners:
                    raise _unknown(draft, feature.name, name, owners)
            edges[feature.name] = set(reads)
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        first = error.args[1][0]
        raise DefinitionError(
            f"feature '{first}': its definition depends on itself: {cycle}"
        ) from None
    ranks = {name: position for position, name in enumerate(order)}
    views: dict[str, set[str]] = {
        name: {
            owners[read]
            for feature in draft.view.features
            for read in draft.reads(feature)
            if owners[read] != name
        }
        for name, draft in drafts.items()
    }
    try:
        return list(TopologicalSorter(views).static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        feature = min(
            (f.name for f in drafts[error.args[1][0]].view.features), key=lambda n: ranks[n]
        )
        raise DefinitionError(
            f"feature view '{error.args[1][0]}': depends on itself through other views: {cycle} "
            f"(by way of '{feature}'); move its features into a view of their own"
        ) from None


def _unknown(draft: _Draft, feature: str, name: str, owners: Mapping[str, str]) -> DefinitionError:
    places = [*draft.schema, *owners]
    if draft.source is not None:
        what = f"no column '{name}' in source '{draft.source.name}', nor a feature of that name"
    else:
        what = f"no feature '{name}'"
    field = "function" if draft.view.feature(feature).function is not None else "expression"
    return DefinitionError(f"{draft.where(feature, field)}: {what}{_hint(name, places)}")


# --- one view ---------------------------------------------------------------------------


def _finish(
    draft: _Draft, owners: Mapping[str, str], views: Mapping[str, AnalyzedView]
) -> AnalyzedView:
    view = draft.view
    inputs = _input_views(draft, owners)
    if draft.source is not None and inputs:
        raise DefinitionError(
            f"feature view '{view.name}': reads features of view '{inputs[0]}' beside its source "
            f"'{draft.source.name}'; put these features into a view without 'source'"
        )
    if draft.source is None:
        _check_derived_view(draft, inputs, views)
    known: dict[str, AnalyzedFeature] = {f.name: f for name in inputs for f in views[name].features}
    done: dict[str, AnalyzedFeature] = {}
    for feature in _feature_order(draft, owners):
        done[feature.name] = _analyze_feature(draft, feature, {**known, **done})
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
        revision=_revision(draft, features),
        stored=stored,
        notes=tuple(_notes(draft, owners)),
    )


def _input_views(draft: _Draft, owners: Mapping[str, str]) -> tuple[str, ...]:
    found = {owners[n] for f in draft.view.features for n in draft.reads(f)}
    return tuple(sorted(found - {draft.view.name}))


def _check_derived_view(
    draft: _Draft, inputs: tuple[str, ...], views: Mapping[str, AnalyzedView]
) -> None:
    view = draft.view
    if view.ttl is not None:
        raise DefinitionError(
            f"feature view '{view.name}': field 'ttl': bounds the age of a source's rows; set it on "
            "the views that this one reads"
        )
    if not inputs:
        raise DefinitionError(
            f"feature view '{view.name}': has neither 'source' nor features of other views to "
            "compute from; give 'source'"
        )
    own = {} if draft.entity is None else dict(draft.entity.join_keys)
    for name in inputs:
        for key, dtype in views[name].join_keys.items():
            if own.get(key) != dtype:
                entity = f"entity '{draft.entity.name}'" if draft.entity else "no entity"
                raise DefinitionError(
                    f"feature view '{view.name}': field 'entity': reads view '{name}', keyed by "
                    f"'{key}' ({dtype}), but {entity} has no such join key"
                )


def _feature_order(draft: _Draft, owners: Mapping[str, str]) -> list[Feature]:
    features = {f.name: f for f in draft.view.features}
    edges = {
        name: {read for read in draft.reads(f) if owners.get(read) == draft.view.name}
        for name, f in features.items()
    }
    order = TopologicalSorter({name: edges[name] for name in features}).static_order()
    return [features[name] for name in order]


def _analyze_feature(
    draft: _Draft, feature: Feature, known: Mapping[str, AnalyzedFeature]
) -> AnalyzedFeature:
    tree = draft.trees[feature.name]
    if tree is not None and _is_row_level(draft, feature, tree):
        tree = _inline(draft, tree, known)
    kind = _kind(draft, feature, tree)
    dtype = _dtype(draft, feature, tree, known)
    if tree is not None:
        where = draft.where(feature.name)
        found = type_of(tree, _types(draft, known), where)
        if found != dtype:
            tree = Cast(tree, dtype)
    names = feature.function.inputs if feature.function is not None else ()
    names = columns_of(tree) if tree is not None else names
    columns = tuple(name for name in names if name in draft.schema)
    inputs = tuple(name for name in names if name not in draft.schema)
    _check_default(draft, feature, dtype)
    data_hash = _data_hash(draft, feature, kind, dtype, tree, [known[name] for name in inputs])
    serving = _digest([data_hash, draft.view.ttl, _jsonable(feature.default)])
    return AnalyzedFeature(
        feature=feature,
        view=draft.view.name,
        kind=kind,
        dtype=dtype,
        tree=tree,
        columns=columns,
        inputs=inputs,
        data_hash=data_hash,
        serving_hash=serving,
    )


def _is_row_level(draft: _Draft, feature: Feature, tree: Node) -> bool:
    """Whether the expression works on rows, and not on the values of features alone."""
    framed = feature.window is not None or feature.rows is not None
    computes = bool(aggregates_of(tree) or sequence_calls_of(tree))
    return framed or computes or any(name in draft.schema for name in columns_of(tree))


def _inline(draft: _Draft, tree: Node, known: Mapping[str, AnalyzedFeature]) -> Node:
    """Put the expression of a row-level feature of this view where its name stands.

    So an aggregate or a sequence may work on a lookup feature by its name. Where an expression
    reads features alone it stays as it is: then their defaults count (C10).
    """

    def expand(node: Node) -> Node | None:
        if not isinstance(node, Column) or node.name in draft.schema:
            return None
        found = known.get(node.name)
        if found is None or found.view != draft.view.name or found.tree is None:
            return None
        return found.tree if found.kind in ("lookup", "sequence") else None

    return replace(tree, expand)


def _kind(draft: _Draft, feature: Feature, tree: Node | None) -> Kind:
    where = draft.where(feature.name)
    if tree is None:
        assert feature.function is not None  # noqa: S101
        if draft.source is None:
            raise DefinitionError(
                f"{where}: a Python function computes from the rows of a source; "
                f"view '{draft.view.name}' has none"
            )
        outside = [n for n in feature.function.inputs if n not in draft.schema]
        if outside:
            raise DefinitionError(
                f"{draft.where(feature.name, 'function')}: input '{outside[0]}' is no column of "
                f"source '{draft.source.name}'{_hint(outside[0], draft.schema)}"
            )
        return "sequence" if feature.function.mode == "sequence" else "lookup"
    aggregates, sequences = aggregates_of(tree), sequence_calls_of(tree)
    names = columns_of(tree)
    columns = [name for name in names if name in draft.schema]
    features = [name for name in names if name not in draft.schema]
    if uses(tree, "as_of") and draft.source is not None and draft.view.ticks is None:
        raise DefinitionError(
            f"{where}: as_of() is the time of reading, and a real_time view stores its values "
            "earlier; use it in a view without 'source', or give this one ticks"
        )
    if feature.window is not None:
        return _windowed(draft, feature, tree, bool(aggregates), bool(sequences))
    if feature.rows is not None or sequences:
        if features:
            raise DefinitionError(
                f"{where}: '{features[0]}' is no column of the source; a sequence feature reads "
                "columns and row-level features of its own view"
            )
        return "sequence"
    if aggregates:
        raise DefinitionError(
            f"{where}: aggregate '{aggregates[0].name}' needs a frame; give window='7d' (or "
            "'lifetime') for a window of time, or rows=20 for a number of rows"
        )
    if features and columns:
        raise DefinitionError(
            f"{where}: mixes the column '{columns[0]}' with the feature '{features[0]}'; make the "
            "column a feature of its own first"
        )
    return "derived" if features or draft.source is None else "lookup"


def _windowed(
    draft: _Draft,
    feature: Feature,
    tree: Node,
    aggregates: bool,
    sequences: bool,  # noqa: FBT001
) -> Kind:
    where = draft.where(feature.name)
    if draft.source is None:
        raise DefinitionError(
            f"{draft.where(feature.name, 'window')}: view '{draft.view.name}' has no source whose "
            "rows a window could hold"
        )
    if sequences:
        raise DefinitionError(f"{where}: a sequence function has no 'window'; use rows=")
    if not aggregates:
        raise DefinitionError(
            f"{where}: 'window' is given, but the expression holds no aggregate such as sum(...)"
        )
    outside = columns_of(_without_aggregates(tree))
    stray = [name for name in outside if name in draft.schema]
    if stray:
        raise DefinitionError(
            f"{where}: column '{stray[0]}' stands outside an aggregate; a window has many rows"
        )
    if outside:
        raise DefinitionError(
            f"{where}: mixes an aggregate with the feature '{outside[0]}'; name the aggregate as a "
            "feature of its own, then combine the two in a feature without 'window'"
        )
    for aggregate in aggregates_of(tree):
        inner = [n for part in (*aggregate.args, aggregate.where) if part for n in columns_of(part)]
        alien = [name for name in inner if name not in draft.schema]
        if alien:
            raise DefinitionError(
                f"{where}: '{alien[0]}' inside an aggregate is no column of source "
                f"'{draft.source.name}'{_hint(alien[0], draft.schema)}"
            )
        if any(
            part is not None and uses(part, "as_of") for part in (*aggregate.args, aggregate.where)
        ):
            raise DefinitionError(
                f"{where}: as_of() can't stand inside an aggregate; use it outside"
            )
    return "windowed"


def _without_aggregates(tree: Node) -> Node:
    from headwater.expressions.tree import Aggregate, Literal

    return replace(tree, lambda n: Literal(None, "null") if isinstance(n, Aggregate) else None)


def _types(draft: _Draft, known: Mapping[str, AnalyzedFeature]) -> dict[str, str]:
    return {**{name: f.dtype for name, f in known.items()}, **draft.schema}


def _dtype(
    draft: _Draft, feature: Feature, tree: Node | None, known: Mapping[str, AnalyzedFeature]
) -> str:
    if tree is None:
        assert feature.function is not None  # noqa: S101
        found = feature.function.output
    else:
        found = type_of(tree, _types(draft, known), draft.where(feature.name))
    if feature.dtype is None:
        if found == "null":
            raise DefinitionError(
                f"{draft.where(feature.name, 'dtype')}: the expression is always null; give a type"
            )
        return found
    fits = feature.dtype == found or found == "null"
    if not fits and not (feature.dtype in NUMBERS and found in NUMBERS and tree is not None):
        raise DefinitionError(
            f"{draft.where(feature.name, 'dtype')}: is {feature.dtype}, but the definition gives "
            f"{found}; write a cast (x::{feature.dtype}) or declare {found}"
        )
    return feature.dtype


def _check_default(draft: _Draft, feature: Feature, dtype: str) -> None:
    value = feature.default
    if value is None:
        return
    python: dict[str, type | tuple[type, ...]] = {
        **dict.fromkeys(INTEGERS, int),
        **dict.fromkeys(FLOATS, (int, float)),
        "bool": bool,
        "string": str,
    }
    expected = python.get(dtype)
    wrong_bool = isinstance(value, bool) and dtype != "bool"
    if expected is None or not isinstance(value, expected) or wrong_bool:
        raise DefinitionError(
            f"{draft.where(feature.name, 'default')}: {value!r} does not fit the type {dtype}"
            + ("" if expected is not None else "; only bool, numbers and strings have defaults")
        )


def _check_kinds(view: FeatureView, features: tuple[AnalyzedFeature, ...]) -> None:
    windowed = [f.name for f in features if f.kind == "windowed"]
    rows = [f.name for f in features if f.kind in ("lookup", "sequence")]
    if windowed and rows:
        raise DefinitionError(
            f"feature view '{view.name}': '{windowed[0]}' is an aggregate over a window and "
            f"'{rows[0]}' belongs to the latest row; put them into two views"
        )


# --- hashes -----------------------------------------------------------------------------


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _jsonable(value: Any) -> Any:
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


def _view_content(draft: _Draft) -> Any:
    view = draft.view
    ticks = view.ticks
    return {
        "source": _source_content(draft.source),
        "columns": dict(draft.schema) if draft.source is not None and draft.source.query else None,
        "keys": list(draft.entity.join_keys.items()) if draft.entity is not None else None,
        "ticks": [ticks.period, ticks.at, ticks.timezone] if ticks is not None else None,
        "data_delay": view.data_delay,
    }


def _data_hash(
    draft: _Draft,
    feature: Feature,
    kind: Kind,
    dtype: str,
    tree: Node | None,
    inputs: list[AnalyzedFeature],
) -> str:
    own = {f.name for f in draft.view.features}
    return _digest(
        {
            "view": _view_content(draft),
            "kind": kind,
            "dtype": dtype,
            "expression": canonical(tree) if tree is not None else None,
            "function": feature.function.to_dict() if feature.function is not None else None,
            "frame": [
                feature.window,
                feature.tail_hop,
                feature.offset or 0,
                feature.rows,
                feature.min_rows or feature.rows,
            ],
            "inputs": [_input(f, own=f.name in own) for f in inputs],
        }
    )


def _input(feature: AnalyzedFeature, *, own: bool) -> list[Any]:
    """What of an input defines a derived value: within a view its default, across views its ttl
    too.
    """
    if own:
        return [feature.name, feature.data_hash, _jsonable(feature.feature.default)]
    return [feature.name, feature.serving_hash]


def _revision(draft: _Draft, features: tuple[AnalyzedFeature, ...]) -> str:
    columns = sorted((f.name, f.data_hash) for f in features)
    return _digest({"view": _view_content(draft), "features": columns})


# --- notes and services -----------------------------------------------------------------


def _notes(draft: _Draft, owners: Mapping[str, str]) -> Iterable[str]:
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
        if not (owners[name] == view.name and view.feature(name).definition == name):
            yield (
                f"feature view '{view.name}': '{name}' is the column of source "
                f"'{source.name if source else ''}', which shadows the feature '{name}'"
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
                    f"'{found.view}'{_hint(wrong[0], keys)}"
                )
            if ref.output in outputs:
                raise DefinitionError(
                    f"{where}: two outputs are called '{ref.output}'; give one an alias="
                )
            outputs.add(ref.output)
