"""Recency, frequency and monetary value of users."""

from __future__ import annotations

from headwater.library.ads.family import Features, days, windowed
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
