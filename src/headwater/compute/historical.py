"""Training sets: the spine's rows in their order, then the requested features (C1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.progress import OnProgress, OnShare, Progress
from headwater.compute.reading import PART_ROWS, Reader
from headwater.compute.spine import Spine, read_spine
from headwater.compute.values import whole
from headwater.errors import SpineError
from headwater.expressions.analyzed import AnalyzedProject


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
    check_outputs(spine, requests)
    given = _given(spine, requests)
    readers: dict[int, Reader] = {}
    columns: dict[str, pa.Array] = {}
    groups = _grouped(requests)
    for done, ((number, name, pairs), members) in enumerate(groups.items(), start=1):
        project = members[0].project
        if number not in readers:
            readers[number] = Reader(
                engine,
                project,
                knowledge=chosen.knowledge,
                part_rows=chosen.part_rows,
                given=given,
            )
        reader, view = readers[number], project.views[name]
        if chosen.on_progress is not None:
            told = _told(chosen.on_progress, spine.rows, done - 1, len(groups))
            reader = replace(reader, on_share=told)
        keys = spine.keys(view.join_keys, dict(pairs))
        flat = {key: whole(column) for key, column in keys.items()}
        wanted = sorted({request.feature for request in members})
        values = reader.read(view, wanted, flat, spine.times)
        columns.update({r.output: values.columns[r.feature] for r in members})
        if chosen.on_progress is not None:
            chosen.on_progress(Progress("training set", done * spine.rows, done, len(groups)))
    for reader in readers.values():
        reader.check_sources()
    table = spine.table
    for request in requests:
        table = table.append_column(request.output, columns[request.output])
    return table


def _told(tell: OnProgress, rows: int, done: int, total: int) -> OnShare:
    """Tells of the work under way after `done` groups."""
    return lambda share: tell(
        Progress("training set", int((done + share) * rows), done + share, total)
    )


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


Group = tuple[int, str, tuple[tuple[str, str], ...]]


def _grouped(requests: Sequence[Request]) -> dict[Group, list[Request]]:
    groups: dict[Group, list[Request]] = {}
    for request in requests:
        pairs = tuple(sorted(request.join_keys.items()))
        groups.setdefault((id(request.project), request.view, pairs), []).append(request)
    return groups
