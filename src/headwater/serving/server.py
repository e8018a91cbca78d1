"""The server of online values: one listening socket, one or several worker processes.

One worker runs in this process. Several are processes of their own, watched: one that dies is
started again; SIGTERM or SIGINT stops all of them, requests in flight are answered first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from headwater.errors import ConfigError, StoreError
from headwater.online.store import open_online_store
from headwater.serving.app import Limits
from headwater.serving.live import DOCUMENT
from headwater.serving.recorder import VectorLogSettings
from headwater.serving.worker import CANNOT_START, WorkerSettings, run

if TYPE_CHECKING:
    from headwater.config import Settings

_BACKLOG = 2048
_LONGEST_PAUSE = 30.0
_STEADY = 10.0
"""Seconds after which a worker that dies is started again at once."""
_SLACK = 5.0


def serve(settings: Settings, *, vector_log: VectorLogSettings | None = None) -> None:
    """Serve a project's online values until SIGTERM or SIGINT.

    Raises ConfigError where the address can't be listened on, StoreError where the online store
    can't be opened or the workers can't start.
    """
    options = settings.online
    limits = Limits(body=settings.serve.body_limit, rows=settings.serve.row_limit)
    worker = WorkerSettings(
        project=settings.project,
        store=options.kind,
        options={"path": str(options.path), "map_size": options.map_size},
        limits=limits,
        vector_log=vector_log,
    )
    serve_workers(
        worker,
        host=settings.serve.host,
        port=settings.serve.port,
        workers=settings.serve.workers,
    )


def serve_workers(
    worker: WorkerSettings, *, host: str = "127.0.0.1", port: int = 8500, workers: int = 1
) -> None:
    """`serve`, from the settings of its workers; port 0 takes a free one, and says which."""
    listening = listen(host, port)
    with listening:
        _check_store(worker)
        address = "http://{}:{}".format(*_shown(listening))
        plural = "" if workers == 1 else "s"
        _say(f"serving project '{worker.project}' on {address} with {workers} worker{plural}")
        if workers == 1:
            code = run(worker, listening)
        else:
            code = Supervisor(worker, listening, workers).run()
    if code != 0:
        raise StoreError("the server could not start; its log says why")
    _say("stopped")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address. Raises ConfigError that says why it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        found.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} of {host} is taken by another process; choose another with --port "
                "(or serve.port), 0 takes a free one"
            ) from error
        raise ConfigError(f"can't listen on port {port} of '{host}': {error}") from error
    return found


def _shown(listening: socket.socket) -> tuple[str, int]:
    host, port = listening.getsockname()[:2]
    return (f"[{host}]" if ":" in host else host), port


def _check_store(worker: WorkerSettings) -> None:
    """Fail here, with the store's own words, rather than once in each worker."""
    store = open_online_store(worker.store, **worker.options)
    try:
        store.get_document(worker.project, DOCUMENT)
    finally:
        store.close()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class _Worker:
    """A worker's process, and when it was started."""

    def __init__(self, settings: bytes, listening: socket.socket) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headwater.serving.worker"],
            stdin=subprocess.PIPE,
            pass_fds=(listening.fileno(),),
        )
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # its exit code tells
                self.process.stdin.write(settings + b"\n")
                self.process.stdin.flush()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()


class Supervisor:
    """Keeps worker processes alive until it is told to stop."""

    def __init__(self, worker: WorkerSettings, listening: socket.socket, workers: int) -> None:
        described = msgspec.structs.replace(worker, socket=listening.fileno())
        self._settings = msgspec.json.encode(described)
        self._listening = listening
        self._count = workers
        self._grace = worker.grace + _SLACK
        self._workers: list[_Worker] = []
        # a pipe, since a signal handler may not take the lock of a threading.Event
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._stopping = False
        self._pause = 0.0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns 0, or `CANNOT_START`."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            self._workers = [self._start() for _ in range(self._count)]
            while not self._stopping:
                dead = self._first_dead()
                if dead is None:
                    self._sleep(_LONGEST_PAUSE)
                elif not self._replace(dead):
                    return CANNOT_START
            return 0
        finally:
            self._stop_all()
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake)
            os.close(self._waker)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"!")

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes, `seconds` at the most."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)

    def _start(self) -> _Worker:
        return _Worker(self._settings, self._listening)

    def _first_dead(self) -> int | None:
        for place, worker in enumerate(self._workers):
            if worker.process.poll() is not None:
                return place
        return None

    def _replace(self, place: int) -> bool:
        """Start another in place of a worker that died; False where it says that it can't start."""
        worker = self._workers[place]
        code = worker.process.returncode
        if code == CANNOT_START:
            return False
        lived = time.monotonic() - worker.started
        self._pause = 0.0 if lived > _STEADY else min(2 * self._pause + 0.1, _LONGEST_PAUSE)
        _say(f"worker {worker.process.pid} died (exit code {code}); starting another")
        self._wait(self._pause)
        if not self._stopping:
            self._workers[place] = self._start()
        return True

    def _wait(self, seconds: float) -> None:
        """Sleep, unless told to stop."""
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            self._sleep(left)

    def _stop_all(self) -> None:
        self._listening.close()  # refuse new connections as soon as the workers do
        for worker in self._workers:
            worker.stop()
        end = time.monotonic() + self._grace
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _say(f"worker {worker.process.pid} does not stop; killing it")
                worker.process.kill()
                worker.process.wait()
            if worker.process.stdin is not None:
                worker.process.stdin.close()
