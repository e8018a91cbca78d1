"""The works by Feast, run by its own interpreter: the fastest set-up of each that was found.

Joins by its DuckDB offline store (the default one drops spine rows without an earlier event and
takes ten times as long), reads and loads on SQLite, its default online store.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

from bench.make_data import DAY, DAYS, FLOATS, START
from bench.timing import timed, timed_each

CALLS = {1: 1000, 100: 100}
CONFIG = """\
project: bench
provider: local
registry: {root}/registry.db
entity_key_serialization_version: 3
offline_store:
  type: duckdb
online_store:
  type: sqlite
  path: {root}/online.db
"""


def _open(data: str, root: str) -> FeatureStore:
    folder = Path(root)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "feature_store.yaml").write_text(CONFIG.format(root=folder.resolve()))
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    events = FileSource(
        name="events",
        path=str((Path(data) / "events.parquet").resolve()),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )
    schema = [
        Field(name="user_id", dtype=Int64),
        *(Field(name=name, dtype=Float64) for name in FLOATS),
        Field(name="i0", dtype=Int64),
        Field(name="s0", dtype=String),
    ]
    stats = FeatureView(
        name="stats", entities=[user], ttl=dt.timedelta(0), schema=schema, source=events
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply([user, events, stats])
    return store


def _references() -> list[str]:
    return [f"stats:{name}" for name in FLOATS]


def join(data: str, root: str) -> dict[str, Any]:
    """get_historical_features of ten columns, once cold and once warm."""
    store = _open(data, root)
    spine = pq.ParquetFile(Path(data) / "spine.parquet").read().to_pandas()

    def work() -> Any:
        return store.get_historical_features(entity_df=spine, features=_references()).to_arrow()

    return timed(work, 2)


def load(data: str, root: str) -> dict[str, Any]:
    """Materialize into SQLite."""
    store = _open(data, root)
    start = dt.datetime.fromtimestamp(START / 1e6, dt.UTC)

    def work() -> None:
        store.materialize(
            start - dt.timedelta(days=1), start + dt.timedelta(microseconds=(DAYS + 1) * DAY)
        )

    return timed(work, 1)


def read(root: str, users: int, keys: int) -> dict[str, Any]:
    """get_online_features(...).to_dict()."""
    store = FeatureStore(repo_path=root)
    draw = random.Random(keys)
    calls = [[{"user_id": draw.randrange(users)} for _ in range(keys)] for _ in range(CALLS[keys])]
    references = _references()

    def work(rows: list[dict[str, int]]) -> dict[str, Any]:
        return store.get_online_features(features=references, entity_rows=rows).to_dict()

    return timed_each(work, calls)
