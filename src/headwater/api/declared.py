"""Entities and sources whose whole definition comes with a feature."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from headwater.definitions.collection import Definitions, collect
from headwater.definitions.entity import Entity
from headwater.definitions.source import Source
from headwater.errors import DefinitionError, RefusedError
from headwater.registry.head import Head
from headwater.registry.plan import Plan
from headwater.registry.state import load_definitions

if TYPE_CHECKING:
    from headwater.store import FeatureStore

_FORMATS = ("parquet", "csv", "delta")


def check_source(source: Source) -> None:
    """Raise ValueError unless it reads data files below the project's folder, and only those.

    A definition that a caller of the API wrote may not open other files of the server, nor run
    SQL there.
    """
    if source.path is None or source.resolved_format() not in _FORMATS:
        raise ValueError(
            "a source that comes over the API reads files by 'path' (Parquet, CSV or Delta); "
            "declare one with 'query' or 'table' in the project's definitions, and name it here"
        )
    for path in source.paths:
        parts = PurePosixPath(path).parts
        leaves = path.startswith("/") or "\\" in path or ":" in path
        if leaves or any(part.startswith((".", "~")) for part in parts):
            raise ValueError(
                f"'path': '{path}' is not below the project's folder; give a relative path "
                "without '..' and hidden folders"
            )
        named = PurePosixPath(path).suffix in (".parquet", ".pq", ".csv")
        if not named and (PurePosixPath(path).suffix or source.resolved_format() != "delta"):
            raise ValueError(f"'path': '{path}' does not end in .parquet, .pq or .csv")


def bring(store: FeatureStore, given: Iterable[Entity | Source], head: Head) -> Plan | None:
    """The plan that lets a project hold the definitions that come with a feature, on its head;
    None where it does.

    Raises RefusedError where it holds another one of the same name, SourceError where a source
    can't be read, DefinitionError for what is wrong in one.
    """
    stored = load_definitions(store.registry, store.project, head)
    missing = _missing(stored, given)
    if not missing:
        return None
    plan = store.plan_definitions(collect(missing, known=stored), head)
    if plan.errors:
        raise DefinitionError("\n".join(plan.errors))
    return plan


def _missing(stored: Definitions, given: Iterable[Entity | Source]) -> list[Entity | Source]:
    missing = []
    for item in given:
        known = (stored.entities if isinstance(item, Entity) else stored.sources).get(item.name)
        if known is None:
            missing.append(item)
        elif known != item:
            raise RefusedError(
                f"{item.kind} '{item.name}': the project has another one of this name; name it "
                "alone to use that one, or give yours another name"
            )
    return missing
