"""Logs as they should not be: each has its outcome, which docs/reference names."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from headwater import Entity, FeatureStore, FeatureView, Source
from headwater.errors import DefinitionError
from headwater.library import ads

from .project import day, trained

LOG = ads.Events()
USER = Entity("user", join_keys={"user_id": "string"})
AT = day("2024-02-01T12:00:00")
TYPES = {
    "event_id": pl.Int64,
    "event_type": pl.String,
    "event_time": pl.Datetime("us", "UTC"),
    "available_at": pl.Datetime("us", "UTC"),
    "user_id": pl.String,
    "ad_id": pl.String,
    "position": pl.Int64,
    "amount": pl.Float64,
    "cost": pl.Float64,
}
RATE = ads.user_ctr(LOG, "30d")
PRIOR = ads.beta_prior("90d", name="prior", least=1)
FEATURES = (*RATE, *ads.user_recency(LOG), *ads.user_frequency(LOG), *ads.user_monetary(LOG))


def event(number, kind="impression", user="a", days=1.0, late=0.0, **more):
    happened = AT - dt.timedelta(days=days)
    return {
        "event_id": number,
        "event_type": kind,
        "event_time": happened,
        "available_at": happened + dt.timedelta(days=late),
        "user_id": user,
        "ad_id": "x",
        "position": 1,
        **more,
    }


@pytest.fixture
def opened(tmp_path):
    """Makes a store over events; closes it in the end."""
    made = []

    def make(*events, **fields):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        (folder / "headwater.toml").write_text('project = "p"\n')
        pl.DataFrame(list(events), schema=TYPES).write_parquet(folder / "events.parquet")
        store = FeatureStore(folder)
        made.append(store)
        given = {"available_at": "available_at", "id": "event_id", **fields}
        source = Source("events", path="events.parquet", event_time="event_time", **given)
        trials = ads.trials("trials", source, LOG, by="user_id")
        daily = {"update_frequency": "daily"}
        store.apply(
            [
                FeatureView("u", entity=USER, source=source, features=FEATURES, **daily),
                FeatureView("prior", source=trials, features=PRIOR, **daily),
                FeatureView("log", source=source, features=ads.log_quality(LOG, "30d"), **daily),
                FeatureView("s", entity=USER, features=ads.smoothed(RATE, PRIOR)),
            ]
        )
        return store

    yield make
    for store in made:
        store.close()


def values(store, users=("a",)):
    names = sorted(store.analyzed().features())
    found = trained(store, names, {"user_id": list(users), "at": AT})
    return [{name: row[name] for name in names} for row in found.to_dicts()]


def test_a_kind_that_does_not_exist(opened):
    """It counts in no rate; the day is active, and the row is told of."""
    (found,) = values(opened(event(1), event(2, "clik")))
    assert found["user_ctr_30d_clicks"] == 0
    assert found["user_ctr_30d_impressions"] == 1
    assert found["user_frequency_30d"] == 1
    assert found["ad_log_unknown_kinds_30d"] == 1


def test_a_kind_that_is_null(opened):
    (found,) = values(opened(event(1), event(2, None)))
    assert found["user_ctr_30d_impressions"] == 1
    assert found["ad_log_unknown_kinds_30d"] == 1


def test_a_rule_tells_of_rows_that_count_nowhere(opened):
    store = opened(event(1, "clik"))
    (report,) = store.materialize("log", until=AT)
    failed = {rule.feature: rule.failed for rule in report.rules}
    assert failed["ad_log_unknown_kinds_30d"] == 1
    assert failed["ad_log_negative_amounts_30d"] == 0


def test_a_negative_amount_is_a_refund(opened):
    bought, refunded = event(1, "transaction", amount=30.0), event(2, "transaction", amount=-10.0)
    (found,) = values(opened(bought, refunded))
    assert found["user_monetary_30d"] == 20.0
    assert found["ad_log_negative_amounts_30d"] == 1


def test_an_amount_that_is_missing_adds_nothing(opened):
    (found,) = values(
        opened(event(1, "transaction", amount=None), event(2, "transaction", amount=5.0))
    )
    assert found["user_monetary_30d"] == 5.0


def test_an_empty_file(opened):
    (found,) = values(opened())
    nothing = {name: value for name, value in found.items() if value is not None}
    assert nothing == {
        "ad_log_negative_amounts_30d": 0,
        "ad_log_unknown_kinds_30d": 0,
        "ad_log_without_user_30d": 0,
        "user_ctr_30d_clicks": 0,
        "user_ctr_30d_impressions": 0,
        "user_frequency_30d": 0,
        "user_monetary_30d": 0.0,
    }


def test_a_user_that_is_null(opened):
    """A row of nobody counts for nobody, and is told of; nobody's features are null."""
    one, nobody = values(opened(event(1), event(2, user=None)), ("a", None))
    assert one["user_ctr_30d_impressions"] == 1
    assert one["ad_log_without_user_30d"] == 1
    assert {name for name, value in nobody.items() if value is not None} == {
        *("ad_log_negative_amounts_30d", "ad_log_unknown_kinds_30d", "ad_log_without_user_30d"),
        *("prior_mean", "prior_strength"),
    }


