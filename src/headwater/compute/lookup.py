"""Lookups: the last row in C4's order at or before t, and its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.facts import FactQuery, read_facts
from headwater.compute.fetch import fetch_rows
from headwater.compute.functions import call
from headwater.compute.kernels.asof import last_row
from headwater.compute.kernels.rows import Queries
from headwater.compute.values import Values, evaluate, whole
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.printing import quote, to_duckdb
from headwater.expressions.tree import Node
from headwater.expressions.walk import uses

Ints = NDArray[np.int64]


def lookup_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    keys: pa.Table,
    queries: Queries,
    *,
    ttl: int | None,
    data_delay: int,
    knowledge: bool,
) -> Values:
    """The values of lookup features at (key, time); rows older than `ttl` may be left out."""
    latest = int(queries.time.max()) if queries.time.size else 0
    earliest = int(queries.time.min()) - ttl if ttl is not None and queries.time.size else None
    facts = read_facts(
        engine,
        scan,
        FactQuery(
            keys, latest=latest, earliest=earliest, data_delay=data_delay, knowledge=knowledge
        ),
    )
    position = last_row(facts.rows, queries)
    found = position >= 0
    if facts.count == 0:
        row_id = event_time = np.zeros(position.size, dtype=np.int64)
    else:
        row_id = facts.row_id[position]
        event_time = facts.rows.event_time[position]
    columns = row_values(engine, scan, features, row_id, found, queries.time)
    return Values(columns, event_time, found)


def row_values(
    engine: DuckDBEngine,
    scan: Scan,
    features: Sequence[AnalyzedFeature],
    row_id: Ints,
    found: NDArray[np.bool_],
    as_of: Ints,
) -> dict[str, pa.Array]:
    """Row-level features of the given rows; null where `found` is false."""
    at_row: dict[str, str] = {}
    at_time: dict[str, Node] = {}
    for feature in features:
        if feature.tree is not None and not uses(feature.tree, "as_of"):
            at_row[f"feature {feature.name}"] = to_duckdb(feature.tree)
        else:
            at_row.update({f"column {name}": quote(name) for name in feature.columns})
            if feature.tree is not None:
                at_time[feature.name] = feature.tree
    chosen = np.flatnonzero(found)
    fetched = fetch_rows(engine, scan, row_id[chosen], at_row)
    raw = {n.removeprefix("column "): whole(fetched[n]) for n in at_row if n.startswith("column ")}
    late = evaluate(engine, at_time, raw, chosen.size, as_of=as_of[chosen])
    spread = _spread(chosen, found)
    columns: dict[str, Any] = {}
    for feature in features:
        if feature.tree is None:
            value = call(feature, raw, chosen.size)
        elif feature.name in late:
            value = late[feature.name]
        else:
            value = whole(fetched[f"feature {feature.name}"])
        columns[feature.name] = value.take(spread) if spread is not None else value
    return columns


def _spread(chosen: Ints, found: NDArray[np.bool_]) -> pa.Array | None:
    """Positions in the fetched rows for every query, null where there is no row."""
    if chosen.size == found.size:
        return None
    places = np.zeros(found.size, dtype=np.int64)
    places[chosen] = np.arange(chosen.size)
    return pa.array(places, mask=~found)
