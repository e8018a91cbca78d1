"""Takes what was served to a VectorLog: noted on the request's way, written off it.

The request's way only puts a reference into a queue, bounded by the values that it holds; a thread
of its own makes records of them and hands batches to the log. When the queue is full, vectors are
dropped and counted.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any

import msgspec

from headwater.errors import ConfigError
from headwater.serving.response import OnlineResponse
from headwater.serving.vectors import VectorLog, vector_of
from headwater.serving.vectors_jsonl import JsonLines

_QUEUE = 2_000_000
"""Values that wait take 50 to 100 bytes each."""

_log = logging.getLogger(__name__)


class VectorLogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which log, and how much of what is served it gets.

    `target` is `jsonl`, or the import path `package.module:factory` of what makes a VectorLog of
    `options`. `sample` is the share of requests, `queue` the number of values that may wait
    (rows times features: what bounds the memory), `interval` the seconds between batches.
    """

    target: str = "jsonl"
    options: dict[str, Any] = {}
    sample: float = 1.0
    queue: int = _QUEUE
    interval: float = 0.5


class Recorder:
    """Takes served vectors from the thread that serves to a VectorLog."""

    def __init__(
        self,
        log: VectorLog,
        *,
        sample: float = 1.0,
        queue: int = _QUEUE,
        interval: float = 0.5,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.dropped = 0
        self.written = 0
        self._vectors = log
        self._sample = sample
        self._draw = draw
        self._limit = queue
        self._interval = interval
        self._waiting: deque[tuple[OnlineResponse, str | None]] = deque()
        self._held = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vector-log", daemon=True)
        self._thread.start()

    def offer(self, response: OnlineResponse, service: str | None) -> None:
        """Take a served response, unless the sample leaves it out or the queue is full."""
        if self._sample < 1.0 and self._draw() >= self._sample:
            return
        values = _size(response)
        with self._lock:
            if self._held + values > self._limit:
                self.dropped += 1
                return
            self._held += values
        self._waiting.append((response, service))

    def close(self) -> None:
        """Write what waits, and close the log."""
        self._stop.set()
        self._thread.join()
        self._vectors.close()
        if self.dropped:
            _log.warning("%d served vectors were dropped, not logged", self.dropped)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(len(waiting))]
        if not batch:
            return
        try:
            self._vectors.write([vector_of(response, service) for response, service in batch])
            self.written += len(batch)
        except Exception:  # noqa: BLE001 (somebody else's code; serving goes on)
            with self._lock:
                self.dropped += len(batch)
            _log.exception("%d served vectors can't be logged", len(batch))
        finally:
            with self._lock:
                self._held -= sum(_size(response) for response, _ in batch)


def _size(response: OnlineResponse) -> int:
    return response.count * len(response.plan.outputs)


def open_recorder(settings: VectorLogSettings) -> Recorder:
    """A recorder over the log that the settings name. Raises ConfigError where there is none."""
    if not 0.0 < settings.sample <= 1.0:
        raise ConfigError(f"vector log: sample {settings.sample} is not within (0, 1]")
    factory = _factory(settings.target)
    try:
        log: VectorLog = factory(**settings.options)
    except TypeError as error:
        raise ConfigError(f"vector log '{settings.target}': {error}") from error
    return Recorder(log, sample=settings.sample, queue=settings.queue, interval=settings.interval)


def _factory(target: str) -> Callable[..., VectorLog]:
    if target == "jsonl":
        return JsonLines
    module, _, name = target.partition(":")
    try:
        found: Callable[..., VectorLog] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"vector log '{target}' can't be imported ({error}); write 'jsonl' or "
            "'package.module:factory'"
        ) from error
    return found
