"""All technical indicators by Headwater."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.checks import table_sums
from bench.product.project import open_project
from bench.timing import timed
from headwater import Entity, FeatureView, Source
from headwater.library import technical as ta

FEATURES = ta.indicators(ta.Bars())
# TA-Lib begins these later, or sees a change of price where there is rounding alone
_OTHERWISE = {"macd_12_26_9", "stochastic_14_3_3_k", "mfi_14"}
COMPARED = [feature.name for feature in FEATURES if feature.name not in _OTHERWISE]


def every(data: str, root: str, calls: int) -> dict[str, Any]:
    """The library's indicators at each bar, in the order of the file."""
    folder = Path(data).resolve()
    view = FeatureView(
        "indicators",
        entity=Entity("ticker", join_keys={"ticker": "int64"}),
        source=Source("bars", path=str(folder / "bars.parquet"), event_time="event_timestamp"),
        features=FEATURES,
    )
    store = open_project(root, view)
    names = [feature.name for feature in FEATURES]
    spine = folder / "spine.parquet"
    return timed(
        lambda: store.get_historical_features(spine, names).to_arrow(), calls, table_sums(COMPARED)
    )
