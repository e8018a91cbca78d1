"""How near the features come to the truth that the log was drawn from."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from .example import Settings, write
from .project import copy_example, day, open_example, trained

AT = day("2023-05-30T12:00:00")


def beside_truth(store, log, whose, names):
    """Features of everybody, beside the true values."""
    truth = log.truth[f"{whose}s"].rename({"ctr": "true"})
    key = f"{whose}_id"
    found = trained(store, names, {key: truth[key].to_list(), "at": AT})
    return found.join(truth, on=key, maintain_order="left")


def error(found, name):
    return float((found[name] - found["true"]).pow(2).mean() ** 0.5)


@pytest.mark.parametrize(("whose", "part"), [("user", 0.4), ("ad", 0.85)])
def test_a_smoothed_rate_is_nearer_to_the_truth_than_a_raw_one(store, log, whose, part):
    """The fewer impressions, the more: an ad has many times those of a user."""
    name = f"{whose}_ctr_30d"
    found = beside_truth(store, log, whose, [name, f"{name}_smoothed"]).drop_nulls(name)
    raw, smooth = error(found, name), error(found, f"{name}_smoothed")
    assert smooth < part * raw, (raw, smooth)


def test_one_of_one_is_no_rate_of_one(store, log):
    found = beside_truth(store, log, "user", ["user_cvr_90d", "user_cvr_90d_smoothed"])
    sure = found.filter(pl.col("user_cvr_90d") == 1)
    assert sure.height > 0
    assert sure["user_cvr_90d_smoothed"].max() < 0.4


@pytest.mark.parametrize("whose", ["user", "ad"])
def test_nearly_all_true_rates_are_in_their_interval(store, log, whose):
    names = [f"{whose}_ctr_30d_low", f"{whose}_ctr_30d_high"]
    found = beside_truth(store, log, whose, names)
    inside = (found[names[0]] <= found["true"]) & (found["true"] <= found[names[1]])
    assert 0.85 < inside.mean() <= 1.0


def test_the_prior_is_that_of_the_true_rates(store, log):
    found = trained(store, ["ad_ctr_prior_mean", "ad_ctr_prior_strength"], {"at": [AT]})
    true = log.truth["ads"]["ctr"]
    strength = true.mean() * (1 - true.mean()) / true.var() - 1
    assert found["ad_ctr_prior_mean"][0] == pytest.approx(true.mean(), rel=0.2)
    assert strength / 3 < found["ad_ctr_prior_strength"][0] < 3 * strength


def test_the_quality_score_knows_better_than_the_rate_which_ads_are_good(store, log):
    """Ads at the top are clicked more, whatever they are worth."""
    names = ["ad_ctr_30d_smoothed", "ad_quality_score_30d"]
    truth = log.truth["ads"]
    times = [AT - dt.timedelta(days=30 * month) for month in range(4)]
    spine = {"ad_id": truth["ad_id"].to_list() * 4, "at": [at for at in times for _ in range(60)]}
    found = trained(store, names, spine).join(truth, on="ad_id", maintain_order="left")
    assert found["ad_quality_score_30d"].is_between(1, 10).all()
    by_rate, by_score = (
        float(found.select(pl.corr(name, "quality", method="spearman")).item()) for name in names
    )
    assert by_score > by_rate + 0.02
    assert by_score > 0.5


def test_hours(store, log):
    times = [AT.replace(hour=hour) for hour in range(24)]
    found = trained(store, ["time_of_day_factor"], {"at": times})["time_of_day_factor"]
    assert found.mean() == pytest.approx(1.0)
    assert np.corrcoef(found, log.truth["hours"]["activity"])[0, 1] > 0.98


def test_impression_shares(store, log):
    truth = log.truth["categories"]
    name = "category_competitor_pressure_7d"
    found = trained(store, [name], {"category": truth["category"].to_list(), "at": AT})
    assert found[name].to_list() == pytest.approx(
        (1 - truth["impression_share"]).to_list(), abs=0.08
    )


def test_engagement_is_what_users_do(store, log):
    found = beside_truth(store, log, "user", ["user_sessions_30d_interaction"])
    known = found.drop_nulls("user_sessions_30d_interaction")
    told = pl.corr("user_sessions_30d_interaction", "interaction", method="spearman")
    assert float(known.select(told).item()) > 0.7


def test_incomes(store, log):
    names = [f"ctr_lift_income_level_{level}" for level in ("low", "middle", "high")]
    found = trained(store, names, {"at": [AT]}).row(0)[1:]
    assert found[0] < found[1] < found[2]


def test_lifetime_value_knows_who_will_buy(store, log):
    """Nearer to what users will truly spend than all that they have spent."""
    truth = log.truth["users"]
    found = trained(store, ["user_ltv"], {"user_id": truth["user_id"].to_list(), "at": AT})
    before = log.window(AT, 365).filter(pl.col("event_type") == "transaction")
    total = before.group_by("user_id").agg(total=pl.col("amount").sum())
    passed = (AT - day("2023-01-02")).total_seconds() / 86_400 - pl.col("begins_on_day")
    left = pl.when(passed > 0).then(0.5 ** (passed / 60)).otherwise(1.0)
    joined = (
        found.join(truth, on="user_id")
        .join(total, on="user_id", how="left")
        .fill_null(0)
        .with_columns(future=pl.col("purchases") * pl.col("basket") * left)
    )
    by_ltv, by_total = (
        float(joined.select(pl.corr(name, "future", method="spearman")).item())
        for name in ("user_ltv", "total")
    )
    assert by_ltv > by_total + 0.02
    assert by_ltv > 0.4


def test_devices(store, log):
    base = "user_device_preference_30d"
    found = beside_truth(store, log, "user", [base, f"{base}_share"]).drop_nulls(base)
    right = [row[f"share_{row[base]}"] for row in found.to_dicts()]
    assert np.corrcoef(right, found[f"{base}_share"])[0, 1] > 0.6
    assert np.mean(right) > 0.6


def test_seasons(tmp_path_factory):
    """Over two years of a log the factor follows the days' true weights."""
    root = copy_example(tmp_path_factory.mktemp("seasons") / "ads_log")
    settings = Settings(users=50, ads=20, impressions=60_000, days=740, seed=3)
    write(root / "data", settings)
    store = open_example(root)
    weights = dict(zip(settings.dates, settings.day_weights(), strict=True))
    middays = [day(f"2024-{month:02}-15T12:00:00") for month in range(2, 13)]
    found = trained(store, ["seasonal_factor"], {"at": [*middays, day("2024-11-28T12:00:00")]})
    store.close()
    true = [np.mean([w for one, w in weights.items() if one.month == at.month]) for at in middays]
    factors = found["seasonal_factor"].to_list()
    assert np.corrcoef(factors[:-1], true)[0, 1] > 0.9
    assert factors[-1] > 1.3, "the sales of late November are more than November"
