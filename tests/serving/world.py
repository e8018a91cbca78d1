"""A hand-built project in a real LMDB store, and a clock that stands still."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from headwater.definitions.types import to_arrow
from headwater.expressions.parse import parse
from headwater.expressions.types import resolve
from headwater.online.codec import Layout, encode_key
from headwater.online.lmdb_store import LmdbStore
from headwater.serving.catalogue import (
    Catalogue,
    Column,
    Derived,
    Feature,
    Input,
    Reference,
    Revision,
    Stored,
)
from headwater.serving.live import publish
from headwater.serving.reader import OnlineReader

PROJECT = "shop"
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, the time of every request unless a test says otherwise."""


def at(micros: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)


def derived(
    sql: str, inputs: Mapping[str, str], dtype: str | None = None, **fields: Any
) -> Derived:
    """A derived feature version of SQL over features of the given types."""
    tree, found = resolve(parse(sql, "test"), inputs, "test")
    return Derived(
        tree=tree,
        inputs=tuple(Input(name=name, feature=name) for name in inputs),
        dtype=dtype or found,
        **fields,
    )


def feature(view: str, made: Stored | Derived, **versions: Stored | Derived) -> Feature:
    """A feature whose current version is 1.0.0; others are named `v2_0_0`."""
    others = {name[1:].replace("_", "."): other for name, other in versions.items()}
    return Feature(view=view, current="1.0.0", versions={"1.0.0": made, **others})


USERS = Revision(
    revision="r-users",
    view="users",
    number=2,
    join_keys=(("user_id", "int64"),),
    columns=(
        Column("age", "int64"),
        Column("score", "float64"),
        Column("name", "string"),
        Column("joined", "timestamp"),
        Column("born", "date"),
        Column("photo", "bytes"),
        Column("vip", "bool"),
        Column("tags", "list[string]"),
        Column("vector", "list[float64]"),
        Column("visits", "list[timestamp]"),
    ),
)
OLD_USERS = Revision(
    revision="r-users-old",
    view="users",
    join_keys=(("user_id", "int64"),),
    columns=(Column("age", "int64"),),
)
ADS = Revision(
    revision="r-ads",
    view="user_ads",
    join_keys=(("user_id", "int64"),),
    columns=(
        Column("clicks", "int64", windowed=True, empty=0),
        Column("spend", "float64", windowed=True),
    ),
)
PAIRS = Revision(
    revision="r-pairs",
    view="pairs",
    join_keys=(("user_id", "int64"), ("item", "string")),
    columns=(Column("rank", "int32"),),
)
CALENDAR = Revision(revision="r-calendar", view="calendar", columns=(Column("holiday", "bool"),))
PLACES = Revision(
    revision="r-places",
    view="places",
    join_keys=(("place_id", "string"),),
    columns=(Column("temperature", "float64"),),
)
REVISIONS = (USERS, OLD_USERS, ADS, PAIRS, CALENDAR, PLACES)

