"""Lookups: the last row in C4's order at or before t, and its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, read_facts
from headwater.compute.fetch import fetch_rows
from headwater.compute.functions import call
from headwater.compute.kernels.asof import last_row
from headwater.compute.values import Asked, Rules, Values, evaluate, whole
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import quote, to_duckdb
from headwater.expressions.tree import Node
from headwater.expressions.walk import uses

Ints = NDArray[np.int64]


def lookup_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    asked: Asked,
    rules: Rules,
) -> Values:
    """The values of lookup features at (key, time); rows older than `ttl` may be left out."""
    times = asked.times
    latest = int(times.max()) if times.size else 0
    earliest = int(times.min()) - rules.ttl if rules.ttl is not None and times.size else None
    facts = read_facts(
        engine,
        scan,
        FactQuery(
            asked.keys,
            latest=latest,
            earliest=earliest,
            data_delay=rules.data_delay,
            knowledge=rules.knowledge,
        ),
    )
    position = last_row(facts.rows, asked.queries)
    found = position >= 0
    chosen = position[found]
    columns = row_values(engine, scan, features, facts.row_id[chosen], times[found])
    spread = _spread(found)
    if spread is not None:
        columns = {name: column.take(spread) for name, column in columns.items()}
    event_time, known_at = np.zeros((2, position.size), dtype=np.int64)
    event_time[found] = facts.rows.event_time[chosen]
    known_at[found] = facts.rows.available_at[chosen]
    return Values(columns, event_time, known_at, found)


def row_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    row_id: Ints,
    as_of: Ints,
) -> dict[str, pa.Array]:
    """Row-level features of the given rows, each read at its time `as_of`."""
    at_row: dict[str, str] = {}
    at_time: dict[str, Node] = {}
    for feature in features:
        if feature.tree is not None and not uses(feature.tree, "as_of"):
            at_row[f"feature {feature.name}"] = to_duckdb(feature.tree)
        else:
            at_row.update({f"column {name}": quote(name) for name in feature.columns})
            if feature.tree is not None:
                at_time[feature.name] = feature.tree
    fetched = fetch_rows(engine, scan, row_id, at_row)
    raw = {n.removeprefix("column "): whole(fetched[n]) for n in at_row if n.startswith("column ")}
    late = evaluate(engine, at_time, raw, row_id.size, as_of=as_of)
    columns: dict[str, pa.Array] = {}
    for feature in features:
        if feature.tree is None:
            value = call(engine, feature, raw, row_id.size)
        elif feature.name in late:
            value = late[feature.name]
        else:
            value = whole(fetched[f"feature {feature.name}"])
        columns[feature.name] = value
    return columns


def _spread(found: NDArray[np.bool_]) -> pa.Array | None:
    """Positions in the fetched rows for every query, null where there is no row."""
    if found.all():
        return None
    return pa.array(np.cumsum(found) - 1, mask=~found)
