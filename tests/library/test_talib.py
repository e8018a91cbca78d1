"""The indicators against TA-Lib, on the example's bars."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow.compute as pc
import pytest
import talib

from headwater.library import technical as ta

from .bars import EXAMPLE, after_each_bar, agree, floats, open_store

BARS = ta.Bars()
ADJUSTED = ta.Bars(factor="adj_close / close")
TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def lines(function, *args, **parameters):
    """A function of TA-Lib that gives several columns, as one function for each."""
    return lambda b, n: function(*(b[a] for a in args), **parameters)[n]


def bands(b, n):
    return talib.BBANDS(b["close"], timeperiod=20, nbdevup=2, nbdevdn=2, matype=0)[n]


def macd(b, n):
    return talib.MACD(b["close"], 12, 26, 9)[n]


def stochastic(b, n):
    given = {"slowk_period": 3, "slowk_matype": 0, "slowd_period": 3, "slowd_matype": 0}
    return talib.STOCH(b["high"], b["low"], b["close"], fastk_period=14, **given)[n]


def keltner(b, sign):
    ranges = talib.ATR(b["high"], b["low"], b["close"], 10)
    return talib.EMA(b["close"], 20) + sign * 2 * ranges


def percent_b(b):
    upper, _, lower = talib.BBANDS(b["close"], timeperiod=20, nbdevup=2, nbdevdn=2, matype=0)
    return (b["close"] - lower) / (upper - lower)


def drawdown(b):
    return b["close"] / np.maximum.accumulate(b["close"]) - 1


HLC = ("high", "low", "close")
EXPECTED = {
    "return_1": lambda b: talib.ROCP(b["close"], 1),
    "log_return_1": lambda b: np.log1p(talib.ROCP(b["close"], 1)),
    "sma_20": lambda b: talib.SMA(b["close"], 20),
    "ema_20": lambda b: talib.EMA(b["close"], 20),
    "wma_20": lambda b: talib.WMA(b["close"], 20),
    "bollinger_20_upper": partial(bands, n=0),
    "bollinger_20_middle": partial(bands, n=1),
    "bollinger_20_lower": partial(bands, n=2),
    "bollinger_20_percent_b": percent_b,
    "donchian_20_upper": lambda b: talib.MAX(b["high"], 20),
    "donchian_20_lower": lambda b: talib.MIN(b["low"], 20),
    "donchian_20_middle": lambda b: talib.MIDPRICE(b["high"], b["low"], 20),
    "keltner_20_middle": partial(keltner, sign=0),
    "keltner_20_upper": partial(keltner, sign=1),
    "keltner_20_lower": partial(keltner, sign=-1),
    "momentum_10": lambda b: talib.MOM(b["close"], 10),
    "roc_10": lambda b: talib.ROC(b["close"], 10),
    "rsi_14": lambda b: talib.RSI(b["close"], 14),
    "macd_12_26_9": partial(macd, n=0),
    "macd_12_26_9_signal": partial(macd, n=1),
    "macd_12_26_9_histogram": partial(macd, n=2),
    "stochastic_14_3_3_k": partial(stochastic, n=0),
    "stochastic_14_3_3_d": partial(stochastic, n=1),
    "williams_r_14": lambda b: talib.WILLR(*(b[c] for c in HLC), 14),
    "cci_20": lambda b: talib.CCI(*(b[c] for c in HLC), 20),
    "atr_14": lambda b: talib.ATR(*(b[c] for c in HLC), 14),
    "adx_14": lambda b: talib.ADX(*(b[c] for c in HLC), 14),
    "adx_14_plus_di": lambda b: talib.PLUS_DI(*(b[c] for c in HLC), 14),
    "adx_14_minus_di": lambda b: talib.MINUS_DI(*(b[c] for c in HLC), 14),
    "obv": lambda b: talib.OBV(b["close"], b["volume"]),
    "mfi_14": lambda b: talib.MFI(*(b[c] for c in HLC), b["volume"], 14),
    "zscore_20": lambda b: (b["close"] - talib.SMA(b["close"], 20)) / talib.STDDEV(b["close"], 20),
    "drawdown": drawdown,
    "beta_60": lambda b: talib.BETA(b["market"], b["close"], 60),
}
# TA-Lib gives these lines only where there is a signal, too
LATER = {"macd_12_26_9": 25, "stochastic_14_3_3_k": 15}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    features = ta.indicators(BARS, index="market")
    store = open_store(tmp_path_factory.mktemp("raw"), features)
    found = after_each_bar(store, features, EXAMPLE)
    store.close()
    days = found.group_by("date").aggregate([("close", "mean")])
    mean = dict(zip(days["date"].to_pylist(), days["close_mean"].to_pylist(), strict=True))
    return found.append_column("market", [[mean[day] for day in found["date"].to_pylist()]])


@pytest.fixture(scope="module")
def adjusted(tmp_path_factory):
    features = ta.indicators(ADJUSTED)
    store = open_store(tmp_path_factory.mktemp("adjusted"), features)
    found = after_each_bar(store, features, EXAMPLE)
    store.close()
    return found


def columns_of(found, ticker):
    mine = found.filter(pc.equal(found["ticker"], ticker))
    return mine, {
        name: floats(mine[name])
        for name in ("high", "low", "close", "volume", "adj_close", "market")
        if name in mine.column_names
    }


def test_every_indicator_is_compared_somewhere():
    own = {"vwap_20", "volatility_20", "sharpe_60", "max_drawdown_252"}
    assert {f.name for f in ta.indicators(BARS, "market")} == set(EXPECTED) | own


@pytest.mark.parametrize("ticker", TICKERS)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_as_talib(computed, ticker, name):
    mine, bars = columns_of(computed, ticker)
    found, expected = floats(mine[name]), EXPECTED[name](bars)
    if name in LATER:
        first = LATER[name]
        assert np.isnan(found[:first]).all()
        assert not np.isnan(found[first])
        found[np.isnan(expected)] = np.nan
    if name == "mfi_14":
        found[_unsure(bars, 14)] = expected[_unsure(bars, 14)] = np.nan
    agree(found, expected)


def _unsure(bars, n):
    """Where one of the last n changes of the typical price is rounding alone."""
    change = np.diff(sum(bars[c] for c in HLC), prepend=0)
    places = np.flatnonzero((change != 0) & (np.abs(change) < 1e-12 * bars["close"]))
    return np.array([((i - n < places) & (places <= i)).any() for i in range(len(change))])


@pytest.mark.parametrize("name", ["rsi_14", "cci_20", "adx_14", "williams_r_14", "return_1"])
def test_ratios_of_adjusted_prices(adjusted, name):
    mine, bars = columns_of(adjusted, "AAPL")
    scale = bars["adj_close"] / bars["close"]
    scaled = {c: bars[c] * scale for c in HLC} | {"volume": bars["volume"]}
    agree(floats(mine[name]), EXPECTED[name](scaled))


@pytest.mark.parametrize("name", ["sma_20", "ema_20", "wma_20", "atr_14", "bollinger_20_upper"])
def test_levels_of_adjusted_prices_are_in_the_money_of_their_day(adjusted, name):
    mine, bars = columns_of(adjusted, "AAPL")
    scale = bars["adj_close"] / bars["close"]
    scaled = {c: bars[c] * scale for c in HLC}
    agree(floats(mine[name]), EXPECTED[name](scaled) / scale)
