"""Technical indicators of price bars, as features.

    from headwater.library import technical as ta

    bars = ta.Bars()
    FeatureView("indicators", entity=ticker, source=daily_bars,
                features=[ta.sma(bars, 20), ta.rsi(bars, 14), *ta.macd(bars)])

Each function returns a Feature, or a tuple of those that belong together: sequence features, with
the current bar included, known when the bar is known (at the close), and null until the bars that
they need exist. `name` replaces the name, which is otherwise that of the function with its
parameters; of several features it is what the names begin with. Values agree with TA-Lib to 1e-9,
except where the docstring says so.
"""

from headwater.library.technical.averages import ema, sma, vwap, wma
from headwater.library.technical.bars import Bars
from headwater.library.technical.channels import bollinger, donchian, keltner
from headwater.library.technical.everything import indicators
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

__all__ = [
    "Bars",
    "adx",
    "atr",
    "beta",
    "bollinger",
    "cci",
    "donchian",
    "drawdown",
    "ema",
    "indicators",
    "keltner",
    "log_return",
    "macd",
    "max_drawdown",
    "mfi",
    "momentum",
    "obv",
    "roc",
    "rsi",
    "sharpe",
    "simple_return",
    "sma",
    "stochastic",
    "volatility",
    "vwap",
    "williams_r",
    "wma",
    "zscore",
]
