"""What is not a worker's own goes to the control plane; reads go on without it."""

import http.client
import json
import os
import signal
import socket
from contextlib import contextmanager

import psutil
import pytest

from serving.servers import PATIENCE, server
from serving.world import fill, make

PLANE = {"module": "serving.plane", "settings": {}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("proxy") / "online"
    world = make(found)
    fill(world)
    world.store.close()
    return found


@pytest.fixture(scope="module")
def shared(folder):
    """One server for the tests that leave it as it was."""
    with server(folder, control=PLANE, limits={"body": 10_000}) as found:
        yield found
        assert found.stop() == 0


@pytest.fixture
def own(folder):
    with server(folder, 2, control=PLANE) as found:
        yield found


def ask(server, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@contextmanager
def raw(server, request):
    """A connection on which bytes were sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as found:
        found.sendall(request)
        yield found


def everything(connection):
    found = b""
    while chunk := connection.recv(65_536):
        found += chunk
    return found


def test_a_request_goes_on_as_it_came(shared):
    sent = {"x-caller": "me", "te": "trailers", "connection": "x-hop", "x-hop": "1"}
    response, body = ask(shared, "PUT", "/api/v1/a%20b?x=%26&y=2", "14일".encode(), sent)
    told = json.loads(body)
    assert response.status == 201
    assert (told["method"], told["path"], told["query"]) == ("PUT", "/api/v1/a%20b", "x=%26&y=2")
    assert told["body"] == "14일"
    headers = dict(told["headers"])
    assert headers["x-caller"] == "me"
    assert headers["content-length"] == "5"
    assert headers["connection"] == "close"
    assert not headers.keys() & {"te", "x-hop"}


def test_an_answer_comes_back_without_the_inner_connections_headers(shared):
    response, _ = ask(shared, "GET", "/api/x")
    names = [name.lower() for name, _ in response.getheaders()]
    assert response.getheader("etag") == '"1"'
    assert "x-inner" not in names
    assert "server" not in names
    assert names.count("date") == 1


@pytest.mark.parametrize("path", ["/api/empty", "/api/x"])
def test_answers_without_a_body_leave_the_connection_usable(shared, path):
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=PATIENCE)
    for _ in range(3):
        connection.request("HEAD" if path == "/api/x" else "DELETE", path)
        response = connection.getresponse()
        assert response.status == (201 if path == "/api/x" else 204)
        assert response.read() == b""
    connection.close()


def test_a_long_answer_is_passed_on_whole(shared):
    response, body = ask(shared, "GET", "/api/stream")
    assert response.status == 200
    assert body == b"".join(bytes([number]) * 10_000 for number in range(100))


def test_a_body_has_a_limit(shared):
    for length in ("content-length: 10001", "transfer-encoding: chunked"):
        content = b"2711\r\n" + b"x" * 10_001 + b"\r\n0\r\n\r\n"
        content = content if "chunked" in length else b"x" * 10_001
        head = f"POST /api/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{length}\r\n\r\n"
        with raw(shared, head.encode() + content) as connection:
            answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"urn:headwater:problem:body-too-large" in answer


def test_a_caller_that_goes_away_frees_the_control_plane(shared, tmp_path):
    told = tmp_path / "told"
    name = str(told).encode()
    head = b"POST /api/wait HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(name)
    with raw(shared, head + name):
        pass
    while not told.exists():
        assert ask(shared, "GET", "/api/x")[0].status == 201


def test_the_description_of_the_whole_comes_from_the_control_plane(shared):
    assert json.loads(ask(shared, "GET", "/openapi.json")[1])["path"] == "/openapi.json"
    assert ask(shared, "GET", "/health")[1] == b'{"status":"ok"}'
    assert ask(shared, "GET", "/apiary")[0].status == 404


def test_reads_go_on_when_it_dies_and_it_comes_back(own):
    before = json.loads(ask(own, "GET", "/api/x")[1])["pid"]
    for _ in range(2):
        response, body = ask(own, "GET", "/api/die")
        assert response.status == 502
        assert json.loads(body)["type"] == "urn:headwater:problem:bad-gateway"
        assert own.age(1) == 21
        # a request waits for the one that is started in its place
        after = json.loads(ask(own, "GET", "/api/x")[1])["pid"]
        assert after != before
        before = after
    psutil.Process(before).kill()
    assert [own.age(1) for _ in range(20)] == [21] * 20
    assert json.loads(ask(own, "GET", "/api/x")[1])["pid"] != before
    assert own.stop() == 0
    assert f"control plane {before} died (exit code -9); starting another" in own.lines
    assert not any("Traceback" in line for line in own.lines)


def test_an_answer_that_breaks_off_is_seen_to_be_broken(own):
    with pytest.raises(http.client.IncompleteRead):
        ask(own, "GET", "/api/die-within")
    assert own.age(1) == 21


def test_a_control_plane_that_cannot_start_does_not_stop_reads(folder):
    with server(folder, control={"module": "no.such.module", "settings": {}}) as found:
        assert found.age(1) == 21
        while sum("control plane" in line for line in found.lines) < 2:
            assert found.age(1) == 21
        assert found.stop() == 0


def test_it_stops_with_the_server_however_that_ends(folder):
    with server(folder, control=PLANE) as found:
        pid = json.loads(ask(found, "GET", "/api/x")[1])["pid"]
        children = psutil.Process(found.process.pid).children()
        assert len(children) == 2
        assert pid in {child.pid for child in children}
        os.kill(found.process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert not alive
        found.wait()


def test_a_request_in_flight_is_answered_before_the_stop(folder, tmp_path):
    with server(folder, control=PLANE) as found:
        assert ask(found, "GET", "/api/x")[0].status == 201
        head = b"POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        with raw(found, head + b"content-length: 2\r\n\r\n") as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")
            found.process.send_signal(signal.SIGTERM)
            while True:
                try:
                    socket.create_connection(("127.0.0.1", found.port)).close()
                except ConnectionError:
                    break
            connection.sendall(b"ok")
            assert everything(connection).startswith(b"HTTP/1.1 201 ")
        assert found.wait() == 0
