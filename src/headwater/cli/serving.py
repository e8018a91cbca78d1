"""serve: online values and the registry over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli.arguments import Commands
from headwater.cli.session import session


def serve(
    context: typer.Context,
    *,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", "-p", help="The port; 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Worker processes.")
    ] = None,
) -> None:
    """Serve values and the registry over HTTP."""
    settings = session(context).settings(serve__host=host, serve__port=port, serve__workers=workers)
    from headwater.api.process import control_plane
    from headwater.serving.server import serve as run

    run(settings, control=control_plane(settings))


COMMANDS: Commands = {"serve": serve}
