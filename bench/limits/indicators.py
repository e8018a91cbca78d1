"""All technical indicators by polars and TA-Lib: read, part by ticker, compute, back in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import talib

from bench.checks import table_sums
from bench.product.indicators import COMPARED
from bench.timing import timed

Bars = dict[str, np.ndarray]
YEAR = np.sqrt(252)


def every(data: str, calls: int) -> dict[str, Any]:
    """The library's indicators for each bar, as an Arrow table in the order of the file."""
    path = Path(data) / "bars.parquet"
    return timed(lambda: _table(path), calls, table_sums(COMPARED))


def _table(path: Path) -> Any:
    bars = pl.read_parquet(path).with_row_index().sort("ticker", maintain_order=True)
    parts = bars.select("high", "low", "close", pl.col("volume").cast(pl.Float64))
    lengths = bars.group_by("ticker", maintain_order=True).len()["len"].to_list()
    columns: dict[str, np.ndarray] = {}
    begin = 0
    for length in lengths:
        one = {name: parts[name][begin : begin + length].to_numpy() for name in parts.columns}
        for name, values in _indicators(one).items():
            if name not in columns:
                columns[name] = np.empty(len(bars))
            columns[name][begin : begin + length] = values
        begin += length
    back = np.argsort(bars["index"].to_numpy(), kind="stable")
    frame = pl.DataFrame({name: values[back] for name, values in columns.items()})
    return frame.with_columns(pl.all().fill_nan(None)).to_arrow()


def _indicators(b: Bars) -> Bars:
    return {**_prices(b), **_channels(b), **_oscillators(b), **_risk(b)}


def _prices(b: Bars) -> Bars:
    close, volume = b["close"], b["volume"]
    line, signal, histogram = talib.MACD(close)
    typical = (b["high"] + b["low"] + close) / 3
    return {
        "sma_20": talib.SMA(close, 20),
        "ema_20": talib.EMA(close, 20),
        "wma_20": talib.WMA(close, 20),
        "vwap_20": talib.SUM(typical * volume, 20) / talib.SUM(volume, 20),
        "momentum_10": talib.MOM(close, 10),
        "roc_10": talib.ROC(close, 10),
        "macd_12_26_9": line,
        "macd_12_26_9_signal": signal,
        "macd_12_26_9_histogram": histogram,
    }


def _channels(b: Bars) -> Bars:
    high, low, close = b["high"], b["low"], b["close"]
    upper, middle, lower = talib.BBANDS(close, 20)
    top, bottom = talib.MAX(high, 20), talib.MIN(low, 20)
    mean, ranges = talib.EMA(close, 20), talib.ATR(high, low, close, 10)
    return {
        "bollinger_20_upper": upper,
        "bollinger_20_middle": middle,
        "bollinger_20_lower": lower,
        "bollinger_20_percent_b": (close - lower) / (upper - lower),
        "zscore_20": (close - middle) / talib.STDDEV(close, 20),
        "donchian_20_upper": top,
        "donchian_20_lower": bottom,
        "donchian_20_middle": (top + bottom) / 2,
        "keltner_20_upper": mean + 2 * ranges,
        "keltner_20_middle": mean.copy(),
        "keltner_20_lower": mean - 2 * ranges,
    }


def _oscillators(b: Bars) -> Bars:
    high, low, close, volume = b["high"], b["low"], b["close"], b["volume"]
    k, d = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    return {
        "rsi_14": talib.RSI(close, 14),
        "stochastic_14_3_3_k": k,
        "stochastic_14_3_3_d": d,
        "williams_r_14": talib.WILLR(high, low, close, 14),
        "cci_20": talib.CCI(high, low, close, 20),
        "atr_14": talib.ATR(high, low, close, 14),
        "adx_14": talib.ADX(high, low, close, 14),
        "adx_14_plus_di": talib.PLUS_DI(high, low, close, 14),
        "adx_14_minus_di": talib.MINUS_DI(high, low, close, 14),
        "obv": talib.OBV(close, volume),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
    }


def _risk(b: Bars) -> Bars:
    close = b["close"]
    simple = talib.ROCP(close, 1)
    logs = np.log1p(simple)
    drawdown = close / np.maximum.accumulate(close) - 1
    sample = np.sqrt(20 / 19), np.sqrt(60 / 59)
    return {
        "return_1": simple,
        "log_return_1": logs,
        "volatility_20": talib.STDDEV(logs, 20) * sample[0] * YEAR,
        "sharpe_60": talib.SMA(simple, 60) / (talib.STDDEV(simple, 60) * sample[1]) * YEAR,
        "drawdown": drawdown,
        "max_drawdown_252": talib.MIN(drawdown, 252),
    }
