"""A server process: started until it answers, stopped, or killed as a crash does."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


class UnavailableError(Exception):
    """This machine has no such server; the text says how to get it."""


class Server:
    """What PostgreSQL and MongoDB have in common here."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="headwater-"))
        self.port = free_port()
        self.process = None
        self._numbers = count()

    def command(self):
        """The command line that runs it in the foreground."""
        raise NotImplementedError

    def ping(self):
        """Raise an error of `errors` until the server answers."""
        raise NotImplementedError

    errors = ()
    user = None
    ending = signal.SIGINT

    def start(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            if self.process is None or self.process.poll() is not None:
                # After a crash the former one's children may hold the folder for a moment.
                self._spawn()
            try:
                self.ping()
            except self.errors:
                if time.monotonic() > deadline:
                    self.kill()
                    raise
                time.sleep(0.02)
            else:
                return self

    def _spawn(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.folder, user=self.user
            )

    def kill(self):
        """SIGKILL, as in a crash; what it has told the file system is all that it keeps."""
        self._end(signal.SIGKILL)

    def stop(self):
        self._end(self.ending)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how):
        if self.process is not None:
            if self.process.poll() is None:
                os.kill(self.process.pid, how)
            self.process.wait(PATIENCE)
            self.process = None

    def fresh(self):
        """The URL of an empty database."""
        return self.url(f"test_{next(self._numbers)}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
