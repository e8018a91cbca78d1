"""Where the close stands in the range of the last bars."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.technical.bars import Bars, check, indicator, over


def stochastic(
    bars: Bars, n: int = 14, smooth: int = 3, signal: int = 3, *, name: str | None = None
) -> tuple[Feature, Feature]:
    """Slow stochastic oscillator: `_k` and `_d`.

    Formula: raw = 100 * (close - low) / (high - low), with the least low and the greatest high of
    n bars; %K = mean of `smooth` raws, %D = mean of `signal` %Ks. With smooth=1 it is the fast one.
    Unit: 0 to 100.
    Null: until n + smooth - 1 bars exist (%K), n + smooth + signal - 2 (%D). A raw value is null
    where the n bars have no range, and then left out of the means.
    TA-Lib: STOCH with simple averages; it gives %K, too, only where there is a %D, and 0
    where there is no range.
    Source: Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities 2 (1984).
    """
    for what, number in (("n", n), ("smooth", smooth), ("signal", signal)):
        check(f"stochastic: {what}", number)
    base = name or f"stochastic_{n}_{smooth}_{signal}"
    low, high = over(f"min({bars.l})", n), over(f"max({bars.h})", n)
    raw = f"100 * ({bars.c} - {low}) / nullif({high} - {low}, 0)"
    k = over(f"avg({raw})", smooth)
    d = over(f"avg({k})", signal)
    bars_of_k = n + smooth - 1
    return (
        indicator(f"{base}_k", k, f"Close in the range of {n} bars, smoothed", rows=bars_of_k),
        indicator(f"{base}_d", d, f"Mean of {signal} %K", rows=bars_of_k + signal - 1),
    )


def williams_r(bars: Bars, n: int = 14, *, name: str | None = None) -> Feature:
    """Williams %R.

    Formula: -100 * (high - close) / (high - low), with the greatest high and the least low of n
    bars.
    Unit: -100 to 0.
    Null: until n bars exist; where they have no range.
    TA-Lib: WILLR; it gives 0 where there is no range.
    Source: Williams, How I Made One Million Dollars Last Year Trading Commodities (1973).
    """
    check("williams_r: n", n)
    high, low = f"max({bars.h})", f"min({bars.l})"
    text = f"-100 * ({high} - {bars.c}) / nullif({high} - {low}, 0)"
    return indicator(name or f"williams_r_{n}", text, f"Close below the high of {n} bars", rows=n)


def cci(bars: Bars, n: int = 20, *, name: str | None = None) -> Feature:
    """Commodity channel index.

    Formula: (p - m) / (0.015 * d), p = (high + low + close) / 3, m the mean of p over n bars and d
    the mean distance of these p from m.
    Unit: none; Lambert's constant puts most values between -100 and 100.
    Null: until n bars exist; where p is the same in all of them.
    TA-Lib: CCI; it gives 0 where p is the same in all bars.
    Source: Lambert, Commodity Channel Index, Commodities 9 (1980).
    """
    check("cci: n", n, 2)
    price = bars.typical
    text = f"({price} - avg({price})) / nullif(0.015 * avg_deviation({price}), 0)"
    return indicator(name or f"cci_{n}", text, f"Commodity channel index, {n} bars", rows=n)
