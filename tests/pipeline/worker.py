"""A process that runs verbs in children of its own, for tests that kill them at any moment.

It reads one JSON command a line and answers with one: `folder`, `verb` with `arguments`, and after
how many calls the child dies (`kill_at`, null for never), `delay` seconds later, which may well be
inside of a library. The answer tells whether it died, and how many calls it made otherwise.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# Imported here, so that no child spends its calls on that; nothing of it starts a thread before
# the fork.
import alembic.command  # noqa: F401
import deltalake  # noqa: F401
import lmdb  # noqa: F401
import pandas as pd  # noqa: F401 - Arrow imports it where it finds it
import pyarrow.pandas_compat  # noqa: F401

import headwater.collecting
import headwater.governed
import headwater.lineage.project
import headwater.lineage.sinks
import headwater.online.columns
import headwater.registry.governance
import headwater.serving.publishing  # noqa: F401
from headwater import FeatureStore, filling
from headwater.compute import latest
from headwater.compute.reading import Reader
from headwater.offline import duckdb_names  # noqa: F401
from headwater.online import lmdb_store, sorted_load
from headwater.pipeline import backfill, loading, materialize
from headwater.registry import sql  # noqa: F401
from pipeline import projects


def in_small_parts() -> None:
    """Many parts, flushes, chunks and commits, so that there are many moments to die at."""
    filling.Reader = partial(Reader, part_rows=90)
    latest.ROWS_PER_KEY = 15
    loading.WRITE_ROWS = 9
    loading.FLUSH_ROWS = 5
    sorted_load._RUN_ROWS = 4
    backfill.CHUNK_TICKS = 24
    lmdb_store._DELETED_ROWS = 4


def opened(folder: str) -> FeatureStore:
    """The project with all rooms open: what comes then is the work that may be cut short."""
    store = FeatureStore(folder)
    store.analyzed()
    for room in ("engine", "online", "tables", "names", "quarantine"):
        getattr(store, room)
    return store


def run(store: FeatureStore, verb: str, arguments: dict[str, Any]) -> None:
    if verb == "apply":
        store.apply(projects.PROJECTS[arguments["project"]]())
    elif verb == "materialize":
        store.materialize(until=arguments["until"])
    elif verb == "gc":
        store.collect_garbage()
    else:
        store.backfill(arguments["view"], arguments["start"], arguments["end"])


def die_at(calls: int | None, delay: float) -> list[int]:
    """Count calls from now on, in every thread, and die at one; returns the counter."""
    count = [0]

    def tick(_frame: Any, event: str, _argument: Any) -> None:
        if event not in {"call", "c_call"}:
            return
        count[0] += 1
        if count[0] != calls:
            return
        if delay:
            signal.setitimer(signal.ITIMER_REAL, delay)  # SIGALRM ends a process as it stands
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(tick)
    sys.setprofile(tick)
    return count


def child(command: dict[str, Any], pipe: int) -> None:
    in_small_parts()
    store = opened(command["folder"])
    calls = die_at(command["kill_at"], command["delay"])
    run(store, command["verb"], command["arguments"])
    sys.setprofile(None)
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.write(pipe, str(calls[0]).encode())
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        here, there = os.pipe()
        number = os.fork()
        if number == 0:
            try:
                child(command, there)
            finally:
                os._exit(1)  # what it raised is on stderr
        os.close(there)
        with os.fdopen(here, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(number, 0)
        answer = {"killed": os.WIFSIGNALED(status), "calls": int(said) if said else None}
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            answer["failed"] = True
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    assert materialize
    main()
