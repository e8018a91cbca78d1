"""Bytes on a connection: what is answered at once, and what takes the long way, answer alike."""

import asyncio
import inspect
import json
import logging
import socket
import threading
from contextlib import asynccontextmanager
from unittest.mock import MagicMock

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from headwater.errors import StoreError
from headwater.serving.connection import Connection
from headwater.serving.endpoint import Limits
from serving.client import FEATURES
from serving.test_http import application

PATIENCE = 60


def request(body, path=FEATURES, method="POST", version="1.1", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "x", "content-length": len(content), **headers}
    told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/{version}\r\n{told}\r\n".encode() + content


def ages(*users):
    return {"features": ["age"], "entities": {"user_id": list(users)}}


USED_METHODS = {
    "connection_made": ["transport"],
    "data_received": ["data"],
    "on_headers_complete": [],
    "on_body": ["body"],
    "on_message_complete": [],
    "on_response_complete": [],
}
USED = {
    "protocol": [
        "url",
        "parser",
        "flow",
        "cycle",
        "expect_100_continue",
        "access_log",
        "transport",
    ],
    "flow": ["write_paused"],
    "parser": ["get_method", "get_http_version", "should_keep_alive"],
}


@pytest.mark.parametrize("name", USED_METHODS)
def test_the_methods_of_uvicorn_that_are_called_or_overridden(name):
    """Fails where another uvicorn has changed its inside: then `connection.py` has to follow."""
    found = getattr(HttpToolsProtocol, name, None)
    assert found is not None, f"uvicorn {uvicorn.__version__}: HttpToolsProtocol.{name} has gone"
    assert list(inspect.signature(found).parameters)[1:] == USED_METHODS[name]


async def test_the_attributes_of_uvicorn_that_are_read(app):
    config = uvicorn.Config(app, http=Connection, lifespan="off", proxy_headers=False)
    config.load()
    state = ServerState()
    protocol = Connection(config, state, {}, asyncio.get_running_loop())
    protocol.connection_made(MagicMock(spec=asyncio.Transport))
    protocol.data_received(b"GET /x HTTP/1.1\r\n")
    for what, names in USED.items():
        holder = protocol if what == "protocol" else getattr(protocol, what)
        gone = [name for name in names if not hasattr(holder, name)]
        assert not gone, f"uvicorn {uvicorn.__version__}: {what} has no {', '.join(gone)} any more"
    assert protocol.url == b"/x"
    assert state.default_headers == []
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    cycle = inspect.signature(RequestResponseCycle.__init__).parameters
    assert {"default_headers", "on_response"} <= set(cycle)
    protocol.connection_lost(None)


class Client:
    """One connection to a server in this process."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces):
        """Pieces that arrive one by one: each is read before the next is sent."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(20):
                await asyncio.sleep(0)

    async def answer(self):
        """Status, headers and content of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        content = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, json.loads(content)

    async def values(self):
        status, _, content = await self.answer()
        assert status == 200
        return content["results"][1]["values"]


@asynccontextmanager
async def serving(app):
    """Clients of a real server on a socket, on this event loop."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=Connection,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listening]))
    opened = []

    async def connect():
        found = Client(*await asyncio.open_connection(*listening.getsockname()))
        opened.append(found)
        return found

    try:
        yield connect
    finally:
        for client in opened:
            client.writer.close()
        server.should_exit = True
        await task


@pytest.fixture
def app(world):
    return application(world)


@pytest.fixture
def tasks(app, monkeypatch):
    """The requests that came to the application as a task of their own."""
    seen = []
    answer = app._endpoint.answer

    async def noted(body, model=None):
        seen.append(json.loads(body))
        return await answer(body, model)

    monkeypatch.setattr(app._endpoint, "answer", noted)
    return seen


async def test_a_whole_request_is_answered_at_once(app, tasks):
    async with serving(app) as connect:
        client = await connect()
        for user in (1, 2, 3):
            await client.send(request(ages(user)))
            status, headers, content = await client.answer()
            assert (status, content["results"][1]["values"]) == (200, [20 + user])
            assert list(headers) == ["date", "server", "content-type", "content-length"]
            assert headers["content-type"] == "application/json"
    assert tasks == []


async def test_the_long_way_answers_the_same(app, tasks):
    async with serving(app) as connect:
        client = await connect()
        await client.send(request(ages(1, 99)))
        short = await client.answer()
        whole = request(ages(1, 99))
        await client.send(whole[:-7], whole[-7:])
        long = await client.answer()
    assert tasks == [ages(1, 99)]
    assert short[0] == long[0]
    assert short[2] == long[2]
    assert {**short[1], "date": ""} == {**long[1], "date": ""}


