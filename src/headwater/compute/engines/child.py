"""The child process in which code that came over the API is run, one request after the other.

    python -m headwater.compute.engines.child

reads its limits as one line of JSON from its standard input, then requests, and stops when that
ends. Memory is limited by the kernel; time by the engine, which kills this process, and by an
alarm should the engine be gone.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa

from headwater.compute.engines.vectors import add_functions
from headwater.compute.engines.wire import Pipe, say, say_batches
from headwater.errors import HeadwaterError

_BATCH_ROWS = 100_000
_GRACE = 5
"""Seconds after the time limit at which the process ends by itself."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Worker:
    """Answers requests; `limits` holds `memory` (bytes), `seconds` and `threads`."""

    def __init__(self, limits: Mapping[str, Any], answers: IO[bytes]) -> None:
        self._limits = limits
        self._answers = answers
        self.warm_up()
        _limit_memory(limits["memory"])

    def answer(self, request: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> None:
        """Do what a request asks for, and say what came of it."""
        signal.setitimer(signal.ITIMER_REAL, self._limits["seconds"] + _GRACE)
        try:
            found = self.found(request, tables)
            say_batches(self._answers, iter(found), found.schema)
        except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
            self._fail("memory", "")
        except BrokenPipeError:
            raise
        except (duckdb.Error, OSError) as error:  # an error of a later batch comes as OSError
            is_memory = str(error).startswith("Out of Memory")
            self._fail("memory" if is_memory else "duckdb", str(error))
        except HeadwaterError as error:
            self._fail("code", str(error))
        signal.setitimer(signal.ITIMER_REAL, 0)

    def warm_up(self) -> None:
        """Take what the work takes anyway: it is not to count as theirs."""
        self._connect([]).execute("SELECT 1").close()

    def found(
        self, request: Mapping[str, Any], tables: Mapping[str, pa.Table]
    ) -> pa.RecordBatchReader:
        """The rows that a request asks for."""
        connection = self._connect(request["files"])
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(request["sql"]).to_arrow_reader(_BATCH_ROWS)

    def _fail(self, kind: str, message: str) -> None:
        say(self._answers, {"failed": kind, "message": message}, {})

    def _connect(self, files: list[str]) -> duckdb.DuckDBPyConnection:
        """A database that sees these files and nothing else, and whose settings are fixed."""
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": self._limits["threads"],
                "memory_limit": f"{self._limits['memory']}B",
                "temp_directory": "",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
            },
        )
        # As the engine itself: expressions mean the same in both.
        add_functions(connection)
        connection.execute("SET GLOBAL disabled_optimizers = 'statistics_propagation'")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET allowed_paths = $1", [files])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection


def _limit_memory(more: int) -> None:
    """Let the process use so many bytes more than it does now."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    told = Path("/proc/self/statm")
    if not told.exists():  # other kernels than Linux don't hold this limit
        return
    most = int(told.read_text(encoding="ascii").split()[0]) * _PAGE + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the engine, out of reach of what is printed or read by code that is run."""
    asks = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return asks, answers


def serve(kind: type[Worker]) -> int:
    """Answer until there is nobody left who asks; the exit code."""
    asks, answers = _private_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine decides when it ends
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    pipe = Pipe(asks)
    worker = kind(pipe.line(), answers)
    say(answers, {"ready": True}, {})
    while True:
        try:
            request = pipe.line()
            tables = pipe.tables(request["tables"])
        except EOFError:
            return 0
        try:
            worker.answer(request, tables)
        except BrokenPipeError:
            return 0


if __name__ == "__main__":
    sys.exit(serve(Worker))
