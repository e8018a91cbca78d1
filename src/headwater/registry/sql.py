"""The registry in a SQL database: SQLite or PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, delete, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from headwater.errors import NotFoundError, StoreError
from headwater.registry.changed import ChangedQuery, ChangedRow
from headwater.registry.connect import (
    BEGIN,
    file_of,
    new_engine,
    parse_url,
    reason,
    shown_url,
    use_wal,
)
from headwater.registry.fields import check_where, kept_values, order_of
from headwater.registry.head import Head, decode_head, encode_head
from headwater.registry.kinds import Commit, Kind, Stored, kind_of
from headwater.registry.listed import ListedFeature, ListedQuery, UsageGroup, UsageTotal
from headwater.registry.migrate import is_current, migrate
from headwater.registry.schema import commits, heads, objects, runs, usages
from headwater.registry.sql_changed import note, select_changed
from headwater.registry.sql_features import dialect_of, find, relist, totals
from headwater.registry.sql_usage import groups
from headwater.registry.store import another_generation, check_deletable

T = TypeVar("T")
_TABLES: dict[str, Table] = {"run": runs, "commit": commits, "usage": usages}
_CHUNK = 500


class SqlRegistry:
    """A registry at a SQLAlchemy URL. It connects, and makes its tables, at first use."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._opening = threading.Lock()
        self._opened: Engine | None = None
        self._file: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        return shown_url(self._url)

    def __repr__(self) -> str:
        return f"SqlRegistry({self.url!r})"

    def put(self, project: str, objects: Iterable[Stored]) -> None:
        by_kind: dict[str, tuple[Kind[Any], list[Any]]] = {}
        for item in objects:
            kind: Kind[Any] = kind_of(type(item))
            by_kind.setdefault(kind.name, (kind, []))[1].append(item)
        if not by_kind:
            return
        with self._writing() as connection:
            _make_project(connection, project)
            # In one order, so that two writers never wait for one another in a circle.
            for _, (kind, items) in sorted(by_kind.items()):
                _insert(connection, project, kind, items)

    def get(self, project: str, kind: type[T], key: str) -> T:
        found = self.get_many(project, kind, [key])
        if key not in found:
            raise NotFoundError(f"project '{project}' has no {kind_of(kind).name} '{key}'")
        return found[key]

    def get_many(self, project: str, kind: type[T], keys: Iterable[str]) -> dict[str, T]:
        known = kind_of(kind)
        table = _table(known)
        wanted = iter(dict.fromkeys(keys))
        query = select(table.c.key, table.c.body).where(*_of(known, project))
        found: dict[str, T] = {}
        while chunk := list(islice(wanted, _CHUNK)):
            with self._reading() as connection:
                rows = connection.execute(query.where(table.c.key.in_(chunk))).all()
            found.update((key, known.decode(body)) for key, body in rows)
        return found

    def list(
        self,
        project: str,
        kind: type[T],
        *,
        where: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> tuple[T, ...]:
        known = kind_of(kind)
        table = _table(known)
        query = select(table.c.body).where(*_of(known, project))
        for field, value in check_where(known, where).items():
            query = query.where(table.c[field] == value)
        order = table.c[order_of(known)]
        query = query.order_by(order.desc(), table.c.key.desc()).limit(limit)
        with self._reading() as connection:
            bodies = connection.execute(query).scalars().all()
        return tuple(known.decode(body) for body in bodies)

    def replace(
        self, project: str, kind: type[T], objects: Iterable[T], keys: Iterable[str]
    ) -> None:
        known, items = kind_of(kind), list(objects)
        with self._writing() as connection:
            if items:
                _make_project(connection, project)
                _insert(connection, project, known, items)
            _delete(connection, project, known, keys)

    def delete(self, project: str, kind: type[Any], keys: Iterable[str]) -> int:
        known = kind_of(kind)
        check_deletable(known)
        with self._writing() as connection:
            return _delete(connection, project, known, keys)

    def projects(self) -> tuple[str, ...]:
        with self._reading() as connection:
            return tuple(sorted(connection.execute(select(heads.c.project)).scalars()))

    def head(self, project: str) -> Head:
        with self._reading() as connection:
            query = select(heads.c.body).where(heads.c.project == project)
            body = connection.execute(query).scalar_one_or_none()
        return Head() if body is None else decode_head(body)

    def generation(self, project: str) -> int:
        with self._reading() as connection:
            query = select(heads.c.generation).where(heads.c.project == project)
            return connection.execute(query).scalar_one_or_none() or 0

    def compare_and_set_head(
        self,
        project: str,
        expected_generation: int,
        new_head: Head,
        commit: Commit,
        listed: Sequence[ListedFeature] = (),
    ) -> None:
        if not new_head.generation == commit.generation == expected_generation + 1:
            raise ValueError(f"the generation after {expected_generation} is the next number")
        self._swap(project, expected_generation, new_head, commit, listed)

    def restore_head(
        self, project: str, head: Head, commit: Commit, listed: Sequence[ListedFeature] = ()
    ) -> None:
        if not head.generation == commit.generation > 0:
            raise ValueError("a head is restored with the commit that made it")
        self._swap(project, 0, head, commit, listed)

    def _swap(
        self,
        project: str,
        expected: int,
        head: Head,
        commit: Commit,
        listed: Sequence[ListedFeature],
    ) -> None:
        with self._writing() as connection:
            _make_project(connection, project)
            here = heads.c.project == project
            swap = update(heads).where(here, heads.c.generation == expected)
            values = {"generation": head.generation, "body": encode_head(head)}
            if connection.execute(swap.values(values)).rowcount != 1:
                found = connection.execute(select(heads.c.generation).where(here)).scalar_one()
                raise another_generation(project, found, expected)
            _insert(connection, project, kind_of(Commit), [commit])
            relist(connection, project, listed)

    def find(self, project: str, query: ListedQuery) -> tuple[tuple[str, ...], int]:
        with self._reading() as connection:
            return find(connection, project, query)

    def changed(self, project: str, query: ChangedQuery) -> tuple[tuple[ChangedRow, ...], int]:
        with self._reading() as connection:
            return select_changed(connection, project, query)

    def usage_totals(self, project: str, features: Iterable[str]) -> dict[str, UsageTotal]:
        with self._reading() as connection:
            return totals(connection, project, features)

    def usage_groups(
        self,
        project: str,
        features: Iterable[str] | None = None,
        *,
        since: int | None = None,
    ) -> Sequence[UsageGroup]:
        with self._reading() as connection:
            return groups(connection, project, features, since)

    def close(self) -> None:
        with self._opening:
            if self._opened is not None:
                self._opened.dispose()
                self._opened = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine().connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._translated(), self._engine().connect() as connection:
            locked = connection.execution_options(**{BEGIN: "IMMEDIATE"})
            with locked.begin():
                yield locked

    def _engine(self) -> Engine:
        opened = self._opened
        if opened is not None and (here := file_of(self._url)) != self._file:
            if here is None:
                raise StoreError(
                    f"registry {self.url}: the file is gone; put it back, or start again to begin "
                    "an empty registry"
                )
            self.close()
            opened = None
        if opened is None:
            with self._opening:
                opened = self._opened
                if opened is None:
                    opened = self._opened = self._open()
                    self._file = file_of(self._url)
        return opened

    def _open(self) -> Engine:
        engine = new_engine(self._url)
        try:
            if engine.dialect.name == "sqlite":
                use_wal(self._url)
            if not is_current(engine):
                migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"registry {self.url}: {reason(error.orig)}") from error
        except SQLAlchemyError as error:
            raise StoreError(f"registry {self.url}: {error}") from error


