"""What happens: impressions, and what follows from them; purchases; visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ad_log.settings import (
    DAY,
    DEVICE_LIFT,
    HOUR,
    INCOME_LIFT,
    POSITION_LIFT,
    Settings,
    hour_activity,
    hour_lift,
)
from ad_log.world import Ads, Campaigns, Users, pick

Generator = np.random.Generator
KINDS = ("impression", "click", "conversion", "transaction", "invalid_click")
IMPRESSION, CLICK, CONVERSION, TRANSACTION, INVALID = range(len(KINDS))
NONE = -1
"""In place of an ad, a position or a device that an event has not."""


@dataclass
class Events:
    """Columns of events; `shown` is the impression that led to one, by its number."""

    kind: np.ndarray
    when: np.ndarray
    user: np.ndarray
    ad: np.ndarray
    position: np.ndarray
    device: np.ndarray
    shown: np.ndarray
    amount: np.ndarray
    cost: np.ndarray

    def take(self, places: np.ndarray) -> Events:
        return Events(*(column[places] for column in vars(self).values()))

    @staticmethod
    def together(*parts: Events) -> Events:
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return Events(*(np.concatenate(column) for column in columns))


def instants(rng: Generator, settings: Settings, count: int) -> np.ndarray:
    """Times by the day's and the hour's weight."""
    days, hours = settings.day_weights(), hour_activity()
    day = rng.choice(settings.days, count, p=days / days.sum())
    hour = rng.choice(24, count, p=hours / hours.sum())
    return np.asarray(settings.begin + day * DAY + hour * HOUR + rng.integers(0, HOUR, count))


def click_chance(users: Users, ads: Ads, events: Events) -> np.ndarray:
    """The probability that an impression is clicked."""
    hour = events.when % DAY // HOUR
    chance = (
        ads.ctr[events.ad]
        * users.click_lift[events.user]
        * INCOME_LIFT[users.income[events.user]]
        * DEVICE_LIFT[events.device]
        * POSITION_LIFT[events.position]
        * hour_lift()[hour]
    )
    return np.asarray(np.minimum(chance, 1.0))


def make_impressions(rng: Generator, users: Users, ads: Ads, settings: Settings) -> Events:
    count = settings.impressions
    user = rng.choice(settings.users, count, p=users.activity)
    ad = rng.choice(settings.ads, count, p=ads.popularity)
    return Events(
        kind=np.full(count, IMPRESSION),
        when=np.sort(instants(rng, settings, count)),
        user=user,
        ad=ad,
        position=pick(rng, ads.positions[ad]),
        device=pick(rng, users.devices[user]),
        shown=np.arange(count),
        amount=np.full(count, np.nan),
        cost=np.full(count, np.nan),
    )


def make_clicks(
    rng: Generator, users: Users, ads: Ads, campaigns: Campaigns, shown: Events
) -> Events:
    """Some seconds behind the impression; the campaign pays for each."""
    clicks = shown.take(
        np.flatnonzero(rng.random(len(shown.when)) < click_chance(users, ads, shown))
    )
    count = len(clicks.when)
    clicks.kind = np.full(count, CLICK)
    clicks.when = clicks.when + 500_000 + rng.exponential(20e6, count).astype(np.int64)
    clicks.cost = campaigns.click_cost[ads.campaign[clicks.ad]]
    return clicks


def make_conversions(
    rng: Generator, users: Users, ads: Ads, campaigns: Campaigns, clicks: Events
) -> Events:
    """Conversions within hours of their clicks, each with its transaction."""
    bought = clicks.take(
        np.flatnonzero(rng.random(len(clicks.when)) < users.conversion[clicks.user])
    )
    count = len(bought.when)
    bought.when = bought.when + 1_000_000 + rng.exponential(2 * HOUR, count).astype(np.int64)
    bought.kind, bought.cost = np.full(count, CONVERSION), np.full(count, np.nan)
    paid = bought.take(np.arange(count))
    lift = campaigns.basket_lift[ads.campaign[paid.ad]]
    paid.kind = np.full(count, TRANSACTION)
    paid.when = paid.when + 1
    paid.amount = np.round(rng.lognormal(np.log(users.basket[paid.user]), 0.5) * lift, 2)
    return Events.together(bought, paid)


def make_purchases(rng: Generator, users: Users, settings: Settings) -> Events:
    """Purchases without an ad: each user's rate halves in every half-life from a first day on."""
    count = rng.poisson(users.purchases)
    user = np.repeat(np.arange(settings.users), count)
    age = rng.exponential(settings.half_life / np.log(2), len(user))
    day = users.begins[user] + age
    user, day = user[day < settings.days], day[day < settings.days]
    nothing = np.full(len(user), NONE)
    return Events(
        kind=np.full(len(user), TRANSACTION),
        when=settings.begin + (day * DAY).astype(np.int64),
        user=user,
        ad=nothing,
        position=nothing,
        device=pick(rng, users.devices[user]),
        shown=nothing,
        amount=np.round(rng.lognormal(np.log(users.basket[user]), 0.5), 2),
        cost=np.full(len(user), np.nan),
    )


def make_sessions(rng: Generator, users: Users, settings: Settings) -> dict[str, np.ndarray]:
    """Visits: how long, how many pages, on how many of them the user did something."""
    count = settings.impressions // 4 + 1
    user = rng.choice(settings.users, count, p=users.activity)
    pages = 1 + rng.poisson(users.pages[user] - 1)
    return {
        "user": user,
        "when": np.sort(instants(rng, settings, count)),
        "device": pick(rng, users.devices[user]),
        "seconds": np.round(rng.lognormal(np.log(users.seconds[user]), 0.6), 1),
        "pages": pages,
        "interactions": rng.binomial(pages, users.interaction[user]),
    }
