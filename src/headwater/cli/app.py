"""The commands and the options they share; one line for an error, a traceback with --debug."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from headwater.cli import (
    changes,
    collect,
    compute,
    dataset,
    doctor,
    explain,
    govern,
    history,
    lineage,
    project,
    reading,
    registry,
    runs,
    search,
    serving,
    spine,
    training,
    usage,
)
from headwater.cli.output import complain
from headwater.cli.session import Session
from headwater.errors import HeadwaterError

DEBUG = "--debug"

app = typer.Typer(
    name="headwater",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    project,
    changes,
    reading,
    compute,
    explain,
    search,
    history,
    govern,
    lineage,
    usage,
    training,
    runs,
    collect,
    doctor,
    serving,
):
    for name, command in module.COMMANDS.items():
        app.command(name)(command)
app.add_typer(dataset.app, name="dataset")
app.add_typer(spine.app, name="spine")
app.add_typer(registry.app, name="registry")


@app.callback()
def headwater(
    context: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", "-C", help="Work as if started in this folder."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, as --set online.path=/srv/on."),
    ] = None,
    debug: Annotated[  # noqa: ARG001, FBT002 - `run` takes it wherever it stands
        bool, typer.Option(DEBUG, help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Headwater: define features once, get the same values in training and online."""
    context.obj = Session(directory, settings or [])


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    debug = DEBUG in given[:cut]
    wanted = [word for word in given[:cut] if word != DEBUG] + given[cut:]
    try:
        app(args=wanted, prog_name="headwater")
    except HeadwaterError as error:
        if debug:
            raise
        complain(str(error))
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if debug:
            raise
        complain(f"{type(error).__name__}: {error}", f"run it again with {DEBUG} for the traceback")
    sys.exit(1)