def _table(kind: Kind[Any]) -> Table:
    return _TABLES.get(kind.name, objects)


def _of(kind: Kind[Any], project: str) -> list[Any]:
    """The conditions that select the rows of a kind in a project."""
    table = _table(kind)
    mine = [table.c.project == project]
    return mine if table is not objects else [*mine, table.c.kind == kind.name]


def _make_project(connection: Connection, project: str) -> None:
    """The row that all others of a project refer to, as one of generation 0."""
    row = {"project": project, "generation": 0, "body": encode_head(Head())}
    insert = dialect_of(connection).insert(heads).on_conflict_do_nothing()
    connection.execute(insert, row)


def _insert(connection: Connection, project: str, kind: Kind[Any], items: list[Any]) -> None:
    table = _table(kind)
    rows = {kind.key(item): _row(project, kind, item) for item in items}
    insert = dialect_of(connection).insert(table)
    if kind.mutable:
        changed = {c.name: insert.excluded[c.name] for c in table.c if not c.primary_key}
        insert = insert.on_conflict_do_update(index_elements=table.primary_key, set_=changed)
    else:
        insert = insert.on_conflict_do_nothing()
    connection.execute(insert, [rows[key] for key in sorted(rows)])
    if kind.type is Commit:
        note(connection, project, items)


def _delete(connection: Connection, project: str, kind: Kind[Any], keys: Iterable[str]) -> int:
    table = _table(kind)
    wanted = iter(dict.fromkeys(keys))
    count = 0
    while chunk := list(islice(wanted, _CHUNK)):
        gone = delete(table).where(*_of(kind, project), table.c.key.in_(chunk))
        count += connection.execute(gone).rowcount
    return count


def _row(project: str, kind: Kind[Any], item: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"project": project, "key": kind.key(item), "body": kind.encode(item)}
    row |= kept_values(kind, item)
    return {**row, "kind": kind.name} if _table(kind) is objects else row
