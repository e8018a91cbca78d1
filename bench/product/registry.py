"""Headwater's registry with many features: made in bulk, and asked over HTTP."""

from __future__ import annotations

import datetime as dt
import http.client
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from bench.catalogue import Question, features, questions
from bench.timing import timed, timed_each
from headwater import Entity, Feature, FeatureStore, FeatureView, Source
from headwater.api.convert import record_of
from headwater.api.schemas import FeatureCreate

_IN_VIEW = 100
_COLUMNS = 10


def create(root: str, count: int, calls: int) -> dict[str, Any]:
    """Register drafts, all in one commit."""
    turn = iter(range(calls))
    records = [record_of(FeatureCreate(**one)) for one in features(count)]
    stores = [_project(Path(root) / str(call)) for call in range(calls)]
    return timed(lambda: stores[next(turn)].governance.create_many(records, author="bench"), calls)


def apply(root: str, count: int, calls: int) -> dict[str, Any]:
    """Plan, apply and publish views of windowed features."""
    turn = iter(range(calls))
    stores = [_project(Path(root) / str(call)) for call in range(calls)]
    return timed(lambda: stores[next(turn)].apply(_views(count)), calls)


def _project(folder: Path) -> FeatureStore:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "headwater.toml").write_text('project = "bench"\n')
    days = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (1, 2)]
    columns = {f"x{number}": [1.0, 2.0] for number in range(_COLUMNS)}
    pq.write_table(pa.table({"user_id": [1, 2], "at": days, **columns}), folder / "rows.parquet")
    return FeatureStore(folder)


def _views(count: int) -> list[FeatureView]:
    user = Entity("user", join_keys={"user_id": "int64"})
    rows = Source("rows", path="rows.parquet", event_time="at")
    return [
        FeatureView(
            f"view_{view}",
            entity=user,
            source=rows,
            update_frequency="hourly",
            features=[
                Feature(f"f{view}_{n}", f"sum(x{n % _COLUMNS})", window=f"{n + 1}h", tags=["sum"])
                for n in range(_IN_VIEW)
            ],
        )
        for view in range(count // _IN_VIEW)
    ]


def ask(root: str, count: int, kind: str) -> dict[str, Any]:
    """Questions to a server, one after the other; `cpu` is that of the server's processes."""
    if not (Path(root) / "0").exists():
        create(root, count, 1)
    with _served(Path(root) / "0") as (port, server):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        asked = questions(count)[kind]
        _answer(connection, asked[0])  # what answers has been started then
        processes = [server, *server.children(recursive=True)]
        before = _used(processes)
        result = timed_each(lambda one: _answer(connection, one), asked)
        used = _used(processes) - before
        connection.close()
    return {**result, "cpu": [used / (1.1 * len(asked))]}


def _answer(connection: http.client.HTTPConnection, one: Question) -> bytes:
    connection.request("GET", f"/api/v1{one.path}")
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{one.path}: {response.status} {body[:500]!r}")
    return body


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """The port of a server of one worker, and its process."""
    argv = [sys.executable, "-m", "headwater", "-C", str(folder), "serve", "--port", "0"]
    process = subprocess.Popen([*argv, "--workers", "1"], stderr=subprocess.PIPE, text=True)
    try:
        said = iter(process.stderr or ())
        found = next(m for line in said if (m := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
        yield int(found[1]), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)
        if process.stderr is not None:
            process.stderr.close()


def _used(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)
