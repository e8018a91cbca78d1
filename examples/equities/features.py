"""Equities: technical indicators from daily bars of five stocks (see data/README.md).

The date of a bar is its trading day. It is known at the close, which is 16:00 in New York: 21:00
UTC at the latest. Indicators are functions of a bar and the bars before it.

`adj_close` is restated by later splits and dividends, so its level would leak the future. What
leads from `close` to it is a factor: the library keeps only ratios of factors between the bars of
an indicator, and gives levels in the money of their day.
"""

from headwater import Entity, Feature, FeatureService, FeatureView, NotNull, Range, Source
from headwater.library import technical as ta

ticker = Entity("ticker", join_keys={"ticker": "string"})

daily_bars = Source(
    "daily_bars",
    path="data/daily_bars.parquet",
    event_time="date + INTERVAL 21 HOUR",
    description="Open, high, low, close and volume of a trading day",
)
bars = ta.Bars(factor="adj_close / close")

prices = FeatureView(
    "prices",
    entity=ticker,
    source=daily_bars,
    features=[
        Feature("close", validation_rules=[NotNull(is_blocking=True)]),
        Feature("day_range", "(high - low) / close", description="High minus low over close"),
    ],
    owner="quant-team",
)
rsi_14 = ta.rsi(bars, 14).model_copy(
    update={
        "duckdb_view": "features.rsi_14",
        "validation_rules": (Range(min=0, max=100, is_blocking=True),),
    }
)
indicators = FeatureView(
    "indicators",
    entity=ticker,
    source=daily_bars,
    features=[
        ta.simple_return(bars, name="return_1d"),
        ta.log_return(bars, name="log_return_1d"),
        *(ta.sma(bars, 20), ta.ema(bars, 12), *ta.bollinger(bars), *ta.keltner(bars)),
        *(rsi_14, *ta.macd(bars), *ta.stochastic(bars), ta.williams_r(bars), ta.cci(bars)),
        *(ta.atr(bars), *ta.adx(bars), ta.obv(bars), ta.mfi(bars), ta.vwap(bars)),
        *(ta.volatility(bars, 20), ta.sharpe(bars), ta.drawdown(bars), ta.zscore(bars)),
    ],
    owner="quant-team",
)
activity = FeatureView(
    "activity",
    entity=ticker,
    source=daily_bars,
    update_frequency="daily",
    at="22:00",
    features=[
        Feature("mean_volume_30d", "avg(volume)", window="30d"),
        Feature("high_90d", "max(high)", window="90d"),
    ],
    owner="quant-team",
)
trend = FeatureView(
    "trend",
    entity=ticker,
    features=[Feature("below_high_90d", "close / high_90d - 1")],
    owner="quant-team",
)

direction_model = FeatureService(
    "direction_model",
    ["return_1d", "sma_20", "rsi_14", "volatility_20", "mean_volume_30d", "below_high_90d"],
)