@pytest.mark.parametrize("step", [1, 7, 40])
async def test_a_request_in_pieces(app, step):
    whole = request(ages(2))
    async with serving(app) as connect:
        client = await connect()
        await client.send(*(whole[at : at + step] for at in range(0, len(whole), step)))
        assert await client.values() == [22]
        await client.send(whole)
        assert await client.values() == [22]


async def test_requests_in_one_piece_are_answered_in_their_order(app, tasks):
    ready = request(b"", "/ready", "GET")
    async with serving(app) as connect:
        client = await connect()
        await client.send(
            request(ages(1)) + request(ages(2)) + ready + request(ages(3)) + request(ages(1))[:-3]
        )
        assert [await client.values() for _ in range(2)] == [[21], [22]]
        assert (await client.answer())[2]["status"] == "ready"
        assert await client.values() == [23]
        await client.send(request(ages(1))[-3:])
        assert await client.values() == [21]
    assert tasks == [ages(3), ages(1)]


@pytest.mark.parametrize(
    ("status", "body"), [(400, b"{"), (404, {**ages(1), "features": ["agee"]}), (422, ages())]
)
async def test_mistakes(app, tasks, status, body):
    async with serving(app) as connect:
        client = await connect()
        await client.send(request(body))
        found, headers, content = await client.answer()
        assert (found, content["status"]) == (status, status)
        assert headers["content-type"] == "application/problem+json"
        await client.send(request(ages(1)))
        assert await client.values() == [21]
    assert tasks == []


async def test_a_store_that_fails(app, world, monkeypatch):
    def fail(*_):
        raise StoreError("no connection to the store")

    monkeypatch.setattr(world.store, "read", fail)
    async with serving(app) as connect:
        client = await connect()
        await client.send(request(ages(1)))
        status, headers, _ = await client.answer()
        assert (status, headers["retry-after"]) == (503, "1")


async def test_a_crash_is_logged_and_tells_nothing(app, world, monkeypatch, caplog):
    def crash(*_):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(world.store, "read", crash)
    async with serving(app) as connect:
        client = await connect()
        with caplog.at_level(logging.ERROR):
            await client.send(request(ages(1)))
            status, _, content = await client.answer()
    assert status == 500
    assert "secret" not in json.dumps(content)
    assert "a request failed" in caplog.text


async def test_a_body_that_is_too_large(world):
    app = application(world, limits=Limits(body=60))
    async with serving(app) as connect:
        client = await connect()
        await client.send(request(ages(1)))
        assert await client.values() == [21]
        await client.send(request(ages(*range(100))))
        assert (await client.answer())[0] == 413


async def test_what_is_no_http(app):
    async with serving(app) as connect:
        client = await connect()
        chunked = b"POST /get-online-features HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
        await client.send(chunked + b'\r\n5\r\n{"ent\r\nnonsense\r\n')
        assert (await client.reader.readline()).startswith(b"HTTP/1.1 400")
        assert (await client.reader.read()).endswith(b"Invalid HTTP request received.")


async def test_a_chunked_body(app):
    content = json.dumps(ages(3)).encode()
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, content[:9], len(content) - 9, content[9:])
    head = b"POST /get-online-features HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving(app) as connect:
        client = await connect()
        await client.send(head + chunks)
        assert await client.values() == [23]


@pytest.mark.parametrize("request_", [{"connection": "close"}, {"version": "1.0"}])
async def test_a_client_who_wants_one_answer(app, request_):
    async with serving(app) as connect:
        client = await connect()
        await client.send(request(ages(1), **request_))
        assert await client.values() == [21]
        assert await client.reader.read() == b""


async def test_a_client_who_does_not_read_is_waited_for(app, tasks):
    many, rows = 400, 1000
    async with serving(app) as connect:
        client = await connect()
        sending = asyncio.create_task(client.send(request(ages(*([1] * rows))) * many))
        # until answers no longer fit into what the system buffers
        while not tasks:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(many):
            assert await client.values() == [21] * rows
        await sending
    assert len(tasks) < many


async def test_a_large_request_holds_nobody_up(app, world, monkeypatch):
    read, begun, gate = world.store.read, threading.Event(), threading.Event()

    def slow(project, reads, *others):
        if any(len(keys) > 1 for _, keys in reads):
            begun.set()
            assert gate.wait(PATIENCE)
        return read(project, reads, *others)

    monkeypatch.setattr(world.store, "read", slow)
    async with serving(app) as connect:
        large, small = await connect(), await connect()
        await large.send(request(ages(*range(1, 8001))))
        await asyncio.to_thread(begun.wait, PATIENCE)
        await small.send(request(ages(1)))
        assert await small.values() == [21]
        gate.set()
        assert (await large.values())[:4] == [21, 22, 23, None]
