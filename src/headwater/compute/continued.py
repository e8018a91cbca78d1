"""The latest values of sequence views, carried on from what the last run left (C7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.drift import check_columns
from headwater.compute.engines.duckdb import Scan, first_line
from headwater.compute.facts import FactQuery, Facts, read_facts
from headwater.compute.fetch import distinct_keys
from headwater.compute.kernels.existing import Existing, existing_at
from headwater.compute.kernels.rows import Rows
from headwater.compute.keys import encode_keys
from headwater.compute.latest import LatestPart, active_keys, part_of
from headwater.compute.lookup import row_values
from headwater.compute.reading import Reader
from headwater.compute.running import Running
from headwater.compute.seen import EVENT_TIME, KNOWN_AT, Seen, counted, see, timed, unseen
from headwater.compute.sequence import PART_ENTRIES
from headwater.compute.values import Values, whole
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedView
from headwater.expressions.parse import parse
from headwater.expressions.printing import quote
from headwater.expressions.tree import Column
from headwater.expressions.walk import columns_of, uses

Ints = NDArray[np.int64]
_NEVER = np.iinfo(np.int64).min
_KEY, _COLUMN, _EVENT, _KNOWN = "key ", "column ", "event time", "known at"


def why_anew(reader: Reader, view: AnalyzedView) -> str | None:
    """Why runs compute a view from all rows each time, or None where they carry on."""
    stored = view.stored_features
    if view.source is None or not any(f.kind == "sequence" for f in stored):
        return "no feature of it reads a row's predecessors"
    if view.source.resolved_format() not in ("parquet", "delta"):
        return "its rows are not in Parquet files or Delta tables"
    if not view.join_keys or not reader.knowledge or view.is_foreign:
        return "it has no entity, or code that came over the API"
    if any(f.tree is None or uses(f.tree, "as_of") for f in stored):
        return "a feature of it is a Python function, or depends on the time of the run"
    return None


@dataclass
class Piece:
    """Some keys at an instant: their values, and what their rows leave, one row a key."""

    part: LatestPart
    left: pa.Table


@dataclass
class Carried:
    """The values of a view at an instant; `read` counts the rows of the files that were read."""

    reader: Reader
    view: AnalyzedView
    instant: int
    read: int = 0

    def __post_init__(self) -> None:
        assert self.view.source is not None  # noqa: S101
        self.scan = self.reader.scan(self.view.source)
        self.engine = self.reader.engine_of(self.view)
        self.features = [f for f in self.view.row_features if not f.reads_features]
        check_columns(self.view, self.scan, self.features)

    def seen(self, before: Seen | None) -> Seen:
        """What this run sees of the source."""
        return see(self.engine, self.scan, self.instant, self.view.view.data_delay, before)

    def anew(self, since: int | None, share: tuple[int, int]) -> Iterator[Piece]:
        """Part `share[0]` of `share[1]` of all keys, computed from all rows."""
        keys = active_keys(self.reader, self.view, self.instant, since, share).table
        yield from self.replayed(keys)

    def replayed(self, keys: pa.Table) -> Iterator[Piece]:
        """Some keys, computed from all their rows; those without rows are `gone`."""
        facts = self.facts(self.scan, keys)
        existing = existing_at(facts.rows, self.instant)
        gone = np.ones(keys.num_rows, dtype=np.bool_)
        gone[existing.key] = False
        yield from self.computed(self.scan, keys, facts, existing, None)
        yield Piece(replace(_nothing(keys), gone=keys.filter(pa.array(gone))), pa.table({}))

    def facts(self, scan: Scan, keys: pa.Table, earliest: int | None = None) -> Facts:
        names = {name for f in self.features if f.kind == "sequence" for name in f.columns}
        wanted = FactQuery(
            keys,
            latest=self.instant,
            columns={_COLUMN + name: Column(name) for name in sorted(names)},
            earliest=earliest,
            data_delay=self.view.view.data_delay,
        )
        self.read += self.engine.count(scan)
        return read_facts(self.engine, scan, wanted)

    def computed(
        self,
        scan: Scan,
        keys: pa.Table,
        facts: Facts,
        existing: Existing,
        before: pa.Table | None,
    ) -> Iterator[Piece]:
        """The keys that have entries, a bounded number of these at a time; `before` holds what
        each key had left, one row a segment.
        """
        source = {n.removeprefix(_COLUMN): whole(c) for n, c in facts.columns.items()}
        ends = np.append(np.flatnonzero(np.diff(existing.segment)) + 1, existing.segment.size)
        first = 0
        while first < existing.key.size:
            begin = int(ends[first - 1]) if first else 0
            last = max(int(np.searchsorted(ends, begin + PART_ENTRIES)), first) + 1
            last = min(last, existing.key.size)
            own = slice(begin, int(ends[last - 1]))
            cut = Existing(
                existing.row[own],
                existing.segment[own] - first,
                existing.key[first:last],
                existing.known_at[first:last],
            )
            had = None if before is None else before.slice(first, last - first)
            yield self._piece(scan, keys, (facts, source), cut, had)
            first = last

    def _piece(
        self,
        scan: Scan,
        keys: pa.Table,
        given: tuple[Facts, Mapping[str, pa.Array]],
        existing: Existing,
        before: pa.Table | None,
    ) -> Piece:
        facts, source = given
        taken = pa.array(existing.row)
        columns = {name: column.take(taken) for name, column in source.items()}
        running = Running(self.engine, existing.segment, columns, before)
        values = running.values([f for f in self.features if f.kind == "sequence"])
        last = existing.row[running.begin[1:] - 1]
        instants = np.full(last.size, self.instant, dtype=np.int64)
        lookups = [f for f in self.features if f.kind == "lookup"]
        values |= row_values(self.engine, scan, lookups, facts.row_id[last], instants)
        event_time = facts.rows.event_time[last]
        known_at = existing.known_at
        if before is not None:
            known_at = np.maximum(known_at, _filled(before[_KNOWN]))
        found = Values(values, event_time, known_at, np.ones(last.size, dtype=np.bool_))
        plain, _ = self.reader.finish(self.view, self.view.stored_features, found, instants)
        own = keys.take(pa.array(existing.key))
        left = {_KEY + name: own[name] for name in own.column_names}
        left |= {_EVENT: pa.array(event_time), _KNOWN: pa.array(known_at), **running.after}
        return Piece(part_of(self.view, own, replace(found, columns=plain)), pa.table(left))


@dataclass
class Continuation:
    """A run that goes on from what one at `before.instant` has left."""

    carried: Carried
    before: Seen
    _placed: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        carried = self.carried
        self.unseen = unseen(carried.engine, carried.scan, self.before)
        self.fresh = self.unseen.scan
        self.keys = self._distinct() if self.unseen.known + self.unseen.new else None
        self._placed = np.zeros(0 if self.keys is None else self.keys.num_rows, dtype=np.bool_)
        self.moved = self._moved() if self.keys is not None else None

    def advanced(self, left: pa.Table, *, is_last: bool) -> tuple[list[LatestPart], pa.Table]:
        """The values of the keys of a part, of which `left` was left, that have changed; and what
        is left of the part then. The last part takes the keys that are in none.
        """
        if self.keys is None:
            return [], left
        place = self.places(left)
        mine = place >= 0
        if is_last:
            mine |= ~self._placed
        keys = self.keys.filter(pa.array(mine))
        if not keys.num_rows:
            return [], left
        pieces, touched = self._pieces(keys, place[mine], left)
        kept = np.ones(left.num_rows, dtype=np.bool_)
        kept[touched[touched >= 0]] = False
        tables = [left.filter(pa.array(kept)), *(p.left for p in pieces if p.left.num_rows)]
        return [p.part for p in pieces], pa.concat_tables(tables, promote_options="permissive")

    def places(self, left: pa.Table) -> Ints:
        """Where each key that has changed stands in a part, -1 where it doesn't."""
        if self.keys is None:
            return np.zeros(0, dtype=np.int64)
        names = self.keys.column_names
        found = _places(self.keys, left.select([_KEY + n for n in names]).rename_columns(names))
        self._placed |= found >= 0
        return found

    # --- inside -----------------------------------------------------------------------------

    def _pieces(self, keys: pa.Table, place: Ints, left: pa.Table) -> tuple[list[Piece], Ints]:
        """What was computed of some keys, and the places of what they had left that is replaced."""
        carried, source = self.carried, self.carried.scan.source
        plain = source.available_at is None and not source.id_columns
        is_bounded = plain and not self.unseen.new
        facts = carried.facts(self.fresh, keys, self.before.instant + 1 if is_bounded else None)
        before = left.take(pa.array(place, mask=place < 0))
        is_new = self.unseen.are_new(facts)
        is_late = self._late(keys, facts.rows, is_new, _filled(before[_EVENT]))
        chosen = _chosen(facts, is_new & ~is_late[facts.rows.key])
        existing = existing_at(chosen.rows, carried.instant)
        had = before.take(pa.array(existing.key))
        found = list(carried.computed(self.fresh, keys, chosen, existing, had))
        late = np.flatnonzero(is_late)
        if late.size:
            found += carried.replayed(keys.take(pa.array(late)))
        return found, place[np.concatenate([existing.key, late])]

    def _late(
        self, keys: pa.Table, rows: Rows, is_new: NDArray[np.bool_], last: Ints
    ) -> NDArray[np.bool_]:
        """Keys with a new row that does not come after all that were known of it."""
        found = np.zeros(keys.num_rows, dtype=np.bool_)
        known = is_new & (rows.available_at <= self.carried.instant)
        found[rows.key[known & (rows.event_time <= last[rows.key])]] = True
        if self.moved is not None:
            found |= _places(keys, self.moved) >= 0
        return found

    def _distinct(self) -> pa.Table:
        carried = self.carried
        relation = timed(self.fresh, carried.view.view.data_delay)
        where = f"{self.unseen.condition} AND {KNOWN_AT} <= {carried.instant}"
        carried.read += carried.engine.count(self.fresh)
        keys = carried.view.join_keys
        return distinct_keys(carried.engine, self.fresh, keys, (0, 1), where, relation)

    def _moved(self) -> pa.Table | None:
        """Keys with a new version of a fact that was there before, whose event time may be another
        one. Where the id says when the event was, it can't be.
        """
        carried, source = self.carried, self.carried.scan.source
        ids = source.id_columns
        if not ids or set(columns_of(parse(source.event_time, "event_time"))) <= set(ids):
            return None
        delay = carried.view.view.data_delay
        names = ", ".join(f"n.{quote(name)}" for name in carried.view.join_keys)
        same = " AND ".join(f"n.{quote(name)} = o.{quote(name)}" for name in ids)
        old, instant = counted(carried.engine, carried.scan, self.before), self.before.instant
        known = f"{EVENT_TIME} <= {instant} AND {KNOWN_AT} <= {instant}"
        sql = (
            f"SELECT DISTINCT {names} FROM {timed(self.fresh, delay)} n SEMI JOIN "
            f"(SELECT * FROM {timed(old, delay)} WHERE {known}) o "
            f"ON {same} WHERE {self.unseen.condition} AND {KNOWN_AT} <= {carried.instant}"
        )
        carried.read += carried.engine.count(old)
        try:
            found = carried.engine.query(sql)
        except duckdb.Error as error:
            raise ComputeError(f"source '{source.name}': {first_line(error)}") from None
        return None if self.keys is None else found.cast(self.keys.schema)


