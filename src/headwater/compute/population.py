"""Rows without a spine: the keys that are known, at given instants or where their values change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import first_line
from headwater.compute.fetch import in_key_types, time_sql
from headwater.compute.historical import Historical, Request
from headwater.compute.pieces import Spines, sliced
from headwater.compute.reading import Reader
from headwater.compute.reads import views_behind
from headwater.compute.spine import Spine
from headwater.definitions.types import to_arrow
from headwater.errors import ComputeError, SpineError
from headwater.expressions.analyzed import AnalyzedView
from headwater.expressions.printing import quote

Ints = NDArray[np.int64]
_AT = "#at"
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class KeysAt:
    """All keys at each of some instants (ascending, microseconds), a key from the instant on at
    which a first row of it took effect; in the order of instants, then of keys.
    """

    instants: Sequence[int]

    def spines(self, historical: Historical, timestamp: str, rows: int) -> Spines:
        """Raises SpineError for features whose keys can't be listed together."""
        listed = f'min("{_AT}") AS "{_AT}"'
        found = _effects(historical, timestamp, listed, f'"{_AT}" <= {self.instants[-1]}')
        names = [name for name in found.column_names if name != _AT]
        if names:
            found = found.group_by(names).aggregate([(_AT, "min")])
            found = found.sort_by([(name, "ascending") for name in names])
            keys, since = found.select(names), found[f"{_AT}_min"].to_numpy()
        else:  # a calendar: there is always one key
            keys, since = _one_row(), np.array([min(self.instants)])
        blocks = _blocks(len(self.instants), keys.num_rows, rows)
        each = (self._spine(keys, since, timestamp, *block) for block in blocks)
        return Spines(len(blocks), each)

    def _spine(
        self, keys: pa.Table, since: Ints, timestamp: str, ticks: slice, places: slice
    ) -> Spine:
        instants = np.array(self.instants[ticks], dtype=np.int64)
        tick, place = np.nonzero(since[np.newaxis, places] <= instants[:, np.newaxis])
        return _made(keys.slice(places.start).take(pa.array(place)), instants[tick], timestamp)


@dataclass(frozen=True)
class Changes:
    """The keys and instants in [start, end) (microseconds) at which a row took effect; in the
    order of instants, then of keys.
    """

    start: int
    end: int

    def spines(self, historical: Historical, timestamp: str, rows: int) -> Spines:
        """Raises SpineError for features whose values change at other instants, too."""
        for request in historical.requests:
            for view in views_behind(request.project, request.project.views[request.view]):
                _check_changes(request, view)
        within = f'"{_AT}" >= {self.start} AND "{_AT}" < {self.end}'
        found = _effects(historical, timestamp, f'"{_AT}"', within)
        found = found.group_by(found.column_names).aggregate([])
        found = found.sort_by([(name, "ascending") for name in (_AT, *found.column_names[:-1])])
        times = found[_AT].to_numpy()
        return sliced(_made(found.drop_columns(_AT), times, timestamp), rows)


def _check_changes(request: Request, view: AnalyzedView) -> None:
    if view.view.ticks is not None or any(f.kind == "windowed" for f in view.features):
        what = "ticks" if view.view.ticks is not None else "windows"
        raise SpineError(
            f"feature '{request.feature}': view '{view.name}' has {what}, so its values change at "
            "other instants than those of its rows; say at which they are wanted with every="
        )
    made = next((feature.name for feature in view.features if feature.across), None)
    if made is not None:
        raise SpineError(
            f"feature '{request.feature}': '{made}' is read at values of features ('via'), so it "
            "changes with rows of other keys too; say at which instants it is wanted with every="
        )


# --- keys -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Owner:
    """A view with rows whose keys are listed, and what the listing calls its join keys."""

    reader: Reader
    view: AnalyzedView
    names: Mapping[str, str]


def _effects(historical: Historical, timestamp: str, listed: str, where: str) -> pa.Table:
    """The keys of all rows that took effect when `where` says, and `listed` of the instants: one
    row each for every source, without null parts. A row takes effect at its event time, or when it
    became known after that.
    """
    columns = _columns(historical.requests, timestamp)
    schema = pa.schema([*((n, to_arrow(dtype)) for n, dtype in columns.items()), (_AT, pa.int64())])
    tables = [schema.empty_table()]
    for owner in _owners(historical, columns) if columns else ():
        found = _of_one(owner, listed, where)
        named = [owner.names.get(name, name) for name in found.column_names]
        tables.append(found.rename_columns(named).select(schema.names).cast(schema))
    return pa.concat_tables(tables)


