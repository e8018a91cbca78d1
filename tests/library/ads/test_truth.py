"""How near the features come to the truth that the log was drawn from."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from .project import day, trained

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
    found = beside_truth(store, log, "ad", names)
    by_rate, by_score = (
        float(found.select(pl.corr(name, "quality", method="spearman")).item()) for name in names
    )
    assert by_score > by_rate
    assert by_score > 0.6
    assert found["ad_quality_score_30d"].is_between(1, 10).all()


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
