"""compute: features of some entities, from the sources, as known at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands, features_or_service, instant
from headwater.cli.completion import feature_names, service_names
from headwater.cli.output import emit_json, emit_table
from headwater.cli.reading import rows_given, typed
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.computing import FeatureValue


def compute(
    context: typer.Context,
    features: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FEATURE",
            help="As feature or view:feature, with @version.",
            autocompletion=feature_names,
        ),
    ] = None,
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "-k",
            metavar="KEY=VALUE",
            help="A join key, or a value of the request; repeat it for rows.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="As known then; now, unless given."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            "-s",
            help="Compute the features of this service.",
            autocompletion=service_names,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute features of some entities.

    From the sources, as training data is: what `get` reads was computed at the last run.
    """
    wanted = features_or_service(features or [], service)
    read_at = None if at is None else instant(at, "--at")
    store = session(context).store()
    requests = store.get_historical_features({}, wanted).requests
    types = {name: dtype for request in requests for name, dtype in request.given_types.items()}
    entities = [
        {name: typed(name, text, types.get(name, "string")) for name, text in row.items()}
        for row in rows_given(key or [])
    ]
    found = store.compute_features_batch(wanted, entities, at=read_at)
    values = [value for row in found for value in row.values()]
    if as_json:
        emit_json(values)
    else:
        emit_table(
            map(_line, values),
            ["entity", "feature", "value", "status", "event_time", "version"],
        )


def _line(value: FeatureValue) -> dict[str, Any]:
    return {
        "entity": value.entity_id,
        "feature": value.feature_name,
        "value": value.value,
        "status": value.metadata["status"],
        "event_time": value.timestamp,
        "version": value.version,
    }


COMMANDS: Commands = {"compute": compute}
