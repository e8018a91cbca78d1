"""search: find features by words of their names, tags, descriptions, columns and owners."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.arguments import AsJson, Commands
from headwater.cli.output import emit_json, emit_table, say
from headwater.cli.session import session

_COLUMNS = ["name", "version", "status", "feature_type", "owner", "tags", "description"]


def search(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD", help="Words, or beginnings of words.")
    ],
    *,
    feature_type: Annotated[
        str | None, typer.Option("--type", help="Features of this type alone.")
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="Those of this status alone.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Those of this owner alone.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Those with this tag; may be repeated.")
    ] = None,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Leave out so many.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Search features by words.

    All words must occur; the best come first: a name counts more than a tag, then the
    description, the source's columns and the owner.
    """
    from headwater.registry.listed import ListedQuery

    query = ListedQuery(
        feature_type=feature_type,
        status=status,
        owner=owner,
        tags=tuple(tag or ()),
        skip=skip,
        limit=limit,
    )
    text = " ".join(words)
    governance = session(context).store().governance
    states, total = governance.find(query, text)
    rows = [
        {
            "name": state.name,
            "version": state.entry.current,
            "status": state.entry.status,
            "feature_type": state.record.feature_type,
            "owner": state.record.owner,
            "tags": state.record.tags,
            "description": state.record.description,
        }
        for state in states
    ]
    if as_json:
        emit_json({"features": rows, "total": total})
        return
    if rows:
        emit_table(rows, _COLUMNS)
    near = governance.near(text) if not total else ""
    say(f"{total:,} found{near}")


COMMANDS: Commands = {"search": search}
