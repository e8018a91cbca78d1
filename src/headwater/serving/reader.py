"""Reading online features in the process: the same path that the HTTP server takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol, cast

from headwater.errors import NotFoundError, PreconditionError, RequestError
from headwater.online.store import OnlineStore
from headwater.serving.catalogue import Reference
from headwater.serving.execute import Prepared, execute, prepare, reads
from headwater.serving.hints import shown
from headwater.serving.hops import Done, rounds
from headwater.serving.live import REFRESH, LiveCatalogue
from headwater.serving.plan import Plan
from headwater.serving.response import OnlineResponse
from headwater.serving.usage import UsageCounter


class Frame(Protocol):
    """A polars or pandas frame, an Arrow table: what gives its columns to Arrow."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


EntityRows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | Frame
Columns = Mapping[str, Sequence[Any]]


def _now() -> int:
    return time.time_ns() // 1000


class OnlineReader:
    """Reads features of a project from an online store. Safe between threads.

    `clock` gives the request's time in microseconds since the epoch; `refresh` is the number of
    seconds for which a catalogue is used before the reader looks for a newer one; `usage`, where
    there is one, counts what is read.
    """

    def __init__(
        self,
        store: OnlineStore,
        project: str,
        *,
        refresh: float = REFRESH,
        clock: Callable[[], int] = _now,
        usage: UsageCounter | None = None,
    ) -> None:
        self.live = LiveCatalogue(store, project, refresh=refresh)
        self._store = store
        self._project = project
        self._clock = clock
        self._usage = usage

    def get(
        self,
        features: Sequence[str | Reference] | None = None,
        entity_rows: EntityRows = (),
        *,
        feature_service: str | None = None,
        full_feature_names: bool = False,
    ) -> OnlineResponse:
        """The features, or those of a service, for each row, in the order of the request.

        `entity_rows` are dicts of join keys, a row each, a dict of columns, or a frame. A feature
        is `feature` or `view:feature`, either with `@version`. Raises NotFoundError for an unknown
        name, RequestError for wrong rows, ComputeError where a derived feature can't be
        computed, StoreError where the store can't be read.
        """
        plan = self.plan(features, feature_service, full_feature_names=full_feature_names)
        columns, count = columns_of(entity_rows)
        try:
            return self.read(plan, columns, count)
        except PreconditionError:
            return self.get(
                features,
                entity_rows,
                feature_service=feature_service,
                full_feature_names=full_feature_names,
            )

    async def get_async(
        self,
        features: Sequence[str | Reference] | None = None,
        entity_rows: EntityRows = (),
        *,
        feature_service: str | None = None,
        full_feature_names: bool = False,
    ) -> OnlineResponse:
        """`get`, for a caller on an event loop."""
        plan = self.plan(features, feature_service, full_feature_names=full_feature_names)
        columns, count = columns_of(entity_rows)
        try:
            return await self.read_async(plan, columns, count)
        except PreconditionError:
            return await self.get_async(
                features,
                entity_rows,
                feature_service=feature_service,
                full_feature_names=full_feature_names,
            )

    def close(self) -> None:
        """Deliver what was counted of the use."""
        if self._usage is not None:
            self._usage.close()

    def plan(
        self,
        features: Sequence[str | Reference] | None,
        feature_service: str | None,
        *,
        full_feature_names: bool,
    ) -> Plan:
        """The compiled request, from the newest catalogue."""
        asked = (features,) if isinstance(features, str) else tuple(features or ())
        snapshot = self.live.snapshot()
        try:
            return snapshot.plan(asked, feature_service, full=full_feature_names)
        except NotFoundError:
            # what was applied a moment ago may not be known yet
            newer = self.live.newest()
            if newer is snapshot:
                raise
            return newer.plan(asked, feature_service, full=full_feature_names)

    def read(
        self, plan: Plan, columns: Columns, count: int, model: bytes | None = None
    ) -> OnlineResponse:
        """Run a compiled request of a model for `count` rows, given as columns.

        Raises PreconditionError where the catalogue has changed since: the next plan is from the
        new one.
        """
        prepared = prepare(plan, columns, count)
        try:
            if plan.hops:
                cells, now = self._in_rounds(plan, prepared, columns, count)
            else:
                wanted = reads(plan, prepared[0])
                found = self._store.read(self._project, wanted, plan.ticks_of, plan.known)
                now = self._clock()  # after the read: what was served at t was there at t
                cells = execute(plan, prepared, found, count, now)
        except PreconditionError:
            self.live.check()
            raise
        if self._usage is not None:
            self._usage.add(plan, count, now, model)
        return OnlineResponse(plan, columns, count, cells, now)

    async def read_async(
        self, plan: Plan, columns: Columns, count: int, model: bytes | None = None
    ) -> OnlineResponse:
        """`read`, for a caller on an event loop."""
        prepared = prepare(plan, columns, count)
        try:
            if plan.hops:
                cells, now = await self._in_rounds_async(plan, prepared, columns, count)
            else:
                wanted = reads(plan, prepared[0])
                found = await self._store.read_async(
                    self._project, wanted, plan.ticks_of, plan.known
                )
                now = self._clock()
                cells = execute(plan, prepared, found, count, now)
        except PreconditionError:
            self.live.check()
            raise
        if self._usage is not None:
            self._usage.add(plan, count, now, model)
        return OnlineResponse(plan, columns, count, cells, now)

    def _in_rounds(self, plan: Plan, prepared: Prepared, columns: Columns, count: int) -> Done:
        run = rounds(plan, prepared, columns, count, self._clock)
        wanted = next(run)
        while True:
            found = self._store.read(self._project, wanted.reads, wanted.ticks_of, plan.known)
            try:
                wanted = run.send(found)
            except StopIteration as done:
                return cast("Done", done.value)

    async def _in_rounds_async(
        self, plan: Plan, prepared: Prepared, columns: Columns, count: int
    ) -> Done:
        run = rounds(plan, prepared, columns, count, self._clock)
        wanted = next(run)
        while True:
            found = await self._store.read_async(
                self._project, wanted.reads, wanted.ticks_of, plan.known
            )
            try:
                wanted = run.send(found)
            except StopIteration as done:
                return cast("Done", done.value)


