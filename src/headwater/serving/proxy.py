"""Forwards requests to the control plane's process, over its Unix socket.

A worker reads online values and nothing else. What needs the registry is answered by another
process, so that neither its libraries nor its work slow down a read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httptools

from headwater.serving.problem import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PREFIX = "/api/"
PATIENCE = 60.0
"""Seconds without a byte after which a request is given up."""
_CHUNK = 65_536
_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
_REQUEST_OWN = _HOP_BY_HOP | {b"content-length", b"expect"}
_ANSWER_OWN = _HOP_BY_HOP | {b"date", b"server"}

_log = logging.getLogger(__name__)


class _Answer:
    """What the parser tells of an answer while it reads it."""

    def __init__(self, *, bodiless: bool) -> None:
        self.headers: Headers = []
        self.begun = False
        self.complete = False
        self._bodiless = bodiless
        self._parts: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.begun = True
        self.complete = self._bodiless

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self.complete = True

    def taken(self) -> bytes:
        """The part of the body that has come since it was last asked for."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found


class Proxy:
    """Sends requests on to the process that serves the socket at `path`."""

    def __init__(self, path: str, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience

    async def forward(
        self, scope: MutableMapping[str, Any], body: bytes, receive: Receive, send: Send
    ) -> None:
        """Send a request on and its answer back; nothing more where the caller goes away.

        Raises Problem where no answer has begun: 503 where the process can't be reached, 502
        where it went away, 504 where it says nothing.
        """
        exchange = _Exchange(self._path, self._patience, send)
        answered = asyncio.ensure_future(exchange.run(scope, body))
        left = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answered, left), return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                answered.result()
        except asyncio.CancelledError:  # the server's time to stop in peace is over
            if not exchange.begun:
                raise
        finally:
            for task in (answered, left):
                task.cancel()
            await asyncio.gather(answered, left, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Exchange:
    """One request to the control plane."""

    def __init__(self, path: str, patience: float, send: Send) -> None:
        self._path = path
        self._patience = patience
        self._send = send
        self.begun = False

    async def run(self, scope: MutableMapping[str, Any], body: bytes) -> None:
        reader, writer = await self._connect()
        try:
            writer.write(_request(scope, body))
            await self._relay(reader, _Answer(bodiless=scope["method"] == "HEAD"))
        except TimeoutError:
            self._fail(504, "Gateway timeout", f"says nothing for {self._patience:g} s")
        except (OSError, EOFError, httptools.HttpParserError) as error:
            self._fail(502, "Bad gateway", f"went away before it had answered ({error})")
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.open_unix_connection(self._path)
        except (OSError, TimeoutError) as error:
            _log.warning("the control plane can't be reached: %s", error)
            raise Problem(
                503, "Control plane down", "the control plane can't be reached; try again"
            ) from error

    async def _relay(self, reader: asyncio.StreamReader, answer: _Answer) -> None:
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            async with asyncio.timeout(self._patience):
                data = await reader.read(_CHUNK)
            if not data:
                raise EOFError("its connection ended")
            parser.feed_data(data)
            if answer.begun and not self.begun:
                await self._begin(parser.get_status_code(), answer.headers)
            part = answer.taken()
            if self.begun and (part or answer.complete):
                more = not answer.complete
                await self._send({"type": "http.response.body", "body": part, "more_body": more})

    async def _begin(self, status: int, headers: Headers) -> None:
        self.begun = True
        kept = _without(headers, _ANSWER_OWN)
        await self._send({"type": "http.response.start", "status": status, "headers": kept})

    def _fail(self, status: int, title: str, what: str) -> None:
        """Answer with a problem, or where an answer has begun, leave it visibly unfinished."""
        _log.warning("the control plane %s", what)
        if not self.begun:
            detail = f"the control plane {what}; look whether the request was carried out"
            raise Problem(status, title, detail) from None


def _request(scope: MutableMapping[str, Any], body: bytes) -> bytes:
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    lines = [b"%s %s HTTP/1.1" % (scope["method"].encode("ascii"), target)]
    lines += [b"%s: %s" % header for header in _without(scope["headers"], _REQUEST_OWN)]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
    return b"\r\n".join(lines)


def _without(headers: Headers, names: set[bytes]) -> Headers:
    """The headers but those of the connection: the given ones, and those that it names itself."""
    named = (value for name, value in headers if name == b"connection")
    own = names | {part.strip().lower() for value in named for part in value.split(b",")}
    return [(name, value) for name, value in headers if name not in own]
