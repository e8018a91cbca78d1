"""rollback and lineage: what is done to single features, and what that touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from headwater.cli.arguments import AsJson, Commands, Yes
from headwater.cli.output import emit, emit_json, is_interactive, say
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


def lineage(
    context: typer.Context,
    feature: OfFeature,
    *,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="How many steps to go; all unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what features depend on one another."""
    store = session(context).store()
    found = store.governance.lineage(feature, depth=depth)
    if as_json:
        emit_json(found)
        return
    graph = store.governance.graph()
    for title, step in (("depends on", graph.upstream), ("is read by", graph.downstream)):
        lines = _tree(step, feature, depth)
        emit(f"{feature} {title}{':' if lines else ' nothing'}")
        for line in lines:
            emit(line)


def _tree(step: Callable[[str], Iterable[str]], start: str, depth: int | None) -> list[str]:
    """A line a feature, indented by its distance; one that was shown before ends in `...`."""
    lines: list[str] = []
    seen = {start}
    waiting = [(name, 1) for name in reversed(tuple(step(start)))]
    while waiting:
        name, level = waiting.pop()
        below = tuple(step(name)) if depth is None or level < depth else ()
        lines.append(f"{'  ' * level}{name}{' ...' if below and name in seen else ''}")
        if name not in seen:
            seen.add(name)
            waiting.extend((other, level + 1) for other in reversed(below))
    return lines


COMMANDS: Commands = {"rollback": rollback, "lineage": lineage}
