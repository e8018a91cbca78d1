"""Each feature over the log against plain polars, straight from its formula."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest

from .project import day, trained
from .reading import number, ratio

TIMES = [day("2023-03-20"), day("2023-04-17"), day("2023-05-28")]
USERS = [f"u{n}" for n in (0, 1, 2, 3, 50, 123, 299)] + ["nobody"]
ADS = [f"a{n}" for n in (0, 7, 21, 59)] + ["none"]
CAMPAIGNS = ["c0", "c5", "c11", "none"]
CATEGORIES = ["fashion", "food", "autos", "none"]
LATER = dt.timedelta(hours=13, minutes=30)
"""Rows are read in the middle of a day; the tick is its beginning."""


def spine(key, values):
    rows = [(value, at) for value in values for at in TIMES]
    return {key: [value for value, _ in rows], "at": [at + LATER for _, at in rows]}, rows


def compare(store, names, key, values, expected):
    given, rows = spine(key, values)
    found = trained(store, names, given)
    for name in names:
        for value, (one, at) in zip(found[name].to_list(), rows, strict=True):
            wanted = expected(name, one, at)
            close = wanted if wanted is None else pytest.approx(wanted, rel=1e-12, abs=1e-12)
            assert value == close, (name, one, at)


def test_users(store, log):
    def expected(name, user, at):
        days = int(name.rsplit("_", 1)[1].removesuffix("d")) if name.endswith("d") else 30
        mine = log.window(at, days).filter(pl.col("user_id") == user)
        clicks, shown = number(mine, "click"), number(mine, "impression")
        match name:
            case "user_ctr_30d":
                return ratio(clicks, shown)
            case "user_cvr_90d":
                return ratio(number(mine, "conversion"), clicks)
            case "user_recency_90d":
                last = mine["event_time"].max()
                return None if last is None else (at - last).total_seconds() / 86_400
            case "user_frequency_30d":
                return mine["event_time"].dt.date().n_unique()
            case _:
                amounts = mine.filter(pl.col("event_type") == "transaction")["amount"]
                return math.fsum(amounts.to_list())

    names = ["user_ctr_30d", "user_cvr_90d", "user_recency_90d", "user_frequency_30d"]
    compare(store, [*names, "user_monetary_30d"], "user_id", USERS, expected)


def test_the_smoothed_rate_is_the_mean_of_the_posterior(store, log):
    names = ["user_ctr_prior_mean", "user_ctr_prior_strength"]
    learned = trained(store, names, {"at": [at + LATER for at in TIMES]}).to_dicts()
    priors = dict(zip(TIMES, learned, strict=True))

    def expected(name, user, at):
        mine = log.window(at, 30).filter(pl.col("user_id") == user)
        mean, strength = (priors[at][name] for name in names)
        won = number(mine, "click") + mean * strength
        lost = number(mine, "impression") - number(mine, "click") + (1 - mean) * strength
        half = 1.96 * math.sqrt(1 / won + 1 / lost)
        log_odds = math.log(won / lost)
        ends = {"low": log_odds - half, "high": log_odds + half, "smoothed": log_odds}
        return 1 / (1 + math.exp(-ends[name.rsplit("_", 1)[1]]))

    names_of_rate = [f"user_ctr_30d_{line}" for line in ("smoothed", "low", "high")]
    compare(store, names_of_rate, "user_id", USERS, expected)


def months(log, at, by, trial, success):
    """Trials and successes of each group and month that began in the 90 days before a time."""
    since = at - dt.timedelta(days=90)
    rows = log.known(at).with_columns(month=pl.col("event_time").dt.truncate("1mo"))
    rows = rows.filter(pl.col("month") >= since, pl.col(by).is_not_null())
    return rows.group_by(by, "month").agg(
        n=(pl.col("event_type") == trial).sum(), k=(pl.col("event_type") == success).sum()
    )


@pytest.mark.parametrize(
    ("name", "by", "trial", "success"),
    [
        ("ad_ctr_prior", "ad_id", "impression", "click"),
        ("user_ctr_prior", "user_id", "impression", "click"),
        ("user_cvr_prior", "user_id", "click", "conversion"),
    ],
)
def test_the_prior_is_that_of_the_method_of_moments(store, log, name, by, trial, success):
    """Kleinman's formula in its own form: squared deviations from the mean, weighed by size."""
    found = trained(
        store, [f"{name}_mean", f"{name}_strength"], {"at": [at + LATER for at in TIMES]}
    )
    for row, at in zip(found.to_dicts(), TIMES, strict=True):
        groups = months(log, at, by, trial, success).filter(pl.col("n") > 0)
        n, k = groups["n"].to_list(), groups["k"].to_list()
        total, mean, count = sum(n), sum(k) / sum(n), len(n)
        spread = math.fsum(a * (b / a - mean) ** 2 for a, b in zip(n, k, strict=True))
        chance = mean * (1 - mean)
        size = total - sum(a * a for a in n) / total
        within = (spread - chance * (count - 1)) / (chance * (size - (count - 1)))
        strength = min(max(1 / within - 1, 1.0), 1000.0) if within > 0 else 1000.0
        assert row[f"{name}_mean"] == pytest.approx(mean, rel=1e-12)
        assert row[f"{name}_strength"] == pytest.approx(strength, rel=1e-6)


