"""Advertising: all features of the library over a made-up log (see README.md).

`python -m ad_log` writes the log into data/. Rows are late, corrected and delivered twice: the
source says when each became known and which are versions of one event.

Views are of four sorts: over the events, by a key; without entity, where something is learned from
all rows known at a tick; without source, where both come together; and on demand.
"""

from headwater import Entity, FeatureService, FeatureView, Source
from headwater.library import ads

user = Entity("user", join_keys={"user_id": "string"})
ad = Entity("ad", join_keys={"ad_id": "string"})
campaign = Entity("campaign", join_keys={"campaign_id": "string"})
category = Entity("category", join_keys={"category": "string"})
user_campaign = Entity("user_campaign", join_keys={"user_id": "string", "campaign_id": "string"})
user_ad = Entity("user_ad", join_keys={"user_id": "string", "ad_id": "string"})

events = Source(
    "events",
    path="data/events.parquet",
    event_time="event_time",
    available_at="available_at",
    id="event_id",
)
sessions = Source(
    "sessions",
    path="data/sessions.parquet",
    event_time="started_at",
    available_at="ended_at",
    id="session_id",
)
auctions = Source(
    "auctions",
    path="data/auctions.parquet",
    event_time="day_end - INTERVAL 1 MICROSECOND",
    available_at="reported_at",
    id=["category", "day_end"],
)
profiles = Source("profiles", path="data/profiles.parquet", event_time="valid_from")
campaigns = Source("campaigns", path="data/campaigns.parquet", event_time="valid_from")
ad_texts = Source("ad_texts", path="data/ads.parquet", event_time="valid_from")

log = ads.Events(ignored=("invalid_click",))
visits, bids = ads.Sessions(), ads.Auctions()

# what is learned from all rows known at a tick
ad_trials = ads.trials("ad_trials", events, log, by="ad_id")
user_trials = ads.trials("user_trials", events, log, by="user_id")
buyer_trials = ads.trials(
    "buyer_trials", events, log, by="user_id", trial="click", success="conversion"
)
hours = ads.activity("hours", events, log)
days = ads.activity("days", events, log, per="day")

ad_prior = ads.beta_prior("90d", name="ad_ctr_prior")
user_prior = ads.beta_prior("90d", name="user_ctr_prior")
buyer_prior = ads.beta_prior("90d", name="user_cvr_prior")
by_hour = ads.hour_activity("28d")
by_position = ads.position_ctr(log, "28d")
usual_visit = ads.engagement_reference(visits, "30d")
device = ads.Lift(log, "device", values=("mobile", "desktop", "tablet"))
income = ads.Lift(log, "income_level", values=("low", "middle", "high"))
hour = ads.Lift(log, "hour", column="hour(event_time)", values=tuple(range(24)))


def learned(name: str, source: Source, features: ads.Features) -> FeatureView:
    """Features without entity, evaluated each midnight."""
    return FeatureView(
        name, source=source, update_frequency="daily", features=features, owner="ads-team"
    )


ad_prior_view = learned("ad_prior", ad_trials, ad_prior)
user_prior_view = learned("user_prior", user_trials, user_prior)
buyer_prior_view = learned("buyer_prior", buyer_trials, buyer_prior)
hour_view = learned("hours_of_day", hours, by_hour)
season_view = learned("seasons", days, ads.seasonal_factor("730d"))
visit_view = learned("usual_visits", sessions, usual_visit)
everybody_view = learned(
    "everybody",
    events,
    (
        *by_position,
        *device.features,
        *income.features,
        *hour.features,
        *ads.log_quality(log),
    ),
)

# by key, over the events
user_ctr = ads.user_ctr(log, "30d")
user_cvr = ads.user_cvr(log, "90d")
user_visits = ads.user_sessions(visits, "30d")
ad_ctr = ads.ctr(log, "30d", of="ad")
shown = ads.exposure(log, "30d")
spend = ads.user_spend(log, "365d", half_life="60d")
engagement = ads.user_engagement_score(user_visits, usual_visit)
campaign_sums = ads.campaign_counts(log)
campaign_shown = ads.exposure(log, "30d", of="campaign")

