"""Completes the names of a project's objects in a shell; Typer completes all else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from headwater.cli.session import Session
from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from headwater.registry.head import Head

Complete = Callable[[typer.Context, str], list[str]]


def _names(kind: Callable[[Head], Iterable[str]]) -> Complete:
    """Completes the names of one kind of object; of none where the project can't be read."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        from headwater.registry.store import open_registry

        given = context.find_root().params
        try:
            found = Session(given.get("directory"), given.get("settings") or []).settings()
            registry = open_registry(str(found.registry.url))
            try:
                known = sorted(kind(registry.head(found.project)))
            finally:
                registry.close()
        except (HeadwaterError, typer.BadParameter):
            return []
        return [name for name in known if name.startswith(incomplete)]

    return complete


feature_names = _names(lambda head: (n for n, e in head.features.items() if e.status != "archived"))
view_names = _names(lambda head: head.views)
service_names = _names(lambda head: head.services)
object_names = _names(
    lambda head: {*head.features, *head.views, *head.entities, *head.sources, *head.services}
)
