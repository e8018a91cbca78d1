"""Real server processes, started and stopped."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.world import PROJECT

RUN = """
import sys, msgspec
from headwater.serving.server import ControlPlane, serve_workers
from headwater.serving.worker import WorkerSettings
settings = msgspec.json.decode(sys.argv[1], type=WorkerSettings)
control = msgspec.json.decode(sys.argv[4], type=ControlPlane | None)
serve_workers(settings, port=int(sys.argv[2]), workers=int(sys.argv[3]), control=control)
"""
TESTS = Path(__file__).parents[1]
PATIENCE = 60


class Server:
    """A server on a free port; `lines` is what it has said, `port` where it listens."""

    def __init__(
        self,
        folder: Path,
        workers: int,
        port: int = 0,
        control: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        store = {"project": PROJECT, "store": "lmdb", "options": {"path": str(folder)}}
        described = json.dumps({**store, "refresh": 0.0, **settings})
        self.lines: list[str] = []
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, described, str(port), str(workers), json.dumps(control)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*_python_path(), str(TESTS)])},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        assert self._told.wait(PATIENCE), "the server says nothing"

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line.rstrip())
            found = re.search(r"on http://127\.0\.0\.1:(\d+)", line)
            if found is not None:
                self.port = int(found[1])
                self._told.set()
        self._told.set()

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request on a connection of its own; it waits until a worker is up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def age(self, user: int) -> Any:
        body = {"features": ["age"], "entities": {"user_id": [user]}}
        status, found = self.request("POST", "/get-online-features", body)
        return found["results"][1]["values"][0] if status == 200 else status

    def half_a_request(self) -> socket.socket:
        """A connection on which a request has begun."""
        found = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        body = b'{"features":["age"],"entities":{"user_id":[1]}}'
        found.sendall(
            b"POST /get-online-features HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        assert found.recv(1000).startswith(b"HTTP/1.1 100"), "the request has not begun"
        found.sendall(body[:10])
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._thread.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


@contextmanager
def server(folder: Path, workers: int = 1, **settings: Any) -> Iterator[Server]:
    found = Server(folder, workers, **settings)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            os.killpg(found.process.pid, signal.SIGKILL)
            found.wait()
