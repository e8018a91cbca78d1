"""Projects over bars, and the values of indicators after each bar."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headwater import Entity, Feature, FeatureStore, FeatureView, Source

EXAMPLE = Path(__file__).parents[2] / "examples/equities/data/daily_bars.parquet"
KNOWN = "date + INTERVAL 21 HOUR"
Columns = Mapping[str, Sequence[Any]]


def source(path: Path, **fields: Any) -> Source:
    """Bars with the mean close of each day as `market`."""
    query = f"SELECT *, avg(close) OVER (PARTITION BY date) AS market FROM '{path}'"
    return Source("bars", query=query, event_time=KNOWN, **fields)


def open_store(
    folder: Path, features: Sequence[Feature], bars: Path = EXAMPLE, **fields: Any
) -> FeatureStore:
    (folder / "headwater.toml").write_text('project = "p"\n')
    store = FeatureStore(folder)
    view = FeatureView(
        "indicators",
        entity=Entity("ticker", join_keys={"ticker": "string"}),
        source=source(bars, **fields),
        features=features,
    )
    store.apply([view])
    return store


def after_each_bar(store: FeatureStore, features: Sequence[Feature], bars: Path) -> pa.Table:
    """The bars, each with the values that are known an hour after its close."""
    found = pq.read_table(bars)
    days = found["date"].to_pylist()
    times = [dt.datetime.combine(day, dt.time(22), dt.UTC) for day in days]
    spine = pa.table({"ticker": found["ticker"], "event_timestamp": times})
    names = [feature.name for feature in features]
    values = store.get_historical_features(spine, names).to_arrow()
    for name in names:
        found = found.append_column(name, values[name])
    return found


def write_bars(folder: Path, columns: Columns) -> Path:
    """Bars of one ticker on consecutive days, where no others are given."""
    count = len(columns["close"])
    close = list(columns["close"])
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=day) for day in range(count)]
    given = {
        "ticker": ["A"] * count,
        "date": days,
        "high": [None if x is None else x + 1 for x in close],
        "low": [None if x is None else x - 1 for x in close],
        "close": pa.array(close, pa.float64()),
        "volume": [100] * count,
    } | dict(columns)
    path = folder / "bars.parquet"
    pq.write_table(pa.table(given), path)
    return path


def floats(column: pa.ChunkedArray) -> np.ndarray:
    """A column with NaN for null."""
    return np.array([math.nan if v is None else v for v in column.to_pylist()], dtype=np.float64)


def agree(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    """Null in the same places, and close to one another elsewhere."""
    assert np.isnan(found).tolist() == np.isnan(expected).tolist()
    near = np.abs(found - expected) <= tolerance * np.maximum(1.0, np.abs(expected))
    assert near[~np.isnan(expected)].all(), np.nanmax(np.abs(found - expected))
