"""The least that an HTTP server of online values can do: rows stored as ready JSON, joined.

No checks, no registry, no ages; the rows hold values, statuses and times, so that answers are as
long as those of a feature server. BENCH_LMDB names the directory.
"""

from __future__ import annotations

import os
from typing import Any

import lmdb
import msgspec


class Request(msgspec.Struct):
    """The part of Feast's request that is needed."""

    features: list[str]
    entities: dict[str, list[int]]


_decode = msgspec.json.Decoder(Request).decode
_opened: list[Any] = []


def _environment() -> Any:
    """Opened in the worker, after the fork."""
    if not _opened:
        path = os.environ["BENCH_LMDB"]
        _opened.append(lmdb.open(path, readonly=True, lock=False, readahead=False))
    return _opened[0]


def answer(body: bytes) -> bytes:
    request = _decode(body)
    with _environment().begin() as txn:
        rows = [txn.get(user.to_bytes(8, "big")) for user in request.entities["user_id"]]
    names = msgspec.json.encode(["user_id", *request.features])
    return b'{"metadata":{"feature_names":%b},"results":[%b]}' % (names, b",".join(rows))


async def ready(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application."""
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    out = answer(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(out))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": out})
