"""The library over the real log, against plain Python: rates, smoothing, quality, hours, parity."""

from __future__ import annotations

import datetime as dt
import math
import shutil
from collections import Counter

import polars as pl
import pytest

from .project import EXAMPLES, copy_example, day, open_example, trained

TICK = day("2019-11-30")
AT = TICK + dt.timedelta(hours=10)
SEGMENT = [f"user_feature_{n}" for n in range(4)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = copy_example(tmp_path_factory.mktemp("real") / "ads", "ads")
    shutil.copytree(EXAMPLES / "ads" / "data", root / "data")
    store = open_example(root)
    yield store
    store.close()


@pytest.fixture(scope="module")
def rows():
    """What was known at the tick: impressions at once, clicks half an hour later."""
    events = pl.read_parquet(EXAMPLES / "ads" / "data" / "events.parquet")
    known = events.filter(pl.col("available_at") <= TICK, pl.col("event_time") < TICK)
    return known.to_dicts()


def counts(rows, key, kind, since=TICK - dt.timedelta(days=7)):
    return Counter(
        key(row) for row in rows if row["event_type"] == kind and row["event_time"] >= since
    )


def moments(groups):
    """Mean and strength by Kleinman's formula, from pairs of trials and successes."""
    groups = [(n, k) for n, k in groups if n]
    total, mean = sum(n for n, _ in groups), sum(k for _, k in groups) / sum(n for n, _ in groups)
    spread = math.fsum(n * (k / n - mean) ** 2 for n, k in groups)
    chance, more = mean * (1 - mean), len(groups) - 1
    size = total - sum(n * n for n, _ in groups) / total
    within = (spread - chance * more) / (chance * (size - more))
    return mean, min(max(1 / within - 1, 1.0), 1000.0) if within > 0 else 1000.0


def learned(rows, key):
    def daily(row):
        return key(row), row["event_time"].date()

    shown, clicked = counts(rows, daily, "impression"), counts(rows, daily, "click")
    return moments([(shown[group], clicked[group]) for group in shown | clicked])


def test_segments(store, rows):
    def key(row):
        return tuple(row[name] for name in SEGMENT)

    mean, strength = learned(rows, key)
    shown, clicked = counts(rows, key, "impression"), counts(rows, key, "click")
    segments = sorted(shown)
    spine = {name: [one[place] for one in segments] for place, name in enumerate(SEGMENT)}
    found = trained(store, ["segment_ctr_7d", "segment_ctr_7d_smoothed"], {**spine, "at": AT})
    for one, row in zip(segments, found.to_dicts(), strict=True):
        assert row["segment_ctr_7d"] == clicked[one] / shown[one]
        smooth = (clicked[one] + mean * strength) / (shown[one] + strength)
        assert row["segment_ctr_7d_smoothed"] == pytest.approx(smooth, rel=1e-9)


def test_quality_of_items_in_their_campaign(store, rows):
    def item(row):
        return row["campaign"], row["item_id"]

    def place(row):
        return row["campaign"], row["position"]

    def both(row):
        return (*item(row), row["position"])

    mean, strength = learned(rows, item)
    shown, clicked = counts(rows, place, "impression"), counts(rows, place, "click")
    mine, won = counts(rows, both, "impression"), counts(rows, item, "click")
    items = sorted(counts(rows, item, "impression"))
    spine = {"campaign": [one for one, _ in items], "item_id": [one for _, one in items]}
    found = trained(store, ["item_quality_score_7d"], {**spine, "at": AT})
    for (campaign, number), score in zip(items, found["item_quality_score_7d"], strict=True):
        hoped = sum(
            mine[campaign, number, at] * clicked[campaign, at] / shown[campaign, at]
            for at in (1, 2, 3)
        )
        weight = mean * strength
        relative = (won[campaign, number] + weight) / (hoped + weight)
        assert score == pytest.approx(1 + 9 * relative / (1 + relative), rel=1e-9)


def test_hours_of_tokyo(store, rows):
    def hour(row):
        return (row["event_time"] + dt.timedelta(hours=9)).hour

    active = counts(rows, hour, "impression")
    found = trained(store, ["time_of_day_factor"], {"at": [AT]})["time_of_day_factor"][0]
    assert found == pytest.approx(24 * active[19] / active.total(), rel=1e-12)


def test_smoothing_says_more_of_the_next_day_than_the_raw_rate(store):
    """By the logarithmic score of the impressions of the last day, segment by segment."""
    events = pl.read_parquet(EXAMPLES / "ads" / "data" / "events.parquet")
    last = events.filter(pl.col("event_time") >= TICK)
    shown = last.filter(pl.col("event_type") == "impression").group_by(SEGMENT).len("n")
    clicked = last.filter(pl.col("event_type") == "click").group_by(SEGMENT).len("k")
    next_day = shown.join(clicked, on=SEGMENT, how="left").with_columns(pl.col("k").fill_null(0))
    names = ["segment_ctr_7d", "segment_ctr_7d_smoothed"]
    found = trained(store, names, {name: next_day[name].to_list() for name in SEGMENT} | {"at": AT})

    def score(rates):
        rates = [min(max(rate or 0.0, 1e-4), 1 - 1e-4) for rate in rates]
        triples = zip(rates, next_day["n"], next_day["k"], strict=True)
        return sum(k * math.log(p) + (n - k) * math.log(1 - p) for p, n, k in triples)

    raw, smooth = (score(found[name].to_list()) for name in names)
    assert smooth > raw
