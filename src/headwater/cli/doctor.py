"""doctor: whether a project is well, part by part, and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from headwater.cli.arguments import AsJson, Commands
from headwater.cli.output import emit, emit_json, say
from headwater.cli.session import open_store, session

if TYPE_CHECKING:
    from headwater.examining import Finding


def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Look whether the project is well.

    Its disks, registry, definitions and sources, what is served, how fresh it is, and its runs.
    Leaves with 1 where something failed; a warning is none.
    """
    from headwater.examining import examine
    from headwater.loading import load_definitions

    # values are not compared: that would read the sources
    settings = session(context).settings(registry__compare_rows=0, usage__enabled=False)
    store = open_store(settings)
    findings: list[Finding] = []
    for found in examine(store, lambda: load_definitions(settings)):
        findings.append(found)
        if not as_json:
            emit(_line(found))
    if as_json:
        emit_json([asdict(found) for found in findings])
    failed, warned = (
        sum(found.status == status for found in findings) for status in ("failed", "warning")
    )
    say(f"{len(findings)} looked at: {failed} failed, {warned} to look after")
    if failed:
        raise typer.Exit(1)


def _line(found: Finding) -> str:
    fix = f"\n{'':23}-> {found.fix}" if found.fix else ""
    return f"{found.status:8} {found.part:13} {found.detail}{fix}"


COMMANDS: Commands = {"doctor": doctor}