def _nothing(keys: pa.Table) -> LatestPart:
    none: Ints = np.zeros(0, dtype=np.int64)
    return LatestPart(keys.slice(0, 0), none, none, keys.slice(0, 0))


def _filled(column: pa.ChunkedArray) -> Ints:
    found: Ints = whole(column).fill_null(_NEVER).to_numpy()
    return found


def _chosen(facts: Facts, which: NDArray[np.bool_]) -> Facts:
    """Some of the facts."""
    rows, chosen = facts.rows, np.flatnonzero(which)
    fact = None if rows.fact is None else rows.fact[chosen]
    event_time, known = rows.event_time[chosen], rows.available_at[chosen]
    kept = Rows(rows.key[chosen], event_time, known, rows.order[chosen], fact)
    columns = {name: column.take(pa.array(chosen)) for name, column in facts.columns.items()}
    return Facts(kept, facts.row_id[chosen], columns)


def _places(keys: pa.Table, among: pa.Table) -> Ints:
    """Where each key stands among distinct others, -1 where it doesn't."""
    both = pa.concat_tables([among.cast(keys.schema), keys])
    encoded = encode_keys({name: both[name] for name in keys.column_names}, both.num_rows)
    place = np.full(encoded.count, -1, dtype=np.int64)
    place[encoded.codes[: among.num_rows]] = np.arange(among.num_rows)
    return place[encoded.codes[among.num_rows :]]
