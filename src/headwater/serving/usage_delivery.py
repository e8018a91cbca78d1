"""Delivers what a worker has counted to the control plane, over its Unix socket."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException

import msgspec

from headwater.errors import RequestError, StoreError
from headwater.serving.usage import INTERVAL, Counted, UsageCounter

_PATIENCE = 15.0
"""Seconds for which the control plane may say nothing: it may just be starting."""
_SHOWN = 500


class UsageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted: `sample` is the share of requests, `interval` the seconds between
    deliveries, `model` who asks where a request doesn't say.
    """

    environment: str
    model: str | None = None
    sample: float = 1.0
    interval: float = INTERVAL


class CountedUses(msgspec.Struct, frozen=True):
    """The body of a delivery."""

    environment: str
    counts: Sequence[Counted]


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("control-plane", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def open_usage(options: UsageOptions, project: str, control: str) -> UsageCounter:
    """A counter that tells the control plane at the path `control`."""
    deliver = partial(_deliver, control, project, options.environment)
    return UsageCounter(
        deliver,
        model=options.model,
        sample=options.sample,
        interval=options.interval,
        patience=_PATIENCE,
    )


def _deliver(
    control: str, project: str, environment: str, writer: str, counts: Sequence[Counted]
) -> None:
    """Raises StoreError where the control plane, or its registry, can't take them now."""
    connection = _Connection(control)
    body = msgspec.json.encode(CountedUses(environment, counts))
    try:
        connection.request(
            "PUT",
            f"/api/v1/usage/counts/{writer}?project={project}",
            body,
            {"content-type": "application/json"},
        )
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, HTTPException) as error:
        raise StoreError(f"the control plane can't be reached: {error}") from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise StoreError(f"the control plane answers {answer.status}: {_shown(said)}")
    if answer.status != 200:
        raise RequestError(f"the control plane answers {answer.status}: {_shown(said)}")


def _shown(said: bytes) -> str:
    return said[:_SHOWN].decode(errors="replace")
