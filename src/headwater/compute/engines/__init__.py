"""Engines: what reads sources and evaluates expressions. Each joins by an entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from headwater.errors import ConfigError, near_miss

if TYPE_CHECKING:
    from headwater.compute.engines.duckdb import DuckDBEngine

GROUP = "headwater.engines"


def open_engine(kind: str, **options: Any) -> DuckDBEngine:
    """The engine of that name. Raises ConfigError, with the known ones, for an unknown name."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        known = ", ".join(sorted(found))
        raise ConfigError(f"engine '{kind}' is not known{near_miss(kind, found)} (known: {known})")
    engine: DuckDBEngine = found[kind].load()(**options)
    return engine
