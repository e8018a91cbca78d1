"""Price and volume together."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.technical.bars import FIRST, Bars, check, indicator, over


def obv(bars: Bars, *, name: str | None = None) -> Feature:
    """On-balance volume.

    Formula: the sum, since the first bar, of the volumes of bars with a higher close less those of
    bars with a lower one. As in TA-Lib the first bar's volume counts; Granville begins
    anywhere, and only changes mean something.
    Unit: shares.
    Null: never, where there is a volume; a bar whose close, or the one before it, is null adds
    nothing.
    TA-Lib: OBV.
    Source: Granville, Granville's New Key to Stock Market Profits (1963).
    """
    before = f"lag({bars.c})"
    signed = (
        f"CASE WHEN {FIRST} OR {bars.c} > {before} THEN {bars.v} "
        f"WHEN {bars.c} < {before} THEN -{bars.v} ELSE 0 END"
    )
    text = f"sum({signed}) OVER (ROWS UNBOUNDED PRECEDING)"
    return indicator(name or "obv", text, "On-balance volume since the first bar")


def mfi(bars: Bars, n: int = 14, *, name: str | None = None) -> Feature:
    """Money flow index.

    Formula: 100 * up / (up + down): the sums, over n bars, of typical * volume where the typical
    price rose and where it fell; typical = (high + low + close) / 3.
    Unit: 0 to 100.
    Null: until n + 1 bars exist; where no money flowed in the n bars.
    TA-Lib: MFI; it gives 0 where less than 1 flowed. Where two typical prices are equal but for
    their rounding, either may see a rise or a fall that the other does not.
    Source: Quong, Soudack, Volume-weighted RSI: Money Flow, Technical Analysis of Stocks &
    Commodities 7 (1989).
    """
    check("mfi: n", n)
    price = bars.typical
    flow, before = f"{price} * {bars.v}", f"lag({price})"
    up = over(f"sum({flow}) FILTER (WHERE {price} > {before})", n)
    both = over(f"sum({flow}) FILTER (WHERE {price} <> {before})", n)
    text = f"100 * coalesce({up}, 0.0) / nullif({both}, 0)"
    return indicator(name or f"mfi_{n}", text, f"Money flow index, {n} bars", rows=n + 1)
