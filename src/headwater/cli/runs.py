"""materialize and backfill: long work, with progress, and a report a view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands, instant, names
from headwater.cli.completion import view_names
from headwater.cli.output import emit_json, emit_table, jsonable, moment, say, stoppable
from headwater.cli.progress import progress
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.pipeline.runs import RunReport

GOING_ON = "run the same command again to go on"
_COLUMNS = ("view", "tick", "rows", "written", "quarantined", "ahead", "read", "seconds", "note")


def materialize(
    context: typer.Context,
    views: Annotated[
        list[str] | None,
        typer.Argument(metavar="VIEW", help="All that can be, if none.", autocompletion=view_names),
    ] = None,
    *,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Values as of then, not now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write latest values to the online store."""
    at = None if until is None else instant(until, "--until")
    store = session(context).store()
    with stoppable(GOING_ON), progress() as on_progress:
        reports = store.materialize(names(views or []) or None, until=at, on_progress=on_progress)
    _report(reports, as_json=as_json)
    if not reports:
        say("no view can be materialized: none is applied, or all are computed when they are read")


def backfill(
    context: typer.Context,
    view: Annotated[
        str, typer.Argument(metavar="VIEW", help="The view.", autocompletion=view_names)
    ],
    *,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="The interval's begin.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Its end, not included.")],
    as_json: AsJson = False,
) -> None:
    """Compute the history of a view.

    Its values over an interval go into its offline table. What is there already is not computed
    again.
    """
    first, last = instant(start, "--from"), instant(end, "--to")
    if first >= last:
        raise typer.BadParameter(f"--from {start} is not before --to {end}")
    store = session(context).store()
    with stoppable(GOING_ON), progress() as on_progress:
        report = store.backfill(view, first, last, on_progress=on_progress)
    _report([report], as_json=as_json)


def _report(reports: list[RunReport], *, as_json: bool) -> None:
    rows = [_row(report) for report in reports]
    if as_json:
        emit_json(rows)
    elif rows:
        shown = [name for name in _COLUMNS if any(row[name] not in (None, 0) for row in rows)]
        emit_table(rows, shown)
    for report in reports:
        for count in report.rules:
            if count.failed:
                kept = "set aside" if count.is_blocking else "counted"
                say(
                    f"view '{report.view}', feature '{count.feature}': {count.failed:,} of "
                    f"{count.checked:,} rows failed {count.rule} and were {kept}"
                )


def _row(report: RunReport) -> dict[str, Any]:
    found: dict[str, Any] = jsonable(report)
    anew = found.pop("anew")
    found["note"] = found.pop("skipped") or (anew and f"computed anew: {anew}")
    return {**found, "tick": moment(report.tick), "seconds": round(report.seconds, 3)}


COMMANDS: Commands = {"materialize": materialize, "backfill": backfill}
