"""What commits changed, in MongoDB: each commit's document holds its rows."""

from __future__ import annotations

from typing import Any

from headwater.registry.changed import ChangedQuery, ChangedRow, changed_rows
from headwater.registry.kinds import Commit, kind_of
from headwater.registry.mongo_client import DESCENDING, Database, Document, text_of


def noted(commit: Commit) -> Document:
    """The rows of a commit, as its document holds them."""
    rows = changed_rows(commit)
    return {"changed": [{"kind": row.kind, "name": row.name, "change": row.change} for row in rows]}


def complete(found: Database) -> None:
    """Give the commits of an earlier version their rows."""
    commits, kind = found["commits"], kind_of(Commit)
    for document in commits.find({"changed": {"$exists": False}}, {"body": 1}):
        fresh = noted(kind.decode(text_of(document)))
        commits.update_one({"_id": document["_id"]}, {"$set": fresh})


def select_changed(
    found: Database, project: str, query: ChangedQuery
) -> tuple[tuple[ChangedRow, ...], int]:
    """One page of rows, the latest first, and how many there are on all pages."""
    wanted = {"generation": 1, "changed": 1}
    documents = found["commits"].find(_chosen(project, query), wanted)
    equal = query.equal.items()
    rows = [
        ChangedRow(document["generation"], **row)
        for document in documents.sort([("generation", DESCENDING)])
        for row in document["changed"]
        if all(row[name] == value for name, value in equal)
    ]
    end = None if query.limit is None else query.skip + query.limit
    return tuple(rows[query.skip : end]), len(rows)


def _chosen(project: str, query: ChangedQuery) -> Document:
    chosen: dict[str, Any] = {"project": {"$eq": project}}
    chosen |= {f"changed.{name}": {"$eq": value} for name, value in query.equal.items()}
    if query.author is not None:
        chosen["author"] = {"$eq": query.author}
    bounds = {"$gte": query.since, "$lt": query.until}
    given = {name: value for name, value in bounds.items() if value is not None}
    return {**chosen, "at": given} if given else chosen
