"""The tables of a SQL registry that features are listed and found by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from headwater.registry.listed import ListedFeature, ListedQuery, UsageTotal
from headwater.registry.schema import feature_tags, features, usages

_CHUNK = 500


def relist(connection: Connection, project: str, rows: Sequence[ListedFeature]) -> None:
    """Make the rows of some features what they are now."""
    waiting = iter(sorted(rows, key=lambda row: row.feature_name))
    while chunk := list(islice(waiting, _CHUNK)):
        names = [row.feature_name for row in chunk]
        _put_rows(connection, project, chunk)
        mine = feature_tags.c.project == project
        connection.execute(delete(feature_tags).where(mine, feature_tags.c.feature_name.in_(names)))
        tags = [
            {"project": project, "feature_name": row.feature_name, "tag": tag}
            for row in chunk
            for tag in sorted(row.tags)
        ]
        if tags:
            connection.execute(feature_tags.insert(), tags)


def _put_rows(connection: Connection, project: str, rows: Sequence[ListedFeature]) -> None:
    insert = dialect_of(connection).insert(features)
    changed = {c.name: insert.excluded[c.name] for c in features.c if not c.primary_key}
    upsert = insert.on_conflict_do_update(index_elements=features.primary_key, set_=changed)
    values = []
    for row in rows:
        fields = msgspec.structs.asdict(row)
        del fields["tags"]
        values.append({"project": project, **fields})
    connection.execute(upsert, values)


def find(connection: Connection, project: str, query: ListedQuery) -> tuple[tuple[str, ...], int]:
    """The names of the features of one page, and how many there are on all pages."""
    # What has tags is found in one go with its number: both take the same way through the tags.
    # Without tags an index tells the number, and most of the page's order, much sooner.
    columns = [features.c.feature_name, *([func.count().over()] if query.tags else [])]
    page = _chosen(select(*columns), project, query)
    page = page.order_by(features.c.created_at.desc(), features.c.feature_name)
    if query.limit is not None:
        page = page.limit(query.limit)
    rows = connection.execute(page.offset(query.skip)).all()
    names = tuple(row[0] for row in rows)
    if query.tags and rows:
        return names, rows[0][1]
    if not query.skip and (query.limit is None or len(rows) < query.limit):
        return names, len(rows)
    return names, connection.execute(_chosen(select(func.count()), project, query)).scalar_one()


def _chosen(base: Select[Any], project: str, query: ListedQuery) -> Select[Any]:
    chosen = base.select_from(features).where(features.c.project == project)
    for name, value in query.equal.items():
        chosen = chosen.where(features.c[name] == value)
    if query.tags:
        tagged = select(feature_tags.c.feature_name).where(
            feature_tags.c.project == project, feature_tags.c.tag.in_(query.tags)
        )
        chosen = chosen.where(features.c.feature_name.in_(tagged))
    return chosen


def totals(connection: Connection, project: str, names: Iterable[str]) -> dict[str, UsageTotal]:
    """How often these features were used, those that ever were."""
    query = (
        select(usages.c.feature_name, func.sum(usages.c.count), func.max(usages.c.usage_timestamp))
        .where(usages.c.project == project)
        .group_by(usages.c.feature_name)
    )
    wanted = iter(dict.fromkeys(names))
    found: dict[str, UsageTotal] = {}
    while chunk := list(islice(wanted, _CHUNK)):
        rows = connection.execute(query.where(usages.c.feature_name.in_(chunk)))
        found.update({name: UsageTotal(int(count), last) for name, count, last in rows})
    return found


def dialect_of(connection: Connection) -> Any:
    """SQLAlchemy's module of the dialect, whose insert knows ON CONFLICT."""
    return postgresql if connection.dialect.name == "postgresql" else sqlite
