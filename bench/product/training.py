"""Training sets by Headwater."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.checks import table_sums
from bench.make_data import FLOATS
from bench.product.project import WINDOWS, lookups, open_project, windows
from bench.timing import timed

EXPRESSIONS = {
    "sums": {"count": "count(*) FILTER (WHERE event_type = 'click')", "sum": "sum(amount)"},
    "greatest": {"max": "max(amount)"},
    "quantile": {"quantile": "quantile_cont(amount, 0.9)"},
    "frequent": {"frequent": "mode_count(event_type)"},
}


def lookup(data: str, root: str, calls: int, *, bitemporal: bool = False) -> dict[str, Any]:
    """Ten columns of the latest known row of each spine row."""
    store = open_project(root, lookups(data, bitemporal=bitemporal))
    spine = Path(data).resolve() / "spine.parquet"
    return timed(
        lambda: store.get_historical_features(spine, FLOATS).to_arrow(), calls, table_sums(FLOATS)
    )


def window(data: str, root: str, calls: int, key: str, what: str) -> dict[str, Any]:
    """Aggregates over four windows at each spine row."""
    expressions = EXPRESSIONS.get(what) or {
        "distinct": f"count(DISTINCT {'ad_id' if key == 'user_id' else 'user_id'})"
    }
    names = [f"{name}_{size}" for size in WINDOWS for name in expressions]
    store = open_project(root, windows(data, key, expressions))
    spine = Path(data).resolve() / f"spine_{key}.parquet"
    return timed(
        lambda: store.get_historical_features(spine, names).to_arrow(), calls, table_sums(names)
    )
