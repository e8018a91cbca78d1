"""Rates, and what is left of them when they are not taken at their word."""

from __future__ import annotations

from headwater.library.ads.family import Features, derived, positive, windowed
from headwater.library.ads.schema import Events


def user_ctr(events: Events, window: str = "7d", *, name: str | None = None) -> Features:
    """Click-through rate of a user: `ctr` of "user"."""
    return ctr(events, window, of="user", name=name)


def user_cvr(events: Events, window: str = "30d", *, name: str | None = None) -> Features:
    """Conversion rate of a user: `cvr` of "user"."""
    return cvr(events, window, of="user", name=name)


def ctr(events: Events, window: str = "7d", *, of: str, name: str | None = None) -> Features:
    """Click-through rate, and `_clicks` and `_impressions` of which it is made.

    View: of whatever has clicks (a user, a segment, an ad, a campaign), over the events.
    Formula: clicks / impressions of the window. `of` begins the names.
    Unit: a fraction. Above 1 where clicks are in the window and their impressions before it.
    Null: without impressions; the counts are 0 then.
    Source: Richardson, Dominowska, Ragno, Predicting Clicks, WWW 2007.
    """
    return _rate(
        events, ("click", "clicks"), ("impression", "impressions"), name or f"{of}_ctr", window
    )


def cvr(events: Events, window: str = "30d", *, of: str, name: str | None = None) -> Features:
    """Conversion rate, and `_conversions` and `_clicks` of which it is made.

    View: of whatever has clicks, over the events.
    Formula: conversions / clicks of the window. `of` begins the names.
    Unit: a fraction. Above 1 where conversions are in the window and their clicks before it.
    Null: without clicks; the counts are 0 then.
    Source: Lee, Orten, Dasdan, Li, Estimating Conversion Rate in Display Advertising from Past
    Performance Data, KDD 2012.
    """
    return _rate(
        events, ("conversion", "conversions"), ("click", "clicks"), name or f"{of}_cvr", window
    )


def smoothed(rate: Features, prior: Features, *, z: float = 1.96) -> Features:
    """Empirical-Bayes estimate of a rate: `_smoothed`, and the interval from `_low` to `_high`.

    View: without a source, of the rate's entity; it reads the counts of `rate` (of `ctr`, `cvr`)
    and the learned `prior` (of `beta_prior`), each as known at its own tick.
    Formula: the posterior Beta(a, b) of the prior and the counts, a = mean * strength + successes,
    b = (1 - mean) * strength + failures; the estimate is a / (a + b), so that 1 of 1 is a little
    above the mean, and not 100 %. The interval is that of the log-odds, ln(a / b) +-
    z * sqrt(1 / a + 1 / b), which stays within 0 and 1.
    Unit: a fraction.
    Null: until the prior is known; the interval also where all there is succeeded, or none did.
    Without trials it is the mean of the prior: the key may be new.
    Source: Robbins, An Empirical Bayes Approach to Statistics (1956); Efron, Large-Scale Inference
    (2010), ch. 1; the interval Agresti, Categorical Data Analysis (2013), 3.1.
    """
    base, won, all_ = rate[0].name, rate[1].name, rate[2].name
    mean, strength = prior[0].name, prior[1].name
    for_ = f"({won} + {mean} * {strength})"
    against = f"(greatest({all_} - {won}, 0) + (1 - {mean}) * {strength})"
    half = f"{positive('smoothed: z', z)} * sqrt(1 / {for_} + 1 / {against})"
    end = (
        f"CASE WHEN {for_} > 0 AND {against} > 0 THEN {for_} / ({for_} + {against} * exp({{}})) END"
    )
    lines = {
        "smoothed": (f"{for_} / ({for_} + {against})", f"drawn towards {mean}"),
        "low": (end.format(half), "the interval's lower end"),
        "high": (end.format(f"-({half})"), "the interval's upper end"),
    }
    return tuple(
        derived(f"{base}_{line}", text, f"{base}, {what}") for line, (text, what) in lines.items()
    )


def _rate(
    events: Events, success: tuple[str, str], trial: tuple[str, str], base: str, window: str
) -> Features:
    name = f"{base}_{window}"
    won, all_ = f"{name}_{success[1]}", f"{name}_{trial[1]}"
    counts = (
        windowed(won, events.number(success[0]), f"Number of {success[1]}, {window}", window),
        windowed(all_, events.number(trial[0]), f"Number of {trial[1]}, {window}", window),
    )
    what = f"{success[1]} by {trial[1]}, {window}"
    return (derived(name, f"{won} / nullif({all_}, 0)", what), *counts)
