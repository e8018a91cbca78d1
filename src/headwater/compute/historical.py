"""Training sets: the spine's rows in their order, then the requested features (C1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.progress import OnProgress, Progress
from headwater.compute.reading import PART_ROWS, Reader
from headwater.compute.reads import OnRead, Read, Reads, SharingReader
from headwater.compute.spine import Spine, read_spine
from headwater.compute.values import Values, whole
from headwater.errors import SpineError
from headwater.expressions.analyzed import AnalyzedProject

SIDE_BY_SIDE = 4
"""Views that are read at a time, where the engine may use as many threads: each takes memory."""


@dataclass(frozen=True)
class Request:
    """One requested feature: where it is, what its output is called, how the spine calls keys.

    Features of different versions may come from differently analysed projects. `version` is the
    registry's number, where there is one.
    """

    project: AnalyzedProject
    view: str
    feature: str
    output: str
    join_keys: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None

    @property
    def given_types(self) -> dict[str, str]:
        """The join keys and the values of a request that it takes, name to type."""
        view = self.project.views[self.view]
        return {**view.join_keys, **view.feature(self.feature).request}


@dataclass(frozen=True)
class Options:
    """How a training set is computed: the spine's time column, whether C3 holds, who is told how
    far it is, and how many source rows the kernels take at a time.
    """

    timestamp: str = "event_timestamp"
    knowledge: bool = True
    on_progress: OnProgress | None = None
    part_rows: int = PART_ROWS


def compute_historical(
    engine: DuckDBEngine, given: Any, requests: Sequence[Request], options: Options | None = None
) -> pa.Table:
    """The spine's rows in their order, then one column a request, in the requested order.

    Raises SpineError for a spine that lacks a key or a time, or for two outputs of one name,
    SourceError where a source's file changes meanwhile.
    """
    chosen = options or Options()
    spine = read_spine(given, chosen.timestamp, engine)
    historical = Historical(engine, requests, chosen)
    table = historical.table(spine)
    historical.check_sources()
    return table


class Historical:
    """Requested features as known at the rows of spines, all of them as of one scan a source.

    One that is `telling` says of each value why it is null and how old it is.
    """

    def __init__(
        self,
        engine: DuckDBEngine,
        requests: Sequence[Request],
        options: Options,
        *,
        telling: bool = False,
    ) -> None:
        self.requests = tuple(requests)
        self._engine = engine
        self._options = options
        self._readers = {
            id(request.project): SharingReader(
                engine,
                request.project,
                knowledge=options.knowledge,
                part_rows=options.part_rows,
                telling=telling,
            )
            for request in requests
        }

    def reader(self, project: AnalyzedProject) -> Reader:
        """What reads the features of one project that is asked for."""
        return self._readers[id(project)]

    def table(self, spine: Spine, piece: tuple[int, int] = (0, 1)) -> pa.Table:
        """The spine's rows, then a column a request. Raises SpineError.

        `piece` tells which one of how many pieces of all rows this is.
        """
        check_outputs(spine, self.requests)
        table = spine.table
        for request, values in zip(self.requests, self.values(spine, piece), strict=True):
            table = table.append_column(request.output, values.columns[request.feature])
        return table

    def values(self, spine: Spine, piece: tuple[int, int] = (0, 1)) -> list[Values]:
        """For each request the values of its view's features. Raises SpineError."""
        given = _given(spine, self.requests)
        readers = {
            key: replace(reader, given=given, known={}) for key, reader in self._readers.items()
        }
        reads, columns = Reads(), _KeyColumns(spine)
        wanted: list[tuple[Read, str]] = []
        for request in self.requests:
            reader, view = readers[id(request.project)], request.project.views[request.view]
            keys = columns.of(view.join_keys, request.join_keys)
            read = reads.add(reader, view, [request.feature], keys, spine.times)
            wanted.append((read, request.feature))
        reads.compute(min(SIDE_BY_SIDE, self._engine.threads), self._told(spine.rows, piece))
        found = [read.of([name]) for read, name in wanted]
        for reader in readers.values():
            reader.known.clear()  # a circle, which would keep all values until it is collected
        return found

    def check_sources(self) -> None:
        """Raises SourceError where a file has changed since it was first looked at."""
        for reader in self._readers.values():
            reader.check_sources()

    def _told(self, rows: int, piece: tuple[int, int]) -> OnRead | None:
        listener = self._options.on_progress
        if listener is None:
            return None
        before, pieces = piece
        return lambda done, reads: listener(
            Progress("training set", int(done * rows), before * reads + done, pieces * reads)
        )


class _KeyColumns:
    """A spine's columns of keys, each made once, so that who reads by them can see they are one."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self._made: dict[tuple[str, str], pa.Array] = {}

    def of(self, join_keys: Mapping[str, str], names: Mapping[str, str]) -> dict[str, pa.Array]:
        return {key: self._column(key, dtype, names) for key, dtype in join_keys.items()}

    def _column(self, key: str, dtype: str, names: Mapping[str, str]) -> pa.Array:
        place = (names.get(key, key), dtype)
        if place not in self._made:
            self._made[place] = whole(self._spine.keys({key: dtype}, names)[key])
        return self._made[place]


def _given(spine: Spine, requests: Sequence[Request]) -> dict[str, pa.Array]:
    """The values that on-demand features take from the spine, in the types that they declare."""
    types: dict[str, tuple[str, str]] = {}
    for request in requests:
        feature = request.project.views[request.view].feature(request.feature)
        for name, dtype in feature.request.items():
            known, other = types.setdefault(name, (dtype, request.feature))
            if known != dtype:
                raise SpineError(
                    f"spine: column '{name}' is to be {known} for feature '{other}' and {dtype} "
                    f"for '{request.feature}'; ask for them in two training sets"
                )
    return {name: spine.given(name, dtype, feature) for name, (dtype, feature) in types.items()}


def check_outputs(spine: Spine, requests: Sequence[Request]) -> None:
    """Two columns of one name are an error that says how to rename one."""
    taken = set(spine.table.column_names)
    for request in requests:
        if request.output in taken:
            what = "a column of the spine" if request.output in spine.table.column_names else ""
            raise SpineError(
                f"output '{request.output}' is {what or 'asked for twice'}; give another name: "
                f"FeatureRef('{request.view}:{request.feature}', alias='...')"
            )
        taken.add(request.output)
