"""Projects over the benchmark's data, each in a fresh folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.make_data import FLOATS, VALUES
from headwater import Entity, Feature, FeatureStore, FeatureView, Source

WINDOWS = ("1h", "1d", "7d", "30d")


def open_project(root: str | Path, view: FeatureView) -> FeatureStore:
    """An empty project in `root` to which one view was applied."""
    folder = Path(root)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "headwater.toml").write_text('project = "bench"\n')
    store = FeatureStore(folder)
    store.apply([view])
    return store


def lookups(data: str, *, bitemporal: bool = False, every_value: bool = False) -> FeatureView:
    """The latest values of a user: ten floats, or all twelve columns."""
    events = Source(
        "events",
        path=str((Path(data) / "events.parquet").resolve()),
        event_time="event_timestamp",
        available_at="created" if bitemporal else None,
    )
    names = VALUES if every_value else FLOATS
    return FeatureView(
        "stats",
        entity=Entity("user", join_keys={"user_id": "int64"}),
        source=events,
        features=[Feature(name) for name in names],
    )


def windows(data: str, key: str, expressions: dict[str, str]) -> FeatureView:
    """Each expression over each of four windows; features are called name_window."""
    events = Source(
        "raw_events",
        path=str((Path(data) / "raw_events.parquet").resolve()),
        event_time="event_timestamp",
    )
    return FeatureView(
        "activity",
        entity=Entity("subject", join_keys={key: "int64"}),
        source=events,
        features=[
            Feature(f"{name}_{window}", expression, window=window)
            for window in WINDOWS
            for name, expression in expressions.items()
        ],
    )
