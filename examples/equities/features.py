"""Equities: returns, averages and RSI from daily bars of five stocks (see data/README.md).

The date of a bar is its trading day. It is known at the close, which is 16:00 in New York: 21:00
UTC at the latest. Indicators are functions of a bar and the bars before it.

`adj_close` is restated by later splits and dividends, so its level would leak the future. In what a
constant factor leaves unchanged (returns, RSI) it does not; levels use the raw `close`.
"""

from headwater import Entity, Feature, FeatureService, FeatureView, NotNull, Range, Source

ticker = Entity("ticker", join_keys={"ticker": "string"})

daily_bars = Source(
    "daily_bars",
    path="data/daily_bars.parquet",
    event_time="date + INTERVAL 21 HOUR",
    description="Open, high, low, close and volume of a trading day",
)

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
indicators = FeatureView(
    "indicators",
    entity=ticker,
    source=daily_bars,
    features=[
        Feature("return_1d", "adj_close / lag(adj_close) - 1"),
        Feature("log_return_1d", "ln(adj_close / lag(adj_close))"),
        Feature("sma_20", "avg(close)", rows=20),
        Feature("ema_12", "ema(close, 12)"),
        Feature("volatility_20", "stddev(adj_close / lag(adj_close) - 1)", rows=20),
        Feature(
            "rsi_14",
            "100 - 100 / (1 + wilder(greatest(adj_close - lag(adj_close), 0), 14)"
            " / wilder(greatest(lag(adj_close) - adj_close, 0), 14))",
            description="Relative strength index after Wilder (1978), over 14 bars",
            duckdb_view="features.rsi_14",
            validation_rules=[Range(min=0, max=100, is_blocking=True)],
        ),
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
