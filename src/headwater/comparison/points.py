"""At which keys and times two versions are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.comparison.reach import Reach
from headwater.comparison.sample import POINT, moments, rows_of, sample_keys
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.errors import NotSupportedError
from headwater.expressions.analyzed import AnalyzedView

Ints = NDArray[np.int64]
_EDGES = 8
_FARTHEST = 2**62
Place = tuple[str, tuple[str, ...]]
"""Rows and keys of them: the files of a scan, and names of columns."""


@dataclass(frozen=True)
class Points:
    """Keys and times, row by row, and for each side the rows of its sources to read there."""

    keys: Mapping[str, pa.Array]
    times: Ints
    scans: Sequence[Mapping[str, Scan]]
    distinct: int


@dataclass(frozen=True)
class Leaf:
    """A view that reads a source, and the source's rows as of now.

    It is read `here`, at the keys that are compared, or `elsewhere`, at values of features.
    """

    view: AnalyzedView
    scan: Scan
    here: bool = True
    elsewhere: bool = False

    @property
    def rows(self) -> str:
        """Equal for scans of the same rows."""
        return repr((self.scan.files, sorted(self.scan.columns.items())))

    @property
    def place(self) -> Place:
        return self.rows, tuple(self.view.join_keys)


def points_of(
    engine: DuckDBEngine,
    sides: Sequence[tuple[Reach, Sequence[Leaf]]],
    join_keys: Mapping[str, str],
    folder: Path,
) -> Points:
    """Keys that the sources of the sides hold, at times at which their values change.

    Raises NotSupportedError where no source holds one of the keys, and SourceError where one
    can't be read. Rows are written into `folder`.
    """
    leaves = [leaf for _, side in sides for leaf in side]
    places = {leaf.place: leaf for leaf in leaves if leaf.here}
    keyed = [leaf for leaf in places.values() if leaf.view.join_keys]
    found = [sample_keys(engine, leaf.scan, leaf.view.join_keys) for leaf in keyed]
    keys = _combined(found, join_keys)
    subsets = _subsets(engine, leaves, keys, folder)
    numbered = keys.append_column(POINT, pa.array(np.arange(keys.num_rows, dtype=np.int64)))
    point, time = _instants(engine, places.values(), subsets, numbered, [r for r, _ in sides])
    return Points(
        keys={name: keys[name].combine_chunks().take(pa.array(point)) for name in join_keys},
        times=time,
        scans=[{leaf.scan.source.name: subsets[leaf.rows] for leaf in side} for _, side in sides],
        distinct=keys.num_rows,
    )


def _combined(found: Sequence[pa.Table], join_keys: Mapping[str, str]) -> pa.Table:
    """Whole keys: those of sources that hold all parts, else parts side by side."""
    names = list(join_keys)
    if not names:
        return pa.table({"#none": pa.array([0])})
    whole = [table.select(names) for table in found if set(table.column_names) == set(names)]
    if whole:
        return _distinct(pa.concat_tables(whole))
    if any(table.num_rows == 0 for table in found):
        return pa.table({name: [] for name in names})
    rows = max((table.num_rows for table in found), default=0)
    columns = {
        name: table[name].take(pa.array(np.arange(rows) % table.num_rows))
        for table in found
        for name in table.column_names
    }
    lost = next((name for name in names if name not in columns), None)
    if lost is not None:
        raise NotSupportedError(f"no source that it reads holds join key '{lost}'")
    return pa.table({name: columns[name] for name in names})


def _distinct(table: pa.Table) -> pa.Table:
    grouped = table.group_by(table.column_names, use_threads=False)
    return grouped.aggregate([]).select(table.column_names)


def _subsets(
    engine: DuckDBEngine, leaves: Iterable[Leaf], keys: pa.Table, folder: Path
) -> dict[str, Scan]:
    """The rows of the sampled keys; all rows where a view without keys reads them too, or one that
    is read at other keys.
    """
    by_rows: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        by_rows.setdefault(leaf.rows, []).append(leaf)
    found: dict[str, Scan] = {}
    for rows, members in by_rows.items():
        kinds = {() if leaf.elsewhere else tuple(leaf.view.join_keys) for leaf in members}
        scan = members[0].scan
        if () not in kinds:
            wanted = [_distinct(keys.select(list(names))) for names in sorted(kinds)]
            scan = rows_of(engine, scan, wanted, folder)
        found[rows] = scan
    return found


def _instants(
    engine: DuckDBEngine,
    places: Iterable[Leaf],
    subsets: Mapping[str, Scan],
    keys: pa.Table,
    sides: Sequence[Reach],
) -> tuple[Ints, Ints]:
    """Pairs of a point and a time, distinct and in order: just after a row took effect, when it
    leaves a window, and at the ticks that see either.
    """
    spread = []
    edges = _edges(sides)
    for leaf in places:
        found = _moments(engine, leaf, subsets[leaf.rows], keys)
        point, at, event = (found[name].to_numpy() for name in (POINT, "#at", "#event"))
        spread.append((point, at + 1))
        last = np.append(point[1:] != point[:-1], True)[: point.size]
        spread += [(point[last], np.clip(event[last], None, _FARTHEST) + edge) for edge in edges]
    point, time = (np.concatenate(side) for side in zip(*spread, strict=True))
    clocks = {(v.view.ticks, v.view.data_delay) for side in sides for v in side.views}
    seen = [t.floor(time + t.period) + delay for t, delay in clocks if t is not None]
    pairs = np.stack([np.tile(point, 1 + len(seen)), np.concatenate([time, *seen])], axis=1)
    distinct = np.unique(pairs, axis=0)
    return np.ascontiguousarray(distinct[:, 0]), np.ascontiguousarray(distinct[:, 1])


def _moments(engine: DuckDBEngine, leaf: Leaf, scan: Scan, keys: pa.Table) -> pa.Table:
    names = list(leaf.view.join_keys)
    if names:
        return moments(engine, scan, keys.select([*names, POINT]))
    found = moments(engine, scan, pa.table({POINT: pa.array([0])}))
    many = keys.num_rows
    rows = pa.array(np.tile(np.arange(found.num_rows), many))
    point = pa.array(np.repeat(np.arange(many), found.num_rows))
    return found.take(rows).set_column(0, POINT, point)


def _edges(sides: Sequence[Reach]) -> list[int]:
    """How long after its event time a row leaves the windows, the shortest ones."""
    spans = {
        feature.feature.window + (feature.feature.offset or 0) + 1
        for side in sides
        for feature in side.features
        if isinstance(feature.feature.window, int)
    }
    return [span for span in sorted(spans)[:_EDGES] if span < _FARTHEST]
