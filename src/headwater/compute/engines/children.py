"""Child processes in which code that came over the API is run, within limits of memory and time.

DuckDB's own limits don't hold: one call of one function may take any amount of both. So the kernel
limits the memory of the child, and a child that takes too long is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from headwater.compute.engines.wire import Overflow, Pipe, say
from headwater.errors import ComputeError, EngineLostError

_START = 120.0
"""Seconds in which a child must have started, on a machine that is busy."""
_AT_ONCE = 2
_KEPT = 2
_NEEDED = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
"""What a child sees of the environment, which may hold the passwords of stores."""
_FEW = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
_FEW |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
"""Libraries that take address space in advance would use up the limit without need."""


@dataclass(frozen=True)
class Limits:
    """What code that came over the API may take: bytes and seconds a query.

    `trusted` names the authors whose Python code is run.
    """

    memory: int = 1024**3
    seconds: int = 60
    threads: int = 2
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """Which module a child runs; what left something behind in it is used by no other `owner`."""

    module: str = "headwater.compute.engines.child"
    owner: str = ""


QUERIES = Kind()


class Children:
    """The children of one engine, each for one request at a time.

    Those that are done are kept for the next request of the same kind.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self.limits = limits
        self._folder = folder
        self._idle: list[tuple[Kind, Child]] = []
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_AT_ONCE)
        weakref.finalize(self, _close_all, self._idle)

    def ask(
        self, what: str, kind: Kind, request: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> pa.Table:
        """The rows that a child answers; `what` names in errors the features that are computed.

        Raises duckdb.Error for what is wrong in a query, ComputeError where a limit is exceeded
        or code fails, EngineLostError where the child was killed by somebody else.
        """
        with self._room, self._borrowed(kind) as child:
            return child.ask(what, request, tables)

    @contextlib.contextmanager
    def _borrowed(self, kind: Kind) -> Iterator[Child]:
        child = self._taken(kind) or Child(kind.module, self.limits, self._folder)
        try:
            yield child
        except duckdb.Error:
            self._give_back(kind, child)
            raise
        except BaseException:
            child.close()
            raise
        self._give_back(kind, child)

    def _taken(self, kind: Kind) -> Child | None:
        with self._lock:
            place = next((i for i, (known, _) in enumerate(self._idle) if known == kind), None)
            child = None if place is None else self._idle.pop(place)[1]
        if child is not None and not child.is_alive:
            child.close()
            return None
        return child

    def _give_back(self, kind: Kind, child: Child) -> None:
        with self._lock:
            self._idle.append((kind, child))
            spare = [self._idle.pop(0)[1] for _ in range(len(self._idle) - _KEPT)]
        for old in spare:
            old.close()


def _close_all(idle: list[tuple[Kind, Child]]) -> None:
    while idle:
        idle.pop()[1].close()


class Child:
    """One process, which answers one request at a time."""

    def __init__(self, module: str, limits: Limits, folder: Path) -> None:
        self._module = module
        self._limits = limits
        environ = {name: os.environ[name] for name in _NEEDED if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 (the modules are our own)
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environ | _FEW,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018
        self._asks = self._process.stdin
        self._answers = Pipe(self._process.stdout, limits.memory)
        self._start()

    def _start(self) -> None:
        limits = self._limits
        told = {"memory": limits.memory, "seconds": limits.seconds, "threads": limits.threads}
        try:
            with self._killed_after(_START):
                say(self._asks, told, {})
                self._answers.line()
        except (EOFError, OSError):
            code = self.close()
            raise EngineLostError(
                "the process in which code of the API is run could not start (it ended with "
                f"{code}); see that 'python -m {self._module}' can be run"
            ) from None
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(
        self, what: str, request: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> pa.Table:
        """What `Children.ask` says. After another error than duckdb.Error it is of no more use."""
        self._answers.reset()
        killed = threading.Event()
        try:
            with self._killed_after(self._limits.seconds, killed):
                say(self._asks, request, tables)
                found, said = self._read()
        except Overflow:
            raise self._exceeded(what, "gives back more than", "memory") from None
        except (EOFError, OSError, pa.ArrowInvalid):
            raise self._ended(what, by_us=killed.is_set()) from None
        if "failed" in said:
            raise self._failed(what, said)
        return pa.concat_tables(found)

    def _read(self) -> tuple[list[pa.Table], dict[str, Any]]:
        """The rows of an answer, and the line that ends it."""
        found: list[pa.Table] = []
        while True:
            said = self._answers.line()
            found += self._answers.tables(said["tables"]).values()
            if "done" in said or "failed" in said:
                return found, said

    @contextlib.contextmanager
    def _killed_after(self, seconds: float, event: threading.Event | None = None) -> Iterator[None]:
        def kill() -> None:
            if event is not None:
                event.set()
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> int:
        """Kill the process, if it is still there, and take note of its end; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not sent can't be flushed
                    pipe.close()
        return code

    def _failed(self, what: str, said: Mapping[str, Any]) -> Exception:
        if said["failed"] == "memory":
            return self._exceeded(what, "needs more than", "memory")
        if said["failed"] == "duckdb":
            return duckdb.Error(said["message"])
        return ComputeError(said["message"])

    def _ended(self, what: str, *, by_us: bool) -> ComputeError:
        """Why a process ended that was to answer."""
        code = self._process.poll() if by_us else self._settled()
        if by_us or code == -signal.SIGALRM:
            return self._exceeded(what, "runs longer than", "time")
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            return EngineLostError(
                f"{what}: the process that computed it was killed from outside (signal {-code}); "
                "run this again, and see whether the machine is short of memory"
            )
        return self._exceeded(what, f"broke its process ({code}), perhaps with", "memory")

    def _settled(self) -> int:
        """The exit code of a process whose pipe is closed; 0 for one that only broke off."""
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            return 0

    def _exceeded(self, what: str, how: str, limit: str) -> ComputeError:
        shown = {
            "memory": f"{self._limits.memory / 1024**2:g} MiB",
            "time": f"{self._limits.seconds} s",
        }
        return ComputeError(
            f"{what}: code that came over the API {how} {shown[limit]}; it was stopped. Let it do "
            f"less, or raise the setting 'api.{limit}_limit'"
        )
