"""A control plane that echoes, waits, breaks off and dies, as it is told."""

import asyncio
import json
import os
import socket
import sys

from headwater.serving.worker import run_application


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for said in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{said}.complete"})
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await ANSWERS.get(scope["path"], echo)(scope, body, receive, send)


async def begin(send, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def echo(scope, body, receive, send):
    """What came, and headers of which only the first is the caller's business."""
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    told = {
        "method": scope["method"],
        "path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "headers": headers,
        "body": body.decode(),
        "pid": os.getpid(),
    }
    mine = [(b"etag", b'"1"'), (b"connection", b"x-inner"), (b"x-inner", b"1"), (b"server", b"s")]
    await begin(send, 201, mine)
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


async def empty(scope, body, receive, send):
    await begin(send, 204)
    await send({"type": "http.response.body"})


async def stream(scope, body, receive, send):
    """A body of many parts, of no length that was told before."""
    await begin(send)
    for number in range(100):
        part = bytes([number]) * 10_000
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def wait(scope, body, receive, send):
    """Nothing until the caller goes away; then a file that says so."""
    await receive()
    os.close(os.open(body, os.O_CREAT | os.O_EXCL))


async def die(scope, body, receive, send):
    os._exit(7)


async def die_within(scope, body, receive, send):
    await begin(send, headers=[(b"content-length", b"1000")])
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await asyncio.sleep(0)
    os._exit(7)


ANSWERS = {
    "/api/empty": empty,
    "/api/stream": stream,
    "/api/wait": wait,
    "/api/die": die,
    "/api/die-within": die_within,
    "/openapi.json": echo,
}

if __name__ == "__main__":
    settings = json.loads(sys.stdin.buffer.readline())
    inner = socket.socket(fileno=settings["socket"])
    sys.exit(run_application(application, inner, sys.stdin.fileno()))
