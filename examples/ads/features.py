"""Advertising: rates of a real, sparse log of impressions and clicks (see data/README.md).

A click becomes known 30 minutes after its impression, so a rate at any time counts the impressions
until then and only the clicks that were known. Campaigns and slots have traffic for windows of
hours; items and segments need days.
"""

from headwater import Entity, Feature, FeatureService, FeatureView, Range, Source

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

IMPRESSIONS = "count(*) FILTER (WHERE event_type = 'impression')"
CLICKS = "count(*) FILTER (WHERE event_type = 'click')"


def click_through(prefix: str, window: str) -> list[Feature]:
    """Impressions, clicks and their rate over one window."""
    impressions, clicks = f"{prefix}_impressions_{window}", f"{prefix}_clicks_{window}"
    return [
        Feature(impressions, IMPRESSIONS, window=window),
        Feature(clicks, CLICKS, window=window),
        Feature(
            f"{prefix}_ctr_{window}",
            f"{clicks} / nullif({impressions}, 0)",
            description=f"Click-through rate over {window}, null without impressions",
            validation_rules=[Range(min=0, is_blocking=True)],
        ),
    ]


campaign_rates = FeatureView(
    "campaign_rates",
    entity=campaign,
    source=events,
    update_frequency="hourly",
    features=[*click_through("campaign", "6h"), *click_through("campaign", "24h")],
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
        *click_through("item", "3d"),
        Feature("item_mean_propensity_3d", "avg(propensity)", window="3d"),
    ],
    owner="ads-team",
)
segment_rates = FeatureView(
    "segment_rates",
    entity=segment,
    source=events,
    update_frequency="daily",
    features=click_through("segment", "7d"),
    owner="ads-team",
)
item_context = FeatureView(
    "item_context",
    entity=item,
    source=items,
    features=[Feature("item_feature_0"), Feature("item_category", "item_feature_1")],
    owner="ads-team",
)
item_lift = FeatureView(
    "item_lift",
    entity=item,
    features=[
        Feature(
            "item_ctr_lift",
            "item_ctr_3d / nullif(campaign_ctr_24h, 0)",
            description="An item's rate over the rate of its campaign",
        )
    ],
    owner="ads-team",
)

click_model = FeatureService(
    "click_model",
    [
        "campaign_ctr_24h",
        "slot_ctr_24h",
        "item_ctr_3d",
        "item_ctr_lift",
        "segment_ctr_7d",
        "item_category",
    ],
)
