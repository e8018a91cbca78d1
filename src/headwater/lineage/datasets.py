"""What sources and feature views are called in OpenLineage, and what is behind their columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.parse import parse
from headwater.expressions.printing import quote
from headwater.expressions.tree import Column
from headwater.expressions.walk import aggregates_of
from headwater.lineage import facets
from headwater.lineage.columns import ColumnUse
from headwater.lineage.contents import Contents
from headwater.lineage.facets import InputField, Json, Name
from headwater.lineage.origins import Origin, Origins, origins_of
from headwater.lineage.project import ProjectLineage
from headwater.registry.bound import Versioned
from headwater.registry.kinds import FeatureVersion, Revision

_cached_origins = lru_cache(maxsize=256)(origins_of)


@dataclass(frozen=True)
class Datasets:
    """The datasets of a project whose folder is `root`.

    Files have the namespace `file`, tables of a DuckDB file that of the file; a feature view has
    `headwater://PROJECT`, and so has a query that can't be followed to its tables.
    """

    project: str
    root: Path
    lineage: ProjectLineage

    def view_name(self, view: str) -> Name:
        return Name(f"headwater://{self.project}", view)

    def names_of(self, source: Source) -> list[Name]:
        """The datasets from which the rows of a source come."""
        if source.query is None:
            return [self._table(source, place) for place in _cached_origins(source).tables]
        origins = _cached_origins(source)
        if not origins.known or not origins.tables:
            return [self._query(source)]
        return [self._table(source, place) for place in origins.tables]

    def _query(self, source: Source) -> Name:
        return Name(f"headwater://{self.project}", f"source/{source.name}")

    def _table(self, source: Source, place: str) -> Name:
        """A file by its absolute path, a table by its DuckDB file and its own name."""
        if source.path is not None or (source.database is None and _is_file(place)):
            return Name("file", str(self.root / place))
        if source.database is None:
            return Name(f"headwater://{self.project}", place)
        table = source.table or place
        name = table if "." in table else f"main.{table}"
        return Name(f"duckdb://{self.root / source.database}", name)

    def inputs(self, home: Revision) -> list[Source]:
        """The sources behind a revision, its own and those of the views that it reads."""
        return list(self.lineage.contents.named(Source, home.sources).values())

    def input(self, source: Source, home: Revision, snapshot: str) -> list[Json]:
        """The datasets of a source, with its columns and which rows were seen."""
        columns = [(name, dtype, "") for name, dtype in home.schemas.get(source.name, {}).items()]
        told = {"schema": facets.schema(columns)} if columns and source.query is None else {}
        told |= {"version": facets.version(snapshot)} if snapshot else {}
        return [facets.dataset(name, dict(told)) for name in self.names_of(source)]

    def output(self, home: Revision, versions: Iterable[Versioned]) -> Json:
        """The dataset of a view, with its columns and all columns behind them."""
        contents = self.lineage.contents
        chosen = list(versions)
        contents.load(chosen)
        view = contents.view(home)
        described = {feature.name: feature.description for feature in view.features}
        columns = [
            *((key, dtype, "") for key, dtype in self._keys(home)),
            *((f.name, f.dtype, described.get(f.name, "")) for f in home.features),
        ]
        lineage = {version[0]: self._fields(version) for version in chosen}
        told = {
            "schema": facets.schema(columns),
            "columnLineage": facets.column_lineage(lineage),
            "version": facets.version(home.revision),
        }
        if view.owner:
            told["ownership"] = facets.ownership(view.owner)
        return facets.dataset(self.view_name(home.name), told)

    def _keys(self, home: Revision) -> Iterable[tuple[str, str]]:
        entity = self.lineage.contents.entity(home)
        return () if entity is None else entity.join_keys.items()

    def _fields(self, version: Versioned) -> list[InputField]:
        sources = self._sources(version)
        value = _value_kind(self.lineage.contents, version)
        return [
            field
            for use in self.lineage.columns.of(version).columns
            if use.source in sources
            for field in self._behind(sources[use.source], use, value)
        ]

    def _sources(self, version: Versioned) -> dict[str, Source]:
        home = self.lineage.contents.home(version)
        return {} if home is None else {source.name: source for source in self.inputs(home)}

    def _behind(self, source: Source, use: ColumnUse, value: str) -> list[InputField]:
        """A column of a source as columns of datasets; of a query, those that it reads."""
        if source.query is None:
            return [InputField(n, use.column, use.roles, value) for n in self.names_of(source)]
        origins: Origins = _cached_origins(source)
        found = origins.of(use.column)
        if found is None:
            return [InputField(self._query(source), use.column, use.roles, value)]
        direct = [self._origin(source, origin, use, value) for origin in found]
        filters = [
            InputField(self._table(source, origin.table), origin.column, ("filter",))
            for origin in origins.filters
        ]
        return [*direct, *filters]

    def _origin(self, source: Source, origin: Origin, use: ColumnUse, value: str) -> InputField:
        how = value if value == "AGGREGATION" else "TRANSFORMATION"
        return InputField(self._table(source, origin.table), origin.column, use.roles, how)


def _is_file(place: str) -> bool:
    return "/" in place or place.lower().endswith((".parquet", ".csv", ".json"))


def _value_kind(contents: Contents, version: Versioned) -> str:
    """How a value gets into a feature: as it is, transformed, or added up."""
    content = contents.content(version)
    if content.definition.get("function") is not None:
        return "TRANSFORMATION"
    tree = parse(content.definition.get("expression", content.name), f"feature '{content.name}'")
    if content.kind == "lookup" and isinstance(tree, Column):
        return "IDENTITY"
    return "AGGREGATION" if aggregates_of(tree) else "TRANSFORMATION"


def as_sql(home: Revision, view: FeatureView, versions: Iterable[FeatureVersion]) -> str:
    """What a view computes, written as a query: to be read, not to be run."""
    columns = []
    for content in versions:
        definition = content.definition
        text = definition.get("expression", content.name)
        if "function" in definition:
            text = f"{definition['function']['path']}({', '.join(content.columns)})"
        frame = [f"{name} {definition[name]}" for name in ("window", "rows") if name in definition]
        note = f" /* {', '.join(frame)} */" if frame else ""
        columns.append(f"  {text} AS {quote(content.name)}{note}")
    places = [home.source] if home.source else sorted(set(home.views) - {home.name})
    entity = f" /* by {view.entity_name} */" if view.entity_name else ""
    return "SELECT\n" + ",\n".join(columns) + f"\nFROM {', '.join(map(quote, places))}{entity}"
