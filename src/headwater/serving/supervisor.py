"""Keeps processes alive: one that dies is started again, SIGTERM or SIGINT stops them all."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

CANNOT_START = 3
"""The exit code of a process whose application can't start, as uvicorn's."""
_LONGEST_PAUSE = 30.0
_STEADY = 10.0
"""Seconds after which a process that dies is started again at once."""
_SLACK = 5.0


def say(text: str) -> None:
    """Tell the operator something."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process to keep alive: a module that is given a listening socket.

    It reads its settings from the first line of its input, and stops when that ends. Where a
    vital one says that it can't start, there is nothing to be kept alive.
    """

    name: str
    module: str
    settings: bytes
    socket: socket.socket
    vital: bool = True


class _Kept:
    """A child's present process, when it was started, and when it is to be started again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.due: float | None = None
        self._pause = 0.0
        self._start()

    def _start(self) -> None:
        self.due = None
        self._started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 (the modules are our own)
            [sys.executable, "-m", self.child.module],
            stdin=subprocess.PIPE,
            pass_fds=(self.child.socket.fileno(),),
        )
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # its exit code tells
                self.process.stdin.write(self.child.settings + b"\n")
                self.process.stdin.flush()

    def look(self) -> bool:
        """Start another in place of one that died, later where that happens often.

        False where it says that it can't start, and nothing goes without it.
        """
        if self.due is None and (code := self.process.poll()) is not None:
            if code == CANNOT_START and self.child.vital:
                return False
            self._close()
            lived = time.monotonic() - self._started
            self._pause = 0.0 if lived > _STEADY else min(2 * self._pause + 0.1, _LONGEST_PAUSE)
            self.due = time.monotonic() + self._pause
            name = self.child.name
            say(f"{name} {self.process.pid} died (exit code {code}); starting another")
        if self.due is not None and time.monotonic() >= self.due:
            self._start()
        return True

    def terminate(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Until it has stopped; after that many seconds it is killed."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            say(f"{self.child.name} {self.process.pid} does not stop; killing it")
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self) -> None:
        if self.process.stdin is not None:
            # what its pipe still held has nobody to read it
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


class Supervisor:
    """Keeps children alive until it is told to stop; then the vital ones stop first.

    `listening` is the server's own socket: closing it refuses new connections.
    """

    def __init__(
        self, children: Sequence[Child], listening: socket.socket, *, grace: float
    ) -> None:
        self._children = children
        self._listening = listening
        self._grace = grace + _SLACK
        self._kept: list[_Kept] = []
        # a pipe, since a signal handler may not take the lock of a threading.Event
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._stopping = False

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns 0, or `CANNOT_START`."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            for child in self._children:
                self._kept.append(_Kept(child))
            while not self._stopping:
                if not all(kept.look() for kept in self._kept):
                    return CANNOT_START
                self._sleep()
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

    def _sleep(self) -> None:
        """Until a signal comes or a child is due."""
        now = time.monotonic()
        times = [kept.due - now for kept in self._kept if kept.due is not None]
        seconds = max(0.0, min([_LONGEST_PAUSE, *times]))
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)

    def _stop_all(self) -> None:
        self._listening.close()  # refuse new connections as soon as the workers do
        for vital in (True, False):  # what the workers still answer may need the others
            stopped = [kept for kept in self._kept if kept.child.vital is vital]
            for kept in stopped:
                kept.terminate()
            end = time.monotonic() + self._grace
            for kept in stopped:
                kept.wait(end - time.monotonic())
