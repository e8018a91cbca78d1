"""What commits changed, in a SQL registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, func, select

from headwater.registry.changed import ChangedQuery, ChangedRow, changed_rows
from headwater.registry.kinds import Commit
from headwater.registry.schema import changed, commits
from headwater.registry.sql_features import dialect_of


def note(connection: Connection, project: str, items: Iterable[Commit]) -> None:
    """Keep the rows of commits; those that are there stay as they are."""
    rows = [
        {"project": project, **msgspec.structs.asdict(row)}
        for commit in items
        for row in changed_rows(commit)
    ]
    if rows:
        insert = dialect_of(connection).insert(changed).on_conflict_do_nothing()
        connection.execute(insert, rows)


def select_changed(
    connection: Connection, project: str, query: ChangedQuery
) -> tuple[tuple[ChangedRow, ...], int]:
    """One page of rows, the latest first, and how many there are on all pages."""
    total = connection.execute(_chosen(select(func.count()), project, query)).scalar_one()
    columns = (changed.c.generation, changed.c.kind, changed.c.name, changed.c.change)
    page = _chosen(select(*columns), project, query)
    page = page.order_by(changed.c.generation.desc(), changed.c.kind, changed.c.name)
    if query.limit is not None:
        page = page.limit(query.limit)
    rows = connection.execute(page.offset(query.skip)).all()
    return tuple(ChangedRow(*row) for row in rows), total


def _chosen(base: Select[Any], project: str, query: ChangedQuery) -> Select[Any]:
    chosen = base.select_from(changed).where(changed.c.project == project)
    for name, value in query.equal.items():
        chosen = chosen.where(changed.c[name] == value)
    told = {"author": query.author, "since": query.since, "until": query.until}
    if all(value is None for value in told.values()):
        return chosen
    made = (commits.c.project == project) & (commits.c.generation == changed.c.generation)
    chosen = chosen.join(commits, made)
    if query.author is not None:
        chosen = chosen.where(commits.c.author == query.author)
    if query.since is not None:
        chosen = chosen.where(commits.c.at >= query.since)
    if query.until is not None:
        chosen = chosen.where(commits.c.at < query.until)
    return chosen
