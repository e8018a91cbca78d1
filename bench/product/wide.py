"""A training set of 500 features by Headwater, into a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.make_data import FLOATS
from bench.product.project import open_project
from bench.timing import timed
from headwater import Entity, Feature, FeatureView, Source

AGGREGATES = ("sum", "avg", "min", "max", "stddev")
WINDOWS = ("1h", "6h", "1d", "2d", "4d", "7d", "10d", "14d", "21d", "30d")


def view(data: Path) -> FeatureView:
    """Five aggregates over ten windows of each of ten columns."""
    return FeatureView(
        "wide",
        entity=Entity("user", join_keys={"user_id": "int64"}),
        source=Source("events", path=str(data / "events.parquet"), event_time="event_timestamp"),
        features=[
            Feature(f"{column}_{name}_{window}", f"{name}({column})", window=window)
            for column in FLOATS
            for name in AGGREGATES
            for window in WINDOWS
        ],
    )


def to_parquet(data: str, root: str) -> dict[str, Any]:
    """All features for the spine; the result tells rows, columns and bytes of the file."""
    import pyarrow.parquet as pq

    folder = Path(data).resolve()
    declared = view(folder)
    store = open_project(root, declared)
    names = [feature.name for feature in declared.features]
    target = Path(root) / "training.parquet"
    found = timed(
        lambda: store.get_historical_features(folder / "spine.parquet", names).to_parquet(target), 1
    )
    meta = pq.read_metadata(target)
    return {
        **found,
        "rows": meta.num_rows,
        "columns": meta.num_columns,
        "file_mib": target.stat().st_size / 2**20,
    }
