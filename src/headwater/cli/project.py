"""init and version: start a project that runs, and say which Headwater this is."""

from __future__ import annotations

import re
import runpy
import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.arguments import AsJson, Commands
from headwater.cli.output import emit, emit_json, say
from headwater.errors import ConfigError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_MADE = ("data/orders.csv", "data/labels.csv")
_TEMPLATE = {
    "headwater.toml": "headwater.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "features/orders.py": "features/orders.py",
    "data/make_orders.py": "data/make_orders.py",
}


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The project's folder.")],
) -> None:
    """Start a small project that runs.

    It has definitions, made-up data and settings. Nothing is overwritten.
    """
    name = _project_name(folder)
    there = [file for file in (*_TEMPLATE, *_MADE) if (folder / file).exists()]
    if there:
        raise ConfigError(
            f"{folder} has {', '.join(there)} already; nothing was written. Name a new folder"
        )
    template = files("headwater.cli") / "template"
    for target, source in _TEMPLATE.items():
        _write(folder / target, template / source, name)
        say(f"  {folder / target}")
    runpy.run_path(str(folder / "data/make_orders.py"), run_name="__main__")
    for target in _MADE:
        say(f"  {folder / target}")
    emit(str(folder))
    where = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    say(f"next: {where}headwater apply && headwater materialize")


def version(*, as_json: AsJson = False) -> None:
    """Say which version this is."""
    import platform

    from headwater import __version__

    if as_json:
        emit_json({"headwater": __version__, "python": platform.python_version()})
    else:
        emit(__version__)


def _project_name(folder: Path) -> str:
    from headwater.config import read_project

    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_")
    try:
        return read_project(name)
    except ValueError:
        raise typer.BadParameter(
            f"'{folder.resolve().name}' makes no project name; start it with a letter"
        ) from None


def _write(target: Path, source: Traversable, name: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text(encoding="utf-8").replace("{name}", name)
    with target.open("x", encoding="utf-8") as file:
        file.write(text)


COMMANDS: Commands = {"init": init, "version": version}
