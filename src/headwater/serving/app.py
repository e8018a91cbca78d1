"""The data plane as one ASGI application: Feast's endpoint, health, documentation.

Plain ASGI, no framework: a request costs what it does. Each worker process has one of these, with
an online store of its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headwater.errors import HeadwaterError
from headwater.online.store import OnlineStore
from headwater.serving.endpoint import Endpoint, Limits, too_large
from headwater.serving.hints import hint_for, shown
from headwater.serving.live import REFRESH
from headwater.serving.problem import Problem, problem_of
from headwater.serving.proxy import PREFIX, Proxy
from headwater.serving.reader import OnlineReader
from headwater.serving.recorder import Recorder
from headwater.serving.usage import UsageCounter

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, bytes, Sequence[bytes]]
"""Status, media type, the parts of the content."""
Headers = Sequence[tuple[bytes, bytes]]

FEATURES = "/get-online-features"
OPENAPI = "/openapi.json"
MODEL = b"x-headwater-model"
JSON = b"application/json"
PROBLEM = b"application/problem+json"
HTML = b"text/html; charset=utf-8"
_STATIC = Path(__file__).parent / "static"
_PAGE_POLICY = (
    b"content-security-policy",
    (
        b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        b"connect-src 'self'; frame-ancestors 'none'"
    ),
)

_log = logging.getLogger(__name__)
_json = msgspec.json.Encoder().encode


class ServingApp:
    """Answers requests from an online store.

    `open_store`, `open_recorder` and `open_usage` are called when the server starts, in the
    worker's process; the recorder, where there is one, takes what was served, the counter of usage
    counts it. `control` answers what is under
    `/api/`, and describes that part of the API.
    """

    def __init__(
        self,
        project: str,
        open_store: Callable[[], OnlineStore],
        *,
        limits: Limits | None = None,
        refresh: float = REFRESH,
        open_recorder: Callable[[], Recorder] | None = None,
        open_usage: Callable[[], UsageCounter] | None = None,
        control: Proxy | None = None,
    ) -> None:
        self._project = project
        self._control = control
        self._open_store = open_store
        self._open_recorder = open_recorder
        self._open_usage = open_usage
        self._usage: UsageCounter | None = None
        self._limits = limits or Limits()
        self._refresh = refresh
        self._store: OnlineStore | None = None
        self._reader: OnlineReader | None = None
        self._endpoint: Endpoint | None = None
        self._gets: Mapping[str, Callable[[], Answer]] = {
            "/health": _health,
            "/ready": self._ready,
            OPENAPI: lambda: (200, JSON, [(_STATIC / "openapi.json").read_bytes()]),
            "/docs": lambda: (200, HTML, [(_STATIC / "docs.html").read_bytes()]),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def open(self) -> None:
        """Open the store. Raises ConfigError or StoreError where that can't be done."""
        self._store = self._open_store()
        self._usage = None if self._open_usage is None else self._open_usage()
        self._reader = OnlineReader(
            self._store, self._project, refresh=self._refresh, usage=self._usage
        )
        recorder = None if self._open_recorder is None else self._open_recorder()
        self._endpoint = Endpoint(self._store, self._reader, self._limits, recorder)

    def close(self) -> None:
        """Write what is still to be recorded, and close the store."""
        if self._endpoint is not None:
            self._endpoint.close()
        if self._usage is not None:
            self._usage.close()
        if self._store is not None:
            self._store.close()

    def answer(self, body: bytes, model: bytes | None = None) -> Answer | None:
        """What POST /get-online-features answers; None where that takes more than a moment."""
        try:
            content = self._opened().at_once(body, model)
        except Exception as error:  # noqa: BLE001 (nothing of a crash leaves the server)
            return _answer_to(error)
        return None if content is None else (200, JSON, content)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.open()
        except HeadwaterError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Answer
        try:
            if scope["path"] == FEATURES and scope["method"] == "POST":
                body = await self._body(scope, receive)
                if body is None:
                    return  # the caller has gone
                model = model_in(scope["headers"])
                answer = 200, JSON, await self._opened().answer(body, model)
            elif self._control is not None and await self._forwarded(scope, receive, send):
                return
            else:
                answer = self._get(scope["method"], scope["path"])
        except asyncio.CancelledError:  # the time to stop in peace is over
            answer = 503, PROBLEM, [Problem(503, "Stopping", "the server is stopping").render()]
        except Exception as error:  # noqa: BLE001 (nothing of a crash leaves the server)
            answer = _answer_to(error)
        status, _, content = answer
        headers = headers_of(answer, scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(content)})

    def _opened(self) -> Endpoint:
        if self._endpoint is None:
            raise RuntimeError("the application was not opened")
        return self._endpoint

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None where the caller went away before it was here."""
        limit = self._limits.body
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            _refuse_length(scope, limit)
        parts, size = [body], len(body)
        while message.get("more_body") and size <= limit:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if message["type"] == "http.disconnect":
            return None
        if size > limit:
            raise too_large(limit)
        return body if len(parts) == 1 else b"".join(parts)

    async def _forwarded(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the control plane has answered, or the caller went away meanwhile."""
        path: str = scope["path"]
        if self._control is None or not (path.startswith(PREFIX) or path == OPENAPI):
            return False
        body = await self._body(scope, receive)
        if body is not None:
            try:
                await self._control.forward(scope, body, receive, send)
            except Problem:
                if path != OPENAPI:
                    raise
                return False  # this process describes its own part
        return True

    def _get(self, method: str, path: str) -> Answer:
        known = (*self._gets, FEATURES)
        if path not in known:
            raise Problem(404, "Not found", f"there is no '{shown(path)}'{hint_for(path, known)}")
        if path == FEATURES or method not in ("GET", "HEAD"):
            allowed = _allowed(path)
            raise Problem(405, "Method not allowed", f"'{path}' takes {allowed}, not {method}")
        return self._gets[path]()

    def _ready(self) -> Answer:
        if self._reader is None:
            raise Problem(503, "Not ready", "the server is starting")
        try:
            snapshot = self._reader.live.check()
        except HeadwaterError as error:
            raise Problem(503, "Not ready", str(error)) from error
        found = {"status": "ready", "project": self._project, "generation": snapshot.generation}
        if self._reader.live.problem is not None:
            found["problem"] = self._reader.live.problem
        return 200, JSON, [_json(found)]


