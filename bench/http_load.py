"""HTTP servers under wrk: a bare one and Headwater's side by side, loaded in turn."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from bench.compare import Line
from bench.measure import HERE, Log, Task, run

CONNECTIONS = 16
WORKERS = 2
BODIES = 300
REPORT = """
done = function(summary, latency, requests)
  io.write(string.format('WRK %d %d %d %d %d %d\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.bytes,
    summary.errors.connect + summary.errors.read + summary.errors.write +
    summary.errors.status + summary.errors.timeout))
end
"""
SCRIPT = """
local bodies, at = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  at = at %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
"""


@dataclass(frozen=True)
class Server:
    """How a server is started, and where it takes requests."""

    name: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    port: int
    path: str
    prefix: str = ""

    @property
    def features(self) -> list[str]:
        """References to the ten features, as this server spells them."""
        return [f"{self.prefix}f{i}" for i in range(10)]


def measure(
    data: Path,
    work: Path,
    users: int,
    *,
    repeat: int,
    seconds: int,
    log: Log,
    say: Callable[[str], None],
    peer: Server | None = None,
) -> list[Line]:
    """The lines for 1, 10 and 100 keys a request."""
    lines = [_line(keys) for keys in (1, 10, 100)]
    why = _prepare(data, work, log)
    if why is not None:
        for line in lines:
            line.note = why
        return lines
    try:
        with _started(_bare(work)) as bare, _started(_headwater(work)) as ours:
            for line, keys in zip(lines, (1, 10, 100), strict=True):
                script = _script(work, users, keys, ours.features)
                servers = [bare, ours]
                for turn in range(repeat):
                    say(f"http, {keys} keys: {turn + 1} of {repeat}")
                    _turn(line, servers, script, seconds, log, keys)
                line.ratio = _median_ratio(line)
        if peer is not None:
            _peer(lines, peer, work, users, seconds, log)
    except OSError as error:
        for line in lines:
            line.note = line.note or f"a server did not start: {error}"
    return lines


def _line(keys: int) -> Line:
    what = f"HTTP, {keys} key{'s' if keys > 1 else ''} x 10 features, {WORKERS} workers"
    return Line(what, "ready JSON by a bare ASGI app", "1/s", 0.65, rate=True)


def _prepare(data: Path, work: Path, log: Log) -> str | None:
    """Fill both stores; what stands in the way."""
    if shutil.which("wrk") is None:
        return "wrk is not installed (apt-get install wrk)"
    for module, root in (("limits.online", "bare"), ("product.online", "project")):
        task = Task.of(module, "prepare", data=str(data), root=str(work / root))
        done = run(task)
        log.add(block="http", prepare=task.argv, **done)
        if "error" in done:
            return str(done["error"])
    return None


def _bare(work: Path) -> Server:
    port = _free_port()
    argv = (
        *(sys.executable, "-m", "uvicorn", "bench.limits.apps:ready", "--port", str(port)),
        *("--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning"),
    )
    environment = (("BENCH_LMDB", str(work / "bare" / "json")),)
    return Server("bare", argv, environment, port, "/")


def _headwater(work: Path) -> Server:
    port = _free_port()
    argv = (
        *(sys.executable, "-m", "headwater", "-C", str(work / "project"), "serve"),
        *("--port", str(port), "--workers", str(WORKERS)),
    )
    return Server("headwater", argv, (), port, "/get-online-features")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _started(server: Server) -> Iterator[Server]:
    """The server until the block ends; OSError where it does not answer within a minute."""
    process = subprocess.Popen(
        server.argv,
        env={**os.environ, **dict(server.environment)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=HERE.parent,
        start_new_session=True,
    )
    try:
        _answers(server, process)
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _answers(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until a request has been answered with 200."""
    body = json.dumps({"features": server.features, "entities": {"user_id": [1]}}).encode()
    url = f"http://127.0.0.1:{server.port}{server.path}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            raise OSError(f"{server.name}: exit {process.returncode}")
        try:
            with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise OSError(f"{server.name}: no answer within a minute")


def _script(work: Path, users: int, keys: int, features: list[str]) -> Path:
    """The wrk script that sends prepared bodies one after the other."""
    import random

    draw = random.Random(keys)
    bodies = work / f"bodies-{keys}.txt"
    with bodies.open("w") as out:
        for _ in range(BODIES):
            chosen = [draw.randrange(users) for _ in range(keys)]
            out.write(json.dumps({"features": features, "entities": {"user_id": chosen}}) + "\n")
    path = work / f"post-{keys}.lua"
    path.write_text(SCRIPT % bodies + REPORT)
    return path


def _turn(
    line: Line, servers: list[Server], script: Path, seconds: int, log: Log, keys: int
) -> None:
    for server, rates in zip(servers, (line.limit, line.product), strict=True):
        _wrk(server, script, 1)
        found = _wrk(server, script, seconds)
        log.add(block="http", server=server.name, keys=keys, load=os.getloadavg()[0], **found)
        if found["errors"]:
            line.note = f"{server.name}: {found['errors']} failed requests"
            line.also = False
        rates.append(found["rate"])


def _wrk(server: Server, script: Path, seconds: int) -> dict[str, Any]:
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
    argv += ["-s", str(script), f"http://127.0.0.1:{server.port}{server.path}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=True)
    told = next(row for row in done.stdout.splitlines() if row.startswith("WRK "))
    requests, took, p50, p99, size, errors = map(int, told.split()[1:])
    return {
        "rate": requests / (took / 1e6),
        "p50_ms": p50 / 1e3,
        "p99_ms": p99 / 1e3,
        "bytes": size // max(requests, 1),
        "errors": errors,
    }


def _median_ratio(line: Line) -> float:
    from statistics import median

    return median(ours / bare for bare, ours in zip(line.limit, line.product, strict=True))


def _peer(lines: list[Line], peer: Server, work: Path, users: int, seconds: int, log: Log) -> None:
    with _started(peer) as server:
        for line, keys in zip(lines, (1, 10, 100), strict=True):
            script = _script(work, users, keys, server.features)
            _wrk(server, script, 1)
            found = _wrk(server, script, seconds)
            log.add(block="http", server=server.name, keys=keys, **found)
            line.peer = found["rate"]
