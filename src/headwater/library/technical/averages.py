"""Moving averages: price levels."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.technical.bars import Bars, check, indicator


def sma(bars: Bars, n: int = 20, *, name: str | None = None) -> Feature:
    """Simple moving average of the close.

    Formula: the mean of the last n closes.
    Unit: a price.
    Null: until n bars exist. A null close is left out of the mean.
    TA-Lib: SMA.
    Source: Murphy, Technical Analysis of the Financial Markets (1999), ch. 9.
    """
    check("sma: n", n)
    text = bars.level(f"avg({bars.c})")
    return indicator(name or f"sma_{n}", text, f"Mean close of {n} bars", rows=n)


def ema(bars: Bars, n: int = 20, *, name: str | None = None) -> Feature:
    """Exponential moving average of the close.

    Formula: e + (close - e) * 2 / (n + 1), beginning with the mean of the first n closes.
    Unit: a price.
    Null: until n closes exist; where the close is null, which leaves the average as it is.
    TA-Lib: EMA, with no unstable period set.
    Source: Murphy (1999), ch. 9.
    """
    check("ema: n", n)
    text = bars.level(f"ema({bars.c}, {n})")
    return indicator(name or f"ema_{n}", text, f"Exponential average of the close, {n} bars")


def wma(bars: Bars, n: int = 20, *, name: str | None = None) -> Feature:
    """Linearly weighted moving average of the close.

    Formula: the mean of the last n closes with the weights 1 (the oldest) to n.
    Unit: a price.
    Null: until n bars exist; where one of the n closes is null.
    TA-Lib: WMA.
    Source: Murphy (1999), ch. 9.
    """
    check("wma: n", n)
    text = bars.level(f"wma({bars.c}, {n})")
    return indicator(name or f"wma_{n}", text, f"Linearly weighted close of {n} bars")


def vwap(bars: Bars, n: int = 20, *, name: str | None = None) -> Feature:
    """Volume-weighted average price of n bars.

    Formula: sum(typical * volume) / sum(volume), typical = (high + low + close) / 3.
    Unit: a price.
    Null: until n bars exist; where no share was traded in them. Of bars within one day it is the
    rolling form; that of a session begins anew with the session.
    TA-Lib: none.
    Source: Berkowitz, Logue, Noser, The Total Cost of Transactions on the NYSE, Journal of Finance
    43 (1988).
    """
    check("vwap: n", n)
    weights = f"sum({bars.v}) FILTER (WHERE {bars.typical} IS NOT NULL)"
    text = bars.level(f"sum({bars.typical} * {bars.v}) / nullif({weights}, 0)")
    return indicator(name or f"vwap_{n}", text, f"Mean price of {n} bars by volume", rows=n)
