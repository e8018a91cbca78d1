"""Several processes on one table, and processes that are killed: rows and spans stay one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.offline.intervals import Span
from headwater.offline.tables import OfflineTables

from . import writer
from .writer import REVISION, SPAN

TIMES = "event_time"


def start(root: Path, mode: str, number: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(writer.__file__), str(root), mode, str(number), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    """What each has done, after all have ended well."""
    said = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [[line for line in lines if line.startswith("done")] for lines in said]


def content(tables: OfflineTables) -> dict[int, int]:
    """Time to the snapshot that wrote it; fails on a doubled time."""
    table = tables.read(REVISION).read_all()
    times = table[TIMES].cast(pa.int64()).to_pylist()
    assert len(times) == len(set(times))
    return dict(zip(times, table["snapshot"].to_pylist(), strict=True))


def promised(spans: list[Span]) -> dict[int, int]:
    return {t: int(span.snapshot) for span in spans for t in range(span.start, span.end)}


@pytest.fixture
def tables(tmp_path) -> OfflineTables:
    return OfflineTables(tmp_path, "shop")


def test_disjoint_intervals_all_arrive_while_another_process_compacts(tables):
    finish([start(tables.root, "once", 0, 1)])
    workers = [start(tables.root, "disjoint", number, 5) for number in range(3)]
    finish([*workers, start(tables.root, "compact", 0, 10)])
    assert tables.intervals(REVISION) == [Span(0, 3 * 5 * SPAN, "1")]
    assert content(tables) == dict.fromkeys(range(3 * 5 * SPAN), 1)


def test_one_interval_ends_as_one_writer_left_it(tables):
    finish([start(tables.root, "same", number, 6) for number in range(1, 4)])
    assert len(tables.intervals(REVISION)) == 1
    assert content(tables) == promised(tables.intervals(REVISION))
    assert len(content(tables)) == SPAN


def test_one_snapshot_is_written_once_whoever_comes_first(tables):
    done = finish([start(tables.root, "once", number, 6) for number in range(3)])
    changed = [line for lines in done for line in lines if line.endswith("True")]
    assert len(changed) == 6
    assert content(tables) == dict.fromkeys(range(6 * SPAN), 1)
    assert len(list(tables.path(REVISION).glob("*.parquet"))) == 6


def test_killed_writers_leave_every_interval_before_or_after(tables):
    """Killed after its n-th line: while it writes rows, before and after a commit."""
    done: dict[int, int] = {}
    for number, lines in enumerate((1, 2, 8, 9, 13, 24)):
        process = start(tables.root, "random", 1000 * (number + 1), 1_000)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.read().splitlines()
        process.wait()
        process.stdout.close()
        for line in said:
            words = line.split()
            if words and words[0] == "done":
                done |= dict.fromkeys(range(int(words[1]), int(words[2])), int(words[3]))
        found = content(tables) if tables.exists(REVISION) else {}
        assert found == promised(tables.intervals(REVISION))
        # Nothing acknowledged is lost: what stands there is that, or the next write whole.
        later = {snapshot for t, snapshot in found.items() if done.get(t) != snapshot}
        assert len(later) <= 1
        assert all(t in found for t in done)
        assert all(snapshot > max(done.values(), default=0) for snapshot in later)
        done = found
    tables.compact(REVISION)
    tables.vacuum(REVISION, retention_hours=0)
    assert content(tables) == promised(tables.intervals(REVISION)) == done
    left = {p.name for p in tables.path(REVISION).glob("*.parquet")}
    assert left == {Path(file).name for file in tables.files(REVISION)}
