"""Advertising: rates of a real, sparse log of impressions and clicks (see data/README.md).

A click becomes known 30 minutes after its impression, so a rate at any time counts the impressions
until then and only the clicks that were known. Campaigns and slots have traffic for windows of
hours; items and segments need days, and their rates are drawn towards what is known of all: one
click in twenty impressions is no rate of 5 %.
"""

from headwater import Entity, Feature, FeatureService, FeatureView, Range, Source
from headwater.library import ads

campaign = Entity("campaign", join_keys={"campaign": "string"})
slot = Entity("slot", join_keys={"campaign": "string", "position": "int64"})
item = Entity("item", join_keys={"campaign": "string", "item_id": "int64"})
segment = Entity("segment", join_keys={f"user_feature_{n}": "string" for n in range(4)})

events = Source(
    "events",
    path="data/events.parquet",
    event_time="event_time",
    available_at="available_at",
    id="event_id",
    description="Impressions and clicks of the Open Bandit Dataset sample",
)
items = Source("items", path="data/items.parquet", event_time="valid_from")

log = ads.Events(ad="item_id")
POSITIONS = (1, 2, 3)
TOKYO = 9
NOT_NEGATIVE = (Range(min=0, is_blocking=True),)


def click_through(of: str, window: str) -> ads.Features:
    """The rate of one window, which a run refuses below 0, and its counts."""
    rate, *counts = ads.ctr(log, window, of=of)
    return (rate.model_copy(update={"validation_rules": NOT_NEGATIVE}), *counts)


# what is learned from all rows known at a midnight
segment_trials = ads.trials(
    "segment_trials",
    events,
    log,
    by="concat_ws('/', user_feature_0, user_feature_1, user_feature_2, user_feature_3)",
    per="day",
)
item_trials = ads.trials(
    "item_trials", events, log, by="concat_ws('/', campaign, item_id)", per="day"
)
impressions_an_hour = ads.activity("impressions_an_hour", events, log)
segment_prior = ads.beta_prior("7d", name="segment_ctr_prior")
item_prior = ads.beta_prior("7d", name="item_ctr_prior")
by_hour = ads.hour_activity("7d", hours_east=TOKYO)

segment_prior_view = FeatureView(
    "segment_prior",
    source=segment_trials,
    update_frequency="daily",
    features=segment_prior,
    owner="ads-team",
)
item_prior_view = FeatureView(
    "item_prior",
    source=item_trials,
    update_frequency="daily",
    features=item_prior,
    owner="ads-team",
)
hour_view = FeatureView(
    "hours_of_day",
    source=impressions_an_hour,
    update_frequency="daily",
    features=by_hour,
    owner="ads-team",
)
clock = FeatureView(
    "clock", features=ads.time_of_day_factor(by_hour, hours_east=TOKYO), owner="ads-team"
)

# by key, over the events
campaign_positions = ads.position_ctr(log, "7d", positions=POSITIONS, name="campaign_position_ctr")
shown = ads.exposure(log, "7d", of="item", positions=POSITIONS)
segment_rate = click_through("segment", "7d")
item_rate = click_through("item", "3d")

campaign_rates = FeatureView(
    "campaign_rates",
    entity=campaign,
    source=events,
    update_frequency="hourly",
    features=[*click_through("campaign", "6h"), *click_through("campaign", "24h")],
    owner="ads-team",
)
campaign_peers = FeatureView(
    "campaign_peers",
    entity=campaign,
    source=events,
    update_frequency="daily",
    features=campaign_positions,
    owner="ads-team",
)
slot_rates = FeatureView(
    "slot_rates",
    entity=slot,
    source=events,
    update_frequency="hourly",
    features=click_through("slot", "24h"),
    owner="ads-team",
)
item_rates = FeatureView(
    "item_rates",
    entity=item,
    source=events,
    update_frequency="daily",
    features=[
        *item_rate,
        *shown,
        Feature("item_mean_propensity_3d", "avg(propensity)", window="3d"),
    ],
    owner="ads-team",
)
segment_rates = FeatureView(
    "segment_rates",
    entity=segment,
    source=events,
    update_frequency="daily",
    features=segment_rate,
    owner="ads-team",
)
item_context = FeatureView(
    "item_context",
    entity=item,
    source=items,
    features=[Feature("item_feature_0"), Feature("item_category", "item_feature_1")],
    owner="ads-team",
)

# from the features of other views: smoothed rates, and items against their campaign
segment_scores = FeatureView(
    "segment_scores",
    entity=segment,
    features=ads.smoothed(segment_rate, segment_prior),
    owner="ads-team",
)
item_scores = FeatureView(
    "item_scores",
    entity=item,
    features=[
        *ads.smoothed(item_rate, item_prior),
        *ads.ad_quality_score(shown, campaign_positions, item_prior),
        Feature(
            "item_ctr_lift",
            "item_ctr_3d / nullif(campaign_ctr_24h, 0)",
            description="An item's rate over the rate of its campaign",
        ),
    ],
    owner="ads-team",
)

click_model = FeatureService(
    "click_model",
    [
        "campaign_ctr_24h",
        "slot_ctr_24h",
        "item_ctr_3d",
        "item_ctr_3d_smoothed",
        "item_ctr_lift",
        "item_quality_score_7d",
        "segment_ctr_7d",
        "segment_ctr_7d_smoothed",
        "item_category",
    ],
)