def columns_of(entity_rows: EntityRows) -> tuple[Columns, int]:
    """Rows, columns, or a frame, as columns and their number of rows.

    Raises RequestError where there are no rows, or they don't have the same columns.
    """
    if isinstance(entity_rows, list):
        rows = entity_rows
    elif isinstance(entity_rows, Mapping):
        return same_length({name: _listed(name, given) for name, given in entity_rows.items()})
    elif hasattr(entity_rows, "__arrow_c_stream__"):
        return same_length(_columns_of_frame(entity_rows))
    else:
        rows = _rows_of(entity_rows)
    if not rows:
        raise RequestError("there are no entity rows; give one dict of join keys a row")
    try:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    except (KeyError, TypeError):
        _explain_rows(rows)
    return columns, len(rows)


def _rows_of(given: object) -> list[Any]:
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return list(given)
    raise RequestError(
        f"entity_rows is of type {type(given).__name__}; expected a list with one dict of join "
        "keys a row, a dict of columns, or a frame"
    )


def _columns_of_frame(frame: Frame) -> Columns:
    import pyarrow as pa

    found: dict[str, list[Any]] = pa.table(frame).to_pydict()
    # a pandas frame brings its index, unless that is no more than the rows' numbers
    return {name: values for name, values in found.items() if not name.startswith("__index_level")}


def same_length(columns: Columns) -> tuple[Columns, int]:
    """Columns and their number of rows; no columns at all are one row.

    Raises RequestError where they differ in length, or there are no rows.
    """
    if not columns:
        return columns, 1
    count = len(next(iter(columns.values())))
    for name, values in columns.items():
        if len(values) != count:
            first = next(iter(columns))
            raise RequestError(
                f"column '{shown(name)}' has {len(values)} rows, column '{shown(first)}' has "
                f"{count}; each column holds one value a row"
            )
    if count == 0:
        raise RequestError("there are no entity rows; each column holds one value a row")
    return columns, count


def _listed(name: str, given: Any) -> Sequence[Any]:
    """A column as list: Arrow, numpy, pandas and polars columns know how."""
    if isinstance(given, list | tuple):
        return given
    for method in ("to_pylist", "tolist", "to_list"):
        if hasattr(given, method):
            listed: list[Any] = getattr(given, method)()
            return listed
    raise RequestError(
        f"column '{name}' is of type {type(given).__name__}; expected a list with one value a row"
    )


def _explain_rows(rows: Sequence[Any]) -> NoReturn:
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise RequestError(
                f"entity row {place} is of type {type(row).__name__}; expected a dict of join keys"
            )
        missing = next((name for name in rows[0] if name not in row), None)
        if missing is not None:
            raise RequestError(f"entity row {place} has no '{missing}', as row 0 has")
    raise RequestError("the entity rows can't be read; give one dict of join keys a row")
