"""history: who changed what and when, from what to what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands, instant
from headwater.cli.completion import object_names
from headwater.cli.output import cell, emit, emit_json, jsonable, moment, say
from headwater.cli.session import session
from headwater.errors import near_miss

if TYPE_CHECKING:
    from headwater.registry.audit import AuditEntry

_WIDTH = 60
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def history(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Changes of this object alone.", autocompletion=object_names
        ),
    ] = None,
    *,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Its kind: feature, entity, source, view, service.")
    ] = None,
    change: Annotated[
        str | None, typer.Option("--change", help="Changes of this kind alone, as rollback.")
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", help="Changes that this user made.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Changes at this time or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Changes before this time.")
    ] = None,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Leave out so many.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, and when.

    The latest change first, with each field before and after.
    """
    from headwater.registry.audit import audit
    from headwater.registry.changed import CHANGES, OBJECTS, ChangedQuery

    _check("--kind", kind, OBJECTS)
    _check("--change", change, CHANGES)
    query = ChangedQuery(
        kind=kind,
        name=name,
        change=change,
        author=author,
        since=_micros(since, "--since"),
        until=_micros(until, "--until"),
        skip=skip,
        limit=limit,
    )
    store = session(context).store()
    entries, total = audit(store.registry, store.project, query)
    if as_json:
        emit_json({"changes": [_row(entry) for entry in entries], "total": total})
        return
    for entry in entries:
        emit(_headline(entry))
        for field in entry.fields:
            emit(f"    {field.field}: {_short(field.old)} -> {_short(field.new)}")
    say(f"{total:,} changes" if total != 1 else "1 change")


def _check(option: str, given: str | None, known: Iterable[str]) -> None:
    if given is not None and given not in known:
        names = list(known)
        hint = near_miss(given, names) or f" (known: {', '.join(names)})"
        raise typer.BadParameter(f"{option}: there is no '{given}'{hint}")


def _micros(text: str | None, option: str) -> int | None:
    return (
        None if text is None else (instant(text, option) - _EPOCH) // dt.timedelta(microseconds=1)
    )


def _row(entry: AuditEntry) -> dict[str, Any]:
    fields = [{"field": f.field, "old": f.old, "new": f.new} for f in entry.fields]
    return {**asdict(entry), "at": moment(entry.at), "fields": fields}


def _headline(entry: AuditEntry) -> str:
    versions = [v for v in (entry.old_version, entry.new_version) if v is not None]
    told = " -> ".join(dict.fromkeys(versions))
    reason = f" ({entry.reason})" if entry.reason else ""
    what = f"{entry.change} {entry.kind} {entry.name}{f' {told}' if told else ''}{reason}"
    return f"{entry.generation}  {moment(entry.at)}  {entry.author}  {what}"


def _short(value: Any) -> str:
    if value is None:
        return "(none)"
    text = cell(jsonable(value))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


COMMANDS: Commands = {"history": history}
