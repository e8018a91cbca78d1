"""All features of the advertising library, over its example's definitions."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from bench.checks import table_sums
from bench.timing import timed
from headwater import FeatureStore
from headwater.config import load_settings
from headwater.definitions.collection import Definitions
from headwater.loading import load_definitions

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ads_log"
COMPARED = [
    *("user_ctr_30d_clicks", "user_ctr_30d_impressions", "user_cvr_90d_conversions"),
    *("user_monetary_30d", "ad_exposure_30d_clicks", "ad_exposure_30d_at_3"),
    *("campaign_exposure_30d_at_1", "position_ctr_2", "engagement_usual_pages"),
]


def every(data: str, root: str, calls: int) -> dict[str, Any]:
    """Each feature for each row of the spine."""
    folder = Path(root)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", ".headwater"))
    (folder / "data").symlink_to(Path(data).resolve())
    sys.dont_write_bytecode = True
    settings = load_settings(folder)
    definitions = load_definitions(settings)
    store = FeatureStore(settings=settings)
    store.apply(store.plan(definitions, prune=True))
    names = features(definitions)
    spine = Path(data).resolve() / "spine.parquet"
    return timed(
        lambda: store.get_historical_features(spine, names).to_arrow(), calls, table_sums(COMPARED)
    )


def features(definitions: Definitions) -> list[str]:
    return [feature.name for view in definitions.views.values() for feature in view.features]
