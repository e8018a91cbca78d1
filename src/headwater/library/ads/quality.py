"""How good an ad is, where it stood and its peers considered."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.errors import DefinitionError
from headwater.library.ads.family import Features, derived, windowed
from headwater.library.ads.schema import Events
from headwater.library.columns import grouped

POSITIONS = (1, 2, 3, 4)


def position_ctr(
    events: Events,
    window: str = "30d",
    *,
    positions: Sequence[int] = POSITIONS,
    name: str = "position_ctr",
) -> Features:
    """Click-through rate of each position: `_1`, `_2`, ...

    View: over the events, with a tick of its own: without entity, or of what the peers of an ad
    have in common (its category, its campaign), if that is part of the ad's key.
    Formula: clicks / impressions at the position.
    Unit: a fraction.
    Null: where nothing was shown at the position.
    Source: Richardson, Dominowska, Ragno (2007), section 3.
    """
    return tuple(
        windowed(
            f"{name}_{place}",
            f"{events.number('click', at)} / nullif({events.number('impression', at)}, 0)",
            f"Click-through rate at position {place}, {window}",
            window,
        )
        for place, at in _places(events, positions)
    )


def exposure(
    events: Events,
    window: str = "30d",
    *,
    of: str = "ad",
    positions: Sequence[int] = POSITIONS,
) -> Features:
    """Where an ad was shown: `_clicks`, and the impressions at each position, `_at_1`, `_at_2`, ...

    View: of the ad (or the campaign), over the events.
    Formula: counts of the window; clicks at the named positions.
    Unit: clicks; impressions.
    Null: never; 0 without rows.
    Source: as `ad_quality_score`.
    """
    base = f"{of}_exposure_{window}"
    anywhere = f"{grouped(events.position)} IN ({', '.join(str(int(p)) for p in positions)})"
    shown = (
        windowed(
            f"{base}_at_{place}",
            events.number("impression", at),
            f"Impressions at position {place}, {window}",
            window,
        )
        for place, at in _places(events, positions)
    )
    clicks = windowed(
        f"{base}_clicks", events.number("click", anywhere), f"Clicks, {window}", window
    )
    return (clicks, *shown)


def ad_quality_score(
    shown: Features, reference: Features, prior: Features, *, name: str | None = None
) -> Features:
    """Quality of an ad from 1 to 10, and `_relative`, its rate by that of its peers.

    View: without a source, of the ad; it reads `shown` (of `exposure`), the peers' rates
    `reference` (of `position_ctr`, with the same positions) and the learned `prior` of the rates
    of ads (of `beta_prior`).
    Formula: expected = sum over positions of impressions * the peers' rate there; relative =
    (clicks + s) / (expected + s), s = mean * strength of the prior, the clicks that outweigh it
    (clicks over expected clicks, shrunk as by a gamma prior with mean 1); score = 1 + 9 *
    relative / (1 + relative), so that peers have 5.5.
    Unit: 1 to 10; relative: a ratio, 1 for peers.
    Null: until prior and reference are known. A position without a rate expects nothing.
    Source: Zhang, Jones, Comparing Click Logs and Editorial Labels for Training Query Rewriting,
    WWW 2007 (COEC); Cheng, Cantu-Paz, Personalized Click Prediction in Sponsored Search, WSDM
    2010; the shrinkage Clayton, Kaldor, Biometrics 43 (1987).
    """
    clicks, *impressions = (feature.name for feature in shown)
    if len(impressions) != len(reference):
        raise DefinitionError(
            f"ad_quality_score: {len(impressions)} positions are shown and {len(reference)} have a "
            "reference; give both the same positions="
        )
    rates = [feature.name for feature in reference]
    pairs = zip(impressions, rates, strict=True)
    expected = " + ".join(f"{number} * coalesce({rate}, 0.0)" for number, rate in pairs)
    some = f"coalesce({', '.join(rates)})" if len(rates) > 1 else rates[0]
    base = name or clicks.removesuffix("_clicks").replace("_exposure_", "_quality_score_")
    weight = f"{prior[0].name} * {prior[1].name}"
    relative = f"({clicks} + {weight}) / nullif({expected} + {weight}, 0)"
    return (
        derived(
            base,
            f"1 + 9 * {base}_relative / (1 + {base}_relative)",
            "Clicks by what peers would have had, 1 to 10",
        ),
        derived(
            f"{base}_relative",
            f"CASE WHEN {some} IS NOT NULL THEN {relative} END",
            "Smoothed clicks over expected clicks",
        ),
    )


def _places(events: Events, positions: Sequence[int]) -> list[tuple[int, str]]:
    if not positions or len(set(positions)) != len(positions):
        raise DefinitionError(f"positions should be different numbers, are {list(positions)!r}")
    column = grouped(events.position)
    return [(int(place), f"{column} = {int(place)}") for place in positions]
