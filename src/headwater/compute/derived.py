"""Features of a view without source: inputs by their own rules, then the expressions (C10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.functions import call
from headwater.compute.told import NOT_FOUND, Told, of_inputs
from headwater.compute.values import Values, conform, evaluate
from headwater.definitions.types import to_arrow
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView, Hop, slot_of

if TYPE_CHECKING:
    from headwater.compute.reading import Reader

Ints = NDArray[np.int64]
Keys = Mapping[str, pa.Array]


class Derivation:
    """The features `wanted` of a derived view, each after those it reads, at (key, instant).

    What stands at the row's own key is read first. What stands at the value of a feature is read
    when that value is known: all that is wanted of one view at one key together.
    """

    def __init__(
        self,
        reader: Reader,
        view: AnalyzedView,
        wanted: Sequence[AnalyzedFeature],
        keys: Keys,
        instants: Ints,
    ) -> None:
        self._reader = reader
        self._view = view
        self._wanted = wanted
        self._keys = keys
        self._instants = instants
        self._homes = {
            f.name: reader.project.views[name]
            for name in view.inputs
            for f in reader.project.views[name].features
        }
        self._columns: dict[str, pa.Array] = {}
        self._told: dict[str, Told] = {}
        self._event_time = np.full(instants.size, np.iinfo(np.int64).max, dtype=np.int64)
        self._found = np.zeros(instants.size, dtype=bool)

    def values(self) -> Values:
        """The features before their own defaults. They are found where a row is, of whatever age,
        behind any input; their event time is the oldest of the inputs'.
        """
        self._read_here()
        plain: dict[str, pa.Array] = {}
        told: dict[str, Told] = {}
        for feature in self._wanted:
            self._read_across(feature)
            name = feature.name
            plain[name] = self._computed(feature)
            self._columns[name] = defaulted(plain[name], feature)
            if self._reader.telling:
                told[name] = self._told[name] = self._told_of(feature, plain[name])
        event_time = np.where(self._found, self._event_time, self._instants)
        return Values(plain, event_time, self._instants, self._found, told)

    def _computed(self, feature: AnalyzedFeature) -> pa.Array:
        inputs = {name: self._columns[feature.slot(name)] for name in feature.operands}
        inputs |= {name: self._reader.given[name] for name in feature.feature.request}
        engine = self._reader.engine_of(self._view)
        found = computed(engine, feature, inputs, self._instants)
        return conform(found, feature.dtype, feature.name)

    def _told_of(self, feature: AnalyzedFeature, column: pa.Array) -> Told:
        operands = [self._told[feature.slot(name)] for name in feature.operands]
        return of_inputs(column, operands, [self._told[n] for n in feature.feature.via.values()])

    def _read_here(self) -> None:
        names = {name for f in self._wanted for name in f.here if name in self._homes}
        for name in self._view.inputs:
            home = self._reader.project.views[name]
            wanted = sorted(n for n in names if self._homes[n] is home)
            if wanted:
                keys = {key: self._keys[key] for key in home.join_keys}
                self._take(self._reader.read(home, wanted, keys, self._instants), {})

    def _read_across(self, feature: AnalyzedFeature) -> None:
        missing = [n for n in feature.across if feature.slot(n) not in self._columns]
        for name in missing:
            if feature.slot(name) in self._columns:
                continue  # came with the one before
            home, hop = self._homes[name], feature.across[name]
            slots = dict(self._slots(home, hop))
            read = self._reader.read(home, sorted(slots), self._at(home, hop), self._instants)
            self._take(read, slots)

    def _slots(self, home: AnalyzedView, hop: Hop) -> Iterator[tuple[str, str]]:
        """All that is wanted of a view at one key, and the names by which it is known here."""
        for feature in self._wanted:
            for name, other in feature.across.items():
                if other == hop and self._homes[name] is home:
                    yield name, slot_of(name, hop)

    def _at(self, home: AnalyzedView, hop: Hop) -> Keys:
        via = dict(hop)
        return {
            key: pc.cast(self._columns[via[key]], to_arrow(dtype))
            if key in via
            else self._keys[key]
            for key, dtype in home.join_keys.items()
        }

    def _take(self, values: Values, slots: Mapping[str, str]) -> None:
        there = values.found
        for one in values.told.values():
            there = there | (one.status != NOT_FOUND)
        self._columns |= {slots.get(n, n): column for n, column in values.columns.items()}
        self._told |= {slots.get(n, n): told for n, told in values.told.items()}
        self._found |= there
        times = np.where(there, values.event_time, self._event_time)
        self._event_time = np.minimum(self._event_time, times)


def computed(
    engine: DuckDBEngine,
    feature: AnalyzedFeature,
    inputs: Mapping[str, pa.Array],
    instants: Ints,
) -> pa.Array:
    """The values of a feature that reads features, before its default."""
    if feature.tree is None:
        return call(engine, feature, inputs, instants.size)
    tree = {feature.name: feature.tree}
    return evaluate(engine, tree, inputs, instants.size, as_of=instants)[feature.name]


def defaulted(column: pa.Array, feature: AnalyzedFeature) -> pa.Array:
    """The values with the feature's default in place of null."""
    default = feature.default
    if default is None or column.null_count == 0:
        return column
    return pc.fill_null(column, pa.scalar(default, column.type))
