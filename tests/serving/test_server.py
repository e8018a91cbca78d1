"""Server processes: start, reload, stop, and what happens when one dies."""

import signal
import socket
import subprocess
import sys

import msgspec
import psutil
import pytest

from headwater.config import Settings
from headwater.errors import ConfigError, StoreError
from headwater.serving.live import publish
from headwater.serving.server import listen, serve, serve_workers
from headwater.serving.worker import WorkerSettings
from serving.servers import PATIENCE, Server, server
from serving.world import CATALOGUE, PROJECT, USERS, T, fill, make

HEAVY = ("pydantic", "sqlalchemy", "sqlglot", "pyarrow", "numpy", "duckdb", "starlette", "fastapi")


@pytest.fixture
def folder(tmp_path):
    """A filled store that no other process has open."""
    found = make(tmp_path / "online")
    fill(found)
    found.store.close()
    return tmp_path / "online"


def change(folder, age):
    """What a run in another process does."""
    world = make(folder, None)
    world.put(USERS, [1], T, age=age)
    world.store.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_follows_and_stops(folder, workers):
    with server(folder, workers) as found:
        assert found.request("GET", "/health") == (200, {"status": "ok"})
        assert found.request("GET", "/ready")[1]["generation"] == 3
        assert found.age(1) == 21
        change(folder, 30)
        assert [found.age(1) for _ in range(8)] == [30] * 8
        publish_without_age(folder)
        assert [found.age(1) for _ in range(8)] == [404] * 8
        assert found.stop() == 0
    plural = "" if workers == 1 else "s"
    assert found.lines[0] == (
        f"serving project 'shop' on http://127.0.0.1:{found.port} with {workers} worker{plural}"
    )
    assert found.lines[-1] == "stopped"
    assert not [line for line in found.lines if "Traceback" in line or "Error" in line]


def publish_without_age(folder):
    world = make(folder, None)
    features = {name: f for name, f in CATALOGUE.features.items() if name == "name"}
    publish(
        world.store,
        msgspec.structs.replace(CATALOGUE, generation=4, features=features, services={}),
    )
    world.store.close()


def test_it_starts_on_a_project_to_which_nothing_was_applied(tmp_path):
    with server(tmp_path / "online") as found:
        assert found.request("GET", "/health")[0] == 200
        status, problem = found.request("GET", "/ready")
        assert (status, problem["title"]) == (503, "Not ready")
        assert found.age(1) == 404
        world = make(tmp_path / "online")
        world.put(USERS, [1], T, age=5)
        world.store.close()
        assert found.age(1) == 5


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_before_the_stop(folder, workers, number):
    with server(folder, workers) as found:
        connection = found.half_a_request()
        found.process.send_signal(number)
        wait_until_closed(found.port)
        connection.sendall(b'{"features":["age"],"entities":{"user_id":[1]}}'[10:])
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        connection.close()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'"values":[21]' in answer
        assert found.wait() == 0


def wait_until_closed(port):
    """Until new connections are refused: from then on it is stopping."""
    for _ in range(100_000):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionError:
            return
    raise AssertionError("the server does not stop listening")


def test_a_request_that_never_ends_is_cut_off(folder):
    with server(folder, 2, grace=1.0) as found:
        connection = found.half_a_request()
        assert found.stop() == 0
        assert connection.recv(1000).startswith(b"HTTP/1.1 503 Service Unavailable")
        connection.close()


def test_a_worker_that_is_killed_is_replaced(folder):
    with server(folder, 2) as found:
        assert found.age(1) == 21
        parent = psutil.Process(found.process.pid)
        before = parent.children()
        assert len(before) == 2
        for worker in before:
            worker.kill()
        _, alive = psutil.wait_procs(before, timeout=PATIENCE)
        assert not alive
        assert found.age(1) == 21
        assert found.stop() == 0
    for worker in before:
        assert f"worker {worker.pid} died (exit code -9); starting another" in found.lines


def test_workers_do_not_outlive_who_started_them(folder):
    with server(folder, 2) as found:
        assert found.age(1) == 21
        workers = psutil.Process(found.process.pid).children()
        found.process.kill()
        gone, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert not alive
        assert len(gone) == 2
        found.wait()


def test_a_port_that_is_taken():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 is taken by another"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port"), [("no.such.host.invalid", 0), ("203.0.113.7", 0), ("127.0.0.1", 70_000)]
)
def test_an_address_that_is_none(host, port):
    with pytest.raises(ConfigError, match=f"can't listen on port {port} of '{host}'"):
        listen(host, port)


def test_a_store_that_cannot_be_opened(tmp_path):
    (tmp_path / "file").write_text("")
    settings = Settings(root=tmp_path)
    settings = replace_online(settings, tmp_path / "file")
    with pytest.raises(StoreError):
        serve(settings)
    worker = WorkerSettings(project=PROJECT, store="lmbd", options={})
    with pytest.raises(ConfigError, match=r"online store 'lmbd' is not known; did you mean 'lmdb'"):
        serve_workers(worker, port=0)


def replace_online(settings, path):
    from dataclasses import replace

    return replace(
        settings,
        online=replace(settings.online, path=path),
        serve=replace(settings.serve, port=0),
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_cannot_start_says_why(folder, workers):
    log = {"target": "no.such.module:log"}
    found = Server(folder, workers, vector_log=log)
    assert found.wait() != 0
    said = "\n".join(found.lines)
    assert "vector log 'no.such.module:log' can't be imported" in said
    assert "StoreError: the server could not start; its log says why" in said


def test_what_is_served_can_be_logged(folder, tmp_path):
    log = {"options": {"path": str(tmp_path / "log")}}
    with server(folder, 2, vector_log=log) as found:
        for _ in range(20):
            assert found.age(1) == 21
        assert found.stop() == 0
    files = list((tmp_path / "log").iterdir())
    assert sum(len(file.read_text().splitlines()) for file in files) == 20


def test_the_access_log(folder):
    with server(folder, access_log=True) as found:
        assert found.age(1) == 21
        assert found.stop() == 0
    assert any("POST /get-online-features HTTP/1.1" in line for line in found.lines)


def test_a_worker_loads_neither_the_registry_nor_the_engines(folder):
    code = f"""
import asyncio, sys
from headwater.serving.worker import WorkerSettings, application
options = {{"path": {str(folder)!r}}}
app = application(WorkerSettings(project={PROJECT!r}, store="lmdb", options=options))
app.open()
body = b'{{"features":["age","twice","minutes_since"],"entities":{{"user_id":[1]}}}}'
async def receive():
    return {{"type": "http.request", "body": body}}
async def send(message):
    print(message.get("status", ""), file=sys.stderr)
scope = {{"type": "http", "method": "POST", "path": "/get-online-features", "headers": []}}
asyncio.run(app(scope, receive, send))
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["200"]
    loaded = set(done.stdout.split())
    assert "lmdb" in loaded
    assert not loaded & set(HEAVY)
