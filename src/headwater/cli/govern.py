"""rollback: going back to an earlier version of a feature."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.arguments import AsJson, Commands, Yes
from headwater.cli.output import emit_json, is_interactive, say
from headwater.cli.session import session

OfFeature = Annotated[str, typer.Argument(metavar="FEATURE", help="The feature.")]


def rollback(
    context: typer.Context,
    feature: OfFeature,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to go back to.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier version of a feature.

    It is served again at once; nothing is computed.
    """
    store = session(context).store()
    before = store.governance.get(feature)
    wanted = store.governance.version(feature, version).version
    if not yes and is_interactive():
        typer.confirm(
            f"Serve {feature} {wanted} instead of {before.entry.current}?", err=True, abort=True
        )
    made = store.governance.rollback(feature, wanted, author=store.author)
    below = store.governance.lineage(feature).all_downstream
    pinned = store.pinned_services(feature, before.entry.current)
    if as_json:
        emit_json(
            {
                "feature": feature,
                "version": made.version,
                "replaced": before.entry.current,
                "downstream_features": below,
                "pinned_services": pinned,
            }
        )
        return
    say(f"rolled back: {feature} {before.entry.current} -> {made.version}")
    if below:
        say(f"not changed: {', '.join(below)}; they read {feature} {before.entry.current}")
    if pinned:
        say(f"pinned to {before.entry.current}, not changed: {', '.join(pinned)}")


COMMANDS: Commands = {"rollback": rollback}
