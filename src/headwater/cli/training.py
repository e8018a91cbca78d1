"""training-set: the features as they were known at each row of a spine, into a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands, features_or_service, instant
from headwater.cli.completion import service_names
from headwater.cli.output import emit, emit_json, say, stoppable
from headwater.cli.progress import progress
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.historical import HistoricalJob

_OTHER_FORMATS = {
    ".csv",
    ".tsv",
    ".txt",
    ".json",
    ".jsonl",
    ".ndjson",
    ".feather",
    ".arrow",
    ".xlsx",
}


def training_set(
    context: typer.Context,
    *,
    spine: Annotated[
        str | None,
        typer.Option("--spine", help="A Parquet or CSV file, or a SQL query, with the rows."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option("--features", "-f", metavar="A,B", help="Features, separated by commas."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            "-s",
            help="Take the features of this service.",
            autocompletion=service_names,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The Parquet file to write.")
    ] = None,
    timestamp: Annotated[
        str, typer.Option("--timestamp", help="The column with the time.")
    ] = "event_timestamp",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Without a spine: all known keys, then."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="Without a spine: over a range, from here."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="The range's end, not included.")
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="DURATION", help="How far the times of a range are apart."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what would be read and how; write nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a training set to a file.

    It has the spine's rows, in their order, and the features as they were known at each of them.
    Without a spine, the rows are all known keys at --at, or over a range of times.
    """
    wanted = features_or_service(features or [], service)
    if explain:
        _explain(session(context).store().get_historical_features("", wanted), as_json=as_json)
        return
    times = _times(spine, at=at, start=start, end=end, every=every)
    rows, target = None if times else spine_of(spine), parquet_target(out, force=force)
    store = session(context).store()
    began = time.monotonic()
    with stoppable("nothing was written"), progress() as listener:
        options: dict[str, Any] = {"timestamp": timestamp, "on_progress": listener}
        if rows is None:
            job = store.get_features_at(wanted, **times, **options)
        else:
            job = store.get_historical_features(rows, wanted, **options)
        job.to_parquet(target)
    _report(job, target, round(time.monotonic() - began, 3), as_json=as_json)


def _times(spine: str | None, **texts: str | None) -> dict[str, Any]:
    """What a training set without a spine is asked by; nothing where there is a spine."""
    given = {name: text for name, text in texts.items() if text is not None}
    if given and spine is not None:
        raise typer.BadParameter(f"give rows with --spine, or --{next(iter(given))}, not both")
    return {n: text if n == "every" else instant(text, f"--{n}") for n, text in given.items()}


def _explain(job: HistoricalJob, *, as_json: bool) -> None:
    said = job.explain()
    if as_json:
        emit_json({"explanation": said.splitlines()})
    else:
        emit(said)


def _report(job: HistoricalJob, target: Path, seconds: float, *, as_json: bool) -> None:
    rows, columns = job.rows, job.columns
    if as_json:
        emit_json({"path": str(target), "rows": rows, "columns": columns, "seconds": seconds})
    else:
        emit(str(target))
    say(f"{rows:,} rows, {len(columns)} columns in {seconds:.1f} s")


def parquet_target(out: Path | None, *, force: bool) -> Path:
    if out is None:
        raise typer.BadParameter("give the file to write with --out")
    if out.suffix.lower() in _OTHER_FORMATS:
        raise typer.BadParameter(
            f"--out {out}: a Parquet file is written; name it {out.with_suffix('.parquet').name}"
        )
    if out.exists() and not force:
        raise typer.BadParameter(f"--out {out}: the file exists; add --force to replace it")
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"--out {out}: there is no folder {out.absolute().parent}")
    return out


def spine_of(text: str | None, option: str = "--spine") -> str:
    """What the store takes: a Parquet file by its full path, or a SQL query."""
    if text is None:
        raise typer.BadParameter(f"give the rows with {option}")
    if text.strip().partition(" ")[0].lower() in {"select", "with", "from"}:
        return text
    file = Path(text).expanduser().absolute()
    if not file.is_file():
        raise typer.BadParameter(f"{option} {text}: there is no such file")
    if file.suffix.lower() != ".csv":
        return str(file)
    quoted = str(file).replace("'", "''")
    return f"SELECT * FROM read_csv('{quoted}')"


COMMANDS: Commands = {"training-set": training_set}
