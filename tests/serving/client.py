"""Calls an ASGI application as a server would, without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FEATURES = "/get-online-features"


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


async def call(
    app: Any,
    method: str,
    path: str,
    chunks: Sequence[bytes] = (b"",),
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Response | None:
    """One request; None where the application answered nothing."""
    waiting = list(chunks)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    await app(scope, receive, send)
    if not sent:
        return None
    start, body = sent
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(named["content-length"]) == len(body["body"])
    return Response(start["status"], named, body["body"])


def post(
    app: Any,
    body: Any,
    path: str = FEATURES,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Response:
    """POST something as JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = asyncio.run(call(app, "POST", path, [content], headers))
    assert found is not None
    return found


def get(app: Any, path: str, method: str = "GET") -> Response:
    found = asyncio.run(call(app, method, path))
    assert found is not None
    return found
