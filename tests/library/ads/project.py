"""The example projects in folders of their own."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater import FeatureStore
from headwater.config import load_settings
from headwater.loading import load_definitions

EXAMPLES = Path(__file__).parents[3] / "examples"


def copy_example(folder: Path, name: str = "ads_log") -> Path:
    ignored = shutil.ignore_patterns(".headwater", "__pycache__", "data")
    return shutil.copytree(EXAMPLES / name, folder, ignore=ignored)


def open_example(folder: Path) -> FeatureStore:
    settings = load_settings(folder)
    store = FeatureStore(settings=settings)
    store.apply(store.plan(load_definitions(settings), prune=True))
    return store


def day(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def trained(store: FeatureStore, names: Sequence[str], spine: dict[str, Any]) -> pl.DataFrame:
    """The features for each row of a spine, whose times may be one for all."""
    when = spine.pop("at")
    count = len(next(iter(spine.values()))) if spine else 1
    times = when if isinstance(when, list) else [when] * count
    frame = pl.DataFrame({**spine, "event_timestamp": times})
    return store.get_historical_features(frame, list(names)).to_polars()
