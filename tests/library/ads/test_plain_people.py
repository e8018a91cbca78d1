"""Value, devices, seasons, and who fits to what, against plain Python from their formulas."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter

import polars as pl
import pytest

from .project import trained
from .test_plain import LATER, TIMES, USERS, compare


def transactions(log, user, at, days):
    mine = log.window(at, days).filter(
        pl.col("user_id") == user, pl.col("event_type") == "transaction"
    )
    return [
        ((at - when).total_seconds() / 86_400, amount)
        for when, amount in mine.select("event_time", "amount").iter_rows()
    ]


def expected_spend(log, user, at):
    return math.fsum(0.5 ** (age / 60) * amount for age, amount in transactions(log, user, at, 365))


def test_spend_fades_with_its_half_life(store, log):
    compare(
        store,
        ["user_spend_365d"],
        "user_id",
        USERS,
        lambda _, user, at: expected_spend(log, user, at),
    )


def test_lifetime_value_is_spend_by_engagement(store, log):
    spine = {"user_id": USERS * len(TIMES), "at": [at + LATER for at in TIMES for _ in USERS]}
    found = trained(store, ["user_engagement_score_30d", "user_ltv"], spine).to_dicts()
    for row in found:
        at = row["event_timestamp"].replace(hour=0, minute=0)
        spend = expected_spend(log, row["user_id"], at)
        factor = 0.5 + row["user_engagement_score_30d"]
        assert row["user_ltv"] == pytest.approx(spend * factor, rel=1e-12)


def test_devices(store, log):
    def expected(name, user, at):
        mine = log.window(at, 30).filter(pl.col("user_id") == user)["device"].drop_nulls()
        if mine.is_empty():
            return None
        count = Counter(mine.to_list())
        device = min(count, key=lambda one: (-count[one], one))
        return count[device] / len(mine) if name.endswith("share") else device

    base = "user_device_preference_30d"
    given, rows = {"user_id": [], "at": []}, []
    for user in USERS:
        for at in TIMES:
            given["user_id"].append(user)
            given["at"].append(at + LATER)
            rows.append((user, at))
    found = trained(store, [base, f"{base}_share"], given)
    for name in (base, f"{base}_share"):
        assert found[name].to_list() == [expected(name, *row) for row in rows]


def test_seasons(store, log):
    at = TIMES[2]
    known = log.known(at).filter(
        pl.col("event_type") == "impression", pl.col("event_time").dt.date() < at.date()
    )
    days = Counter(known["event_time"].dt.date().to_list())
    mean = sum(days.values()) / len(days)

    def drawn(mine, towards):
        return (sum(mine) / mean + 7 * towards) / (len(mine) + 7)

    month = drawn([n for day, n in days.items() if day.month == at.month], 1.0)
    week = at.isocalendar().week
    factor = drawn([n for day, n in days.items() if day.isocalendar().week == week], month)
    found = trained(store, ["seasonal_factor", "seasonal_factor_month"], {"at": [at + LATER]})
    assert found.row(0)[1:] == pytest.approx((factor, month), rel=1e-12)


def test_a_campaign_is_a_struct_of_its_figures(store):
    names = [f"campaign_performance_30d{part}" for part in ("", "_ctr", "_cvr", "_roas")]
    spine = {"campaign_id": ["c0", "none"], "at": TIMES[1] + LATER}
    found = trained(store, [*names, "campaign_quality_score_30d"], spine)
    for row in found.to_dicts():
        assert row[names[0]] == {
            "ctr": row[names[1]],
            "cvr": row[names[2]],
            "roas": row[names[3]],
            "quality_score": row["campaign_quality_score_30d"],
        }


@pytest.fixture(scope="module")
def tables(folder):
    names = ("profiles", "campaigns", "ads")
    return {name: pl.read_parquet(folder / "data" / f"{name}.parquet").to_dicts() for name in names}


def test_users_against_targets(store, tables):
    pairs = [
        (user, campaign) for user in tables["profiles"][:40] for campaign in tables["campaigns"]
    ]
    spine = {
        "user_id": [user["user_id"] for user, _ in pairs],
        "campaign_id": [campaign["campaign_id"] for _, campaign in pairs],
        "at": TIMES[0],
    }
    found = trained(store, ["audience_similarity"], spine)
    for (user, campaign), row in zip(pairs, found.to_dicts(), strict=True):
        ages, incomes = campaign["target_ages"], campaign["target_incomes"]
        common = set(user["interests"]) & set(campaign["target_interests"])
        fit = (
            (not ages or user["age_band"] in ages)
            + (not incomes or user["income_level"] in incomes)
            + len(common) / len(user["interests"])
        ) / 3
        assert row["audience_similarity"] == pytest.approx(fit, rel=1e-12)


def test_users_against_keywords(store, tables):
    pairs = [(user, ad) for user in tables["profiles"][:20] for ad in tables["ads"]]
    spine = {
        "user_id": [user["user_id"] for user, _ in pairs],
        "ad_id": [ad["ad_id"] for _, ad in pairs],
        "at": TIMES[0],
    }
    found = trained(store, ["keyword_relevance"], spine)
    for (user, ad), row in zip(pairs, found.to_dicts(), strict=True):
        words = set(ad["keywords"])
        exact = len(words & set(user["interests"])) / len(words)
        assert row["keyword_relevance"] == pytest.approx(exact, rel=1e-12)


def test_who_is_not_known_has_no_fit(store):
    spine = {"user_id": ["nobody", "u1"], "campaign_id": ["c0", "none"], "at": TIMES[0]}
    found = trained(store, ["audience_similarity"], spine)
    assert found["audience_similarity"].to_list() == [None, None]


def test_nothing_is_known_before_it_is(store):
    before = TIMES[0] - dt.timedelta(days=200)
    found = trained(
        store, ["keyword_relevance"], {"user_id": ["u1"], "ad_id": ["a1"], "at": before}
    )
    assert found["keyword_relevance"].to_list() == [None]