FEATURES = {
    **{c.name: feature("users", Stored("r-users", c.name)) for c in USERS.columns},
    "age": feature(
        "users", Stored("r-users", "age"), v0_9_0=Stored("r-users-old", "age", default=-1)
    ),
    "score": feature("users", Stored("r-users", "score", ttl=HOUR, default=0.5)),
    "fresh_name": feature("users", Stored("r-users", "name", ttl=HOUR)),
    "clicks": feature("user_ads", Stored("r-ads", "clicks", ttl=DAY)),
    "spend": feature("user_ads", Stored("r-ads", "spend", ttl=DAY, default=0.0)),
    "rank": feature("pairs", Stored("r-pairs", "rank")),
    "holiday": feature("calendar", Stored("r-calendar", "holiday")),
    "temperature": feature("places", Stored("r-places", "temperature")),
    "spend_per_click": feature(
        "ratios", derived("spend / nullif(clicks, 0)", {"spend": "float64", "clicks": "int64"})
    ),
    "clicks_by_age": feature(
        "ratios", derived("clicks + age", {"clicks": "int64", "age": "int64"}, default=-7)
    ),
    "twice": feature("ratios", derived("spend_per_click * 2", {"spend_per_click": "float64"})),
    "always": feature("ratios", derived("coalesce(age, 0)", {"age": "int64"})),
    "rank_or_age": feature(
        "ratios", derived("coalesce(rank, age)", {"rank": "int32", "age": "int64"})
    ),
    "keyed": feature(
        "ratios",
        derived("coalesce(age, 0)", {"age": "int64"}, join_keys=PAIRS.join_keys),
    ),
    "minutes_since": feature(
        "ratios",
        derived("date_diff('minute', joined, as_of())", {"joined": "timestamp"}),
    ),
    "overflow": feature("ratios", derived("age * 9223372036854775807", {"age": "int64"})),
}
SERVICES = {
    "model": (
        Reference("score"),
        Reference("age", version="0.9.0", alias="age_before"),
        Reference("temperature", alias="from_temperature", join_keys={"place_id": "origin"}),
        Reference("temperature", alias="to_temperature", join_keys={"place_id": "destination"}),
    )
}
CATALOGUE = Catalogue(
    project=PROJECT, generation=3, revisions=REVISIONS, features=FEATURES, services=SERVICES
)


@dataclass
class World:
    """The store, what was published, and a reader that looks at the catalogue on each call."""

    store: LmdbStore
    now: int = T
    reader: OnlineReader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = OnlineReader(self.store, PROJECT, refresh=0, clock=lambda: self.now)

    def put(self, revision: Revision, key: Sequence[Any], event_time: int, **values: Any) -> None:
        """One row; the columns that are not named are null."""
        columns = {
            c.name: pa.array([values.get(c.name)], to_arrow(c.dtype)) for c in revision.columns
        }
        layout = Layout((c.name, c.dtype) for c in revision.columns)
        [row] = layout.encode_batch(pa.table(columns), event_time)
        encoded = encode_key(key)
        assert encoded is not None
        done = self.store.write(PROJECT, revision.revision, [encoded], [row], now=event_time)
        assert done.written == 1

    def tick(self, revision: Revision, tick: int) -> None:
        assert self.store.publish(PROJECT, revision.revision, tick)

    def get(self, *features: Any, full: bool = False, **columns: Sequence[Any]) -> dict[str, Any]:
        """What is served for columns of join keys, as a dict."""
        return self.reader.get(features, columns, full_feature_names=full).to_dict()

    def one(self, feature: Any, **keys: Any) -> tuple[Any, str, dt.datetime | None]:
        """(value, status, event time) of one feature for one row."""
        found = self.get(feature, **{name: [value] for name, value in keys.items()})
        [name] = found["versions"]
        parts = (found[part][name] for part in ("values", "statuses", "event_timestamps"))
        value, status, time = (part[0] for part in parts)
        return value, status, time


def make(path: Path, catalogue: Catalogue | None = CATALOGUE) -> World:
    world = World(LmdbStore(path, sync=False))
    if catalogue is not None:
        publish(world.store, catalogue)
    return world


def fill(world: World) -> None:
    """Users 1 to 3, with ads for 1 and 2, and a little of everything else."""
    for user in (1, 2, 3):
        world.put(
            USERS,
            [user],
            T - user * MINUTE,
            age=20 + user,
            score=user / 4,
            name=f"user {user}",
            joined=at(T - user * DAY),
            born=dt.date(2000, 1, user),
            photo=bytes([user]),
            vip=user == 1,
            tags=["a", None],
            vector=[1.5, None],
            visits=[at(T)],
        )
    world.put(OLD_USERS, [1], T - DAY, age=19)
    world.put(ADS, [1], T - HOUR, clicks=4, spend=2.0)
    world.put(ADS, [2], T - 2 * HOUR, clicks=1)
    world.tick(ADS, T - HOUR)
    world.put(PAIRS, [1, "pen"], T - MINUTE, rank=7)
    world.put(CALENDAR, [], T - MINUTE, holiday=True)
    world.put(PLACES, ["north"], T - MINUTE, temperature=-3.5)
    world.put(PLACES, ["south"], T - MINUTE, temperature=28.0)
