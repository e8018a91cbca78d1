"""What is served equals what training sees at the same time, for every indicator, to the bit."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from headwater.library import technical as ta

from .bars import open_store

TICKERS = ["AAPL", "FB", "GOOG", "IBM", "MSFT", "NONE"]
TIMES = [
    dt.datetime(2004, 8, 30, 22, tzinfo=dt.UTC),  # GOOG has few bars yet, FB none
    dt.datetime(2012, 6, 5, 20, tzinfo=dt.UTC),  # an hour before the close
    dt.datetime(2013, 3, 2, tzinfo=dt.UTC),
]


@pytest.mark.parametrize("bars", [ta.Bars(), ta.Bars(factor="adj_close / close")])
def test_served_equals_trained(tmp_path, bars):
    features = ta.indicators(bars, index="market")
    names = [feature.name for feature in features]
    keys = [{"ticker": ticker} for ticker in TICKERS]
    store = open_store(tmp_path, features)
    for at in TIMES:
        store.materialize("indicators", until=at)
        served = store.get_online_features(names, keys).to_dict()["values"]
        spine = pa.table({"ticker": TICKERS, "event_timestamp": [at] * len(TICKERS)})
        trained = store.get_historical_features(spine, names).to_arrow().to_pydict()
        for name in names:
            assert served[name] == trained[name], (at, name)
    assert all(None not in trained[name][:5] for name in names if name != "max_drawdown_252")
    store.close()
