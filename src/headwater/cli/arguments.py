"""Arguments and options that several commands take, and how their texts are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

Commands = dict[str, Callable[..., None]]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Prune = Annotated[bool, typer.Option("--prune", help="Remove what the files no longer declare.")]


def names(texts: Iterable[str]) -> list[str]:
    """Names from texts that hold one each, or several separated by commas."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def instant(text: str, option: str) -> dt.datetime:
    """A time in UTC, unless it has an offset. A usage error where it is none."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {text!r}: write a time as 2024-01-05 or 2024-01-05T12:00Z"
        ) from None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found


def features_or_service(features: Iterable[str], service: str | None) -> list[str] | str:
    """What is asked for: a list of features, or the name of a service; a usage error for both."""
    found = names(features)
    if bool(found) == bool(service):
        raise typer.BadParameter("give features, or a service with --service, and not both")
    return service or found
