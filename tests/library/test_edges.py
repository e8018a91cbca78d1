"""Bars as they should not be: each has its outcome, which docs/reference names."""

from __future__ import annotations

import datetime as dt
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.errors import DefinitionError
from headwater.library import technical as ta

from .bars import after_each_bar, open_store, write_bars

BARS = ta.Bars()
CLOSE = [10.0, 11.0, 12.0, 11.0, 13.0, 12.0]


def computed(folder, columns, *features, **fields):
    """The values of each feature after each bar, in the order of the file."""
    path = write_bars(folder, columns)
    store = open_store(folder, features, path, **fields)
    found = after_each_bar(store, features, path)
    store.close()
    values = [found[feature.name].to_pylist() for feature in features]
    return values[0] if len(values) == 1 else values


def test_a_zero_price(tmp_path):
    features = ta.simple_return(BARS), ta.log_return(BARS), ta.roc(BARS, 1), ta.sma(BARS, 2)
    simple, log, roc, mean = computed(tmp_path, {"close": [10.0, 0.0, 5.0, 6.0]}, *features)
    assert simple == [None, -1.0, None, 6.0 / 5.0 - 1]
    assert log == [None, None, None, math.log(6.0 / 5.0)]
    assert roc[:3] == [None, -100.0, None]
    assert mean == [None, 5.0, 2.5, 5.5]


def test_a_null_price(tmp_path):
    features = (ta.sma(BARS, 2), ta.ema(BARS, 2), ta.wma(BARS, 2), ta.simple_return(BARS))
    found = computed(tmp_path, {"close": [10.0, 11.0, None, 13.0, 14.0]}, *features)
    mean, smooth, weighted, change = found
    assert mean == [None, 10.5, 11.0, 13.0, 13.5]
    assert smooth[2] is None
    assert smooth[3] == pytest.approx(10.5 + (13 - 10.5) * 2 / 3)
    assert weighted[2:4] == [None, None]
    assert weighted[4] == pytest.approx((13 + 2 * 14) / 3)
    assert change[2:4] == [None, None]


def twice(close):
    """The third bar stands in the file twice."""
    order = [0, 1, 2, 2, *range(3, len(close))]
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in order]
    return {"close": [close[i] for i in order], "date": days, "volume": [100] * len(order)}


def test_a_duplicated_bar_counts_twice(tmp_path):
    """Without an id every row is a bar of its own (C3)."""
    mean = computed(tmp_path, twice(CLOSE), ta.sma(BARS, 3))
    assert mean[3] == pytest.approx((11 + 12 + 12) / 3)


def test_a_duplicated_bar_counts_once_where_bars_have_an_id(tmp_path):
    features = ta.sma(BARS, 3), ta.obv(BARS)
    mean, volume = computed(tmp_path, twice(CLOSE), *features, id=("ticker", "date"))
    assert mean[3] == pytest.approx((10 + 11 + 12) / 3)
    assert mean[4] == pytest.approx((11 + 12 + 11) / 3)
    assert volume[-1] == 100 * (1 + 1 + 1 - 1 + 1 - 1)


def test_an_unsorted_file(tmp_path):
    sorted_ = computed(tmp_path, {"close": CLOSE}, ta.ema(BARS, 2))
    order = [3, 0, 5, 1, 4, 2]
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in order]
    (tmp_path / "other").mkdir()
    columns = {"close": [CLOSE[i] for i in order], "date": days}
    mixed = computed(tmp_path / "other", columns, ta.ema(BARS, 2))
    assert mixed == [sorted_[i] for i in order]


def test_one_row_only(tmp_path):
    features = ta.indicators(BARS)
    found = computed(tmp_path, {"close": [10.0]}, *features)
    known = {f.name: v[0] for f, v in zip(features, found, strict=True) if v[0] is not None}
    assert known == {"obv": 100, "drawdown": 0.0}


def test_a_window_longer_than_the_history(tmp_path):
    features = ta.sma(BARS, 500), ta.rsi(BARS, 500), *ta.adx(BARS, 500), ta.volatility(BARS, 500)
    for values in computed(tmp_path, {"close": CLOSE}, *features):
        assert values == [None] * len(CLOSE)


def test_a_gap_is_no_bar(tmp_path):
    """Indicators count bars, not days: what lies between two bars does not matter."""
    whole = computed(tmp_path, {"close": CLOSE}, ta.rsi(BARS, 2))
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i * i) for i in range(len(CLOSE))]
    (tmp_path / "other").mkdir()
    assert computed(tmp_path / "other", {"close": CLOSE, "date": days}, ta.rsi(BARS, 2)) == whole


