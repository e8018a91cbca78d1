"""From features to the columns of sources that they are computed from, and what each is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headwater.definitions.source import Source
from headwater.errors import ExpressionError
from headwater.expressions.parse import parse
from headwater.expressions.tree import Node
from headwater.expressions.walk import aggregates_of, columns_of
from headwater.lineage.contents import Contents
from headwater.lineage.roles import Role, ordered, roles_in, through
from headwater.registry.bound import Versioned
from headwater.registry.kinds import FeatureVersion, Revision

Place = tuple[str, str]
"""A source and one of its columns."""
_ORDERED = frozenset({"first", "last", "last_k"})


@dataclass(frozen=True)
class ColumnUse:
    """A column of a source, and what it is for."""

    source: str
    column: str
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class FeatureColumns:
    """The columns that the values of one version of a feature are computed from.

    `ties` are sources whose other columns count too, and only where two rows of a key agree in
    their times and their sequence: then the whole row says which one is the later (C4).
    """

    feature: str
    version: str
    columns: tuple[ColumnUse, ...]
    ties: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    roles: Mapping[Place, set[Role]]
    ties: frozenset[str]


class ColumnLineage:
    """The columns behind the features of one generation of a project."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._done: dict[Versioned, _Found] = {}

    def of(self, version: Versioned) -> FeatureColumns:
        """The columns behind a version, through all features that it reads."""
        found = self._found(version)
        return FeatureColumns(*version, _told(found.roles), tuple(sorted(found.ties)))

    def _found(self, version: Versioned) -> _Found:
        """Without recursion: a chain of features may be longer than Python's stack."""
        waiting = [version]
        while waiting:
            now = waiting[-1]
            missing = [one for one in self._contents.inputs(now) if one not in self._done]
            if missing and now not in self._done:
                waiting.extend(missing)
            else:
                waiting.pop()
                if now not in self._done:
                    self._done[now] = self._combined(now)
        return self._done[version]

    def _combined(self, version: Versioned) -> _Found:
        """The columns that a version reads itself, and those of its inputs."""
        direct = self._direct(version)
        roles, ties = dict(direct.roles), set(direct.ties)
        names = _names(self._contents, version)
        for read in self._contents.inputs(version):
            inner = self._done[read]
            ties |= inner.ties
            for place, played in inner.roles.items():
                for role in played:
                    used = through(role, names.get(read[0], {"value"}))
                    roles[place] = roles.get(place, set()) | used
        return _Found(roles, frozenset(ties))

    def direct(self, version: Versioned) -> tuple[ColumnUse, ...]:
        """The columns that a version reads itself, not through its inputs."""
        return _told(self._direct(version).roles)

    def roles(self, version: Versioned, place: Place) -> tuple[Role, ...]:
        """What a column is for in a version that reads it itself."""
        return ordered(self._direct(version).roles.get(place, set()))

    def _direct(self, version: Versioned) -> _Found:
        content, home = self._contents.content(version), self._contents.home(version)
        source = None if home is None else self._contents.source(home)
        if source is None or home is None or content.kind == "derived":
            return _Found({}, frozenset())
        names = _names(self._contents, version)
        roles: dict[Place, set[Role]] = {
            (source.name, column): set(names.get(column, ("value",))) for column in content.columns
        }
        for column, role in _around(source, self._keys(home)):
            roles.setdefault((source.name, column), set()).add(role)
        return _Found(roles, frozenset({source.name} if self.has_order(version) else ()))

    def has_order(self, version: Versioned) -> bool:
        """Whether it matters to a version which of two rows of a key is the later one."""
        content, home = self._contents.content(version), self._contents.home(version)
        source = None if home is None else self._contents.source(home)
        if source is None or content.kind == "derived":
            return False
        if content.kind in ("lookup", "sequence") or source.id_columns:
            return True
        tree = _tree(content)
        return tree is None or any(found.name in _ORDERED for found in aggregates_of(tree))

    def _keys(self, home: Revision) -> Iterable[str]:
        entity = self._contents.entity(home)
        return () if entity is None else entity.join_keys

    def reads(self, version: Versioned) -> frozenset[Place]:
        """The columns that a version reads itself, not those of its inputs; nothing is parsed."""
        content, home = self._contents.content(version), self._contents.home(version)
        source = None if home is None else self._contents.source(home)
        if source is None or home is None or content.kind == "derived":
            return frozenset()
        around = (column for column, _ in _around(source, self._keys(home)))
        return frozenset((source.name, column) for column in (*content.columns, *around))


def _told(roles: Mapping[Place, set[Role]]) -> tuple[ColumnUse, ...]:
    return tuple(
        ColumnUse(source, column, ordered(played))
        for (source, column), played in sorted(roles.items())
    )


def _around(source: Source, keys: Iterable[str]) -> Iterable[tuple[str, Role]]:
    """The columns that say whose a row is and when it counts."""
    for key in keys:
        yield key, "key"
    for column in columns_of(parse(source.event_time, f"source '{source.name}'")):
        yield column, "event_time"
    if source.available_at is not None:
        for column in columns_of(parse(source.available_at, f"source '{source.name}'")):
            yield column, "available_at"
    for column in source.id_columns:
        yield column, "id"
    if source.sequence is not None:
        yield source.sequence, "sequence"


def _names(contents: Contents, version: Versioned) -> Mapping[str, set[Role]]:
    """The names that a version reads, columns and features, with their roles."""
    found = {name: set(roles) for name, roles in _named(contents, version).items()}
    for name in contents.content(version).definition.get("via", {}).values():
        found.setdefault(name, set()).add("key")
    return found


def _named(contents: Contents, version: Versioned) -> Mapping[str, set[Role]]:
    """The names that stand in a version's definition, with their roles."""
    content, home = contents.content(version), contents.home(version)
    function = content.definition.get("function")
    if function is not None or home is None:
        keys = {*content.definition.get("via", {}).values()} - {*(function or {}).get("inputs", ())}
        return {n: {"value"} for n in (*content.columns, *content.inputs) if n not in keys}
    known = {*content.columns, *content.inputs}
    tree = _tree(content)

    def inner(name: str) -> Node | None:
        """A row-level feature of the view, whose expression stands for its name."""
        if name in known:
            return None
        declared = {feature.name: feature for feature in contents.view(home).features}
        other = declared.get(name)
        return None if other is None or other.function else _parsed(other.definition, name)

    return {} if tree is None else roles_in(tree, inner)


def _tree(content: FeatureVersion) -> Node | None:
    return _parsed(content.definition.get("expression", content.name), content.name)


def _parsed(sql: str, name: str) -> Node | None:
    """The tree of an expression; None where an older Headwater allowed what this one refuses."""
    try:
        return parse(sql, f"feature '{name}'")
    except ExpressionError:
        return None
