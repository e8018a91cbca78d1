"""POST /get-online-features: from the bytes of a request to those of its answer.

What takes long is kept away from the event loop: it is worked on by one thread, one request after
the other, so that small requests are answered in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec

from headwater.errors import PreconditionError, RequestError
from headwater.online.store import OnlineStore
from headwater.serving.body import read_body
from headwater.serving.hints import shown
from headwater.serving.plan import Plan
from headwater.serving.problem import Problem
from headwater.serving.reader import OnlineReader, same_length
from headwater.serving.recorder import Recorder
from headwater.serving.response import OnlineResponse
from headwater.serving.wire import render

_ECHOED = {type(None), bool, int, float, str}
_INT_LIMIT = 2**63
_LONG_BODY = 64 * 1024
_MANY_VALUES = 5_000
"""A request for so many values takes about a millisecond."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may ask for: bytes of its body, rows, and values (rows times features)."""

    body: int = 4 * 1024**2
    rows: int = 10_000
    values: int = 1_000_000


class _Asked(NamedTuple):
    """A request that was read, checked and compiled."""

    plan: Plan
    columns: Mapping[str, Sequence[Any]]
    rows: int
    service: str | None
    versions: bool

    @property
    def is_large(self) -> bool:
        return self.rows * len(self.plan.outputs) > _MANY_VALUES


class Endpoint:
    """Answers requests for features. `recorder`, where there is one, takes what was served."""

    def __init__(
        self, store: OnlineStore, reader: OnlineReader, limits: Limits, recorder: Recorder | None
    ) -> None:
        self._is_local = store.is_local
        self._reader = reader
        self._limits = limits
        self._recorder = recorder
        self._thread = ThreadPoolExecutor(1, "large-requests")

    def at_once(self, body: bytes, model: bytes | None = None) -> list[bytes] | None:
        """The answer in parts, made here and now; None where that would hold others up.

        `model` is who says that it asks. Raises Problem or HeadwaterError where the request can't
        be answered.
        """
        if not self._is_local or len(body) > _LONG_BODY:
            return None
        asked = self._ask(body)
        if asked.is_large:
            return None
        try:
            response = self._read(asked, model)
        except PreconditionError:  # the catalogue has changed: ask the new one
            return self.at_once(body, model)
        return self._tell(asked, response)

    async def answer(self, body: bytes, model: bytes | None = None) -> list[bytes]:
        """The answer in parts, whatever it takes. Raises as `at_once`."""
        if len(body) > _LONG_BODY:
            return await self._in_thread(body, model)
        asked = self._ask(body)
        if asked.is_large:
            return await self._in_thread(body, model)
        try:
            response = await self._reader.read_async(asked.plan, asked.columns, asked.rows, model)
        except PreconditionError:
            return await self.answer(body, model)
        return self._tell(asked, response)

    def close(self) -> None:
        """Finish what has begun, and record what was served."""
        self._thread.shutdown(cancel_futures=True)
        if self._recorder is not None:
            self._recorder.close()

    async def _in_thread(self, body: bytes, model: bytes | None) -> list[bytes]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._work, body, model)

    def _work(self, body: bytes, model: bytes | None) -> list[bytes]:
        asked = self._ask(body)
        try:
            response = self._read(asked, model)
        except PreconditionError:
            return self._work(body, model)
        return self._tell(asked, response)

    def _ask(self, body: bytes) -> _Asked:
        if len(body) > self._limits.body:
            raise too_large(self._limits.body)
        request = read_body(body)
        service = request.feature_service
        plan = self._reader.plan(
            request.features, service, full_feature_names=request.full_feature_names
        )
        columns, count = same_length(request.entities)
        self._check_size(plan, count)
        if len(columns) > len(plan.columns):
            _check_echoed(plan, columns)
        return _Asked(plan, columns, count, service, request.include_feature_view_version_metadata)

    def _read(self, asked: _Asked, model: bytes | None) -> OnlineResponse:
        return self._reader.read(asked.plan, asked.columns, asked.rows, model)

    def _tell(self, asked: _Asked, response: OnlineResponse) -> list[bytes]:
        if self._recorder is not None:
            self._recorder.offer(response, asked.service)
        return render(response, versions=asked.versions)

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


def too_large(limit: int) -> Problem:
    """The answer to a body of more than `limit` bytes."""
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
