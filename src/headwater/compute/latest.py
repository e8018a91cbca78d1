"""The values of all keys of a view at one instant: what a run writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.direct import Bounds, Direct, direct_columns
from headwater.compute.drift import check_columns
from headwater.compute.engines.duckdb import Scan
from headwater.compute.fetch import count_keys, distinct_keys, event_span, time_sql
from headwater.compute.keys import EncodedKeys
from headwater.compute.last_rows import last_rows
from headwater.compute.lookup import row_values
from headwater.compute.reading import Reader, visible
from headwater.compute.values import Values, whole
from headwater.compute.windowed import reach
from headwater.definitions.types import to_arrow
from headwater.errors import NotSupportedError
from headwater.expressions.analyzed import AnalyzedView, status_of, time_of

Ints = NDArray[np.int64]
PIECE_ROWS = 250_000
FEW = 1_000_000
ROWS_PER_NUMBER, ROWS_PER_KEY = 2, 8  # the rows in whose memory a key's last row is found
_NO_TIMES: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class LatestPart:
    """Some of a view's keys at an instant.

    `rows` holds the join keys and the columns of an online row (without defaults) of the keys that
    have a value,
    `event_time` and `known_at` (microseconds) belong to them; `gone` holds the keys that may have
    had a value before and have none now. With these keys `share` of the part of all keys is done.
    """

    rows: pa.Table
    event_time: Ints
    known_at: Ints
    gone: pa.Table
    share: float = 1.0


def parts_of(reader: Reader, view: AnalyzedView) -> int:
    """Into how many hash parts the view's keys are split, so that memory stays bounded."""
    if not view.join_keys:
        return 1
    sources = [leaf.source for leaf, _ in _leaves(reader, view, _NO_TIMES)]
    counts = [reader.engine.count(reader.scan(s)) for s in sources if s is not None]
    return max(1, -(-max(counts, default=1) // reader.part_rows))


def latest_parts_of(reader: Reader, view: AnalyzedView) -> int:
    """Into how many parts `latest_part` splits the view's keys."""
    direct = _direct(reader, view)
    if direct is None or view.source is None:
        return parts_of(reader, view)
    span = _span(reader, view, direct)
    if span is not None:
        return -(-len(span) // _part_numbers(reader))
    scan, size = reader.scan(view.source), max(1, reader.part_rows // ROWS_PER_KEY)
    keys = scan.plain.rows
    if keys > size:
        keys = count_keys(reader.engine_of(view), scan, view.join_keys)
    return max(1, -(-keys // size))


def latest_part(
    reader: Reader, view: AnalyzedView, instant: int, since: int | None, share: tuple[int, int]
) -> Iterator[LatestPart]:
    """Evaluate part `share[0]` of `share[1]` of a view's keys at an instant, in pieces.

    `since` is the instant of the last run: keys that had a row in a window then are looked at
    too, so that they are found `gone` where they have none any more.
    """
    direct = _direct(reader, view)
    if direct is not None:
        return _lookups(reader, view, instant, share, direct)
    keys = active_keys(reader, view, instant, since, share)
    instants = np.full(keys.count, instant, dtype=np.int64)
    if view.source is None:
        columns = {name: whole(keys.table[name]) for name in view.join_keys}
        names = [feature.name for feature in view.stored_features]
        values = reader.plain(view, names, columns, instants)
    else:
        values = reader.plain_at(view, keys, instants)
    return iter([part_of(view, keys.table, values)])


def _direct(reader: Reader, view: AnalyzedView) -> Direct | None:
    """How to find the last rows of a view's keys without a query, or None where that can't be:
    for other views than those of lookups, and for keys and times that the files don't hold.
    """
    kinds = {feature.kind for feature in view.stored_features}
    if view.source is None or not kinds <= {"lookup", "derived"}:
        return None
    if not reader.knowledge or len(view.join_keys) != 1:
        return None
    return direct_columns(reader.scan(view.source), _no_keys(view), {})


def _no_keys(view: AnalyzedView) -> pa.Table:
    return pa.table({name: pa.array([], to_arrow(d)) for name, d in view.join_keys.items()})


def _part_numbers(reader: Reader) -> int:
    """How many numbers of a span are one part."""
    return max(1, reader.part_rows // ROWS_PER_NUMBER)


def _span(reader: Reader, view: AnalyzedView, direct: Direct) -> range | None:
    """The numbers among which a view's keys are, where these are integers that lie close together:
    then they need not be listed first.
    """
    if view.source is None or direct.key is None:
        return None
    files, kind = reader.scan(view.source).plain, to_arrow(view.join_keys[direct.key])
    if not pa.types.is_integer(files.types[direct.key]) or not pa.types.is_integer(kind):
        return None
    found = files.span(direct.key)
    if found is None or found[1] - found[0] >= max(files.rows, FEW):
        return None
    edge = 2 ** (kind.bit_width - 1)
    if found[0] < -edge or found[1] >= edge:
        return None  # the query names the key that does not fit
    return range(found[0], found[1] + 1)


def _candidates(
    reader: Reader, view: AnalyzedView, instant: int, share: tuple[int, int], direct: Direct
) -> pa.Table:
    """What may be a key, of one part of the keys: a range of numbers, or what stands in the rows.

    Numbers in their order are neighbours in the online store too.
    """
    span = _span(reader, view, direct)
    if span is None:
        return active_keys(reader, view, instant, None, share).table
    size = _part_numbers(reader)
    own = span[share[0] * size : (share[0] + 1) * size]
    schema = _no_keys(view).schema
    numbers = np.arange(len(own), dtype=np.int64) + own.start
    return pa.table({schema.names[0]: pa.array(numbers)}).cast(schema)


def _lookups(
    reader: Reader, view: AnalyzedView, instant: int, share: tuple[int, int], direct: Direct
) -> Iterator[LatestPart]:
    """The same of a view of lookups, whose rows are found first and then fetched piece by piece."""
    assert view.source is not None  # noqa: S101
    scan = reader.scan(view.source)
    features = [feature for feature in view.stored_features if feature.kind == "lookup"]
    check_columns(view, scan, features)
    keys = _candidates(reader, view, instant, share, direct)
    # Facts that are not known yet tell which keys may have lost their value.
    bounds = Bounds(None, instant, None, view.view.data_delay)
    engine = reader.engine_of(view)
    rows = last_rows(engine, scan, keys, direct, bounds)
    size = max(1, rows.key.size)
    for start in range(0, size, PIECE_ROWS):
        piece = rows.cut(start, start + PIECE_ROWS)
        instants = np.full(piece.key.size, instant, dtype=np.int64)
        columns = row_values(engine, scan, features, piece.row_id, instants)
        found = np.ones(piece.key.size, dtype=bool)
        values = Values(columns, piece.event_time, piece.known_at, found)
        finished, _ = reader.finish(view, view.stored_features, values, instants)
        part = part_of(view, keys.take(pa.array(piece.key)), replace(values, columns=finished))
        behind = min(1.0, (start + PIECE_ROWS) / size)
        yield replace(part, gone=keys.take(pa.array(piece.unknown)), share=behind)


def part_of(view: AnalyzedView, keys: pa.Table, values: Values) -> LatestPart:
    """The values of some keys; those that are not found are `gone`."""
    chosen, gone = np.flatnonzero(values.found), np.flatnonzero(~values.found)
    kept = values if gone.size == 0 else values.take(chosen)
    columns = {name: whole(keys[name]) for name in view.join_keys}
    if gone.size:
        columns = {name: column.take(pa.array(chosen)) for name, column in columns.items()}
    columns.update({feature.name: kept.columns[feature.name] for feature in view.stored_features})
    for name, told in ((f.name, kept.told[f.name]) for f in view.told_features):
        columns[status_of(name)], columns[time_of(name)] = told.columns()
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
        check_columns(owner, scan)
        where = _active(owner, scan, int(seen[0]), int(seen[1]))
        engine = reader.engine_of(owner)
        tables.append(distinct_keys(engine, scan, view.join_keys, share, where))
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


def busy(reader: Reader, view: AnalyzedView) -> tuple[int, int | None]:
    """The instants, from the first up to before the second (None: for ever), at which a key of the
    view may have a value.
    """
    spans = []
    for leaf, _ in _leaves(reader, view, _NO_TIMES):
        assert leaf.source is not None  # noqa: S101
        spans.append(event_span(reader.engine_of(leaf), reader.scan(leaf.source)))
    rows = [span for span in spans if span is not None]
    if not rows:
        return (0, 0)
    first, last = min(first for first, _ in rows), max(last for _, last in rows)
    windowed = [feature for feature in view.features if feature.kind == "windowed"]
    back = reach(windowed) if windowed else None
    return first, None if back is None else last + back + 1


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
