"""One worker process: an application with its own store, run by uvicorn on a socket it was given.

    python -m headwater.serving.worker

reads its `WorkerSettings` as one line of JSON from its standard input, and stops when that ends:
so no worker outlives the process that started it, however that one died.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import uvicorn

from headwater.online.store import open_online_store
from headwater.serving.app import ServingApp
from headwater.serving.connection import Connection
from headwater.serving.endpoint import Limits
from headwater.serving.live import REFRESH
from headwater.serving.proxy import Proxy
from headwater.serving.recorder import VectorLogSettings, open_recorder
from headwater.serving.supervisor import CANNOT_START
from headwater.serving.usage import UsageCounter
from headwater.serving.usage_delivery import UsageOptions, open_usage

GRACE = 30.0
"""Seconds for which requests in flight are answered after the server was told to stop."""
_SWITCH = 0.0005
"""Seconds after which a thread lets another one run."""
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a worker needs. `store` and `options` are what `open_online_store` takes.

    `control` is the path of the socket on which the control plane answers, where there is one: it
    is told what is counted of the `usage`. `root` is the project's folder, from which
    functions of the project are imported.
    """

    project: str
    root: str | None = None
    store: str
    options: dict[str, Any]
    limits: Limits = Limits()
    refresh: float = REFRESH
    access_log: bool = False
    grace: float = GRACE
    vector_log: VectorLogSettings | None = None
    usage: UsageOptions | None = None
    socket: int | None = None
    control: str | None = None


class _Server(uvicorn.Server):
    """Stops in peace on SIGTERM and SIGINT; uvicorn's own would then die of the signal again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def application(settings: WorkerSettings) -> ServingApp:
    """The application that the settings describe; it opens nothing before it is started."""
    log = settings.vector_log
    return ServingApp(
        settings.project,
        partial(open_online_store, settings.store, **settings.options),
        limits=settings.limits,
        refresh=settings.refresh,
        open_recorder=None if log is None else partial(open_recorder, log),
        open_usage=_usage(settings),
        control=None if settings.control is None else Proxy(settings.control),
    )


def _usage(settings: WorkerSettings) -> Callable[[], UsageCounter] | None:
    """What counts, where there is somebody to tell."""
    if settings.usage is None or settings.control is None:
        return None
    return partial(open_usage, settings.usage, settings.project, settings.control)


def run(settings: WorkerSettings, listening: socket.socket, lifeline: int | None = None) -> int:
    """Serve online values until SIGTERM, SIGINT or the end of the file `lifeline`."""
    return run_application(
        application(settings),
        listening,
        lifeline,
        http=Connection,
        access_log=settings.access_log,
        grace=settings.grace,
    )


def run_application(
    application: Any,
    listening: socket.socket,
    lifeline: int | None = None,
    *,
    http: type[asyncio.Protocol] | str = "httptools",
    access_log: bool = False,
    grace: float = GRACE,
) -> int:
    """Serve an ASGI application until SIGTERM, SIGINT or the end of the file `lifeline`.

    Returns an exit code. Requests in flight are answered, for `grace` seconds at the most.
    """
    logging.basicConfig(level=logging.INFO, format=_FORMAT, stream=sys.stderr)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server = _Server(
        uvicorn.Config(
            application,
            http=http,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            log_level=None,
            access_log=access_log,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=round(grace),
        )
    )
    if lifeline is not None:
        threading.Thread(target=_watch, args=(lifeline, server), daemon=True).start()
    # what was loaded to start lives for ever: it need not be searched for garbage
    gc.collect()
    gc.freeze()
    # small requests are not to wait for threads that work on large ones or write records
    sys.setswitchinterval(_SWITCH)
    try:
        server.run([listening])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else CANNOT_START
    except KeyboardInterrupt:  # before the server was up to take it
        return 0
    finally:
        gc.unfreeze()  # libraries that count their objects would complain at the exit
    return 0


def _watch(lifeline: int, server: uvicorn.Server) -> None:
    while os.read(lifeline, 1):
        pass
    server.should_exit = True


def main() -> int:
    """Run the worker that the standard input describes."""
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerSettings)
    if settings.socket is None:
        raise ValueError("a worker needs the socket that it listens on")
    if settings.root is not None:
        sys.path.insert(0, settings.root)
    return run(settings, socket.socket(fileno=settings.socket), sys.stdin.fileno())


if __name__ == "__main__":
    sys.exit(main())
