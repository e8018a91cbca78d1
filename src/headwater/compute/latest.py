"""The values of all keys of a view at one instant: what a run writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import Scan
from headwater.compute.fetch import distinct_keys, time_sql
from headwater.compute.keys import EncodedKeys
from headwater.compute.reading import Reader
from headwater.compute.values import Values, whole
from headwater.compute.windowed import reach
from headwater.definitions.types import to_arrow
from headwater.errors import NotSupportedError
from headwater.expressions.analyzed import AnalyzedView

Ints = NDArray[np.int64]


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
    sources = [view] if view.source is not None else _leaf_views(reader, view)
    if not view.join_keys:
        return 1
    counts = [reader.engine.count(reader.scan(v.source)) for v in sources if v.source is not None]
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
    return LatestPart(pa.table(columns), kept.event_time, kept.known_at, keys.take(pa.array(gone)))


def active_keys(
    reader: Reader, view: AnalyzedView, instant: int, since: int | None, share: tuple[int, int]
) -> EncodedKeys:
    """The keys, of one hash part, that may have a value at `instant` or had one at `since`."""
    names = list(view.join_keys)
    if not names:
        return EncodedKeys(np.zeros(1, dtype=np.int64), pa.table({"_": pa.nulls(1)}).select([]))
    views = [view] if view.source is not None else _key_views(reader, view)
    tables = []
    for owner in views:
        assert owner.source is not None  # noqa: S101
        scan = reader.scan(owner.source)
        where = _active(owner, scan, instant, since)
        tables.append(distinct_keys(reader.engine, scan, names, share, where))
    schema = pa.schema([(name, to_arrow(dtype)) for name, dtype in view.join_keys.items()])
    table = pa.concat_tables([t.cast(schema) for t in tables])
    if len(tables) > 1:
        table = table.group_by(names).aggregate([])
    return EncodedKeys(np.arange(table.num_rows, dtype=np.int64), table)


def _active(view: AnalyzedView, scan: Scan, instant: int, since: int | None) -> str:
    """SQL for the rows whose keys may have, or have lost, a value at the instant.

    A value needs a row in the window, and so does one that was: of an id with several versions one
    of them stood there.
    """
    event_time = time_sql(scan.source, "event_time", scan.columns)
    windowed = [feature for feature in view.features if feature.kind == "windowed"]
    back = reach(windowed) if windowed else None
    if back is None:
        return f"{event_time} <= {instant}"
    earliest = min(instant, instant if since is None else since) - back
    return f"{event_time} BETWEEN {earliest} AND {instant}"


def _leaf_views(reader: Reader, view: AnalyzedView) -> list[AnalyzedView]:
    """The views with sources that a derived view reads, directly or through others."""
    if view.source is not None:
        return [view]
    found: dict[str, AnalyzedView] = {}
    for name in view.inputs:
        for leaf in _leaf_views(reader, reader.project.views[name]):
            found[leaf.name] = leaf
    return list(found.values())


def _key_views(reader: Reader, view: AnalyzedView) -> list[AnalyzedView]:
    """The views whose keys are exactly those of a derived view: together they list its keys."""
    own = dict(view.join_keys)
    found = [leaf for leaf in _leaf_views(reader, view) if dict(leaf.join_keys) == own]
    if not found:
        raise NotSupportedError(
            f"feature view '{view.name}': can't be materialized, since no view that it reads has "
            f"the join keys {', '.join(own)}, so its keys can't be listed; make it real_time, and "
            "it is computed when it is read"
        )
    return found