def test_a_late_listing_begins_with_null(tmp_path):
    """A stock that came later has its own first bars; those of the others change nothing."""
    alone = computed(tmp_path, {"close": CLOSE}, ta.sma(BARS, 3))
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(6)]
    columns = {
        "ticker": ["A"] * 6 + ["B"] * 3,
        "date": days + days[3:],
        "close": [*CLOSE, 1.0, 2.0, 3.0],
        "volume": [100] * 9,
    }
    (tmp_path / "other").mkdir()
    both = computed(tmp_path / "other", columns, ta.sma(BARS, 3))
    assert both == [*alone, None, None, 2.0]


def test_a_bar_without_a_ticker_belongs_to_nobody(tmp_path):
    """Nothing that is asked for reads it, and it changes no other ticker's values."""
    alone = computed(tmp_path, {"close": CLOSE}, ta.sma(BARS, 3))
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in [*range(6), 2, 3]]
    columns = {
        "ticker": ["A"] * 6 + [None] * 2,
        "date": days,
        "close": [*CLOSE, 1.0, 2.0],
        "volume": [100] * 8,
    }
    (tmp_path / "other").mkdir()
    both = computed(tmp_path / "other", columns, ta.sma(BARS, 3))
    assert both == [*alone, None, None]


def test_bars_are_served_as_they_are_trained(tmp_path):
    """A zero price, a bar twice, one without a ticker, in no order, and one ticker's first bar."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in [3, 0, 2, 2, 1, 2, 4]]
    columns = {
        "ticker": ["A", "A", "A", "A", "A", None, "B"],
        "date": days,
        "close": [12.0, 10.0, 0.0, 0.0, 11.0, 5.0, 7.0],
        "volume": [100] * 7,
    }
    path = write_bars(tmp_path, columns)
    features = ta.indicators(BARS)
    store = open_store(tmp_path, features, path)
    at = dt.datetime(2024, 1, 9, tzinfo=dt.UTC)
    store.materialize(until=at)
    names, tickers = [feature.name for feature in features], ["A", "B", None, "C"]
    spine = pa.table({"ticker": tickers, "event_timestamp": [at] * 4})
    trained = store.get_historical_features(spine, names).to_arrow().select(names).to_pydict()
    found = store.get_online_features(names, {"ticker": tickers}).to_dict()
    assert {name: found["values"][name] for name in names} == trained
    assert found["statuses"]["obv"] == ["PRESENT", "PRESENT", "NOT_FOUND", "NOT_FOUND"]
    store.close()


def test_prices_that_do_not_move(tmp_path):
    features = (
        *(ta.rsi(BARS, 2), ta.zscore(BARS, 3), ta.cci(BARS, 3), ta.williams_r(BARS, 3)),
        *(ta.mfi(BARS, 2), ta.sharpe(BARS, 3), ta.beta(BARS, "market", 3)),
    )
    still = {"close": [8.0] * 6, "high": [8.0] * 6, "low": [8.0] * 6}
    for values in computed(tmp_path, still, *features):
        assert values == [None] * 6


def test_a_file_without_rows(tmp_path):
    path = write_bars(tmp_path, {"close": CLOSE})
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    store = open_store(tmp_path, [ta.sma(BARS, 2)], path)
    spine = pa.table({"ticker": ["A"], "event_timestamp": [dt.datetime(2024, 1, 9, tzinfo=dt.UTC)]})
    assert store.get_historical_features(spine, ["sma_2"]).to_arrow()["sma_2"].to_pylist() == [None]
    store.close()


def test_a_bar_that_is_known_late_changes_what_is_known_from_then_on(tmp_path):
    known = [dt.datetime(2024, 1, d, 21, tzinfo=dt.UTC) for d in (1, 2, 5, 4, 5, 6)]
    columns = {"close": CLOSE, "known": known}
    volume = computed(tmp_path, columns, ta.obv(BARS), available_at="known")
    assert volume == [100, 200, 200, 200, 300, 200]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ta.sma(BARS, 0), "sma: n should be a whole number of bars, at least 1; is 0"),
        (lambda: ta.zscore(BARS, 1), "zscore: n should be a whole number of bars, at least 2"),
        (lambda: ta.rsi(BARS, 2.5), "rsi: n should be a whole number of bars, at least 1; is 2.5"),
        (lambda: ta.macd(BARS, 26, 12), "macd: fast should be below slow, is 26 and 12"),
        (lambda: ta.bollinger(BARS, width=0), "bollinger: width should be above 0, is 0"),
    ],
)
def test_parameters(make, message):
    with pytest.raises(DefinitionError, match=message):
        make()