def model_in(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The model that a request says it comes from."""
    for name, value in headers:
        if name == MODEL:
            return value
    return None


def _health() -> Answer:
    return 200, JSON, [b'{"status":"ok"}']


def _allowed(path: str) -> str:
    return "POST" if path == FEATURES else "GET, HEAD"


def headers_of(answer: Answer, path: str) -> Headers:
    """The headers of an answer to a request for `path`."""
    status, media, content = answer
    headers = [(b"content-type", media), (b"content-length", b"%d" % sum(map(len, content)))]
    if status == 405:
        headers.append((b"allow", _allowed(path).encode()))
    elif status == 503:
        headers.append((b"retry-after", b"1"))
    elif media is HTML:
        headers.append(_PAGE_POLICY)
    return headers


def _answer_to(error: Exception) -> Answer:
    """The answer that tells what went wrong, called where the error is being handled."""
    if isinstance(error, HeadwaterError):
        return error.status, PROBLEM, [problem_of(error).render()]
    if isinstance(error, Problem):
        return error.status, PROBLEM, [error.render()]
    return _crashed()


def _crashed() -> Answer:
    mark = secrets.token_hex(4)
    _log.exception("a request failed, error %s", mark)
    detail = f"the server failed to answer; its log tells more under error {mark}"
    return 500, PROBLEM, [Problem(500, HeadwaterError.title, detail).render()]


def _refuse_length(scope: Scope, limit: int) -> None:
    """A body that says itself that it is too long need not be read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            raise too_large(limit)
