"""plan and apply: what the project's files change, and the change itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.arguments import AsJson, Commands, Prune, Yes
from headwater.cli.output import coloured, complain, emit, emit_json, is_interactive, say
from headwater.cli.session import open_store, session

if TYPE_CHECKING:
    from headwater.registry.plan import Plan
    from headwater.store import FeatureStore


def plan(
    context: typer.Context,
    *,
    prune: Prune = False,
    as_json: AsJson = False,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Leave with 3 if there are changes.")
    ] = False,
) -> None:
    """Show what apply would change."""
    store, made = _planned(context, prune=prune)
    _show(made, as_json=as_json)
    _say_what_breaks(store, made)
    _refuse_errors(made)
    if detailed and made.has_changes:
        raise typer.Exit(3)


def apply(
    context: typer.Context,
    *,
    prune: Prune = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make the project what its files declare."""
    store, made = _planned(context, prune=prune)
    if made.errors or not made.has_changes:
        _show(made, as_json=as_json)
        _refuse_errors(made)
        raise typer.Exit(0)
    if as_json:
        say(str(made))
    else:
        _show(made, as_json=False)
    _say_what_breaks(store, made)
    _confirm(made, yes=yes)
    applied = store.apply(made)
    if as_json:
        emit_json({**_as_dict(made), "generation": applied.generation})
    say(f"applied: generation {applied.generation}")


def _planned(context: typer.Context, *, prune: bool) -> tuple[FeatureStore, Plan]:
    from headwater.loading import load_definitions

    settings = session(context).settings()
    store = open_store(settings)
    return store, store.plan(load_definitions(settings), prune=prune)


def _show(made: Plan, *, as_json: bool) -> None:
    if as_json:
        emit_json(_as_dict(made))
    else:
        emit(coloured(str(made)))


def _say_what_breaks(store: FeatureStore, made: Plan) -> None:
    """Who reads what gets other values or goes."""
    from headwater.lineage.models import model_uses

    broken = [c for c in made.features if c.bump == "major" or c.action == "removed"]
    features = {name for change in broken for name in (change.name, *change.downstream.features)}
    services = {name for change in broken for name in change.downstream.services}
    uses = model_uses(store.registry, store.project, features)
    models = {f"{use.model} ({use.environment})" for use in uses}
    told = [
        f"{kind} {', '.join(sorted(names))}"
        for kind, names in (("services", services), ("models", models))
        if names
    ]
    if told:
        say(f"breaks: {'; '.join(told)}")


def _refuse_errors(made: Plan) -> None:
    if made.errors:
        more = f" (and {len(made.errors) - 1} more)" if len(made.errors) > 1 else ""
        complain(f"this plan can't be applied: {made.errors[0]}{more}")
        raise typer.Exit(1)


def _as_dict(made: Plan) -> dict[str, object]:
    from headwater.registry.explain import to_dict

    return to_dict(made)


def _confirm(made: Plan, *, yes: bool) -> None:
    """Ask where somebody is there; removals need a yes in any case."""
    if yes:
        return
    if is_interactive():
        if typer.confirm("Apply these changes?", err=True):
            return
        complain("nothing was applied")
        raise typer.Exit(1)
    removed = [f"{c.kind} '{c.name}'" for c in made.objects if c.action == "removed"]
    removed += [f"feature '{c.name}'" for c in made.features if c.action == "removed"]
    if removed:
        complain(f"this would remove {', '.join(removed)}", "confirm it with --yes")
        raise typer.Exit(2)


COMMANDS: Commands = {"plan": plan, "apply": apply}
