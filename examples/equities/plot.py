"""Draw a stock's price with its indicators: python plot.py FILE.svg."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BARS = 300
NAMES = (
    *("sma_20", "bollinger_20_upper", "bollinger_20_lower", "vwap_20", "rsi_14", "adx_14"),
    *("macd_12_26_9", "macd_12_26_9_signal", "macd_12_26_9_histogram", "drawdown"),
)


def draw(store: Any, ticker: str) -> str:
    """The SVG of a stock's last bars, each with what its indicators were at the close."""
    sys.path.insert(0, str(HERE.parent))
    from charts import Panel, chart

    spine = f"""
        SELECT ticker, date + INTERVAL 22 HOUR AS event_timestamp, date, close
        FROM 'data/daily_bars.parquet' WHERE ticker = '{ticker}' ORDER BY date DESC LIMIT {BARS}
    """
    found = store.get_historical_features(spine, list(NAMES)).to_arrow().sort_by("date")
    days, values = found["date"].to_pylist(), found.to_pydict()
    band = values["bollinger_20_upper"], values["bollinger_20_lower"]
    prices = {"close": values["close"], "sma_20": values["sma_20"], "vwap_20": values["vwap_20"]}
    macd = {"macd": values["macd_12_26_9"], "signal": values["macd_12_26_9_signal"]}
    strength = {"rsi_14": values["rsi_14"], "adx_14": values["adx_14"]}
    panels = [
        Panel("Price, USD, Bollinger bands", prices, 260, band),
        Panel("Strength", strength, guides=(30, 50, 70)),
        Panel("MACD, USD", macd, bars=values["macd_12_26_9_histogram"]),
        Panel("Drawdown from the peak", {"drawdown": values["drawdown"]}, 90),
    ]
    return chart(f"{ticker}, {days[0]} to {days[-1]}", days, panels)


def main() -> None:
    from headwater import FeatureStore
    from headwater.config import load_settings
    from headwater.loading import load_definitions

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the SVG to write")
    parser.add_argument("--ticker", default="AAPL")
    parser.add_argument("--project", type=Path, default=HERE, help="the project's folder")
    args = parser.parse_args()
    settings = load_settings(args.project)
    store = FeatureStore(settings=settings)
    store.apply(store.plan(load_definitions(settings), prune=True))
    args.file.write_text(draw(store, args.ticker))
    store.close()
    print(args.file)


if __name__ == "__main__":
    main()
