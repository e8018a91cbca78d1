"""How much of a user's attention there is, from visits."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.errors import DefinitionError, near_miss
from headwater.library.ads.family import Features, derived, positive, windowed
from headwater.library.ads.schema import Sessions
from headwater.library.columns import grouped

WEIGHTS = {"seconds": 0.3, "pages": 0.2, "interaction": 0.3, "return": 0.2}
"""What each part of the score counts for, unless said otherwise."""


def engagement_reference(
    sessions: Sessions, window: str = "30d", *, name: str = "engagement"
) -> Features:
    """What is usual of a visit: `_usual_seconds` and `_usual_pages`.

    View: without entity, over the sessions, with a tick of its own: learned from all visits known
    at the tick.
    Formula: the mean of all visits of the window.
    Unit: seconds; pages.
    Null: without visits.
    Source: as `user_engagement_score`.
    """
    return (
        windowed(f"{name}_usual_seconds", _seconds(sessions), f"Mean visit, {window}", window),
        windowed(
            f"{name}_usual_pages", _pages(sessions), f"Mean pages of a visit, {window}", window
        ),
    )


def user_sessions(sessions: Sessions, window: str = "30d", *, of: str = "user") -> Features:
    """What a user's visits are like: `_seconds`, `_pages`, `_interaction`, `_days`.

    View: of the user, over the sessions.
    Formula: mean seconds, mean pages, interactions / pages, different UTC days with a visit.
    Unit: seconds; pages; a fraction; days.
    Null: without visits (days: 0).
    Source: as `user_engagement_score`.
    """
    base = f"{of}_sessions_{window}"
    interactions, pages = grouped(sessions.interactions), grouped(sessions.pages)
    day = f"date_trunc('day', {grouped(sessions.time)})"
    parts = {
        "seconds": (_seconds(sessions), "Mean visit"),
        "pages": (_pages(sessions), "Mean pages of a visit"),
        "interaction": (f"sum({interactions}) / nullif(sum({pages}), 0)", "Interactions a page"),
        "days": (f"count(DISTINCT {day})", "Days with a visit"),
    }
    return tuple(
        windowed(f"{base}_{part}", text, f"{what}, {window}", window)
        for part, (text, what) in parts.items()
    )


def user_engagement_score(
    visits: Features,
    reference: Features,
    *,
    weights: Mapping[str, float] = WEIGHTS,
    regular: float = 8.0,
    name: str | None = None,
) -> Features:
    """Engagement of a user: one number of duration, page views, interaction and return.

    View: without a source, of the user; it reads `visits` (of `user_sessions`) and the learned
    `reference` (of `engagement_reference`).
    Formula: the weighted mean of four parts, each within 0 and 1: seconds / (seconds + usual),
    pages / (pages + usual), which are 0.5 for a usual visit; interactions a page, 1 at the most;
    days / `regular`, 1 at the most. `weights` names the parts (`seconds`, `pages`, `interaction`,
    `return`); only their proportions count.
    Unit: 0 to 1.
    Null: until the reference is known. 0 without visits.
    Source: Peterson, Carrabis, Measuring the Immeasurable: Visitor Engagement (2008); Lalmas,
    O'Brien, Yom-Tov, Measuring User Engagement (2014).
    """
    shares = _shares(weights)
    seconds, pages, interaction, active = (feature.name for feature in visits)
    usual_seconds, usual_pages = (feature.name for feature in reference)
    full = positive("user_engagement_score: regular", regular)
    parts = {
        "seconds": f"{seconds} / ({seconds} + {usual_seconds})",
        "pages": f"{pages} / ({pages} + {usual_pages})",
        "interaction": f"CASE WHEN {interaction} > 1 THEN 1.0 ELSE {interaction} END",
        "return": f"least({active} / {full}, 1.0)",
    }
    score = " + ".join(f"{shares[part]} * coalesce({text}, 0.0)" for part, text in parts.items())
    known = f"{usual_seconds} + {usual_pages} IS NOT NULL"
    base = name or seconds.removesuffix("_seconds").replace("_sessions_", "_engagement_score_")
    return (derived(base, f"CASE WHEN {known} THEN {score} END", "Engagement, 0 to 1"),)


def _seconds(sessions: Sessions) -> str:
    return f"avg({grouped(sessions.seconds)})"


def _pages(sessions: Sessions) -> str:
    return f"avg({grouped(sessions.pages)})"


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    for part in weights:
        if part not in WEIGHTS:
            raise DefinitionError(
                f"user_engagement_score: weights: no part '{part}'{near_miss(part, WEIGHTS)}"
            )
    given = {part: weights.get(part, 0.0) for part in WEIGHTS}
    if min(given.values()) < 0:
        raise DefinitionError(f"user_engagement_score: weights should not be below 0, are {given}")
    total = positive("user_engagement_score: the sum of weights", sum(given.values()))
    return {part: weight / total for part, weight in given.items()}
