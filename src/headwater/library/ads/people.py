"""Recency, frequency and monetary value of users, what they will be worth, and their devices."""

from __future__ import annotations

import math

from headwater.errors import DefinitionError
from headwater.library.ads.family import Features, days, derived, positive, windowed
from headwater.library.ads.schema import Events
from headwater.library.columns import grouped


def user_recency(events: Events, window: str = "90d", *, name: str | None = None) -> Features:
    """Days since a user's last activity.

    View: of the user, over the events (or over sessions: `Events(time="started_at")`).
    Formula: (t - last event time) / 1 day, t being the tick (`as_of()`).
    Unit: days, 0 or above.
    Null: without activity in the window. With window="lifetime" only for users never seen.
    Source: Hughes, Strategic Database Marketing (1994); Fader, Hardie, Lee, RFM and CLV, Journal
    of Marketing Research 42 (2005).
    """
    age = f"epoch_us(as_of()) - epoch_us(max({grouped(events.time)}))"
    base = name or f"user_recency_{window}"
    return (windowed(base, f"({age}) / 86400000000", "Days since the last activity", window),)


def user_frequency(events: Events, window: str = "30d", *, name: str | None = None) -> Features:
    """Days of the window on which a user was active.

    View: of the user, over the events.
    Formula: the number of different UTC days with an event.
    Unit: days, from 0. One above the window's where it begins and ends within days.
    Null: never; 0 without activity.
    Source: Fader, Hardie, Lee (2005).
    """
    days("user_frequency", window)
    day = f"date_trunc('day', {grouped(events.time)})"
    base = name or f"user_frequency_{window}"
    return (windowed(base, f"count(DISTINCT {day})", f"Active days, {window}", window),)


def user_monetary(events: Events, window: str = "30d", *, name: str | None = None) -> Features:
    """What a user spent in the window.

    View: of the user, over the events.
    Formula: the sum of the amounts of transactions. A refund (an amount below 0) lowers it;
    `log_quality` counts such rows.
    Unit: money, as the log has it.
    Null: never; 0 without transactions. A transaction without an amount adds nothing.
    Source: Fader, Hardie, Lee (2005).
    """
    spend = f"sum({grouped(events.amount)}) FILTER (WHERE {events.where('transaction')})"
    base = name or f"user_monetary_{window}"
    return (windowed(base, f"coalesce({spend}, 0.0)", f"Spend, {window}", window),)


def user_spend(
    events: Events,
    window: str = "365d",
    *,
    half_life: str = "60d",
    horizon: str = "365d",
    name: str | None = None,
) -> Features:
    """What a user may be expected to spend, from what was spent and how long ago.

    View: of the user, over the events.
    Formula: with d = ln(2) / half_life, the rate of spending at *t* is d / (1 - exp(-d * window))
    * sum(amount * exp(-d * age)), age = t - event time (`as_of()`): an exponentially weighted mean.
    If it goes on and fades with the same half-life, (1 - exp(-d * horizon)) / d times as much is
    spent in the horizon. With horizon = window it is the decayed sum itself.
    Unit: money.
    Null: never; 0 without transactions.
    Source: Gupta et al., Modeling Customer Lifetime Value, Journal of Service Research 9 (2006);
    the weights Brown, Smoothing, Forecasting and Prediction (1963).
    """
    decay = math.log(2) / positive(
        "user_spend: half_life", days("user_spend: half_life", half_life)
    )
    past, future = days("user_spend", window), days("user_spend: horizon", horizon)
    scale = -math.expm1(-decay * future) / -math.expm1(-decay * past)
    age = f"(epoch_us(as_of()) - epoch_us({grouped(events.time)})) / 86400000000"
    decayed = f"{grouped(events.amount)} * exp(-{decay} * ({age}))"
    total = f"sum({decayed}) FILTER (WHERE {events.where('transaction')})"
    base = name or f"user_spend_{window}"
    text = f"{scale} * coalesce({total}, 0.0)"
    return (windowed(base, text, f"Spend to expect within {horizon}", window),)


def user_ltv(
    spend: Features, engagement: Features, *, lift: float = 0.5, name: str = "user_ltv"
) -> Features:
    """Lifetime value of a user: spend to expect, by how engaged the user is.

    View: without a source, of the user; it reads `spend` (of `user_spend`) and `engagement` (of
    `user_engagement_score`).
    Formula: spend * (1 + lift * (2 * engagement - 1)): with the lift 0.5, half as much for a user
    who does not come any more, and half as much again for the most engaged.
    Unit: money.
    Null: until the engagement score is known; 0 without transactions.
    Source: Gupta et al. (2006); engagement as a driver of value Kumar et al., Undervalued or
    Overvalued Customers, Journal of Service Research 13 (2010).
    """
    if not 0 <= lift <= 1:
        raise DefinitionError(f"user_ltv: lift should be within 0 and 1, is {lift!r}")
    factor = f"1 + {float(lift)} * (2 * {engagement[0].name} - 1)"
    return (derived(name, f"{spend[0].name} * ({factor})", "Lifetime value"),)


def device_preference(
    events: Events, window: str = "30d", *, of: str = "user", name: str | None = None
) -> Features:
    """The device that a user has most often, and its share, `_share`.

    View: of the user, over the events (or the sessions).
    Formula: the most frequent device of all events that name one; of several the first by name.
    Unit: a category; a fraction.
    Null: without an event that names a device.
    Source: the mode; Agresti, Categorical Data Analysis (2013), ch. 1.
    """
    device = grouped(events.device)
    base = name or f"{of}_device_preference_{window}"
    share = f"mode_count({device}) / nullif(count({device}), 0)"
    return (
        windowed(
            base,
            f"mode({device})",
            f"Most frequent device, {window}",
            window,
            value_kind="categorical",
        ),
        windowed(f"{base}_share", share, f"Share of the most frequent device, {window}", window),
    )
