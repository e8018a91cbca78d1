"""Risk and what it is measured against."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.columns import grouped
from headwater.library.technical.bars import Bars, check, indicator, over
from headwater.library.technical.returns import logarithmic, simple

YEAR = 252
"""Trading days of a year, by which daily figures are annualised."""


def volatility(bars: Bars, n: int = 20, *, periods: int = YEAR, name: str | None = None) -> Feature:
    """Rolling volatility of n log returns.

    Formula: the sample deviation (n - 1) of n log returns, times sqrt(periods); periods=1 leaves it
    as it is.
    Unit: a fraction a year.
    Null: until n + 1 bars exist; where fewer than two returns are known.
    TA-Lib: none; its STDDEV is that of a population.
    Source: Hull, Options, Futures, and Other Derivatives (2018), 15.4.
    """
    check("volatility: n", n, 2)
    check("volatility: periods", periods)
    text = over(f"stddev_samp({logarithmic(bars)})", n) + f" * sqrt({periods})"
    return indicator(
        name or f"volatility_{n}", text, f"Annualised deviation of {n} log returns", rows=n + 1
    )


def sharpe(
    bars: Bars,
    n: int = 60,
    *,
    risk_free: float = 0.0,
    periods: int = YEAR,
    name: str | None = None,
) -> Feature:
    """Rolling Sharpe ratio of n simple returns.

    Formula: (mean return - risk_free / periods) / sample deviation * sqrt(periods); `risk_free` is
    the rate of a year.
    Unit: none, annualised.
    Null: until n + 1 bars exist; where the returns do not vary.
    TA-Lib: none.
    Source: Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994).
    """
    check("sharpe: n", n, 2)
    check("sharpe: periods", periods)
    returns = simple(bars)
    mean, spread = over(f"avg({returns})", n), over(f"stddev_samp({returns})", n)
    text = f"({mean} - {float(risk_free)} / {periods}) / nullif({spread}, 0) * sqrt({periods})"
    return indicator(
        name or f"sharpe_{n}", text, f"Annualised Sharpe ratio of {n} returns", rows=n + 1
    )


def beta(bars: Bars, index: str, n: int = 60, *, name: str | None = None) -> Feature:
    """Beta to an index.

    Formula: the slope of the regression of n simple returns of the close on those of the index,
    covariance / variance. `index` is the level of the index in each bar: a column of the source, or
    an expression; where the index is a table of its own, the source's `query` joins it by its day.
    Unit: none.
    Null: until n + 1 bars exist; where the index did not move in them.
    TA-Lib: BETA(index, close): its first input is the one that explains.
    Source: Sharpe, Capital Asset Prices, Journal of Finance 19 (1964).
    """
    check("beta: n", n, 2)
    level = grouped(index)
    market = f"{level} / nullif(lag({level}), 0) - 1"
    text = over(f"regr_slope({simple(bars)}, {market})", n)
    return indicator(name or f"beta_{n}", text, f"Beta of {n} returns to the index", rows=n + 1)


def drawdown(bars: Bars, n: int | None = None, *, name: str | None = None) -> Feature:
    """Drawdown: how far the close is below its peak.

    Formula: close / greatest close - 1, of the last n bars, or of all so far.
    Unit: a fraction, 0 at the peak and -0.2 a fifth below.
    Null: until n bars exist; where the close is null or the peak 0.
    TA-Lib: none (close over MAX).
    Source: Magdon-Ismail, Atiya, Maximum Drawdown, Risk 17 (2004).
    """
    if n is None:
        text = f"{bars.c} / nullif({_peak(bars)}, 0) - 1"
        return indicator(name or "drawdown", text, "Close below its greatest so far")
    check("drawdown: n", n)
    text = f"{bars.c} / nullif(max({bars.c}), 0) - 1"
    return indicator(name or f"drawdown_{n}", text, f"Close below the greatest of {n} bars", rows=n)


def max_drawdown(bars: Bars, n: int = YEAR, *, name: str | None = None) -> Feature:
    """The deepest drawdown of the last n bars, each from the peak of all bars before it.

    Formula: min(close / greatest close so far - 1) over n bars.
    Unit: a fraction, 0 or below.
    Null: until n bars exist.
    TA-Lib: none.
    Source: Magdon-Ismail, Atiya (2004).
    """
    check("max_drawdown: n", n)
    text = f"min({bars.c} / nullif({_peak(bars)}, 0) - 1)"
    return indicator(name or f"max_drawdown_{n}", text, f"Deepest drawdown of {n} bars", rows=n)


def zscore(bars: Bars, n: int = 20, *, sample: bool = False, name: str | None = None) -> Feature:
    """How many deviations the close is from its mean.

    Formula: (close - mean) / deviation of the last n closes, of the population (n) unless `sample`
    (n - 1).
    Unit: deviations.
    Null: until n bars exist; where the closes are equal.
    TA-Lib: none; (close - SMA) / STDDEV is the same.
    Source: Chan, Algorithmic Trading (2013), ch. 3.
    """
    check("zscore: n", n, 2)
    spread = "stddev_samp" if sample else "stddev_pop"
    text = f"({bars.c} - avg({bars.c})) / nullif({spread}({bars.c}), 0)"
    return indicator(name or f"zscore_{n}", text, f"Close from the mean of {n} bars", rows=n)


def _peak(bars: Bars) -> str:
    return f"max({bars.c}) OVER (ROWS UNBOUNDED PRECEDING)"
