"""spine: rows for training sets, from events: labelled, and sampled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.arguments import AsJson, instant, names
from headwater.cli.output import emit, emit_json, say, stoppable
from headwater.cli.session import session
from headwater.cli.training import parquet_target, spine_of

if TYPE_CHECKING:
    from headwater.spines import SpineRows

app = typer.Typer(help="Make spines from events.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option("--out", "-o", help="The Parquet file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]


@app.command("label")
def label(
    context: typer.Context,
    *,
    impressions: Annotated[
        str | None,
        typer.Option("--impressions", help="A Parquet or CSV file, or a SQL query."),
    ] = None,
    outcomes: Annotated[
        str | None, typer.Option("--outcomes", help="The same with what came of them.")
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="A,B", help="The columns by which the two belong together."),
    ] = None,
    within: Annotated[
        str, typer.Option("--within", metavar="DURATION", help="How long an outcome counts.")
    ],
    delay: Annotated[
        str, typer.Option("--delay", metavar="DURATION", help="How late outcomes become known.")
    ] = "0s",
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Until when they are complete; now, else."),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--keys", metavar="A,B", help="The columns to keep; all, unless given."),
    ] = None,
    event_time: Annotated[
        str, typer.Option("--event-time", help="The column with the time, in both.")
    ] = "event_time",
    available_at: Annotated[
        str | None,
        typer.Option("--available-at", help="The column that says when an outcome became known."),
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help="Keep rows that are not decided yet, without a label.")
    ] = False,
    out: Out = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Label impressions by what came of them.

    Within a time, as it was known then; each row says when its label was known.
    """
    from headwater.spines import label_spine

    target = parquet_target(out, force=force)
    rows = label_spine(
        spine_of(impressions, "--impressions"),
        spine_of(outcomes, "--outcomes"),
        on=names(on or []),
        within=within,
        keys=names(keys or []) or None,
        delay=delay,
        until=None if until is None else instant(until, "--until"),
        open_rows="mark" if mark else "drop",
        event_time=event_time,
        available_at=available_at,
        store=session(context).store(),
    )
    _write(rows, target, as_json=as_json)


@app.command("sample")
def sample(
    context: typer.Context,
    *,
    spine: Annotated[
        str | None,
        typer.Option("--spine", help="A Parquet or CSV file, or a SQL query, with the rows."),
    ] = None,
    label: Annotated[str, typer.Option("--label", help="The column with the label.")] = "label",
    rate: Annotated[
        float | None, typer.Option("--rate", help="The share of the negatives to keep.")
    ] = None,
    ratio: Annotated[
        float | None, typer.Option("--ratio", help="Or: how many negatives for each positive.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="What the rows are drawn by.")] = 0,
    keys: Annotated[
        list[str] | None,
        typer.Option("--keys", metavar="A,B", help="The columns that tell rows apart."),
    ] = None,
    out: Out = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Sample the negatives of a spine.

    All positive rows stay; each row says with which probability it was kept.
    """
    from headwater.spines import sample_negatives

    target = parquet_target(out, force=force)
    rows = sample_negatives(
        spine_of(spine),
        label=label,
        rate=rate,
        ratio=ratio,
        seed=seed,
        keys=names(keys or []) or None,
        store=session(context).store(),
    )
    _write(rows, target, as_json=as_json)


def _write(rows: SpineRows, target: Path, *, as_json: bool) -> None:
    import pyarrow.parquet as pq

    with stoppable("nothing was written"):
        rows.to_parquet(target)
    written = pq.read_metadata(target)
    columns = written.schema.to_arrow_schema().names
    if as_json:
        emit_json({"path": str(target), "rows": written.num_rows, "columns": columns})
    else:
        emit(str(target))
    say(f"{written.num_rows:,} rows, {len(columns)} columns")
