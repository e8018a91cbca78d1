"""Read features as of given instants: ticks, ages, defaults and derived expressions (C5-C10)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.derived import Derivation, computed, defaulted
from headwater.compute.drift import check_columns
from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.gathering import Gathering
from headwater.compute.kernels.rows import Queries
from headwater.compute.keys import EncodedKeys, encode_keys
from headwater.compute.lookup import lookup_values
from headwater.compute.progress import OnShare
from headwater.compute.sequence import sequence_values
from headwater.compute.told import of_derived, of_rows
from headwater.compute.values import Asked, Rules, Values, conform, nulled
from headwater.compute.windowed import windowed_values
from headwater.definitions.source import Source
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView

Ints = NDArray[np.int64]
Keys = Mapping[str, pa.Array]
PART_ROWS = 8_000_000


@dataclass
class Reader:
    """Reads features of a project at (key, time), each source as of one scan: that in `scans`,
    else one of the present.

    `knowledge=False` switches C3 off: every row counts as known at its event time. One that is
    `telling` says of each value why it is null and how old it is. `given` holds the values that
    on-demand features take from a request, row by row of what is read. `on_share` hears how much
    of one view is done, where that takes time.
    """

    engine: DuckDBEngine
    project: AnalyzedProject
    knowledge: bool = True
    part_rows: int = PART_ROWS
    telling: bool = False
    given: Keys = field(default_factory=dict)
    scans: dict[str, Scan] = field(default_factory=dict)
    on_share: OnShare = lambda _: None

    def scan(self, source: Source) -> Scan:
        if source.name not in self.scans:
            self.scans[source.name] = self.engine.scan(source)
        return self.scans[source.name]

    def engine_of(self, view: AnalyzedView) -> DuckDBEngine:
        """What evaluates the expressions of a view: those of the API are run apart."""
        if not view.is_foreign:
            return self.engine
        named = ", ".join(f"'{f.name}'" for f in view.features if f.feature.code_by is not None)
        files = () if view.source is None else self.scan(view.source).files
        return self.engine.apart(f"feature view '{view.name}' ({named})", files)

    def check_sources(self) -> None:
        """Raises SourceError where a file has changed since this reader first looked at it."""
        for scan in tuple(self.scans.values()):  # runs side by side look at others meanwhile
            self.engine.check_unchanged(scan)

    def read(
        self,
        view: AnalyzedView,
        names: Collection[str],
        keys: Keys,
        times: Ints,
        *,
        defaults: bool = True,
    ) -> Values:
        """The values that a reader sees at each time: of the latest visible tick, not too old,
        with `defaults` unless they are not wanted (those of what it reads are applied anyway).
        `keys` holds a column for each join key; all have one length.
        """
        instants = visible(view, times)
        wanted = closure(view, names)
        if view.source is None:
            values = Derivation(self, view, wanted, keys, instants).values()
        else:
            values = self._source_view(view, wanted, keys, instants)
            values = aged(view, values, times, telling=self.telling)
            values = self._with_derived(view, wanted, values, instants)
        plain, told = values.columns, values.told
        whole_key = complete(keys, times.size)
        found = {f.name: nulled(plain[f.name], whole_key) for f in wanted if f.name in names}
        if defaults:
            found = {f.name: defaulted(found[f.name], f) for f in wanted if f.name in names}
        return Values(
            found,
            values.event_time,
            values.known_at,
            values.found & whole_key,
            {f.name: told[f.name].where(whole_key) for f in wanted if f.name in told},
        )

    def plain(self, view: AnalyzedView, names: Iterable[str], keys: Keys, instants: Ints) -> Values:
        """The values of a derived view evaluated at given instants, without its own defaults, and
        what is told of them. They are found where a row is, of whatever age, behind any input.
        """
        if not self.telling:
            return replace(self, telling=True).plain(view, names, keys, instants)
        return Derivation(self, view, closure(view, names), keys, instants).values()

    def plain_at(self, view: AnalyzedView, keys: EncodedKeys, instants: Ints) -> Values:
        """The stored features of a view with a source at (key code, instant), as a run keeps them:
        whatever their age, without defaults, and not found where a window holds no row.

        The keys are one part of all keys, so they are not split again.
        """
        features = [f for f in view.stored_features if not f.reads_features]
        values = self.at(view, features, keys, instants, live=True, parts=1)
        columns, _ = self.finish(view, view.stored_features, values, instants)
        return Values(columns, values.event_time, values.known_at, values.found)

    def finish(
        self,
        view: AnalyzedView,
        features: Sequence[AnalyzedFeature],
        values: Values,
        instants: Ints,
    ) -> tuple[dict[str, pa.Array], dict[str, pa.Array]]:
        """Values in their types, and the same with defaults; features that are computed from
        others of the view read those with defaults (C10).
        """
        engine = self.engine_of(view)
        plain: dict[str, pa.Array] = {}
        done = dict(values.columns)
        for feature in features:
            name = feature.name
            if feature.reads_features:
                known = {**self.given, **done}
                inputs = {read: known[read] for read in feature.arguments}
                found = computed(engine, feature, inputs, instants)
            else:
                found = values.columns[name]
            plain[name] = conform(found, feature.dtype, name)
            done[name] = defaulted(plain[name], feature)
        return plain, done

    def _with_derived(
        self,
        view: AnalyzedView,
        wanted: Sequence[AnalyzedFeature],
        values: Values,
        instants: Ints,
    ) -> Values:
        """What rows give, and what the view's other features make of it."""
        plain, _ = self.finish(view, wanted, values, instants)
        told = of_derived(wanted, plain, values.told) if self.telling else {}
        return replace(values, columns=plain, told=told)

    def at(
        self,
        view: AnalyzedView,
        features: Sequence[AnalyzedFeature],
        keys: EncodedKeys,
        instants: Ints,
        *,
        live: bool = False,
        parts: int | None = None,
    ) -> Values:
        """Source features evaluated at (key code, instant), before ages and defaults.

        The keys are split into `parts`, by the rows of the source unless given.
        """
        assert view.source is not None  # noqa: S101
        scan = self.scan(view.source)
        parts = parts or max(1, -(-self.engine.count(scan) // self.part_rows))
        if parts == 1:
            asked = Asked(keys.table, Queries(keys.codes, instants))
            return self._evaluate(view, scan, features, asked, live=live)
        gathering = Gathering(instants.size)
        for part in range(parts):
            chosen = np.flatnonzero(np.where(keys.codes >= 0, keys.codes % parts, 0) == part)
            codes = keys.codes[chosen]
            local = np.where(codes >= 0, codes // parts, -1)
            own = pa.array(np.arange(part, keys.count, parts, dtype=np.int64))
            asked = Asked(keys.table.take(own), Queries(local, instants[chosen]))
            reader = replace(self, on_share=self._share_of(part, parts))
            for places, values in reader._pieces(view, scan, features, asked, live=live):  # noqa: SLF001 (one of its own)
                gathering.add(chosen[places], values)
        return gathering.values()

    def _share_of(self, part: int, parts: int) -> OnShare:
        return lambda share: self.on_share((part + share) / parts)

    def _source_view(
        self, view: AnalyzedView, wanted: Sequence[AnalyzedFeature], keys: Keys, instants: Ints
    ) -> Values:
        features = [f for f in wanted if not f.reads_features]
        encoded = encode_keys({n: pa.chunked_array([c]) for n, c in keys.items()}, instants.size)
        if view.view.ticks is None:
            return self.at(view, features, encoded, instants)
        # With ticks, many rows share a (key, tick): evaluate each once.
        pairs = np.stack([encoded.codes, instants], axis=1)
        distinct, inverse = np.unique(pairs, axis=0, return_inverse=True)
        shrunk = EncodedKeys(np.ascontiguousarray(distinct[:, 0]), encoded.table)
        values = self.at(view, features, shrunk, np.ascontiguousarray(distinct[:, 1]))
        return values.take(inverse.reshape(-1))

    def _evaluate(
        self,
        view: AnalyzedView,
        scan: Scan,
        features: Sequence[AnalyzedFeature],
        asked: Asked,
        *,
        live: bool,
    ) -> Values:
        pieces = list(self._pieces(view, scan, features, asked, live=live))
        if len(pieces) == 1 and pieces[0][0].size == asked.times.size:
            return pieces[0][1]
        gathering = Gathering(asked.times.size)
        for places, values in pieces:
            gathering.add(places, values)
        return gathering.values()

    def _pieces(
        self,
        view: AnalyzedView,
        scan: Scan,
        features: Sequence[AnalyzedFeature],
        asked: Asked,
        *,
        live: bool,
    ) -> Iterator[tuple[Ints, Values]]:
        """Values, and the queries that they are of, of which later pieces say where a row is."""
        check_columns(view, scan, features)
        # The tick decides which row; its age counts from the reader's time (C9).
        is_bounded = view.view.ticks is None and not live and not self.telling
        ttl = view.view.ttl if is_bounded else None
        rules = Rules(view.view.data_delay, ttl, self.knowledge, live)
        engine = self.engine_of(view)
        windowed = [f for f in features if f.kind == "windowed"]
        sequences = [f for f in features if f.kind == "sequence"]
        lookups = [f for f in features if f.kind == "lookup"]
        every = np.arange(asked.times.size)
        if windowed:
            values = windowed_values(engine, scan, windowed, asked, rules, on_share=self.on_share)
            yield every, values
        if lookups or not features:
            yield every, lookup_values(engine, scan, lookups, asked, rules)
        if sequences:
            yield from sequence_values(engine, scan, sequences, asked, rules)


def complete(keys: Keys, rows: int) -> NDArray[np.bool_]:
    """Where no part of the key is null: a null part gives null everywhere (C1)."""
    found = np.ones(rows, dtype=bool)
    for column in keys.values():
        if column.null_count:
            found &= np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    return found


def visible(view: AnalyzedView, times: Ints) -> Ints:
    """The instant at which the value seen at each time was evaluated (C8)."""
    ticks = view.view.ticks
    return times if ticks is None else ticks.floor(times - view.view.data_delay)


def aged(view: AnalyzedView, values: Values, times: Ints, *, telling: bool = False) -> Values:
    """Without the values whose row is older than the view's ttl (C9); windows have no age."""
    ttl, fresh = view.view.ttl, values.found
    columns = values.columns
    if ttl is not None and all(f.kind != "windowed" for f in view.features):
        fresh = fresh & (values.event_time >= times - ttl)
        columns = {name: nulled(column, fresh) for name, column in columns.items()}
    outside = values.found & ~fresh
    told = {
        name: of_rows(column, fresh, outside, values.event_time)
        for name, column in (columns.items() if telling else ())
    }
    return Values(columns, values.event_time, values.known_at, fresh, told)


def closure(view: AnalyzedView, names: Iterable[str]) -> list[AnalyzedFeature]:
    """The features of a view that are needed for `names`, each after those it reads."""
    needed = set(names)
    for feature in reversed(view.features):
        if feature.name in needed:
            needed.update(feature.inputs)
    return [feature for feature in view.features if feature.name in needed]
