"""What the commands of one call share: the project's folder, its settings and its store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headwater.errors import ConfigError

if TYPE_CHECKING:
    from headwater.config import Settings
    from headwater.store import FeatureStore


class Session:
    """The options before the command's name, and what they lead to."""

    def __init__(self, directory: Path | None, assignments: list[str]) -> None:
        self.directory = directory
        self._assignments = assignments

    def settings(self, **flags: Any) -> Settings:
        """The project's settings; `flags` maps `serve__port` to the value of a command's option.

        Raises ConfigError, and a usage error for a wrong flag.
        """
        from headwater.config import check_flags, load_settings

        told = dict(self._split(text) for text in self._assignments)
        told |= {name.replace("__", "."): v for name, v in flags.items() if v is not None}
        try:
            check_flags(told)
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from None
        return load_settings(self.directory, flags=told)

    def store(self) -> FeatureStore:
        """The store of the project that the settings describe."""
        return open_store(self.settings())

    @staticmethod
    def _split(text: str) -> tuple[str, str]:
        key, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"--set {text}: write KEY=VALUE, as serve.port=8600")
        return key.strip(), value


def open_store(settings: Settings) -> FeatureStore:
    """A store on settings that have been read."""
    from headwater.store import FeatureStore

    return FeatureStore(settings=settings)


def session(context: typer.Context) -> Session:
    """The session of a command's call."""
    found: Session = context.obj
    return found
