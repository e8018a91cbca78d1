"""usage: how much each feature is used, by whom, what it costs, and what to do about it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson, Commands
from headwater.cli.output import emit_json, emit_table, moment, say
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.registry.ranking import RankedFeature

_COLUMNS = (
    *("feature", "uses", "training", "online", "models", "services", "environments"),
    *("last_used", "importance", "seconds", "bytes", "worth", "hint", "why"),
)


def usage(
    context: typer.Context,
    *,
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, help="The period, in days up to now.")
    ] = 90,
    unused: Annotated[
        bool, typer.Option("--unused", help="Only features that nobody used in the period.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="How many features; all unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is used, and what to retire.

    Those that bring most come first, and of those that nobody uses the most expensive.
    """
    store = session(context).store()
    from headwater.registry.ranking import rank_features

    found = rank_features(store.registry, store.project, days=days)
    chosen = [one for one in found if not (unused and one.uses)][:limit]
    if as_json:
        emit_json(
            [
                {**dataclasses.asdict(one), "last_used_at": moment(one.last_used_at)}
                for one in chosen
            ]
        )
    elif chosen:
        emit_table([_row(one) for one in chosen], _COLUMNS)
    else:
        say("every feature is used" if found else "no features; apply some first")


def _row(one: RankedFeature) -> dict[str, Any]:
    return {
        "feature": one.feature_name,
        "uses": one.uses,
        "training": one.training,
        "online": one.online,
        "models": one.models,
        "services": one.services,
        "environments": one.environments,
        "last_used": (moment(one.last_used_at) or "")[:19],
        "importance": _short(one.importance),
        "seconds": f"{one.seconds:.1f}",
        "bytes": one.bytes,
        "worth": _short(one.worth),
        "hint": one.hint,
        "why": one.reason,
    }


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


COMMANDS: Commands = {"usage": usage}
