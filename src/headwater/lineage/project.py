"""The lineage of a project: what each of its parts comes from, and what it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from headwater.errors import NotFoundError, near_miss
from headwater.lineage.columns import ColumnLineage, Place
from headwater.lineage.contents import Contents
from headwater.lineage.graph import Direction, Drawing, Graph, Node, reach
from headwater.lineage.models import ModelUse, model_uses, used_by
from headwater.lineage.origins import origins_of
from headwater.registry.bound import Versioned
from headwater.registry.lineage import FeatureGraph
from headwater.registry.state import known_feature, no_version
from headwater.registry.store import Registry
from headwater.registry.versions import known_version


class Lineages:
    """The lineage of a project as it stands; read again where the project has changed.

    `graph` gives the present graph of features.
    """

    def __init__(self, registry: Registry, project: str, graph: Callable[[], FeatureGraph]) -> None:
        self._registry, self._project, self._graph = registry, project, graph
        self._seen: ProjectLineage | None = None

    def now(self) -> ProjectLineage:
        graph, seen = self._graph(), self._seen
        if seen is None or seen.contents.graph is not graph:
            seen = ProjectLineage(Contents(self._registry, self._project, graph))
            self._seen = seen
        return seen


class ProjectLineage:
    """The lineage of one generation of a project, of its current versions."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.columns = ColumnLineage(contents)
        self._features: dict[str, Node] = {}

    # --- what there is ----------------------------------------------------------------------

    def find(self, text: str) -> Node:
        """The node that a text names: a feature, a source, `source.column`, a service, or one by
        its id (`model:churn`). Raises NotFoundError with the nearest name.
        """
        kind, colon, name = text.partition(":")
        if colon and kind in self._makers:
            found = self._makers[kind](name)
        else:
            tried = (make(text) for kind, make in self._makers.items() if kind != "model")
            found = next((node for node in tried if node is not None), None)
        if found is None:
            raise NotFoundError(self._unknown(text))
        return found

    @cached_property
    def _makers(self) -> Mapping[str, Callable[[str], Node | None]]:
        head = self.contents.head
        return {
            "feature": lambda name: self.feature(name) if name in head.features else None,
            "source": lambda name: Node("source", name) if name in head.sources else None,
            "column": self._column,
            "service": lambda name: Node("service", name) if name in head.services else None,
            "model": lambda name: Node("model", name),
        }

    def _column(self, name: str) -> Node | None:
        source, _, column = name.partition(".")
        return Node("column", name) if column in self.contents.schemas.get(source, ()) else None

    def _unknown(self, text: str) -> str:
        head = self.contents.head
        source, dot, column = text.removeprefix("column:").partition(".")
        if dot and source in head.sources:
            names = sorted(self.contents.schemas.get(source, ()))
            return f"source '{source}' has no column '{column}'{near_miss(column, names)}"
        known = [*head.features, *head.sources, *head.services]
        return f"there is no feature, source or service '{text}'{near_miss(text, known)}"

    def feature(self, name: str) -> Node:
        node = self._features.get(name)
        if node is None:
            entry = self.contents.head.features.get(name)
            told = (None, "unresolved") if entry is None else (entry.current, entry.status)
            node = self._features[name] = Node("feature", name, *told)
        return node

    def features(self) -> list[Node]:
        """Every feature, for a graph of the whole project."""
        return [self.feature(name) for name in self.contents.head.features]

    def current(self, names: Iterable[str]) -> list[Versioned]:
        """The current versions of features, those that are registered."""
        features = self.contents.head.features
        return [(name, features[name].current) for name in names if name in features]

    def version(self, name: str, number: str | None = None) -> Versioned:
        """A version of a feature, the current one unless given; `1.0` means 1.0.0.

        Raises NotFoundError for an unknown feature or version.
        """
        entry = known_feature(self.contents.head, name)
        found = known_version(entry, number or entry.current)
        if found is None:
            raise NotFoundError(no_version(entry, name, number or ""))
        return name, found

    # --- graphs -----------------------------------------------------------------------------

    def graph(
        self, starts: Iterable[Node], *, direction: Direction = "both", depth: int | None = None
    ) -> Graph:
        """What some nodes come from and lead to, through `depth` features at the most."""
        given = list(starts)
        drawing = Drawing(given)
        if direction != "down":
            self._upward(drawing, given, depth)
        if direction != "up":
            self._downward(drawing, given, depth)
        return drawing.graph()

    def _upward(self, drawing: Drawing, starts: Iterable[Node], depth: int | None) -> None:
        names: dict[str, None] = {}
        for node in starts:
            if node.kind == "feature":
                names[node.name] = None
            elif node.kind == "service":
                for ref in self.contents.services[node.name].features:
                    drawing.edge(self.feature(ref.feature), node, _pin(ref.version))
                    names[ref.feature] = None
            elif node.kind == "model":
                for use in used_by(self.contents.registry, self.contents.project, node.name):
                    drawing.edge(self.feature(use.feature), node, (use.environment,))
                    names[use.feature] = None
            else:
                self._below_ground(drawing, [node])
        reached = reach(
            names,
            self.contents.graph.upstream,
            depth,
            lambda name, above: self._draw(drawing, name, above),
        )
        self._with_columns(drawing, reached)

    def _draw(self, drawing: Drawing, name: str, above: str) -> None:
        """The edge to a feature from what it depends on, which may be read at another version than
        the current one.
        """
        node, entry = self.feature(above), self.contents.head.features.get(name)
        own = () if entry is None else self.contents.inputs((name, entry.current))
        read = dict(own).get(above, node.version)
        drawing.edge(node, self.feature(name), () if read == node.version else (f"reads {read}",))

    def _with_columns(self, drawing: Drawing, names: Iterable[str]) -> None:
        versions = self.current(names)
        self.contents.load(versions)
        columns: dict[str, Node] = {}
        for version in versions:
            for use in self.columns.direct(version):
                column = Node("column", f"{use.source}.{use.column}")
                columns[column.id] = column
                drawing.edge(column, self.feature(version[0]), use.roles)
        self._below_ground(drawing, columns.values())

    def _below_ground(self, drawing: Drawing, nodes: Iterable[Node]) -> None:
        """Sources and tables under columns and sources."""
        sources: dict[str, list[Node]] = {}
        for node in nodes:
            columns = sources.setdefault(node.name.partition(".")[0], [])
            columns += [node] if node.kind == "column" else []
        for name, columns in sources.items():
            source = self.contents.sources.get(name)
            if source is None:
                continue
            origins = origins_of(source)
            for table in origins.tables:
                drawing.edge(Node("table", table), Node("source", name))
            for node in columns:
                found = origins.of(node.name.partition(".")[2])
                is_unknown = source.query is not None and found is None
                drawing.edge(Node("source", name), node, ("unknown",) if is_unknown else ())
                for origin in dict.fromkeys([*(found or ()), *origins.filters]):
                    below = Node("table", f"{origin.table}.{origin.column}")
                    drawing.edge(below, node, (origin.role,))

    def _downward(self, drawing: Drawing, starts: Iterable[Node], depth: int | None) -> None:
        names: dict[str, None] = {}
        for node in starts:
            if node.kind == "feature":
                names[node.name] = None
            for place in self._columns_of(node):
                column = Node("column", ".".join(place))
                if node.kind == "source":
                    drawing.edge(node, column)
                for version in self.readers.get(place, ()):
                    if [version] == self.current([version[0]]):
                        roles = self.columns.roles(version, place)
                        drawing.edge(column, self.feature(version[0]), roles)
                        names[version[0]] = None
        reached = reach(
            names,
            self.contents.graph.downstream,
            depth,
            lambda name, below: self._draw(drawing, below, name),
        )
        self._with_readers(drawing, reached)

    def _columns_of(self, node: Node) -> list[Place]:
        source, _, column = node.name.partition(".")
        if node.kind == "column":
            return [(source, column)]
        is_source = node.kind == "source"
        return [place for place in self.readers if is_source and place[0] == source]

    def _with_readers(self, drawing: Drawing, names: Iterable[str]) -> None:
        """The services and models that read features."""
        reached = list(names)
        for name in reached:
            for service, version in self.served.get(name, ()):
                drawing.edge(self.feature(name), Node("service", service), _pin(version))
        for use in self.uses(reached):
            model = Node("model", use.model)
            if use.service in self.contents.services:
                drawing.edge(Node("service", str(use.service)), model, (use.environment,))
            else:
                drawing.edge(self.feature(use.feature), model, (use.environment,))

    # --- from below -------------------------------------------------------------------------

    def uses(self, features: Iterable[str]) -> list[ModelUse]:
        """The uses of features by models, by model and feature."""
        return model_uses(self.contents.registry, self.contents.project, set(features))

    @cached_property
    def readers(self) -> Mapping[Place, list[Versioned]]:
        """The live versions that read each column of a source themselves."""
        self.contents.load(self.contents.live)
        found: dict[Place, list[Versioned]] = {}
        for version in self.contents.live:
            for place in sorted(self.columns.reads(version)):
                found.setdefault(place, []).append(version)
        return found

    @cached_property
    def below(self) -> Mapping[Versioned, list[Versioned]]:
        """The live versions that read each version of a feature."""
        self.contents.load(self.contents.live)
        found: dict[Versioned, list[Versioned]] = {}
        for version in self.contents.live:
            for read in self.contents.inputs(version):
                found.setdefault(read, []).append(version)
        return found

    @cached_property
    def served(self) -> Mapping[str, list[tuple[str, str | None]]]:
        """The services that list each feature, with the version to which they pin it."""
        found: dict[str, list[tuple[str, str | None]]] = {}
        for name, service in self.contents.services.items():
            for ref in service.features:
                found.setdefault(ref.feature, []).append((name, ref.version))
        return found


def _pin(version: str | None) -> tuple[str, ...]:
    return () if version is None else (f"pinned {version}",)
