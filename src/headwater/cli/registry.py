"""registry copy and verify: move what a registry holds to another one; check the audit trail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.arguments import AsJson
from headwater.cli.output import emit, emit_json, emit_table, say
from headwater.cli.session import session

if TYPE_CHECKING:
    from headwater.registry.copying import CopiedProject

_VARIABLE = "env:"
_URL = "A URL, or env:NAME for the URL that an environment variable holds."

app = typer.Typer(help="Work on the registry itself.", no_args_is_help=True)


@app.command("copy")
def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help=_URL)],
    target: Annotated[str, typer.Argument(metavar="TO", help=_URL)],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy all projects to another registry.

    A copy that was broken off goes on where it was. What was copied is read back and compared.
    """
    from headwater.registry.copying import copy_registry
    from headwater.registry.store import open_registry

    folder = session(context).directory or Path()
    first, second = open_registry(_url(source, folder)), open_registry(_url(target, folder))
    try:
        if first.url == second.url:
            raise typer.BadParameter("FROM and TO are the same registry")
        done = copy_registry(first, second)
    finally:
        first.close()
        second.close()
    rows = [_row(made) for made in done]
    if as_json:
        emit_json(rows)
    elif rows:
        emit_table(rows, ["project", "generation", "objects", "copied", "sha256"])
    copied, total = (sum(row[name] for row in rows) for name in ("copied", "objects"))
    say(f"copied {copied:,} of {total:,} objects, and verified all of them")


@app.command("verify")
def verify(
    context: typer.Context,
    *,
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor", metavar="GENERATION:SHA256", help="A digest that was noted before."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that the audit trail is whole.

    Each commit names the one before it by its digest, the head the last one. A digest that was
    noted elsewhere tells whether all of them were written anew since.
    """
    from headwater.registry.audit import check_anchor
    from headwater.registry.audit import verify as verified

    store = session(context).store()
    if anchor is not None:
        generation, colon, digest = anchor.partition(":")
        if not (colon and digest and generation.isdecimal()):
            raise typer.BadParameter(f"--anchor {anchor}: write GENERATION:SHA256")
        check_anchor(store.registry, store.project, int(generation), digest)
    found = verified(store.registry, store.project)
    if as_json:
        emit_json(found)
        return
    emit(f"{found.generation}:{found.digest}")
    say(f"{found.checked:,} of {found.generation:,} commits are as the next one knows them")


def _row(made: CopiedProject) -> dict[str, Any]:
    return {
        "project": made.project,
        "generation": made.generation,
        "objects": sum(made.counts.values()),
        "copied": made.copied,
        "counts": made.counts,
        "sha256": made.digest,
    }


def _url(text: str, folder: Path) -> str:
    """The URL that an argument stands for; the file of an SQLite registry as seen from a folder."""
    if text.startswith(_VARIABLE):
        name = text.removeprefix(_VARIABLE)
        if name not in os.environ:
            raise typer.BadParameter(f"{text}: the environment has no variable {name}")
        text = os.environ[name]
    scheme, slashes, path = text.partition(":///")
    if slashes and path and scheme.partition("+")[0] == "sqlite":
        return f"{scheme}:///{folder.absolute() / path}"
    return text
