"""The control plane as a process, which `headwater serve` starts beside its workers.

    python -m headwater.api.process

reads one line of JSON from its standard input: the project's settings and the number of the
socket to serve. It stops when the input ends, so it doesn't outlive the process that started it.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from pathlib import Path
from typing import Any

from headwater.config import LEAVES, Settings, Url, local_settings
from headwater.serving.server import ControlPlane


def control_plane(settings: Settings) -> ControlPlane:
    """The process that governs the registry which the settings name."""
    return ControlPlane("headwater.api.process", describe(settings))


def describe(settings: Settings) -> dict[str, Any]:
    """Settings as JSON; `read` makes them of it again."""
    given = {}
    for dotted in LEAVES:
        section, _, name = dotted.partition(".")
        value = getattr(settings, section)
        given[dotted.replace(".", "__")] = _plain(getattr(value, name) if name else value)
    known = {name: value for name, value in given.items() if value is not None}
    return {"root": str(settings.root), "given": known}


def read(described: dict[str, Any]) -> Settings:
    return local_settings(described["root"], **described["given"])


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, (Path, Url)) else value


def main() -> int:
    """Serve the control plane that the standard input describes."""
    described = json.loads(sys.stdin.buffer.readline())
    listening = socket.socket(fileno=described["socket"])

    from headwater.api.app import create_app
    from headwater.api.projects import Projects
    from headwater.serving.worker import run_application

    logging.getLogger("alembic").setLevel(logging.WARNING)
    projects = Projects(read(described))
    return run_application(
        create_app(projects, close=projects.close), listening, sys.stdin.fileno()
    )


if __name__ == "__main__":
    sys.exit(main())
