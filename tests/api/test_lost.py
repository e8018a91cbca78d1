"""A registry that is lost while the API runs: 503 and a retry, never a half-written feature."""

import threading
import time

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from api.client import PROBLEM, RSI
from api.test_served import PATIENCE, served
from api.test_writers import call, check_edges, create
from headwater.registry import connect
from headwater.registry.audit import verify
from headwater.registry.store import open_registry
from servers.fixtures import make_server, start

# --- servers that are killed ----------------------------------------------------------------


@pytest.fixture(params=["postgresql", "mongodb"])
def server(request):
    """A server of its own, since it will be killed."""
    found = start(lambda: make_server(request.param))
    yield found
    found.stop()


@pytest.fixture
def address(server):
    """A registry on it; a client that is told sooner that nobody answers makes a shorter test."""
    made = server.fresh()
    return f"{made}?serverSelectionTimeoutMS=1000" if made.startswith("mongodb") else made


@pytest.fixture
def registry(address):
    """A connection beside the API's."""
    opened = open_registry(address)
    assert opened.projects() == ()
    yield opened
    opened.close()


@pytest.fixture
def port(address, registry, tmp_path):
    (tmp_path / "headwater.toml").write_text(f'project = "shop"\n[registry]\nurl = "{address}"\n')
    with served(tmp_path, "--workers", "2") as api:
        yield api.port


def refused(answer):
    status, headers, problem = answer
    assert status == 503, problem
    assert headers["content-type"] == PROBLEM
    assert int(headers["Retry-After"]) >= 1
    assert "Traceback" not in str(problem)
    return problem["detail"]


def until(wanted, ask):
    """Ask as a client that obeys Retry-After does, until the status is one of those wanted."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ask()
        if answer[0] in wanted:
            return answer
        assert answer[0] in (502, 503, 504), answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def test_a_lost_database_is_503_and_the_retry_succeeds(server, port, registry):
    assert call(port, "POST", "/features", RSI)[0] == 201
    server.kill()
    refused(create(port, "y"))
    refused(call(port, "GET", "/features/stock_rsi_14d"))
    refused(call(port, "GET", "/features?q=rsi"))
    refused(call(port, "GET", "/audit"))
    server.start()
    until({201}, lambda: create(port, "y"))
    assert call(port, "GET", "/features")[2]["total"] == 2
    assert verify(registry, "shop").checked == 2


def test_what_was_being_written_is_there_whole_or_not_at_all(server, port, registry):
    create(port, "base")
    answers, stop = {}, threading.Event()

    def write(writer):
        for number in range(200):
            name = f"f{writer}_{number}"
            answers[name] = create(port, name, "base")[0]
            if stop.is_set():
                return

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    while sum(status == 201 for status in list(answers.values())) < 10:
        assert any(thread.is_alive() for thread in threads)
        time.sleep(0.01)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()
    server.start()
    assert set(answers.values()) <= {201, 502, 503, 504}
    until({200}, lambda: call(port, "GET", "/features/base"))
    there = set(call(port, "GET", "/features/base")[2]["downstream_features"])
    assert {name for name, status in answers.items() if status == 201} <= there
    for name in answers:
        status, _, _ = until({201, 409}, lambda name=name: create(port, name, "base"))
        assert status == (409 if name in there else 201)
    check_edges(registry)
    found = verify(registry, "shop")
    assert found.checked == found.generation == 1 + len(answers)
    for name in answers:
        assert call(port, "GET", f"/features/{name}/history")[2]["total"] == 1


# --- SQLite ---------------------------------------------------------------------------------


def lost(api, method="POST", path="/features", **options):
    return refused_here(api.request(method, path, **options))


def refused_here(response):
    assert response.headers["Retry-After"] == "1"
    assert response.headers["content-type"] == PROBLEM
    assert response.status_code == 503, response.text
    return response.json()["detail"]


def test_a_file_that_somebody_else_keeps_locked(api, projects, monkeypatch):
    api.create("x")
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.05)
    projects.registry.close()
    other = connect.new_engine(connect.parse_url(projects.registry.url))
    with other.connect() as holder:
        holder.exec_driver_sql("DELETE FROM heads WHERE 0")  # a writer that does not finish
        assert "locked" in lost(api, json={**RSI})
        assert api.get("/features")["total"] == 1  # readers don't wait for it
    other.dispose()
    api.post("/features", RSI)
    assert api.get("/features")["total"] == 2


@pytest.fixture
def connecting():
    """Lets new connections begin with a statement."""
    added = []

    def begin_with(statement):
        def begin(connection, _record):
            connection.execute(statement)

        event.listen(Engine, "connect", begin)
        added.append(begin)

    def end():
        while added:
            event.remove(Engine, "connect", added.pop())

    begin_with.end = end
    yield begin_with
    end()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("PRAGMA query_only = ON", "readonly"),
        ("PRAGMA max_page_count = 1", "full"),
    ],
)
def test_a_file_that_takes_nothing(api, projects, connecting, statement, said):
    api.create("x")
    projects.registry.close()
    connecting(statement)
    assert said in lost(api, json={**RSI, "description": "long " * 1900})
    assert api.get("/features/x")["feature_name"] == "x"
    connecting.end()
    projects.registry.close()
    api.post("/features", RSI)
    assert api.get("/audit")["total"] == 2
    assert verify(projects.registry, "shop").checked == 2


def test_a_file_that_was_deleted_takes_nothing_until_it_is_back(api, tmp_path):
    api.create("x")
    files = [tmp_path / f"registry.db{end}" for end in ("", "-wal", "-shm")]
    (tmp_path / "away").mkdir()
    moved = [file.rename(tmp_path / "away" / file.name) for file in files if file.exists()]
    assert "the file is gone; put it back" in lost(api, json=RSI)
    lost(api, "GET", "/features/x")
    for file in moved:
        file.rename(tmp_path / file.name)
    api.post("/features", RSI)
    assert api.get("/features")["total"] == 2


def test_a_file_that_was_replaced_is_read_anew(api, projects, tmp_path, empty):
    api.create("x")
    projects.registry.close()
    (tmp_path / "registry.db").replace(tmp_path / "backup.db")
    (tmp_path / "registry.db").write_bytes(empty.read_bytes())
    assert api.get("/features")["total"] == 0
    (tmp_path / "backup.db").replace(tmp_path / "registry.db")
    assert api.get("/features")["total"] == 1
