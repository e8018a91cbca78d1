"""All indicators at once."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.technical.averages import ema, sma, vwap, wma
from headwater.library.technical.bars import Bars
from headwater.library.technical.channels import bollinger, donchian, keltner
from headwater.library.technical.momentum import macd, momentum, roc, rsi
from headwater.library.technical.oscillators import cci, stochastic, williams_r
from headwater.library.technical.returns import log_return, simple_return
from headwater.library.technical.risk import (
    beta,
    drawdown,
    max_drawdown,
    sharpe,
    volatility,
    zscore,
)
from headwater.library.technical.trend import adx, atr
from headwater.library.technical.volume import mfi, obv


def indicators(bars: Bars, index: str | None = None) -> tuple[Feature, ...]:
    """Every indicator with its usual parameters, beta where the bars hold an index."""
    found = (
        *(simple_return(bars), log_return(bars)),
        *(sma(bars), ema(bars), wma(bars), vwap(bars)),
        *(*bollinger(bars), *donchian(bars), *keltner(bars)),
        *(momentum(bars), roc(bars), rsi(bars), *macd(bars)),
        *(*stochastic(bars), williams_r(bars), cci(bars)),
        *(atr(bars), *adx(bars), obv(bars), mfi(bars)),
        *(volatility(bars), sharpe(bars), zscore(bars)),
        *(drawdown(bars), max_drawdown(bars)),
    )
    return found if index is None else (*found, beta(bars, index))