def test_one_row_only(opened):
    (found,) = values(opened(event(1, days=2)))
    assert found["user_ctr_30d"] == 0.0
    assert found["user_recency_90d"] == 1.5
    assert found["user_frequency_30d"] == 1
    assert (found["prior_mean"], found["prior_strength"]) == (0.0, 1000.0)
    assert found["user_ctr_30d_smoothed"] == 0.0
    assert found["user_ctr_30d_low"] is None


def test_a_prior_of_few_groups_is_null_unless_few_are_enough(opened):
    prior = ads.beta_prior("90d", name="careful")
    store = opened(event(1), event(2, "click"))
    trials = store.analyzed().sources["trials"]
    view = FeatureView("careful", source=trials, features=prior, update_frequency="daily")
    store.apply([view])
    found = trained(store, ["careful_mean", "careful_strength"], {"at": [AT]})
    assert found.row(0)[1:] == (None, None)


def test_a_window_longer_than_the_history(opened):
    """It holds what there is."""
    store = opened(event(1, days=10), event(2, "click", days=10))
    longer = FeatureView(
        "longer",
        entity=USER,
        source=store.analyzed().sources["events"],
        features=ads.user_ctr(LOG, "3650d"),
        update_frequency="daily",
    )
    store.apply([longer])
    found = trained(store, ["user_ctr_3650d"], {"user_id": ["a"], "at": AT})
    assert found["user_ctr_3650d"].to_list() == [1.0]


def test_an_unsorted_file(opened):
    rows = [
        event(n, kind, user, days)
        for n, (kind, user, days) in enumerate(
            [
                *(("impression", "a", 3), ("click", "a", 2), ("impression", "b", 5)),
                *(("transaction", "b", 1), ("impression", "a", 20)),
            ]
        )
    ]
    mixed = [rows[place] for place in (3, 0, 4, 2, 1)]
    assert values(opened(*rows), "ab") == values(opened(*mixed), "ab")


def test_rows_delivered_twice_count_once_where_they_have_an_id(opened):
    rows = event(1), event(2, "click"), event(2, "click"), event(1)
    (found,) = values(opened(*rows))
    assert (found["user_ctr_30d_clicks"], found["user_ctr_30d_impressions"]) == (1, 1)
    assert found["prior_mean"] == 1.0


def test_rows_delivered_twice_are_two_without_an_id(opened):
    """Then every row is a fact of its own (C3), for the prior too."""
    (found,) = values(opened(event(1), event(2, "click"), event(1), id=None))
    assert found["user_ctr_30d_impressions"] == 2
    assert found["prior_mean"] == 0.5


