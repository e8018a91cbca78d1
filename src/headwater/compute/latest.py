"""The values of all keys of a view at one instant: what a run writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import Scan
from headwater.compute.fetch import distinct_keys, time_sql
from headwater.compute.keys import EncodedKeys
from headwater.compute.reading import Reader, visible
from headwater.compute.values import Values, whole
from headwater.compute.windowed import reach
from headwater.errors import NotSupportedError
from headwater.expressions.analyzed import AnalyzedView

Ints = NDArray[np.int64]
_NO_TIMES: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class LatestPart:
    """One hash part of a view's keys at an instant.

    `rows` holds the join keys and the features (without defaults) of the keys that have a value,
    `event_time` and `known_at` (microseconds) belong to them; `gone` holds the keys that may have
    had a value before and have none now.
    """

    rows: pa.Table
    event_time: Ints
    known_at: Ints
    gone: pa.Table


def parts_of(reader: Reader, view: AnalyzedView) -> int:
    """Into how many hash parts the view's keys are split, so that memory stays bounded."""
    if not view.join_keys:
        return 1
    sources = [leaf.source for leaf, _ in _leaves(reader, view, _NO_TIMES)]
    counts = [reader.engine.count(reader.scan(s)) for s in sources if s is not None]
    return max(1, -(-max(counts, default=1) // reader.part_rows))


def latest_part(
    reader: Reader, view: AnalyzedView, instant: int, since: int | None, share: tuple[int, int]
) -> LatestPart:
    """Evaluate part `share[0]` of `share[1]` of a view's keys at an instant.

    `since` is the instant of the last run: keys that had a row in a window then are looked at
    too, so that they are found `gone` where they have none any more.
    """
    keys = active_keys(reader, view, instant, since, share)
    instants = np.full(keys.count, instant, dtype=np.int64)
    if view.source is None:
        columns = {name: whole(keys.table[name]) for name in view.join_keys}
        names = [feature.name for feature in view.stored_features]
        values = reader.plain(view, names, columns, instants)
    else:
        values = reader.plain_at(view, keys, instants)
    return _part(view, keys.table, values)


def _part(view: AnalyzedView, keys: pa.Table, values: Values) -> LatestPart:
    chosen, gone = np.flatnonzero(values.found), np.flatnonzero(~values.found)
    kept = values if gone.size == 0 else values.take(chosen)
    columns = {name: whole(keys[name]) for name in view.join_keys}
    if gone.size:
        columns = {name: column.take(pa.array(chosen)) for name, column in columns.items()}
    columns.update({feature.name: kept.columns[feature.name] for feature in view.stored_features})
    left = keys.take(pa.array(gone)) if view.join_keys else keys.slice(0, gone.size)
    return LatestPart(pa.table(columns), kept.event_time, kept.known_at, left)


def active_keys(
    reader: Reader, view: AnalyzedView, instant: int, since: int | None, share: tuple[int, int]
) -> EncodedKeys:
    """The keys, of one hash part, that may have a value at `instant` or had one at `since`."""
    names = list(view.join_keys)
    if not names:
        return EncodedKeys(np.zeros(1, dtype=np.int64), pa.table({"_": pa.nulls(1)}).select([]))
    ends = np.array([instant, instant if since is None else since], dtype=np.int64)
    tables = []
    for owner, seen in _key_views(reader, view, ends):
        assert owner.source is not None  # noqa: S101
        scan = reader.scan(owner.source)
        where = _active(owner, scan, int(seen[0]), int(seen[1]))
        tables.append(distinct_keys(reader.engine, scan, view.join_keys, share, where))
    table = pa.concat_tables(tables)
    if len(tables) > 1:
        table = table.group_by(names).aggregate([])
    return EncodedKeys(np.arange(table.num_rows, dtype=np.int64), table)


def _active(view: AnalyzedView, scan: Scan, instant: int, since: int) -> str:
    """SQL for the rows whose keys may have, or have lost, a value at the instant.

    A value needs a row in the window, and so does one that was: of an id with several versions one
    of them stood there.
    """
    event_time = time_sql(scan.source, "event_time", scan.columns)
    windowed = [feature for feature in view.features if feature.kind == "windowed"]
    if not windowed:
        return f"{event_time} <= {instant}"
    back = reach(windowed)
    begun = "" if back is None else f"{event_time} >= {min(instant, since) - back} AND "
    return f"{begun}{event_time} < {instant}"


def _leaves(reader: Reader, view: AnalyzedView, times: Ints) -> Iterator[tuple[AnalyzedView, Ints]]:
    """The views with sources that a view reads, itself or through others, and the instants at which
    each was evaluated that is read at `times`.
    """
    if view.source is not None:
        yield view, times
        return
    for name in view.inputs:
        source = reader.project.views[name]
        yield from _leaves(reader, source, visible(source, times))


def _key_views(reader: Reader, view: AnalyzedView, times: Ints) -> list[tuple[AnalyzedView, Ints]]:
    """The views whose keys are exactly those of a view: together they list its keys."""
    own = dict(view.join_keys)
    found = [leaf for leaf in _leaves(reader, view, times) if dict(leaf[0].join_keys) == own]
    if not found:
        raise NotSupportedError(
            f"feature view '{view.name}': can't be materialized, since no view that it reads has "
            f"the join keys {', '.join(own)}, so its keys can't be listed; make it real_time, and "
            "it is computed when it is read"
        )
    return found
