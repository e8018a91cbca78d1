"""dataset: training datasets that are kept, listed, checked and computed again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, features_or_service
from headwater.cli.output import emit, emit_json, emit_table, moment, say, stoppable
from headwater.cli.progress import progress
from headwater.cli.session import session
from headwater.cli.training import spine_of

if TYPE_CHECKING:
    from headwater.offline.datasets import Manifest
    from headwater.splits import Split

DIFFERENT = 1

app = typer.Typer(help="Keep training datasets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The dataset, with @3 for version 3.")]
Spine = Annotated[
    str | None,
    typer.Option("--spine", help="A Parquet or CSV file, or a SQL query, with the rows."),
]
FeatureList = Annotated[
    list[str] | None,
    typer.Option("--features", "-f", metavar="A,B", help="Features, separated by commas."),
]
Service = Annotated[
    str | None, typer.Option("--service", "-s", help="Take the features of this service.")
]
Label = Annotated[str | None, typer.Option("--label", help="The spine's column with the label.")]
Timestamp = Annotated[str, typer.Option("--timestamp", help="The spine's column with the time.")]


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The dataset.")],
    *,
    spine: Spine = None,
    features: FeatureList = None,
    service: Service = None,
    label: Label = None,
    timestamp: Timestamp = "event_timestamp",
    test: Annotated[
        str | None,
        typer.Option("--test", help="A share of the rows (0.2), or the time at which it begins."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option("--validation", help="The same for the validation part.")
    ] = None,
    gap: Annotated[
        str, typer.Option("--gap", help="Leave out rows this long before a part begins.")
    ] = "0s",
    seed: Annotated[int, typer.Option("--seed", help="What the random shares are drawn by.")] = 0,
    by: Annotated[
        str | None, typer.Option("--by", help="Keep rows of one value of this column together.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute a training set and keep it.

    It becomes the next version of the dataset, split if asked for, with the versions of features,
    their definitions and the state of their sources written down.
    """
    wanted = features_or_service(features or [], service)
    split = _split(test, validation, gap=gap, seed=seed, by=by)
    store = session(context).store()
    with stoppable("nothing was kept"), progress() as listener:
        made = store.create_dataset(
            name,
            spine_of(spine),
            wanted,
            split=split,
            label=label,
            timestamp=timestamp,
            on_progress=listener,
        )
    if as_json:
        emit_json(_shown(made.manifest))
        return
    emit(made.manifest.reference)
    say(_parts(made.manifest))


@app.command("list")
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List datasets and their versions."""
    from headwater.offline.datasets import manifests

    found = [_row(manifest) for manifest in manifests(session(context).store().datasets)]
    if as_json:
        emit_json(found)
    else:
        emit_table(found, ["name", "version", "created_at", "rows", "features", "label"])


@app.command("show")
def show(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Show what a dataset is made of."""
    manifest = session(context).store().dataset(name).manifest
    if as_json:
        emit_json(_shown(manifest))
        return
    emit(f"{manifest.reference}: {_parts(manifest)}")
    emit(f"created {moment(manifest.created_at)} by {manifest.created_by}")
    emit("")
    emit_table(
        [{"column": n, **described} for n, described in manifest.statistics.items()],
        ["column", "type", "nulls", "distinct", "mean", "stddev", "min", "p50", "max"],
    )
    emit("")
    emit_table(
        [{"feature": f.output, "version": f.version, "view": f.view} for f in manifest.features],
        ["feature", "version", "view"],
    )


@app.command("reproduce")
def reproduce(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Compute a dataset again and compare.

    The exit code is 1 where a value is another than the one that is kept.
    """
    found = session(context).store().reproduce_dataset(name)
    if as_json:
        emit_json({**found.__dict__, "is_same": found.is_same})
    else:
        for column, rows in found.differing.items():
            emit(f"{column}: {rows:,} of {found.rows:,} rows differ")
        if found.is_same:
            say(f"{found.dataset}: computed again, the same in all {found.rows:,} rows")
        if found.sources:
            say(f"changed since: {', '.join(found.sources)}")
    if not found.is_same:
        sys.exit(DIFFERENT)


@app.command("leakage")
def leakage(
    context: typer.Context,
    *,
    spine: Spine = None,
    features: FeatureList = None,
    service: Service = None,
    label: Label = None,
    timestamp: Timestamp = "event_timestamp",
    as_json: AsJson = False,
) -> None:
    """Look for features that know the future.

    Some rows are computed again without all that happened or became known after their time, and
    each feature is asked how far it tells the label alone.
    """
    wanted = features_or_service(features or [], service)
    store = session(context).store()
    found = store.leakage_report(spine_of(spine), wanted, label=label, timestamp=timestamp)
    rows = [
        {
            "feature": item.feature,
            "changed": f"{item.changed} of {item.tried}",
            "association": None if item.association is None else round(item.association, 4),
            "suspicious": "yes" if item.is_suspicious else "no",
        }
        for item in found
    ]
    if as_json:
        emit_json([{**item.__dict__, "is_suspicious": item.is_suspicious} for item in found])
    else:
        emit_table(rows, ["feature", "changed", "association", "suspicious"])


def _split(
    test: str | None, validation: str | None, *, gap: str, seed: int, by: str | None
) -> Split | None:
    from headwater.splits import RandomSplit, TimeSplit

    if test is None:
        if validation is not None:
            raise typer.BadParameter("--validation needs --test")
        return None
    share = _share(test)
    other = 0.0 if share is not None and validation is None else _share(validation)
    if share is not None and other is not None:
        return RandomSplit(test=share, validation=other, seed=seed, by=by)
    if share is not None or other is not None:
        raise typer.BadParameter("--test and --validation: give two shares, or two times")
    return TimeSplit(test=test, validation=validation, gap=gap)


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "created_at": moment(manifest.created_at),
        "rows": sum(part.rows for part in manifest.parts.values()),
        "features": len(manifest.features),
        "label": manifest.label,
    }


def _shown(manifest: Manifest) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(manifest)
    return {**found, "created_at": moment(manifest.created_at)}


def _parts(manifest: Manifest) -> str:
    rows = [f"{name} {part.rows:,} rows" for name, part in manifest.parts.items()]
    left = [f"{manifest.left_out:,} left out"] if manifest.left_out else []
    return ", ".join([*rows, *left])
