"""Where OpenLineage events go: a file of JSON lines, or a server."""

from __future__ import annotations

import http.client
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.request import Request, urlopen

from headwater.config import OpenLineageSettings, Url

_PATH = "/api/v1/lineage"
_PAUSE = 60.0
_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes events, one JSON text each. Raises OSError or HTTPException where it can't."""

    @property
    def name(self) -> str:
        """Where it is, without secrets."""

    def send(self, event: bytes) -> None: ...


class FileSink:
    """A file of which each line is an event; several processes may append to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    def send(self, event: bytes) -> None:
        """One write, which the system appends as a whole."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = event + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
        if written != len(line):
            raise OSError(f"the disk took {written} of {len(line)} bytes")


class HttpSink:
    """A server that speaks OpenLineage, such as Marquez; `url` may name its route or leave it."""

    def __init__(self, url: Url, token: str | None, timeout: float) -> None:
        self._url = url.rstrip("/").removesuffix(_PATH) + _PATH
        self.name = url.redacted
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, event: bytes) -> None:
        request = Request(self._url, event, self._headers, method="POST")  # noqa: S310 (checked)
        with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310 (http or https alone)
            answer.read()


class Outlets:
    """Sends events to all sinks. One that fails is told of in a line, and left alone for a minute:
    no run waits for it again and again, and none fails of it.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._until: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def send(self, event: bytes) -> None:
        for sink in self._sinks:
            if time.monotonic() < self._until.get(sink.name, 0.0):
                continue
            try:
                sink.send(event)
            except (OSError, http.client.HTTPException) as error:
                self._until[sink.name] = time.monotonic() + _PAUSE
                warn(sink.name, error)


def warn(place: str, error: Exception) -> None:
    """Say in one line that an event was lost."""
    text = " ".join(str(error).split()) or type(error).__name__
    _log.warning("lineage events are not told to %s: %s", place, text)


def outlets_of(settings: OpenLineageSettings) -> Outlets:
    """The sinks that the settings name; none unless they do."""
    sinks: list[Sink] = []
    if settings.file is not None:
        sinks.append(FileSink(settings.file))
    if settings.url is not None:
        sinks.append(HttpSink(settings.url, settings.token, settings.timeout))
    return Outlets(sinks)
