"""The server of online values: one listening socket, one or several worker processes.

One worker runs in this process. Several are processes of their own, watched, and so is the
control plane where there is one: a process to which the workers forward what is not theirs.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.errors import ConfigError, StoreError
from headwater.online.store import open_online_store
from headwater.serving.endpoint import Limits
from headwater.serving.live import DOCUMENT
from headwater.serving.recorder import VectorLogSettings
from headwater.serving.supervisor import Child, Supervisor, say
from headwater.serving.usage_delivery import UsageOptions
from headwater.serving.worker import WorkerSettings, run

if TYPE_CHECKING:
    from headwater.config import Settings

_BACKLOG = 2048


class ControlPlane(msgspec.Struct, frozen=True):
    """The process behind `/api/`: a module that serves HTTP on the socket it is given.

    It reads one line of JSON: `settings`, and `socket`, the number of that socket's file.
    """

    module: str
    settings: dict[str, Any]


def serve(
    settings: Settings,
    *,
    vector_log: VectorLogSettings | None = None,
    control: ControlPlane | None = None,
) -> None:
    """Serve a project's online values until SIGTERM or SIGINT.

    Raises ConfigError where the address can't be listened on, StoreError where the online store
    can't be opened or the workers can't start.
    """
    options = settings.online
    limits = Limits(body=settings.serve.body_limit, rows=settings.serve.row_limit)
    worker = WorkerSettings(
        project=settings.project,
        root=str(settings.root),
        store=options.kind,
        options={"path": str(options.path), "map_size": options.map_size},
        limits=limits,
        vector_log=vector_log,
        usage=_usage(settings),
    )
    serve_workers(
        worker,
        host=settings.serve.host,
        port=settings.serve.port,
        workers=settings.serve.workers,
        control=control,
    )


def _usage(settings: Settings) -> UsageOptions | None:
    given = settings.usage
    if not given.enabled:
        return None
    return UsageOptions(
        environment=given.environment,
        model=given.model,
        sample=given.sample,
        interval=given.interval,
    )


def serve_workers(
    worker: WorkerSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8500,
    workers: int = 1,
    control: ControlPlane | None = None,
) -> None:
    """`serve`, from the settings of its workers; port 0 takes a free one, and says which."""
    listening = listen(host, port)
    with listening:
        _check_store(worker)
        address = "http://{}:{}".format(*_shown(listening))
        plural = "" if workers == 1 else "s"
        say(f"serving project '{worker.project}' on {address} with {workers} worker{plural}")
        if control is not None:
            code = _run_with_control(worker, listening, workers, control)
        elif workers == 1:
            code = run(worker, listening)
        else:
            children = [_worker(worker, listening)] * workers
            code = Supervisor(children, listening, grace=worker.grace).run()
    if code != 0:
        raise StoreError("the server could not start; its log says why")
    say("stopped")


def _run_with_control(
    worker: WorkerSettings, listening: socket.socket, workers: int, control: ControlPlane
) -> int:
    with _private_socket() as (inner, path):
        described = {**control.settings, "socket": inner.fileno()}
        plane = Child(
            name="control plane",
            module=control.module,
            settings=msgspec.json.encode(described),
            socket=inner,
            vital=False,
        )
        forwarding = msgspec.structs.replace(worker, control=path)
        children = [*[_worker(forwarding, listening)] * workers, plane]
        return Supervisor(children, listening, grace=worker.grace).run()


def _worker(worker: WorkerSettings, listening: socket.socket) -> Child:
    described = msgspec.structs.replace(worker, socket=listening.fileno())
    return Child(
        name="worker",
        module="headwater.serving.worker",
        settings=msgspec.json.encode(described),
        socket=listening,
    )


@contextlib.contextmanager
def _private_socket() -> Iterator[tuple[socket.socket, str]]:
    """A Unix socket that listens where no other user can reach it, and its path.

    It belongs to this process: while the one that serves it is started again, callers wait.
    """
    with (
        tempfile.TemporaryDirectory(prefix="headwater-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found,
    ):
        path = str(Path(folder) / "control")
        try:
            found.bind(path)
        except OSError as error:
            raise ConfigError(f"can't listen on '{path}' (set TMPDIR): {error}") from error
        found.listen(_BACKLOG)
        yield found, path


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address. Raises ConfigError that says why it can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        found.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} of {host} is taken by another process; choose another with --port "
                "(or serve.port), 0 takes a free one"
            ) from error
        raise ConfigError(f"can't listen on port {port} of '{host}': {error}") from error
    return found


def _shown(listening: socket.socket) -> tuple[str, int]:
    host, port = listening.getsockname()[:2]
    return (f"[{host}]" if ":" in host else host), port


def _check_store(worker: WorkerSettings) -> None:
    """Fail here, with the store's own words, rather than once in each worker."""
    store = open_online_store(worker.store, **worker.options)
    try:
        store.get_document(worker.project, DOCUMENT)
    finally:
        store.close()
