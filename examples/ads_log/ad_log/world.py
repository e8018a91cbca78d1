"""Users, campaigns and ads: who they are, and what they would do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ad_log.settings import (
    AGE_SHARE,
    CATEGORIES,
    CLICKS,
    CONVERSIONS,
    DEVICE_SHARE,
    DIMENSIONS,
    INCOME_SHARE,
    INTERESTS,
    POSITION_LIFT,
    Settings,
)

Generator = np.random.Generator


@dataclass(frozen=True)
class Users:
    """One row a user; shares and rates are the truth."""

    age: np.ndarray
    income: np.ndarray
    interests: np.ndarray
    embedding: np.ndarray
    activity: np.ndarray
    devices: np.ndarray
    click_lift: np.ndarray
    conversion: np.ndarray
    purchases: np.ndarray
    basket: np.ndarray
    begins: np.ndarray
    seconds: np.ndarray
    pages: np.ndarray
    interaction: np.ndarray


@dataclass(frozen=True)
class Campaigns:
    """One row a campaign."""

    category: np.ndarray
    interests: np.ndarray
    embedding: np.ndarray
    ages: np.ndarray
    incomes: np.ndarray
    click_cost: np.ndarray
    basket_lift: np.ndarray


@dataclass(frozen=True)
class Ads:
    """One row an ad; `ctr` is that of an average user at an average place and time."""

    campaign: np.ndarray
    popularity: np.ndarray
    ctr: np.ndarray
    positions: np.ndarray
    keywords: np.ndarray
    embedding: np.ndarray


def make_users(rng: Generator, topics: np.ndarray, settings: Settings) -> Users:
    count = settings.users
    interests = _topics(rng, count, 3)
    activity = rng.lognormal(0.0, 0.9, count)
    interaction = rng.beta(2.0, 5.0, count)
    return Users(
        age=rng.choice(len(AGE_SHARE), count, p=AGE_SHARE),
        income=rng.choice(len(INCOME_SHARE), count, p=INCOME_SHARE),
        interests=interests,
        embedding=_embedding(rng, topics[interests].sum(axis=1)),
        activity=activity / activity.sum(),
        devices=rng.dirichlet(6 * DEVICE_SHARE, count),
        click_lift=rng.gamma(4.0, 0.25, count),
        conversion=rng.beta(*CONVERSIONS, count),
        purchases=rng.gamma(0.8, 2.0, count) * interaction * 3.5,
        basket=rng.lognormal(3.4, 0.4, count),
        begins=rng.uniform(0, 0.8 * settings.days, count),
        seconds=rng.lognormal(4.8, 0.5, count),
        pages=1 + rng.gamma(3.0, 1.2, count),
        interaction=interaction,
    )


def make_campaigns(rng: Generator, topics: np.ndarray, settings: Settings) -> Campaigns:
    count = settings.campaigns
    interests = _topics(rng, count, 4)
    return Campaigns(
        category=np.arange(count) % len(CATEGORIES),
        interests=interests,
        embedding=_embedding(rng, topics[interests].sum(axis=1)),
        ages=rng.random((count, len(AGE_SHARE))) < 0.5,
        incomes=rng.random((count, len(INCOME_SHARE))) < 0.6,
        click_cost=np.round(rng.uniform(0.2, 1.5, count), 2),
        basket_lift=rng.lognormal(0.0, 0.3, count),
    )


def make_ads(rng: Generator, topics: np.ndarray, campaigns: Campaigns, settings: Settings) -> Ads:
    """Popular ads are few; how good an ad is and where it stands have nothing to do with it."""
    count = settings.ads
    campaign = np.arange(count) % settings.campaigns
    keywords = campaigns.interests[campaign].copy()
    keywords[:, 3] = rng.integers(0, INTERESTS, count)
    popularity = rng.permutation((1.0 + np.arange(count)) ** -0.8)
    return Ads(
        campaign=campaign,
        popularity=popularity / popularity.sum(),
        ctr=rng.beta(*CLICKS, count),
        positions=rng.dirichlet(np.full(len(POSITION_LIFT), 0.6), count),
        keywords=keywords,
        embedding=_embedding(rng, topics[keywords].sum(axis=1)),
    )


def make_topics(rng: Generator) -> np.ndarray:
    return _embedding(rng, rng.standard_normal((INTERESTS, DIMENSIONS)), noise=0.0)


def pick(rng: Generator, shares: np.ndarray) -> np.ndarray:
    """One place of each row, by the row's shares."""
    edges = np.cumsum(shares, axis=1)
    places = (rng.random(len(shares))[:, None] > edges).sum(axis=1)
    return np.asarray(np.minimum(places, shares.shape[1] - 1))


def _topics(rng: Generator, count: int, number: int) -> np.ndarray:
    """Different topics for each row, ascending."""
    order = np.argsort(rng.random((count, INTERESTS)), axis=1)
    return np.asarray(np.sort(order[:, :number], axis=1))


def _embedding(rng: Generator, mean: np.ndarray, noise: float = 0.3) -> np.ndarray:
    rough = mean + noise * rng.standard_normal(mean.shape)
    return np.asarray(rough / np.linalg.norm(rough, axis=1, keepdims=True), dtype=np.float32)