def test_a_null_id_is_a_fact_of_its_own(opened):
    (found,) = values(opened(event(None), event(None), event(3, "click")))
    assert found["user_ctr_30d_impressions"] == 2
    assert found["prior_mean"] == 0.5


def test_a_row_that_came_late_is_not_seen_before(opened):
    """The prior neither."""
    store = opened(event(1, days=9), event(2, "click", days=9, late=4))
    times = [AT - dt.timedelta(days=6), AT - dt.timedelta(days=3)]
    found = trained(store, ["user_ctr_30d", "prior_mean"], {"user_id": ["a", "a"], "at": times})
    assert found["user_ctr_30d"].to_list() == [0.0, 1.0]
    assert found["prior_mean"].to_list() == [0.0, 1.0]


def test_a_corrected_row_counts_as_it_was_known(opened):
    """A click that was none: a click until it was found out, in the prior too."""
    wrong = event(2, "invalid_click", days=9, late=4)
    store = opened(event(1, days=9), event(2, "click", days=9), wrong)
    times = [AT - dt.timedelta(days=6), AT - dt.timedelta(days=3)]
    found = trained(store, ["user_ctr_30d", "prior_mean"], {"user_id": ["a", "a"], "at": times})
    assert found["user_ctr_30d"].to_list() == [1.0, 0.0]
    assert found["prior_mean"].to_list() == [1.0, 0.0]


def test_a_click_before_the_window_of_its_impression(opened):
    """A click in the window without its impression: the smoothed rate stays within 0 and 1."""
    others = [event(10 + number, user="b") for number in range(9)]
    store = opened(event(1, days=31), event(2, "click"), event(3, "click"), event(4), *others)
    (found,) = values(store)
    assert found["user_ctr_30d"] == 2.0
    assert 0 < found["user_ctr_30d_low"] < found["user_ctr_30d_smoothed"] <= 1
    assert found["user_ctr_30d_high"] <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ads.user_ctr(LOG, "7 years"), "window: '7 years' is not a duration"),
        (lambda: ads.user_frequency(LOG, "lifetime"), "'lifetime' has no end"),
        (lambda: ads.smoothed(RATE, PRIOR, z=0), "smoothed: z should be above 0, is 0"),
        (lambda: ads.beta_prior(name="p", most=-1), "beta_prior: most should be above 0"),
        (lambda: ads.position_ctr(LOG, positions=()), "positions should be different numbers"),
        (lambda: ads.hour_activity(hours_east=99), "hours_east should be a whole number"),
        (lambda: ads.Lift(LOG, "device", values=()).features, "lift 'device': values should be"),
        (lambda: ads.Lift(LOG, "device", values="phone"), r"values is the text 'phone'; give a tu"),
        (lambda: ads.Events(ignored="bot"), r"ignored is the text 'bot'; give a tuple"),
        (lambda: ads.in_context(RATE[0], []), "in_context: lifts is empty"),
    ],
)
def test_parameters(make, message):
    with pytest.raises(DefinitionError, match=message):
        make()


def test_parts_of_the_score():
    visits, usual = ads.user_sessions(ads.Sessions()), ads.engagement_reference(ads.Sessions())
    with pytest.raises(DefinitionError, match="no part 'page'; did you mean 'pages'"):
        ads.user_engagement_score(visits, usual, weights={"page": 1})
    with pytest.raises(DefinitionError, match="should not be below 0"):
        ads.user_engagement_score(visits, usual, weights={"pages": -1})


def test_positions_that_do_not_fit():
    shown, reference = ads.exposure(LOG), ads.position_ctr(LOG, positions=(1, 2))
    with pytest.raises(DefinitionError, match="4 positions are shown and 2 have a reference"):
        ads.ad_quality_score(shown, reference, PRIOR)


def test_a_table_that_no_query_reads():
    lake = Source("lake", path="lake", event_time="event_time")
    with pytest.raises(DefinitionError, match="can't be counted by a query over a delta table"):
        ads.trials("t", lake, LOG, by="user_id")
