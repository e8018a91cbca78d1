"""rollback and repin: going back to an earlier version of a feature, and services with it."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.arguments import AsJson, Commands, Yes
from headwater.cli.completion import feature_names
from headwater.cli.output import emit_json, is_interactive, say
from headwater.cli.session import session

OfFeature = Annotated[
    str, typer.Argument(metavar="FEATURE", help="The feature.", autocompletion=feature_names)
]


def rollback(
    context: typer.Context,
    feature: OfFeature,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to go back to.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even to one whose values were never computed.")
    ] = False,
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
    made = store.governance.rollback(feature, wanted, author=store.author, force=force)
    left = store.governance.left_behind(made)
    below = [f"{name}@{number}" for name, number in left.features]
    if as_json:
        emit_json(
            {
                "feature": feature,
                "version": made.version,
                "replaced": left.version,
                "still_read_by": below,
                "pinned_services": left.services,
            }
        )
        return
    say(f"rolled back: {feature} {left.version} -> {made.version}")
    if below:
        say(
            f"not changed: {', '.join(below)} still read {feature}@{left.version}, which they were "
            "made for; roll them back too, or change them"
        )
    if left.services:
        say(
            f"pinned to {left.version}, not changed: {', '.join(left.services)}; "
            f"'headwater repin {feature} {left.version} {wanted}' moves them"
        )


def repin(
    context: typer.Context,
    feature: OfFeature,
    old: Annotated[str, typer.Argument(metavar="FROM", help="The version that they read.")],
    new: Annotated[str, typer.Argument(metavar="TO", help="The version that they are to read.")],
    *,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", "-s", help="Move this service alone; may be repeated."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Pin services to another version.

    Those that are pinned to version FROM of the feature read version TO from then on.
    """
    store = session(context).store()
    if not yes and is_interactive():
        names = service or store.governance.pinned(feature, old)
        asked = f"Let {', '.join(names) or 'no service'} read {feature} {new} instead of {old}?"
        typer.confirm(asked, err=True, abort=True)
    done = store.governance.repin(feature, old, new, services=service or (), author=store.author)
    if as_json:
        emit_json({"feature": feature, "from": done.old, "to": done.new, "services": done.services})
    if not done.services:
        say(f"nothing to do: no service is pinned to {feature}@{done.old}")
        return
    say(f"re-pinned: {', '.join(done.services)}: {feature} {done.old} -> {done.new}")
    home = store.governance.version(feature, done.new).entry.revision
    if not store.is_filled(home):
        say(f"{feature} {done.new} has no values yet: run 'headwater materialize'")


COMMANDS: Commands = {"rollback": rollback, "repin": repin}
