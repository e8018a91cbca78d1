"""Which rows of a source a value was made of, and what was known of them then (C3-C7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.fetch import fetch_rows, time_sql
from headwater.compute.kernels.timeline import edges
from headwater.compute.keys import encode_keys
from headwater.compute.parts import rows_read
from headwater.compute.reading import Keys, Reader, complete
from headwater.compute.windowed import frame_of
from headwater.definitions.source import Source
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.expressions.printing import quote

Ints = NDArray[np.int64]
EVENT_TIME, KNOWN_AT = "event_time", "known_at"
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Provenance:
    """The rows behind a value: how many, how many the source has for the key that were known, and
    the latest of them in their order, with their times and the columns that the feature reads.
    """

    count: int
    known: int
    rows: pa.Table


def rows_behind(
    reader: Reader,
    view: AnalyzedView,
    feature: AnalyzedFeature,
    keys: Keys,
    instant: int,
    *,
    limit: int,
) -> Provenance | None:
    """The rows that a feature of a source is computed from, for one key as of one instant.

    `keys` holds a column of one value per join key. None where the feature reads no source, or a
    part of the key is null. Rows that a filter of an aggregate leaves out are among them.
    """
    if view.source is None or feature.reads_features or not complete(keys, 1)[0]:
        return None
    scan = reader.scan(view.source)
    encoded = encode_keys({name: pa.chunked_array([c]) for name, c in keys.items()}, 1)
    wanted = FactQuery(
        encoded.table,
        latest=instant,
        data_delay=view.view.data_delay,
        knowledge=reader.knowledge,
    )
    facts = read_facts(reader.engine_of(view), scan, wanted)
    known = _known(facts, instant)
    chosen = _framed(facts, known, feature, instant)
    columns = {name: quote(name) for name in _columns(view.source, feature)}
    for field_name in _times(view.source):
        columns[f"#{field_name}"] = time_sql(view.source, field_name, scan.columns)
    latest = chosen[max(len(chosen) - limit, 0) :]
    shown = fetch_rows(reader.engine_of(view), scan, facts.row_id[latest], columns)
    return Provenance(len(chosen), len(known), _readable(shown, view.source))


def _times(source: Source) -> dict[str, str]:
    known = {} if source.available_at is None else {"available_at": KNOWN_AT}
    return {"event_time": EVENT_TIME, **known}


def _columns(source: Source, feature: AnalyzedFeature) -> list[str]:
    """The columns to show: the row's id and its place among those of one instant, then the rest."""
    sequence = [] if source.sequence is None else [source.sequence]
    return list(dict.fromkeys([*source.id_columns, *sequence, *feature.columns]))


def _readable(table: pa.Table, source: Source) -> pa.Table:
    """The times first, as times."""
    for field_name, shown in reversed(_times(source).items()):
        times = table[f"#{field_name}"].cast(pa.int64()).cast(_TIME)
        table = table.drop_columns(f"#{field_name}")
        if shown in table.column_names:
            table = table.drop_columns(shown)  # the column of that name is this time
        table = table.add_column(0, shown, times)
    return table


def _known(facts: Facts, instant: int) -> Ints:
    """Positions of the facts known at an instant, each in its latest version, in their order."""
    rows = facts.rows
    known = rows.available_at <= instant
    if rows.fact is not None:
        newest = np.lexsort((rows.order, rows.available_at, rows.fact))
        newest = newest[known[newest]]
        fact = rows.fact[newest]
        replaced = (fact[:-1] == fact[1:]) & (fact[:-1] >= 0)
        known[newest[:-1][replaced]] = False
    found = np.flatnonzero(known)
    ordered: Ints = found[np.argsort(rows.order[found], kind="stable")]
    return ordered


def _framed(facts: Facts, known: Ints, feature: AnalyzedFeature, instant: int) -> Ints:
    happened = facts.rows.event_time[known]
    if feature.kind == "windowed":
        left, right = edges(frame_of(feature), np.array([instant]))
        inside = happened < right[0]
        windowed: Ints = known[inside if left is None else inside & (happened >= left[0])]
        return windowed
    before = known[happened <= instant]
    if feature.kind == "lookup":
        return before[-1:]
    rows = rows_read(feature)
    framed: Ints = before if rows is None else before[-rows:]
    return framed
