"""Tables of the log, as Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ad_log import truth
from ad_log.delivery import Delivered, deliver
from ad_log.happening import (
    KINDS,
    NONE,
    Events,
    make_clicks,
    make_conversions,
    make_impressions,
    make_purchases,
    make_sessions,
)
from ad_log.settings import (
    AGES,
    CATEGORIES,
    DAY,
    DEVICES,
    DIMENSIONS,
    IMPRESSION_SHARE,
    INCOMES,
    INTERESTS,
    Settings,
)
from ad_log.world import Ads, Campaigns, Users, make_ads, make_campaigns, make_topics, make_users

TIME = pa.timestamp("us", tz="UTC")
Names = dict[str, pa.Array]


def write(folder: Path, settings: Settings) -> dict[str, int]:
    """Write the log below a folder. Returns the rows of each file.

    The same settings give the same rows, whatever the machine.
    """
    rng = np.random.default_rng(settings.seed)
    topics = make_topics(rng)
    users = make_users(rng, topics, settings)
    campaigns = make_campaigns(rng, topics, settings)
    ads = make_ads(rng, topics, campaigns, settings)
    names = {
        "user": _ids("u", settings.users),
        "ad": _ids("a", settings.ads),
        "campaign": _ids("c", settings.campaigns),
        "interest": _ids("topic", INTERESTS),
    }
    shown = make_impressions(rng, users, ads, settings)
    clicks = make_clicks(rng, users, ads, campaigns, shown)
    bought = make_conversions(rng, users, ads, campaigns, clicks)
    happened = Events.together(shown, clicks, bought, make_purchases(rng, users, settings))
    files = {
        "events": _events(deliver(rng, happened, settings), names, users, ads, campaigns),
        "sessions": _sessions(make_sessions(rng, users, settings), names),
        "profiles": _profiles(users, names, settings),
        "campaigns": _campaigns(campaigns, names, settings),
        "ads": _ads(ads, names, settings),
        "auctions": _auctions(rng, shown, ads, campaigns, settings),
    }
    for name, table in truth.tables(names, users, ads, settings).items():
        files[f"truth/{name}"] = table
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    for name, table in files.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    (folder / "truth" / "constants.json").write_text(
        json.dumps(truth.constants(settings), indent=2)
    )
    return {name: table.num_rows for name, table in files.items()}


def _events(
    delivered: Delivered, names: Names, users: Users, ads: Ads, campaigns: Campaigns
) -> pa.Table:
    rows, number, known = delivered
    campaign = np.where(rows.ad == NONE, NONE, ads.campaign[rows.ad])
    category = np.where(rows.ad == NONE, NONE, campaigns.category[campaign])
    return pa.table(
        {
            "event_id": pa.array(number),
            "event_type": _taken(pa.array(KINDS), rows.kind),
            "event_time": pa.array(rows.when, TIME),
            "available_at": pa.array(known, TIME),
            "impression_id": pa.array(rows.shown, mask=rows.shown == NONE),
            "user_id": _taken(names["user"], rows.user),
            "income_level": _taken(pa.array(INCOMES), users.income[rows.user]),
            "ad_id": _taken(names["ad"], rows.ad),
            "campaign_id": _taken(names["campaign"], campaign),
            "category": _taken(pa.array(CATEGORIES), category),
            "position": pa.array(rows.position + 1, mask=rows.position == NONE),
            "device": _taken(pa.array(DEVICES), rows.device),
            "amount": pa.array(rows.amount, mask=np.isnan(rows.amount)),
            "cost": pa.array(rows.cost, mask=np.isnan(rows.cost)),
        }
    )


def _sessions(rows: dict[str, np.ndarray], names: Names) -> pa.Table:
    ended = rows["when"] + (rows["seconds"] * 1e6).astype(np.int64)
    return pa.table(
        {
            "session_id": pa.array(np.arange(len(ended))),
            "user_id": _taken(names["user"], rows["user"]),
            "started_at": pa.array(rows["when"], TIME),
            "ended_at": pa.array(ended, TIME),
            "device": _taken(pa.array(DEVICES), rows["device"]),
            "duration_s": pa.array(rows["seconds"]),
            "page_views": pa.array(rows["pages"]),
            "interactions": pa.array(rows["interactions"]),
        }
    )


def _profiles(users: Users, names: Names, settings: Settings) -> pa.Table:
    return pa.table(
        {
            "user_id": names["user"],
            "valid_from": _begin(settings, len(users.age)),
            "age_band": _taken(pa.array(AGES), users.age),
            "income_level": _taken(pa.array(INCOMES), users.income),
            "interests": _lists(names["interest"], users.interests),
            "embedding": _vectors(users.embedding),
        }
    )


def _campaigns(campaigns: Campaigns, names: Names, settings: Settings) -> pa.Table:
    return pa.table(
        {
            "campaign_id": names["campaign"],
            "valid_from": _begin(settings, len(campaigns.category)),
            "category": _taken(pa.array(CATEGORIES), campaigns.category),
            "target_ages": _chosen(AGES, campaigns.ages),
            "target_incomes": _chosen(INCOMES, campaigns.incomes),
            "target_interests": _lists(names["interest"], campaigns.interests),
            "embedding": _vectors(campaigns.embedding),
        }
    )


def _ads(ads: Ads, names: Names, settings: Settings) -> pa.Table:
    return pa.table(
        {
            "ad_id": names["ad"],
            "valid_from": _begin(settings, len(ads.campaign)),
            "campaign_id": _taken(names["campaign"], ads.campaign),
            "keywords": _lists(names["interest"], ads.keywords),
            "embedding": _vectors(ads.embedding),
        }
    )


def _auctions(
    rng: np.random.Generator, shown: Events, ads: Ads, campaigns: Campaigns, settings: Settings
) -> pa.Table:
    """A report a day: known three hours after it."""
    category = campaigns.category[ads.campaign[shown.ad]]
    day = (shown.when - settings.begin) // DAY
    count, width = settings.days * len(CATEGORIES), len(CATEGORIES)
    won = np.bincount(day * width + category, minlength=count)[:count]
    place = np.arange(count) % width
    lost = rng.poisson(won * (1 / IMPRESSION_SHARE[place] - 1))
    end = settings.begin + (np.arange(count) // width + 1) * DAY
    return pa.table(
        {
            "category": _taken(pa.array(CATEGORIES), place),
            "day_end": pa.array(end, TIME),
            "reported_at": pa.array(end + 3 * DAY // 24, TIME),
            "auctions": pa.array(won + lost),
            "won": pa.array(won),
        }
    )


def _ids(letter: str, count: int) -> pa.Array:
    return pa.array([f"{letter}{number}" for number in range(count)])


def _taken(values: pa.Array, places: np.ndarray) -> pa.Array:
    return values.take(pa.array(places, mask=places == NONE))


def _lists(values: pa.Array, places: np.ndarray) -> pa.Array:
    count, width = places.shape
    offsets = pa.array(np.arange(count + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, values.take(pa.array(places.ravel())))


def _chosen(values: tuple[str, ...], chosen: np.ndarray) -> pa.Array:
    lists = [[v for v, yes in zip(values, row, strict=True) if yes] for row in chosen]
    return pa.array(lists, pa.list_(pa.string()))


def _vectors(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), DIMENSIONS)


def _begin(settings: Settings, count: int) -> Any:
    return pa.array(np.full(count, settings.begin), TIME)