def _of_one(owner: _Owner, listed: str, where: str) -> pa.Table:
    view = owner.view
    assert view.source is not None  # noqa: S101
    scan = owner.reader.scan(view.source)
    event_time = time_sql(view.source, "event_time", scan.columns)
    at = event_time
    if view.source.available_at is not None and owner.reader.knowledge:
        at = f"greatest({event_time}, {time_sql(view.source, 'available_at', scan.columns)})"
    keys = ", ".join(map(quote, view.join_keys))
    whole = " AND ".join(f"{quote(name)} IS NOT NULL" for name in view.join_keys)
    rows = f"SELECT {keys}, {at} AS {quote(_AT)} FROM {scan.relation} WHERE {whole}"
    sql = (
        f"SELECT {keys}, {listed} FROM (SELECT * FROM ({rows} AND {event_time} IS NOT NULL) "
        f"WHERE {where}) GROUP BY ALL"
    )
    try:
        found = owner.reader.engine_of(view).query(sql)
    except duckdb.Error as error:
        raise ComputeError(f"source '{view.source.name}': {first_line(error)}") from None
    return in_key_types(found, view.source, view.join_keys)


def _columns(requests: Sequence[Request], timestamp: str) -> dict[str, str]:
    """The columns of the keys to list, and their types: those of the feature that has the most,
    among which all others have to find theirs.
    """
    widest = max((_keys_of(request) for request in requests), key=len)
    for request in requests:
        _check_request(request)
        other = next((n for n, d in _keys_of(request).items() if widest.get(n) != d), None)
        if other is not None:
            raise SpineError(
                f"feature '{request.feature}' is keyed by '{other}', and others by "
                f"{', '.join(widest)}: no list of keys holds both; ask for features of one entity, "
                "or give a spine with the rows that are wanted"
            )
    if timestamp in widest:
        raise SpineError(f"'{timestamp}' is a join key; name the column of times with timestamp=")
    return widest


def _keys_of(request: Request) -> dict[str, str]:
    keys = request.project.views[request.view].join_keys
    return {request.join_keys.get(name, name): dtype for name, dtype in keys.items()}


def _check_request(request: Request) -> None:
    given = request.project.views[request.view].feature(request.feature).request
    if given:
        raise SpineError(
            f"feature '{request.feature}' takes {', '.join(given)} with each request; give a spine "
            "with such columns"
        )


def _owners(historical: Historical, columns: Mapping[str, str]) -> Iterator[_Owner]:
    """The views with a source whose rows hold the keys: all that the features are made of. Each
    source is there once for the same keys.
    """
    found: dict[tuple[object, ...], _Owner] = {}
    for request in historical.requests:
        own = request.project.views[request.view]
        if _keys_of(request) != dict(columns):
            continue
        for view in views_behind(request.project, own):
            if view.source is not None and dict(view.join_keys) == dict(own.join_keys):
                owner = _Owner(historical.reader(request.project), view, request.join_keys)
                names = tuple(sorted(request.join_keys.items()))
                found.setdefault((id(request.project), view.source.name, names), owner)
    if not found:
        raise SpineError(
            f"no view with a source has the join keys {', '.join(columns)} alone, so they can't be "
            "listed; give a spine with the rows that are wanted"
        )
    yield from found.values()


# --- rows -------------------------------------------------------------------------------


def _blocks(ticks: int, keys: int, rows: int) -> list[tuple[slice, slice]]:
    """The ticks and keys of each block: several ticks of all keys, or a part of the keys of one."""
    per = max(1, rows // max(keys, 1))
    if per > 1 or keys <= rows:
        return [(slice(at, min(at + per, ticks)), slice(0, keys)) for at in range(0, ticks, per)]
    parts = [slice(at, min(at + rows, keys)) for at in range(0, keys, rows)]
    return [(slice(at, at + 1), part) for at in range(ticks) for part in parts]


def _one_row() -> pa.Table:
    return pa.table({"_": pa.nulls(1)}).select([])


def _made(keys: pa.Table, times: Ints, timestamp: str) -> Spine:
    at = pa.array(times, pa.int64()).cast(_TIME)
    table = pa.table([*keys.columns, at], names=[*keys.column_names, timestamp])
    return Spine(table, timestamp, times)
