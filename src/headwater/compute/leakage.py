"""Whether a training set knows more than a reader at its times could: two tests a feature.

The first takes away from the sources all that happened or became known after a row's time, and
computes the row again: a value that changes was made of the future. The second looks for features
that tell the label almost alone, which a leak does and an honest feature seldom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import ROW_ID, DuckDBEngine
from headwater.compute.fetch import time_sql
from headwater.compute.historical import Options, Request, compute_historical
from headwater.compute.spine import read_spine
from headwater.definitions.source import Source
from headwater.errors import SpineError
from headwater.expressions.analyzed import AnalyzedProject
from headwater.expressions.printing import quote

ROWS = 20
SUSPICIOUS = 0.95
_CLASSES = 2


@dataclass(frozen=True)
class FeatureLeakage:
    """What was found of one feature: in how many of the rows tried the value changed without the
    future, and how far it tells the label alone, from 0 to 1 (None where that can't be said).

    For a label of two classes `association` is the distance of the area under the ROC curve from
    one half, doubled; for a number the absolute rank correlation.
    """

    feature: str
    tried: int
    changed: int
    association: float | None

    @property
    def is_suspicious(self) -> bool:
        return self.changed > 0 or (self.association or 0.0) >= SUSPICIOUS


def leakage_report(
    engine: DuckDBEngine,
    spine: Any,
    requests: Sequence[Request],
    options: Options,
    *,
    label: str | None = None,
    rows: int = ROWS,
) -> list[FeatureLeakage]:
    """One entry a feature, in the order asked for. `rows` of the spine are computed again, evenly
    chosen by time.
    """
    given = read_spine(spine, options.timestamp, engine)
    if label is not None and label not in given.table.column_names:
        raise SpineError(f"label '{label}': the spine has no such column")
    table = compute_historical(engine, given.table, requests, options)
    order = np.argsort(given.times, kind="stable")
    places = np.unique(np.linspace(0, given.rows - 1, min(rows, given.rows)).round().astype(int))
    changed = dict.fromkeys((request.output for request in requests), 0)
    for place in order[places]:
        row = given.table.slice(int(place), 1)
        known = _known_at(engine, requests, int(given.times[place]))
        alone = compute_historical(engine, row, known, options)
        for name in changed:
            changed[name] += _another(table[name][int(place)].as_py(), alone[name][0].as_py())
    labels = None if label is None else table[label].combine_chunks()
    return [
        FeatureLeakage(name, len(places), count, association(table[name].combine_chunks(), labels))
        for name, count in changed.items()
    ]


def _another(one: Any, other: Any) -> bool:
    return repr(one) != repr(other)  # NaN equals NaN, and the sign of zero counts


# --- the sources as they were known -----------------------------------------------------------


def _known_at(engine: DuckDBEngine, requests: Sequence[Request], at: int) -> list[Request]:
    """The requests over sources without the rows that happened or became known after a time."""
    projects: dict[int, AnalyzedProject] = {}
    for request in requests:
        if id(request.project) not in projects:
            projects[id(request.project)] = _cut(engine, request.project, _views(requests), at)
    return [replace(request, project=projects[id(request.project)]) for request in requests]


def _views(requests: Sequence[Request]) -> set[str]:
    found: set[str] = set()
    for request in requests:
        waiting = [request.view]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(request.project.views[name].inputs)
    return found


def _cut(
    engine: DuckDBEngine, project: AnalyzedProject, wanted: set[str], at: int
) -> AnalyzedProject:
    sources = {
        v.source.name: v.source for n, v in project.views.items() if n in wanted and v.source
    }
    cut = {name: _source(engine, source, at) for name, source in sources.items()}
    views = {
        name: replace(view, source=cut[view.source.name])
        if view.source is not None and name in wanted
        else view
        for name, view in project.views.items()
    }
    return replace(project, views=views)


def _source(engine: DuckDBEngine, source: Source, at: int) -> Source:
    """A source of the rows that had happened and were known by a time, in a file of its own."""
    scan = engine.scan(source)
    happened = time_sql(source, "event_time", scan.columns)
    where = f"{happened} <= {at}"
    if source.available_at is not None:
        known = time_sql(source, "available_at", scan.columns)
        where += f" AND coalesce({known}, {happened}) <= {at}"
    columns = ", ".join(map(quote, scan.columns))
    found = engine.query(
        f"SELECT {columns} FROM {scan.relation} WHERE {where} ORDER BY {quote(ROW_ID)}"
    )
    file = engine.scratch / f"known-{source.name}.parquet"
    pq.write_table(found, file)
    fields = {"path": str(file), "format": "parquet", "query": None, "table": None}
    return source.model_copy(update={**fields, "database": None, "schema_": dict(scan.columns)})


# --- what a feature tells of the label --------------------------------------------------------


def association(feature: pa.Array, label: pa.Array | None) -> float | None:
    """How far a feature tells the label alone, from 0 to 1; None where that can't be said.

    Rows without a label are left out; a null feature is a value of its own, above all others.
    """
    if label is None or pa.types.is_nested(feature.type) or pa.types.is_nested(label.type):
        return None
    keep = pc.is_valid(label)
    feature, label = feature.filter(keep), label.filter(keep)
    if len(label) == 0 or pc.count_distinct(label).as_py() < _CLASSES:
        return None
    ranks = _ranks(feature)
    if pc.count_distinct(label).as_py() == _CLASSES:
        greater = _ranks(label) > _ranks(label).min()
        return _separation(ranks, greater)
    return _correlation(ranks, _ranks(label))


def _ranks(column: pa.Array) -> NDArray[np.float64]:
    """Mean ranks from 1 on: equal values have one rank, NaN and then null come last."""
    codes = pc.rank(column, tiebreaker="dense").to_numpy().astype(int)
    counts = np.bincount(codes)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2)[codes]
    return mean


def _separation(ranks: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """|2 AUC - 1| by the rank sum of Mann and Whitney."""
    ones = int(np.count_nonzero(positive))
    zeros = positive.size - ones
    area = (ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    return float(abs(2 * area - 1))


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """The absolute rank correlation of Spearman."""
    spread = float(one.std() * other.std())
    if spread == 0 or not math.isfinite(spread):
        return None
    return abs(float(np.mean((one - one.mean()) * (other - other.mean()))) / spread)