def test_visits(store, log):
    def usual(at):
        every = log.visits(at, 30)
        return every["duration_s"].mean(), every["page_views"].mean()

    def expected(name, user, at):
        mine = log.visits(at, 30).filter(pl.col("user_id") == user)
        if not mine.height:
            return 0.0
        seconds, pages = usual(at)
        mine_seconds, mine_pages = mine["duration_s"].mean(), mine["page_views"].mean()
        active = mine["started_at"].dt.date().n_unique()
        parts = (
            (0.3, mine_seconds / (mine_seconds + seconds)),
            (0.2, mine_pages / (mine_pages + pages)),
            (0.3, mine["interactions"].sum() / mine["page_views"].sum()),
            (0.2, min(active / 8, 1.0)),
        )
        return sum(weight * part for weight, part in parts)

    compare(store, ["user_engagement_score_30d"], "user_id", USERS, expected)


def places(rows):
    shown = [rows.filter(pl.col("position") == place) for place in (1, 2, 3, 4)]
    return [(number(part, "impression"), number(part, "click")) for part in shown]


@pytest.mark.parametrize(("of", "values"), [("ad", ADS), ("campaign", CAMPAIGNS)])
def test_quality(store, log, of, values):
    names = ["ad_ctr_prior_mean", "ad_ctr_prior_strength"]
    learned = trained(store, names, {"at": [at + LATER for at in TIMES]})
    weights = dict(zip(TIMES, (learned[names[0]] * learned[names[1]]).to_list(), strict=True))

    def expected(name, key, at):
        rates = [clicks / shown for shown, clicks in places(log.window(at, 28))]
        mine = places(log.window(at, 30).filter(pl.col(f"{of}_id") == key))
        hoped = sum(shown * rate for (shown, _), rate in zip(mine, rates, strict=True))
        relative = (sum(clicks for _, clicks in mine) + weights[at]) / (hoped + weights[at])
        return relative if name.endswith("relative") else 1 + 9 * relative / (1 + relative)

    base = f"{of}_quality_score_30d"
    compare(store, [base, f"{base}_relative"], f"{of}_id", values, expected)


def test_campaigns(store, log):
    def expected(name, campaign, at):
        mine = log.window(at, 30).filter(pl.col("campaign_id") == campaign)
        clicks = number(mine, "click")
        if name.endswith("ctr"):
            return ratio(clicks, number(mine, "impression"))
        if name.endswith("cvr"):
            return ratio(number(mine, "conversion"), clicks)
        amounts = mine.filter(pl.col("event_type") == "transaction")["amount"]
        return ratio(math.fsum(amounts), math.fsum(mine["cost"].drop_nulls()))

    names = [f"campaign_performance_30d_{part}" for part in ("ctr", "cvr", "roas")]
    compare(store, names, "campaign_id", CAMPAIGNS, expected)


def test_competitors(store, log):
    def expected(name, category, at):
        tick = at + dt.timedelta(hours=4)
        mine = log.auctions.filter(
            (pl.col("category") == category)
            & (pl.col("day_end") <= at)
            & (pl.col("day_end") > at - dt.timedelta(days=7))
            & (pl.col("reported_at") <= tick)
        )
        share = ratio(mine["won"].sum(), mine["auctions"].sum())
        if share is None:
            return None
        return 1 / share if name.endswith("density") else 1 - share

    base = "category_competitor_pressure_7d"
    compare(store, [base, f"{base}_density"], "category", CATEGORIES, expected)


def test_hours(store, log):
    at = TIMES[1]
    known = log.known(at).filter(pl.col("event_type") == "impression")
    since = at - dt.timedelta(days=28)
    hours = known.filter(pl.col("event_time") >= since)["event_time"].dt.hour()
    for hour in (0, 9, 21):
        when = at + dt.timedelta(hours=hour, minutes=59)
        found = trained(store, ["time_of_day_factor"], {"at": [when]})["time_of_day_factor"][0]
        assert found == pytest.approx(24 * (hours == hour).sum() / len(hours), rel=1e-12)


def test_a_rate_in_the_context_of_a_request(store, log):
    at = TIMES[2]
    rows = log.window(at, 28)
    overall = number(rows, "click") / number(rows, "impression")

    def lift(condition):
        mine = rows.filter(condition)
        return (number(mine, "click") + 20) / (number(mine, "impression") * overall + 20)

    request = {"device": ["mobile", "watch"], "income_level": ["high", None], "hour": [20, 20]}
    names = ["user_ctr_30d_smoothed", "user_ctr_30d_smoothed_in_context"]
    found = trained(store, names, {"user_id": ["u3", "u3"], **request, "at": [at + LATER] * 2})
    plain = found[names[0]][0]
    evening = lift(pl.col("event_time").dt.hour() == 20)
    mobile, high = lift(pl.col("device") == "mobile"), lift(pl.col("income_level") == "high")
    assert found[names[1]].to_list() == pytest.approx(
        [plain * mobile * high * evening, plain * evening]
    )


def test_rows_that_no_feature_counts(store, log):
    at = TIMES[0]
    names = [f"ad_log_{w}_1d" for w in ("unknown_kinds", "negative_amounts", "without_user")]
    found = trained(store, names, {"at": [at + LATER]})
    assert found.row(0)[1:] == (0, 0, 0)