user_events = FeatureView(
    "user_events",
    entity=user,
    source=events,
    update_frequency="daily",
    features=[
        *user_ctr,
        *user_cvr,
        *ads.user_recency(log),
        *ads.user_frequency(log),
        *ads.user_monetary(log),
        *spend,
        *ads.device_preference(log),
    ],
    owner="ads-team",
)
user_sessions = FeatureView(
    "user_sessions",
    entity=user,
    source=sessions,
    update_frequency="daily",
    features=user_visits,
    owner="ads-team",
)
ad_events = FeatureView(
    "ad_events",
    entity=ad,
    source=events,
    update_frequency="daily",
    features=[*ad_ctr, *shown],
    owner="ads-team",
)
campaign_events = FeatureView(
    "campaign_events",
    entity=campaign,
    source=events,
    update_frequency="daily",
    features=[*campaign_sums, *campaign_shown],
    owner="ads-team",
)
category_auctions = FeatureView(
    "category_auctions",
    entity=category,
    source=auctions,
    update_frequency="daily",
    data_delay="4h",
    features=ads.competitor_pressure(bids),
    owner="ads-team",
)

# from the features of other views
user_rates = ads.smoothed(user_ctr, user_prior)
users = FeatureView(
    "users",
    entity=user,
    features=[
        *user_rates,
        *ads.smoothed(user_cvr, buyer_prior),
        *engagement,
        *ads.user_ltv(spend, engagement),
    ],
    owner="ads-team",
)
ad_scores = FeatureView(
    "ad_scores",
    entity=ad,
    features=[
        *ads.smoothed(ad_ctr, ad_prior),
        *ads.ad_quality_score(shown, by_position, ad_prior),
    ],
    owner="ads-team",
)
campaign_quality = ads.ad_quality_score(campaign_shown, by_position, ad_prior)
campaign_scores = FeatureView(
    "campaign_scores",
    entity=campaign,
    features=[*campaign_quality, *ads.campaign_performance(campaign_sums, campaign_quality)],
    owner="ads-team",
)
calendar = FeatureView("calendar", features=ads.time_of_day_factor(by_hour), owner="ads-team")

# users against campaigns and ads, by what is known of each
who, wanted, words = (
    ads.user_profile(ads.Profile(embedding="embedding")),
    ads.campaign_target(ads.Target(embedding="embedding")),
    ads.ad_keywords(ads.Keywords(embedding="embedding")),
)
profile_view = FeatureView("user_profiles", entity=user, source=profiles, features=who)
target_view = FeatureView("targets", entity=campaign, source=campaigns, features=wanted)
keyword_view = FeatureView("keywords", entity=ad, source=ad_texts, features=words)
audience = FeatureView(
    "audience",
    entity=user_campaign,
    features=ads.audience_similarity(who, wanted),
    owner="ads-team",
)
relevance = FeatureView(
    "relevance", entity=user_ad, features=ads.keyword_relevance(words, who), owner="ads-team"
)

# with the values of a request
user_now = FeatureView(
    "user_now",
    entity=user,
    features=ads.in_context(user_rates[0], [device, income, hour]),
    owner="ads-team",
)

click_model = FeatureService(
    "click_model",
    [
        "user_ctr_30d_smoothed",
        "user_recency_90d",
        "user_frequency_30d",
        "user_monetary_30d",
        "user_engagement_score_30d",
        "ad_ctr_30d_smoothed",
        "ad_quality_score_30d",
        "time_of_day_factor",
        "seasonal_factor",
        "user_ltv",
        "keyword_relevance",
        "user_ctr_30d_smoothed_in_context",
    ],
)
