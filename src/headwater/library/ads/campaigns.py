"""What campaigns bring, and against whom they bid."""

from __future__ import annotations

from headwater.library.ads.family import Features, derived, windowed
from headwater.library.ads.schema import Auctions, Events
from headwater.library.columns import grouped


def campaign_counts(events: Events, window: str = "30d", *, of: str = "campaign") -> Features:
    """What a campaign's events add up to: `_ctr`, `_cvr`, `_roas`.

    View: of the campaign, over the events.
    Formula: clicks / impressions; conversions / clicks; amounts of transactions / costs of all
    events (return on ad spend), all of the window.
    Unit: fractions; roas a ratio of money, 1 where revenue equals cost.
    Null: where the denominator is 0. roas is 0 with costs and without transactions.
    Source: Farris, Bendle, Pfeifer, Reibstein, Marketing Metrics (2010), ch. 9 and 10.
    """
    base = f"{of}_performance_{window}"
    clicks, shown = events.number("click"), events.number("impression")
    revenue = f"sum({grouped(events.amount)}) FILTER (WHERE {events.where('transaction')})"
    cost = f"sum({grouped(events.cost)})"
    parts = {
        "ctr": (f"{clicks} / nullif({shown}, 0)", "Clicks by impressions"),
        "cvr": (f"{events.number('conversion')} / nullif({clicks}, 0)", "Conversions by clicks"),
        "roas": (f"coalesce({revenue}, 0.0) / nullif({cost}, 0)", "Revenue by cost"),
    }
    return tuple(
        windowed(f"{base}_{part}", text, f"{what}, {window}", window)
        for part, (text, what) in parts.items()
    )


def campaign_performance(
    counts: Features, quality: Features, *, name: str | None = None
) -> Features:
    """Performance of a campaign, a struct: `ctr`, `cvr`, `roas`, `quality_score`.

    View: without a source, of the campaign; it reads `counts` (of `campaign_counts`) and `quality`
    (of `ad_quality_score` over the `exposure` of the campaign).
    Formula: as theirs.
    Unit: fractions, a ratio of money, 1 to 10.
    Null: each field as its feature; the struct never.
    Source: as `campaign_counts` and `ad_quality_score`.
    """
    fields = ("ctr", "cvr", "roas", "quality_score")
    parts = zip(fields, (*counts[:3], quality[0]), strict=True)
    packed = ", ".join(f"{field} := {feature.name}" for field, feature in parts)
    base = name or counts[0].name.removesuffix("_ctr")
    return (derived(base, f"struct_pack({packed})", "What the campaign brings", value_kind=None),)


def competitor_pressure(
    auctions: Auctions, window: str = "7d", *, of: str = "category", name: str | None = None
) -> Features:
    """Pressure of other bidders, and `_density`, how many bidders of equal strength it is.

    View: of the category, over the reports of auctions.
    Formula: impression share = auctions won / auctions that could have been; pressure = 1 - share,
    density = 1 / share: where n equal bidders share the auctions, each wins one in n.
    Unit: a fraction; a number of bidders, ourselves included.
    Null: without auctions; density where none was won.
    Source: Google Ads, About impression share (Help); Edelman, Ostrovsky, Schwarz, Internet
    Advertising and the Generalized Second-Price Auction, American Economic Review 97 (2007).
    """
    base = name or f"{of}_competitor_pressure_{window}"
    won, all_ = f"sum({grouped(auctions.won)})", f"sum({grouped(auctions.auctions)})"
    return (
        windowed(
            base, f"1 - {won} / nullif({all_}, 0)", f"Share of auctions lost, {window}", window
        ),
        windowed(
            f"{base}_density", f"{all_} / nullif({won}, 0)", f"Bidders an auction, {window}", window
        ),
    )
