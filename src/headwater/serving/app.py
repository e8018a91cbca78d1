"""The data plane as one ASGI application: Feast's endpoint, health, documentation.

Plain ASGI, no framework: a request costs what it does. Each worker process has one of these, with
an online store of its own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headwater.errors import HeadwaterError, RequestError
from headwater.online.store import OnlineStore
from headwater.serving.body import read_body
from headwater.serving.hints import hint_for, shown
from headwater.serving.live import REFRESH
from headwater.serving.plan import Plan
from headwater.serving.problem import Problem, problem_of
from headwater.serving.proxy import PREFIX, Proxy
from headwater.serving.reader import OnlineReader, same_length
from headwater.serving.recorder import Recorder
from headwater.serving.wire import render

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, bytes, bytes]

FEATURES = "/get-online-features"
OPENAPI = "/openapi.json"
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
_ECHOED = {type(None), bool, int, float, str}
_INT_LIMIT = 2**63

_log = logging.getLogger(__name__)
_json = msgspec.json.Encoder().encode


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may ask for: bytes of its body, rows, and values (rows times features)."""

    body: int = 4 * 1024**2
    rows: int = 10_000
    values: int = 1_000_000


class ServingApp:
    """Answers requests from an online store.

    `open_store` and `open_recorder` are called when the server starts, in the worker's process;
    the recorder, where there is one, takes what was served. `control` answers what is under
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
        control: Proxy | None = None,
    ) -> None:
        self._project = project
        self._control = control
        self._open_store = open_store
        self._open_recorder = open_recorder
        self._limits = limits or Limits()
        self._refresh = refresh
        self._store: OnlineStore | None = None
        self._reader: OnlineReader | None = None
        self._recorder: Recorder | None = None
        self._gets: Mapping[str, Callable[[], Answer]] = {
            "/health": _health,
            "/ready": self._ready,
            OPENAPI: lambda: (200, JSON, (_STATIC / "openapi.json").read_bytes()),
            "/docs": lambda: (200, HTML, (_STATIC / "docs.html").read_bytes()),
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
        self._reader = OnlineReader(self._store, self._project, refresh=self._refresh)
        if self._open_recorder is not None:
            self._recorder = self._open_recorder()

    def close(self) -> None:
        """Write what is still to be recorded, and close the store."""
        if self._recorder is not None:
            self._recorder.close()
        if self._store is not None:
            self._store.close()

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
        extra: Sequence[tuple[bytes, bytes]] = ()
        try:
            if scope["path"] == FEATURES and scope["method"] == "POST":
                body = await self._body(scope, receive)
                if body is None:
                    return  # the caller has gone
                answer = 200, JSON, await self._features(body)
            elif self._control is not None and await self._forwarded(scope, receive, send):
                return
            else:
                answer = self._get(scope["method"], scope["path"])
        except Problem as problem:
            answer = problem.status, PROBLEM, problem.render()
        except HeadwaterError as error:
            answer = error.status, PROBLEM, problem_of(error).render()
        except asyncio.CancelledError:  # the time to stop in peace is over
            answer = 503, PROBLEM, Problem(503, "Stopping", "the server is stopping").render()
        except Exception:  # noqa: BLE001 (the last resort: nothing of a crash leaves the server)
            answer = _crashed()
        status, media, content = answer
        if status != 200 or media is HTML:
            extra = _headers_of(status, media, scope["path"])
        headers = [
            (b"content-type", media),
            (b"content-length", b"%d" % len(content)),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

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
            raise _too_large(limit)
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

    async def _features(self, body: bytes) -> bytes:
        request = read_body(body)
        reader = self._reader
        if reader is None:
            raise RuntimeError("the application was not opened")
        service = request.feature_service
        plan = reader.plan(request.features, service, full_feature_names=request.full_feature_names)
        columns, count = same_length(request.entities)
        self._check_size(plan, count)
        if len(columns) > len(plan.columns):
            _check_echoed(plan, columns)
        response = await reader.read_async(plan, columns, count)
        if self._recorder is not None:
            self._recorder.offer(response, service)
        return render(response, versions=request.include_feature_view_version_metadata)

    def _check_size(self, plan: Plan, count: int) -> None:
        limits, features = self._limits, len(plan.outputs)
        if count > limits.rows:
            raise RequestError(
                f"the request has {count} rows, {limits.rows} at the most; send several requests"
            )
        if count * features > limits.values:
            raise RequestError(
                f"the request asks for {count} rows of {features} features, {limits.values} values "
                "at the most; send several requests"
            )

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
        return 200, JSON, _json(found)


def _health() -> Answer:
    return 200, JSON, b'{"status":"ok"}'


def _allowed(path: str) -> str:
    return "POST" if path == FEATURES else "GET, HEAD"


def _headers_of(status: int, media: bytes, path: str) -> Sequence[tuple[bytes, bytes]]:
    if status == 405:
        return ((b"allow", _allowed(path).encode()),)
    if status == 503:
        return ((b"retry-after", b"1"),)
    return (_PAGE_POLICY,) if media is HTML else ()


def _crashed() -> Answer:
    mark = secrets.token_hex(4)
    _log.exception("a request failed, error %s", mark)
    detail = f"the server failed to answer; its log tells more under error {mark}"
    return 500, PROBLEM, Problem(500, HeadwaterError.title, detail).render()


def _refuse_length(scope: Scope, limit: int) -> None:
    """A body that says itself that it is too long need not be read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > limit:
            raise _too_large(limit)


def _too_large(limit: int) -> Problem:
    return Problem(
        413, "Body too large", f"the body is longer than {limit} bytes; send several requests"
    )


def _check_echoed(plan: Plan, columns: Mapping[str, Sequence[Any]]) -> None:
    """Columns that no feature needs are answered as given: they have to be plain JSON values."""
    for name, values in columns.items():
        if name in plan.columns:
            continue
        for row, value in enumerate(values):
            is_whole = type(value) is int
            if type(value) not in _ECHOED or (is_whole and not -_INT_LIMIT <= value < _INT_LIMIT):
                raise RequestError(
                    f"column '{shown(name)}', row {row}: expected a text, a number, true, false "
                    "or null"
                )
