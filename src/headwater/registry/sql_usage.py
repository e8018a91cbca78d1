"""Adds uses up where they are kept, in a SQL registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, func, select

from headwater.registry.listed import GROUPED, UsageGroup
from headwater.registry.schema import usages

_CHUNK = 500


def groups(
    connection: Connection, project: str, names: Iterable[str] | None, since: int | None
) -> Sequence[UsageGroup]:
    """What uses add up to, those that are alike together."""
    query = _grouped(project, since)
    if names is None:
        return _run(connection, query)
    found: list[UsageGroup] = []
    wanted = iter(dict.fromkeys(names))
    while chunk := list(islice(wanted, _CHUNK)):
        found += _run(connection, query.where(usages.c.feature_name.in_(chunk)))
    return found


def _grouped(project: str, since: int | None) -> Select[Any]:
    alike = [usages.c[name] for name in GROUPED]
    query = (
        select(
            *alike,
            func.sum(usages.c.count).label("count"),
            func.sum(usages.c.rows).label("rows"),
            func.coalesce(func.sum(usages.c.feature_importance), 0.0).label("importance"),
            func.count(usages.c.feature_importance).label("importances"),
            func.coalesce(func.sum(usages.c.correlation_with_target), 0.0).label("correlation"),
            func.count(usages.c.correlation_with_target).label("correlations"),
        )
        .where(usages.c.project == project)
        .group_by(*alike)
    )
    return query if since is None else query.where(usages.c.usage_timestamp >= since)


def _run(connection: Connection, query: Select[Any]) -> list[UsageGroup]:
    rows = connection.execute(query).mappings()
    # PostgreSQL adds 64-bit integers up as decimals
    return [
        UsageGroup(**{**row, "count": int(row["count"]), "rows": int(row["rows"])}) for row in rows
    ]
