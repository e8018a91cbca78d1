"""Counts what is read online: noted on the request's way, added up and delivered off it.

A request adds one to the tally of its compiled request. A thread takes the tallies every few
seconds, adds them up by feature version, service, model and day, and delivers what this process
has counted of each day *so far*. So a delivery may be repeated: it says the same again. What
can't be delivered is kept, up to a bound, and told with the next one.
"""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from headwater.errors import HeadwaterError
from headwater.serving.plan import Plan

INTERVAL = 10.0
"""Seconds between deliveries: what is lost at the most where a process is killed."""
PATIENCE = 3.0
_BATCH = 500
_LIMIT = 100_000
"""Counts that are kept take some 300 bytes each."""
_MODELS = 64
"""Models whose tallies a compiled request keeps: names come from outside, without a bound."""
_DAY = 86_400_000_000
_PAUSE = 0.1
_MODEL = re.compile(rb"[!-~]{1,128}")

_log = logging.getLogger(__name__)


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one process has counted of one day: requests for a version of a feature, and their rows.

    `day` is in days since the epoch, `last_used_at` in microseconds; `used_by_model` is empty
    where nobody named one.
    """

    feature_name: str
    feature_version: str
    day: int
    count: int
    rows: int
    last_used_at: int
    used_by_model: str = ""
    service: str | None = None


Deliver = Callable[[str, Sequence[Counted]], None]
"""Keeps what the process of that name has counted. What raises a HeadwaterError is told again."""


class Tally:
    """Requests for one list of features by one model: the rows of each that waits to be counted.

    Nobody takes a lock to add one. So that none is overlooked, whoever adds looks behind that
    whether the tally waits, and who counts says before that it doesn't any more.
    """

    __slots__ = ("features", "last", "model", "rows", "service", "waits")

    def __init__(self, plan: Plan, model: str) -> None:
        self.features = {(output.feature, output.version) for output in plan.outputs}
        self.service = plan.service
        self.model = model
        self.rows: list[int] = []
        self.waits = False
        self.last = 0

    def take(self) -> tuple[int, int]:
        """How many requests have waited, and their rows; they don't any more."""
        self.waits = False
        taken = self.rows[:]
        del self.rows[: len(taken)]
        return len(taken), sum(taken)


class _Key(NamedTuple):
    feature: str
    version: str
    service: str | None
    model: str
    day: int


class _Sum:
    __slots__ = ("last", "requests", "rows")

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.last = 0


class UsageCounter:
    """Counts requests. Safe between threads; after a fork the child counts for itself.

    `model` is who asks where the request doesn't say; `sample` the share of requests that are
    looked at, each of which counts for as many as it stands for; `interval` the seconds between
    deliveries, `patience` those for which the end waits for the last one. `dropped` counts the
    uses for which there was no room, since what was counted could not be delivered.
    """

    def __init__(
        self,
        deliver: Deliver,
        *,
        model: str | None = None,
        sample: float = 1.0,
        interval: float = INTERVAL,
        patience: float = PATIENCE,
        limit: int = _LIMIT,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.dropped = 0
        self._waiting: list[Tally] = []
        self._deliver = deliver
        self._model = model or ""
        self._sample = sample
        self._interval = interval
        self._patience = patience
        self._limit = limit
        self._draw = None if sample >= 1.0 else draw
        self._begin()
        if hasattr(os, "register_at_fork"):
            mine = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _begin_anew(mine()))

    def _begin(self) -> None:
        """Count from nothing, under a name that no other process has."""
        for tally in self._waiting:
            tally.take()
        self._writer = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting = []
        self._sums: dict[_Key, _Sum] = {}
        self._untold: dict[_Key, None] = {}
        self._day = 0
        self._problem: str | None = None

    def add(self, plan: Plan, rows: int, now: int, model: bytes | None = None) -> None:
        """Count a request for `rows` rows at `now` (microseconds), by a model that it names."""
        if self._draw is not None and self._draw() >= self._sample:
            return
        tally = plan.uses.get(model)
        if tally is None:
            tally = self._tally(plan, model)
        tally.rows.append(rows)
        tally.last = now
        if not tally.waits:
            self._wait(tally)

    def flush(self) -> bool:
        """Deliver what was counted; False where some of it has to wait."""
        with self._delivering:
            self._take()
            untold = list(self._untold)
            for start in range(0, len(untold), _BATCH):
                if not self._tell(untold[start : start + _BATCH]):
                    break
            self._forget()
            return not self._untold

    def close(self) -> None:
        """Deliver what was counted, while patience lasts; what is counted later is lost."""
        with self._lock:
            thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None:
            thread.join(self._patience)
        if self._untold or self.dropped:
            _log.warning(
                "uses of features were lost: %d counts not delivered, %d uses dropped",
                len(self._untold),
                self.dropped,
            )

    def _tally(self, plan: Plan, model: bytes | None) -> Tally:
        name = self._model
        if model is not None and _MODEL.fullmatch(model):
            name = model.decode("ascii")
        tally = Tally(plan, name)
        return plan.uses.setdefault(model, tally) if len(plan.uses) < _MODELS else tally

    def _wait(self, tally: Tally) -> None:
        """Have a tally taken with the next delivery; twice does no harm."""
        tally.waits = True
        with self._lock:
            self._waiting.append(tally)
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.flush()
        end = time.monotonic() + self._patience
        while not self.flush() and time.monotonic() < end:
            time.sleep(_PAUSE)

    def _take(self) -> None:
        """Add up what has come since the last time."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for tally in waiting:
            requests, rows = tally.take()
            if not requests:
                continue
            # never back: what was told of an earlier day may be forgotten
            self._day = max(self._day, tally.last // _DAY)
            for feature, version in tally.features:
                key = _Key(feature, version, tally.service, tally.model, self._day)
                self._count(key, requests, rows, tally.last)

    def _count(self, key: _Key, requests: int, rows: int, last: int) -> None:
        found = self._sums.get(key)
        if found is None:
            if len(self._sums) >= self._limit:
                self.dropped += requests
                return
            found = self._sums[key] = _Sum()
        found.requests += requests
        found.rows += rows
        found.last = max(found.last, last)
        self._untold[key] = None

    def _tell(self, keys: Sequence[_Key]) -> bool:
        """Deliver some counts; False where there is nobody to take any."""
        try:
            self._deliver(self._writer, [self._counted(key) for key in keys])
        except HeadwaterError as error:
            if self._problem != str(error):
                _log.warning("uses of features can't be recorded: %s", error)
            self._problem = str(error)
            return not error.retryable
        self._problem = None
        for key in keys:
            del self._untold[key]
        return True

    def _counted(self, key: _Key) -> Counted:
        found = self._sums[key]
        return Counted(
            feature_name=key.feature,
            feature_version=key.version,
            day=key.day,
            count=max(1, round(found.requests / self._sample)),
            rows=round(found.rows / self._sample),
            last_used_at=found.last,
            used_by_model=key.model,
            service=key.service,
        )

    def _forget(self) -> None:
        """Nothing is added any more to days that are over and told."""
        over = [key for key in self._sums if key.day < self._day and key not in self._untold]
        for key in over:
            del self._sums[key]


def _begin_anew(counter: UsageCounter | None) -> None:
    if counter is not None:
        counter._begin()  # noqa: SLF001 (the fork is this module's business)
