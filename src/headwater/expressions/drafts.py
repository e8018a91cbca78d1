"""A view with its objects looked up and its expressions parsed: the analysis's raw material."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headwater.definitions.collection import Definitions
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.types import INTEGERS, KEY_TYPES
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError, near_miss
from headwater.expressions.parse import parse
from headwater.expressions.tree import Node
from headwater.expressions.types import type_of
from headwater.expressions.walk import columns_of

Schema = Mapping[str, str]


def check_source(source: Source, schema: Schema) -> None:
    """Check that the columns that a source names exist, and that its times are times."""
    where = f"source '{source.name}'"
    for field in ("event_time", "available_at"):
        text = getattr(source, field)
        if text is None:
            continue
        place = f"{where}: field '{field}'"
        tree = parse(text, place)
        unknown = next((name for name in columns_of(tree) if name not in schema), None)
        if unknown is not None:
            raise DefinitionError(f"{place}: no column '{unknown}'{hint(unknown, schema)}")
        found = type_of(tree, schema, place)
        if found not in ("timestamp", "date"):
            how = f"; CAST({text} AS TIMESTAMP) makes one of ISO texts" if found == "string" else ""
            raise DefinitionError(f"{place}: is {found}; a timestamp or a date is expected{how}")
    named = [("id", column) for column in source.id_columns]
    named += [("sequence", source.sequence)] if source.sequence is not None else []
    for field, column in named:
        if column not in schema:
            raise DefinitionError(
                f"{where}: field '{field}': no column '{column}'{hint(column, schema)}"
            )
    if source.sequence is not None and schema[source.sequence] not in (*INTEGERS, "timestamp"):
        raise DefinitionError(
            f"{where}: field 'sequence': column '{source.sequence}' is "
            f"{schema[source.sequence]}; an integer or a timestamp is expected"
        )


def hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return near_miss(name, names) or f" (columns: {', '.join(names[:12])})"


@dataclass(frozen=True)
class Draft:
    """A view with its objects looked up and its expressions parsed."""

    view: FeatureView
    entity: Entity | None
    source: Source | None
    schema: Schema
    trees: Mapping[str, Node | None]

    @classmethod
    def of(
        cls, view: FeatureView, definitions: Definitions, schemas: Mapping[str, Schema]
    ) -> Draft:
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
        """The features that a feature reads: those that it names, and those that are keys."""
        return tuple(dict.fromkeys([*self.named(feature), *feature.via.values()]))

    def named(self, feature: Feature) -> tuple[str, ...]:
        """The features that a definition names: names that are no column of the source."""
        names: Iterable[str]
        if feature.function is not None:
            names = feature.function.inputs
        else:
            tree = self.trees[feature.name]
            names = columns_of(tree) if tree is not None else ()
        known = {*self.schema, *feature.request}
        return tuple(name for name in names if name not in known)


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
                f"{where}: source '{source.name}' has no column '{key}'{hint(key, schema)}"
            )
        found = schema[key]
        if found != dtype and not (found in INTEGERS and dtype in INTEGERS):
            raise DefinitionError(
                f"{where}: is {dtype}, but column '{key}' of source '{source.name}' is {found}"
            )
        if found not in KEY_TYPES:
            raise DefinitionError(f"{where}: a {found} can't be a join key")
