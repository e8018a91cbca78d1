"""Child processes that are measured: time, processor time, memory of their own; result lines.

This process imports nothing heavy: what it holds in memory when it starts a child would show up
in the child's peak.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
TIMEOUT = 1800.0
INTERVAL = 0.02


@dataclass(frozen=True)
class Task:
    """A function of a module under `bench`, run by `python -m bench.child` with arguments."""

    module: str
    function: str
    arguments: tuple[tuple[str, Any], ...] = ()
    python: str = sys.executable

    @classmethod
    def of(cls, module: str, function: str, **arguments: Any) -> Task:
        return cls(f"bench.{module}", function, tuple(arguments.items()))

    @property
    def argv(self) -> list[str]:
        given = json.dumps(dict(self.arguments))
        return [self.python, "-m", "bench.child", self.module, self.function, given]


@dataclass(frozen=True)
class Command:
    """A command that is measured as a whole, from its start to its end."""

    argv_: tuple[str, ...]

    @property
    def argv(self) -> list[str]:
        return list(self.argv_)


Work = Task | Command


@dataclass
class Peak:
    """The most memory that a process and its children were seen to hold at once, in MiB."""

    resident: float = 0.0
    own: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def watch(self, pid: int) -> None:
        while not self.stop.wait(INTERVAL):
            resident, own = _memory(pid)
            self.resident, self.own = max(self.resident, resident), max(self.own, own)


def _memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process tree, and without the pages of mapped files."""
    resident = own = 0
    try:
        tree = psutil.Process(pid)
        for process in (tree, *tree.children(recursive=True)):
            text = Path(f"/proc/{process.pid}/status").read_text()
            lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            resident += int(lines.get("VmRSS", "0").split()[0])
            own += int(lines.get("RssAnon", "0").split()[0])
    except (psutil.Error, OSError):
        pass
    return resident / 1024, own / 1024


def run(work: Work, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Run a work to its end and tell what it measured; `error` says why it did not."""
    began = time.perf_counter()
    child = subprocess.Popen(
        work.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parent
    )
    peak = Peak()
    watcher = threading.Thread(target=peak.watch, args=(child.pid,), daemon=True)
    watcher.start()
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        err += f"\nstopped after {timeout:.0f} s"
    finally:
        peak.stop.set()
        watcher.join()
    wall = time.perf_counter() - began
    record: dict[str, Any] = {"load": os.getloadavg()[0]}
    if child.returncode != 0:
        last = [line for line in err.splitlines() if line.strip()][-1:]
        return {**record, "error": f"exit {child.returncode}: {' '.join(last)[-300:]}"}
    if isinstance(work, Task):
        record |= _result(out)
    else:
        record["seconds"] = [wall]
    record["peak_mib"] = max(record.get("peak_mib", 0.0), peak.resident)
    record["own_mib"] = peak.own
    return record


def _result(out: str) -> dict[str, Any]:
    line = next(line for line in reversed(out.splitlines()) if line.startswith("RESULT "))
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


class Log:
    """A file of JSON lines, written as results come, so that a broken run keeps what it has."""

    def __init__(self, name: str) -> None:
        folder = HERE / "results"
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{name}.jsonl"

    def add(self, **record: Any) -> None:
        with self.path.open("a") as out:
            out.write(json.dumps(record, default=str) + "\n")


PACKAGES = ("headwater", "duckdb", "numpy", "pyarrow", "polars", "lmdb", "msgspec", "uvicorn")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {
        "cpu": model or platform.processor(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }
