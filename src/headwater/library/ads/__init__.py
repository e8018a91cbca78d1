"""Features of advertising logs: rates, users, campaigns, quality, seasons.

    from headwater.library import ads

    log = ads.Events(user="uid", kind="action")
    rate = ads.user_ctr(log, "7d")
    FeatureView("user_events", entity=user, source=events, update_frequency="hourly", features=rate)

Each function returns features that belong together, the one that it is named for first. Its
docstring says in which view they stand: over the events, by a key; without entity, where they are
learned from all rows known at a tick; or without source, where they read features of other views,
which are handed over (`ads.smoothed(rate, prior)`). Formula, unit, null behaviour and source are
there too.
"""

from headwater.library.ads.audience import (
    ad_keywords,
    audience_similarity,
    campaign_target,
    keyword_relevance,
    user_profile,
)
from headwater.library.ads.campaigns import (
    campaign_counts,
    campaign_performance,
    competitor_pressure,
)
from headwater.library.ads.context import Lift, in_context
from headwater.library.ads.engagement import (
    engagement_reference,
    user_engagement_score,
    user_sessions,
)
from headwater.library.ads.family import Features
from headwater.library.ads.health import log_quality
from headwater.library.ads.people import (
    device_preference,
    user_frequency,
    user_ltv,
    user_monetary,
    user_recency,
    user_spend,
)
from headwater.library.ads.priors import beta_prior
from headwater.library.ads.quality import ad_quality_score, exposure, position_ctr
from headwater.library.ads.rates import ctr, cvr, smoothed, user_ctr, user_cvr
from headwater.library.ads.rollups import activity, rollup, trials
from headwater.library.ads.schema import Auctions, Events, Keywords, Profile, Sessions, Target
from headwater.library.ads.seasons import hour_activity, seasonal_factor, time_of_day_factor

__all__ = [
    "Auctions",
    "Events",
    "Features",
    "Keywords",
    "Lift",
    "Profile",
    "Sessions",
    "Target",
    "activity",
    "ad_keywords",
    "ad_quality_score",
    "audience_similarity",
    "beta_prior",
    "campaign_counts",
    "campaign_performance",
    "campaign_target",
    "competitor_pressure",
    "ctr",
    "cvr",
    "device_preference",
    "engagement_reference",
    "exposure",
    "hour_activity",
    "in_context",
    "keyword_relevance",
    "log_quality",
    "position_ctr",
    "rollup",
    "seasonal_factor",
    "smoothed",
    "time_of_day_factor",
    "trials",
    "user_ctr",
    "user_cvr",
    "user_engagement_score",
    "user_frequency",
    "user_ltv",
    "user_monetary",
    "user_profile",
    "user_recency",
    "user_sessions",
    "user_spend",
]
