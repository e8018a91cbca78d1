"""The peer, Feast, in an environment of its own; measured only where that is there."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.http_load import Server
from bench.measure import HERE, Task, run
from bench.sizes import folder_of

ENVIRONMENT = HERE / ".venv-feast"
REQUIREMENT = "feast[duckdb,redis]==0.67.0"
INSTALL = (
    f"python -m venv {ENVIRONMENT.relative_to(HERE.parent)} && "
    f"{ENVIRONMENT.relative_to(HERE.parent)}/bin/pip install '{REQUIREMENT}'"
)


@dataclass(frozen=True)
class Feast:
    """Feast's interpreter, and what it is asked to do."""

    python: str
    quick: bool

    def task(self, function: str, **arguments: Any) -> Task:
        return Task("bench.peers.feast", function, tuple(arguments.items()), self.python)

    def server(self, root: Path) -> Server | None:
        """`feast serve` over a filled store; None where filling failed."""
        data = folder_of("latest", quick=self.quick)
        if "error" in run(self.task("load", data=str(data), root=str(root))):
            return None
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        feast = str(Path(self.python).with_name("feast"))
        argv = (feast, "-c", str(root), "serve", "--port", str(port), "--workers", "2")
        # Recycling workers after 1,000 requests, as it does by default, costs it half its rate.
        options = ("--no-access-log", "--max-requests", "0", "--registry_ttl_sec", "60")
        return Server("feast", (*argv, *options), (), port, "/get-online-features", "stats:")


def find(*, quick: bool) -> tuple[Feast | None, str]:
    """Feast, or why it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        return None, f"Feast is not installed; install it with\n  {INSTALL}"
    text = "import importlib.metadata as m; import pyarrow, duckdb; print(m.version('feast'))"
    done = subprocess.run([str(python), "-c", text], capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stdout.strip() != "0.67.0":
        return None, f"{python} has no working Feast 0.67.0; install it with\n  {INSTALL}"
    return Feast(str(python), quick), ""
