"""A small shop of which tests ask: its rows, its definitions, and projects in folders of their own.

All times are microseconds since the epoch; `day(3, hours=2)` is the fourth day of 2024, 02:00 UTC.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headwater import Entity, Feature, FeatureStore, FeatureView, Source

HOUR = 3_600_000_000
DAY = 24 * HOUR
FIRST = 1_704_067_200_000_000  # Monday, 2024-01-01
TIME = pa.timestamp("us", tz="UTC")

EVENTS = pa.schema(
    [
        ("user_id", pa.string()),
        ("kind", pa.string()),
        ("amount", pa.float64()),
        ("items", pa.int64()),
        ("event_time", TIME),
        ("known", TIME),
        ("event_id", pa.string()),
    ]
)


def day(number: int, hours: float = 0, micros: int = 0) -> int:
    return FIRST + number * DAY + int(hours * HOUR) + micros


def moment(micros: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


def event(user: str | None, at: int | None, **given: Any) -> dict[str, Any]:
    """One row of the source `events`; known at once unless `known` says otherwise."""
    row = {"user_id": user, "kind": "view", "amount": 1.0, "items": 1, "event_id": None}
    times = {"event_time": at, "known": at}
    return {**row, **times, **given}


def random_events(
    count: int, users: int = 12, days: int = 6, seed: int = 1
) -> list[dict[str, Any]]:
    """Events of the first days, some of them late, some without an amount."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        at = FIRST + chance.randrange(days * DAY)
        rows.append(
            event(
                f"u{chance.randrange(users)}",
                at,
                kind=chance.choice(["view", "click"]),
                amount=None if chance.random() < 0.1 else round(chance.uniform(-5, 50), 2),
                items=None if chance.random() < 0.1 else chance.randrange(9),
                known=at + chance.choice([0, 0, HOUR // 2, 30 * HOUR]),
                event_id=f"e{number}",
            )
        )
    return rows


def table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema = EVENTS) -> pa.Table:
    columns = {name: [row[name] for row in rows] for name in schema.names}
    return pa.table({n: _column(columns[n], schema.field(n).type) for n in schema.names})


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, pa.int64()).cast(kind) if kind == TIME else pa.array(values, kind)


def write(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "events.parquet") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(rows), path)
    return path


def spine(users: Sequence[Any], times: Sequence[int], **columns: Sequence[Any]) -> pa.Table:
    """Keys and times side by side, as an Arrow table."""
    stamps = pa.array(times, pa.int64()).cast(TIME)
    keys = pa.array(users, pa.string())
    return pa.table({"user_id": keys, "event_timestamp": stamps, **columns})


USER = Entity("user", join_keys={"user_id": "string"})
SOURCE = Source("events", path="events*.parquet", event_time="event_time", available_at="known")

WINDOWED = (
    Feature("events_2d", "count(*)", window="2d"),
    Feature("clicks_1d", "count(*) FILTER (WHERE kind = 'click')", window="1d"),
    Feature("amount_2d", "sum(amount)", window="2d"),
    Feature("kinds_2d", "count(DISTINCT kind)", window="2d"),
    Feature("click_rate", "clicks_1d / nullif(events_2d, 0)"),
)
LOOKUPS = (Feature("last_kind", "kind"), Feature("last_amount", "amount", default=-1.0))
SEQUENCES = (
    Feature("mean_3", "avg(amount)", rows=3, min_rows=1),
    Feature("smooth", "ema(amount, 2)"),
    Feature("before", "lag(items)"),
)


def view(name: str, features: Sequence[Feature], **given: Any) -> FeatureView:
    return FeatureView(name, features=features, **{"entity": USER, "source": SOURCE, **given})


def activity(**given: Any) -> FeatureView:
    """Windows at hourly ticks, 15 minutes after the hour."""
    defaults = {"update_frequency": "hourly", "data_delay": "15m"}
    return view("activity", WINDOWED, **{**defaults, **given})


def latest(**given: Any) -> FeatureView:
    return view("latest", LOOKUPS, **given)


def trend(**given: Any) -> FeatureView:
    return view("trend", SEQUENCES, **given)


def values_of(*views: FeatureView) -> list[str]:
    return [feature.name for one in views for feature in one.features]


def make(folder: Path, rows: Sequence[Mapping[str, Any]] = ()) -> FeatureStore:
    """A project in a new folder, with the rows as its events."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headwater.toml").write_text('project = "shop"\n[engine]\nthreads = 1\n')
    write(folder, rows)
    return FeatureStore(folder)
