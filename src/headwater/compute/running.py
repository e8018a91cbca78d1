"""Sequence features carried on: from what earlier rows have left, over the rows that came since.

What a key's rows leave is one row of a table: their number, of each part with a frame its inputs
of the last rows, of a smoothing its state, and of a frame without bound as few rows as say the
same as all of them (the sum, the greatest value), or all where there are none such. Computing on
from there gives, to the bit, what computing all rows at once gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.arrays import encode, masked
from headwater.compute.behind import Behind, items_of, lengths_of, lists
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.framed import Framing, inputs_of, scalars
from headwater.compute.kernels.remainders import exact_parts
from headwater.compute.kernels.smoothing import Smoothed, resume
from headwater.compute.kernels.sorting import order_by, run_begins, starts_of_runs, to_codes
from headwater.compute.parts import Part, Program, alpha, constant, least_rows
from headwater.compute.values import nulled, whole
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate

Ints = NDArray[np.int64]
Columns = Mapping[str, pa.Array]
Leaves = Literal["count", "total", "mean", "greatest", "rows"]
ROWS = "rows"


@dataclass
class Running:
    """New entries of segments 0, 1, ..., each of which has some, in C4's order.

    `columns` holds the source's columns; `before` one row a segment of what `after` held when the
    segment was computed last, null where it never was.
    """

    engine: DuckDBEngine
    segment: Ints
    columns: dict[str, pa.Array]
    before: pa.Table | None = None
    after: dict[str, pa.Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begin = run_begins(self.segment)
        self.counts = np.diff(self.begin)
        self.had = self._numbers(ROWS)

    def values(self, features: Sequence[AnalyzedFeature]) -> dict[str, pa.Array]:
        """The values of each feature at the last entry of each segment."""
        program = Program.of(features)
        for level in program.levels:
            inputs = scalars(self.engine, inputs_of(level.parts), self.columns, self.segment.size)
            self.columns.update(self._computed(level.parts, inputs))
            self.columns = {n: c for n, c in self.columns.items() if n in level.needed}
        last = pa.array(self.begin[1:] - 1)
        columns = {name: column.take(last) for name, column in self.columns.items()}
        outer = {name: (name, tree) for name, tree in program.outer.items()}
        found = scalars(self.engine, outer, columns, self.counts.size)
        have = self.had + self.counts
        self.after[ROWS] = pa.array(have)
        return {f.name: nulled(found[f.name], have >= least_rows(f)) for f in features}

    def _computed(self, parts: Sequence[Part], inputs: Columns) -> dict[str, pa.Array]:
        found: dict[str, pa.Array] = {}
        bounded: dict[int, list[Part]] = {}
        for part in parts:
            reach = reach_of(part)
            if reach is not None:
                bounded.setdefault(reach, []).append(part)
            elif isinstance(part.node, Aggregate):
                found[part.name] = self._unbounded(part, part.node, inputs)
            else:
                found[part.name] = self._smoothed(part, inputs)
        for length, members in bounded.items():
            found |= self._bounded(length, members, inputs)
        return found

    # --- kinds of parts ---------------------------------------------------------------------

    def _bounded(self, length: int, parts: Sequence[Part], inputs: Columns) -> dict[str, pa.Array]:
        """Parts that look back over `length` rows: those of before are put before the new ones."""
        if length == 0:
            return Framing(self.segment, inputs).columns(parts)
        behind = Behind.of(np.minimum(self.had, length), self.counts)
        joined = {
            text: behind.join(self._items(f"last {length} {text}"), inputs[text])
            for text in inputs_of(parts)
        }
        kept = behind.last(length)
        for text, column in joined.items():
            self._keep(f"last {length} {text}", behind.segment[kept], column.take(pa.array(kept)))
        found = Framing(behind.segment, joined).columns(parts)
        return {name: behind.newest_of(column) for name, column in found.items()}

    def _smoothed(self, part: Part, inputs: Columns) -> pa.Array:
        node, size = part.node, constant(part.node)
        given = encode(pa.chunked_array([inputs[canonical(node.args[0])]]))
        floats = masked(given.values.astype(np.float64), given.valid)
        count, state = self._numbers(f"{part.name} count"), self._numbers(f"{part.name} state")
        first = f"{part.name} first"
        behind = Behind.of(self._lengths(first), self.counts)
        joined = behind.join(self._items(first), floats)
        values = encode(pa.chunked_array([joined]))
        begun = Smoothed(np.where(count >= size, count, 0), state.astype(np.float64))
        found, left = resume(behind.segment, values.values, values.valid, size, alpha(node), begun)
        is_early = (left.count < size)[behind.segment]
        kept = np.flatnonzero(is_early if values.valid is None else is_early & values.valid)
        self._keep(first, behind.segment[kept], joined.take(pa.array(kept)))
        self.after[f"{part.name} count"] = pa.array(left.count)
        self.after[f"{part.name} state"] = pa.array(left.state)
        return behind.newest_of(masked(found.values, found.valid))

    def _unbounded(self, part: Part, node: Aggregate, inputs: Columns) -> pa.Array:
        """A frame of all rows, of which those of before are stood for by a few."""
        leaves = leaves_of(node, [inputs[canonical(arg)].type for arg in node.args])
        if leaves == "count":
            return self._counted(part, Framing(self.segment, inputs).taking_part(part))
        texts = list(dict.fromkeys(canonical(arg) for arg in node.args))
        behind = Behind.of(self._lengths(f"{part.name} 0"), self.counts)
        joined = {
            text: behind.join(self._items(f"{part.name} {place}"), _widened(inputs[text], leaves))
            for place, text in enumerate(texts)
        }
        if node.where is not None:
            passed = pa.array(np.ones(int(behind.lengths.sum()), dtype=bool))
            where = canonical(node.where)
            joined.setdefault(where, behind.join(passed, inputs[where]))
        summed = replace(part, node=Aggregate("sum", node.args, where=node.where))
        framing = Framing(behind.segment, joined)
        column = framing.columns([summed if leaves == "mean" else part])[part.name]
        taking = framing.taking_part(part)
        taking = np.ones(len(column), dtype=np.bool_) if taking is None else taking
        self._leave(part, leaves, behind, [joined[text] for text in texts], column, taking)
        found = behind.newest_of(column)
        if leaves != "mean":
            return found
        count = self._counted(part, taking[behind.newest]).to_numpy()
        sums = encode(pa.chunked_array([found]))
        return masked(sums.values / np.maximum(count, 1), count > 0)

    # --- what is left behind ----------------------------------------------------------------

    def _leave(  # noqa: PLR0917
        self,
        part: Part,
        leaves: Leaves,
        behind: Behind,
        columns: Sequence[pa.Array],
        result: pa.Array,
        taking: NDArray[np.bool_],
    ) -> None:
        """Keep what stands for all entries of a frame without bound."""
        name = f"{part.name} 0"
        is_float = pa.types.is_floating(columns[0].type)
        if leaves in ("total", "mean") and is_float:
            values = encode(pa.chunked_array([columns[0]])).values[taking]
            owner, parts = exact_parts(behind.segment[taking], values, self.counts.size)
            self._keep(name, owner, pa.array(parts))
        elif leaves in ("total", "greatest"):
            last = result.take(pa.array(behind.begin[1:] - 1))
            self._keep(name, np.flatnonzero(last.is_valid().to_numpy(False)), last.drop_null())
        else:
            kept = _standing(part.node, behind.segment, columns, np.flatnonzero(taking))
            for place, column in enumerate(columns):
                taken = column.take(pa.array(kept))
                self._keep(f"{part.name} {place}", behind.segment[kept], taken)

    def _counted(self, part: Part, taking: NDArray[np.bool_] | None) -> pa.Array:
        """How many entries of each segment have taken part so far."""
        name = f"{part.name} count"
        step = np.ones(self.segment.size, dtype=np.int64) if taking is None else taking
        before = np.append(0, np.cumsum(step))
        own = self._numbers(name) - before[self.begin[:-1]]
        found = before[1:] + np.repeat(own, self.counts)
        self.after[name] = pa.array(found[self.begin[1:] - 1])
        return pa.array(found)

    def _keep(self, name: str, segment: Ints, values: pa.Array) -> None:
        self.after[name] = lists(segment, values, self.counts.size)

    def _numbers(self, name: str) -> NDArray[np.int64]:
        if self.before is None:
            return np.zeros(self.counts.size, dtype=np.int64)
        found: Ints = whole(self.before[name]).fill_null(0).to_numpy()
        return found

    def _lengths(self, name: str) -> Ints:
        if self.before is None:
            return np.zeros(self.counts.size, dtype=np.int64)
        return lengths_of(whole(self.before[name]))

    def _items(self, name: str) -> pa.Array | None:
        return None if self.before is None else items_of(whole(self.before[name]))


def reach_of(part: Part) -> int | None:
    """How many rows before its own a part looks at; None for a state, or for all of them."""
    if part.frame is not None:
        return None if part.frame[0] is None else part.frame[0] - 1
    if part.node.name in ("ema", "wilder"):
        return None
    return constant(part.node) - (part.node.name == "wma")


def leaves_of(node: Aggregate, kinds: Sequence[pa.DataType]) -> Leaves:
    """What an aggregate over all rows needs of those of before."""
    if node.name == "count" and not node.distinct:
        return "count"
    kind = kinds[0]
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if node.name == "sum" and is_number:
        return "total"
    if node.name == "avg" and pa.types.is_floating(kind):
        return "mean"
    if node.name in ("min", "max") and (pa.types.is_primitive(kind) or pa.types.is_string(kind)):
        return "greatest"
    return "rows"


def _widened(column: pa.Array, leaves: Leaves) -> pa.Array:
    """The column in the type of its sums."""
    if leaves not in ("total", "mean"):
        return column
    return column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.int64())


def _standing(node: object, segment: Ints, columns: Sequence[pa.Array], taking: Ints) -> Ints:
    """Of the entries that take part those without which a later result would be another."""
    if not isinstance(node, Aggregate):
        return taking
    owner = segment[taking]
    if node.name == "first":
        return taking[starts_of_runs(owner)]
    if node.name in ("last", "last_k"):
        asked = node.parameters[0] if node.name == "last_k" else 1
        most = asked if isinstance(asked, int) else 1
        begin = run_begins(owner)
        left = np.repeat(begin[1:], np.diff(begin)) - np.arange(owner.size)
        return taking[left <= most]
    if node.name == "count" and len(columns) == 1:
        codes = to_codes(encode(pa.chunked_array([columns[0]])).values)[taking]
        order = order_by(owner, codes)
        return np.sort(taking[order[starts_of_runs(owner[order], codes[order])]])
    return taking
