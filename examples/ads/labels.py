"""A training set of the real log: impressions labelled by their clicks, negatives sampled.

    python examples/ads/labels.py

A click becomes known 30 minutes after its impression, so the label of an impression is known then
and not before; impressions of the last half hour have none. Prints the click-through rate of all
rows and of the sample, as it is and weighted.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headwater import FeatureStore, Source, label_spine, sample_negatives
from headwater.loading import load_definitions

HERE = Path(__file__).resolve().parent
EVENTS = "SELECT * FROM 'data/events.parquet' WHERE event_type = '{}'"
TIMES = {"event_time": "event_time", "available_at": "available_at", "id": "event_id"}
KEYS = ["impression_id", "campaign", "position", "item_id"]
KEYS += [f"user_feature_{n}" for n in range(4)]


def training_set(store: FeatureStore) -> tuple[pa.Table, pa.Table]:
    """All labelled impressions, and the training set of a sample of them."""
    spine = label_spine(
        Source("impressions", query=EVENTS.format("impression"), **TIMES),
        Source("clicks", query=EVENTS.format("click"), **TIMES),
        on="impression_id",
        within="30m",
        until="2019-12-01T00:00Z",
        keys=KEYS,
        store=store,
    )
    sample = sample_negatives(spine, rate=0.05, seed=7, keys="impression_id")
    return spine.to_arrow(), store.get_historical_features(sample, "click_model").to_arrow()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(shutil.copytree(HERE, folder, dirs_exist_ok=True))
        store.apply(load_definitions(store.settings))
        every, kept = training_set(store)
        store.close()
    clicks = pc.sum(every["label"]).as_py()
    print(f"{every.num_rows:,} impressions, {clicks} clicks: {clicks / every.num_rows:.4%}")
    label, weight = kept["label"].cast(pa.float64()), kept["weight"]
    print(f"{kept.num_rows:,} rows kept: {pc.mean(label).as_py():.4%} of them")
    weighted = pc.sum(pc.multiply(label, weight)).as_py() / pc.sum(weight).as_py()
    print(f"weighted: {weighted:.4%}")


if __name__ == "__main__":
    main()
