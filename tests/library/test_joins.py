"""Fundamentals, a macro series and an index beside the bars, as the reference shows them."""

from __future__ import annotations

import datetime as dt
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureStore, FeatureView, Source
from headwater.library import technical as ta

TICKER = Entity("ticker", join_keys={"ticker": "string"})


def day(number, hour=0):
    return dt.datetime(2024, 1, 1, hour, tzinfo=dt.UTC) + dt.timedelta(days=number)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "p"\n')
    return FeatureStore(tmp_path)


def write(store, name, columns):
    path = store.settings.root / f"{name}.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def trained(store, names, *times):
    spine = pa.table({"ticker": ["A"] * len(times), "event_timestamp": [*times]})
    found = store.get_historical_features(spine, names).to_arrow()
    return [found[name].to_pylist() for name in names]


def test_figures_are_those_that_were_released(store):
    reports = write(
        store,
        "reports",
        {
            "ticker": ["A", "A", "A"],
            "quarter_end": [day(0), day(0), day(90)],
            "released_at": [day(20), day(60), day(110)],
            "eps": [1.0, 0.8, 1.5],
        },
    )
    rates = write(
        store,
        "rates",
        {"month": [day(0), day(30)], "released_at": [day(14), day(44)], "rate": [5.0, 4.75]},
    )
    earnings = Source(
        "reports",
        path=reports,
        event_time="quarter_end",
        available_at="released_at",
        id=["ticker", "quarter_end"],
    )
    macro = Source("rates", path=rates, event_time="month", available_at="released_at")
    store.apply(
        [
            FeatureView("earnings", entity=TICKER, source=earnings, features=[Feature("eps")]),
            FeatureView("macro", source=macro, features=[Feature("rate")]),
        ]
    )
    eps, rate = trained(store, ["eps", "rate"], day(10), day(30), day(95), day(120))
    assert eps == [None, 1.0, 0.8, 1.5]
    assert rate == [None, 5.0, 4.75, 4.75]


def test_an_index_is_a_column_of_the_bars(store):
    market = [100.0, 101.0, 99.0, 100.0, 102.0]
    close = [50.0]
    for before, after in itertools.pairwise(market):
        close.append(close[-1] * (1 + 1.5 * (after / before - 1)))
    days = [day(number).date() for number in range(5)]
    bars = write(store, "bars", {"ticker": ["A"] * 5, "date": days, "close": pa.array(close)})
    index = write(store, "index", {"date": days, "close": market})
    source = Source(
        "bars_with_index",
        query=f"SELECT b.*, i.close AS market FROM '{bars}' b LEFT JOIN '{index}' i USING (date)",
        event_time="date + INTERVAL 21 HOUR",
    )
    beta = ta.beta(ta.Bars(), index="market", n=3)
    store.apply([FeatureView("risk", entity=TICKER, source=source, features=[beta])])
    (found,) = trained(store, [beta.name], *(day(number, 22) for number in range(5)))
    assert found[:3] == [None] * 3
    assert found[3:] == pytest.approx([1.5, 1.5])


def test_a_stock_against_its_sector(store):
    """The sector's index is a ticker too, and the stock's sector changes on the third day."""
    closes = {
        "A": [50.0, 55.0, 44.0, 44.0],
        "X": [10.0, 11.0, 11.0, 12.1],
        "Y": [8.0, 4.0, 5.0, 4.0],
    }
    bars = write(
        store,
        "bars",
        {
            "ticker": [ticker for ticker in closes for _ in range(4)],
            "date": [day(number).date() for _ in closes for number in range(4)],
            "close": [close for column in closes.values() for close in column],
        },
    )
    sectors = write(
        store, "sectors", {"ticker": ["A", "A"], "since": [day(0), day(2)], "etf": ["X", "Y"]}
    )
    prices = Source("bars", path=bars, event_time="date + INTERVAL 21 HOUR")
    listed = Source("sectors", path=sectors, event_time="since")
    moved = ta.simple_return(ta.Bars(), name="return_1d")
    sector = Feature("sector_return", "return_1d", via={"ticker": "sector_etf"})
    store.apply(
        [
            FeatureView("returns", entity=TICKER, source=prices, features=[moved]),
            FeatureView(
                "sector", entity=TICKER, source=listed, features=[Feature("sector_etf", "etf")]
            ),
            FeatureView("of_sector", entity=TICKER, features=[sector]),
            FeatureView(
                "against",
                entity=TICKER,
                features=[Feature("to_sector", "return_1d - sector_return")],
            ),
        ]
    )
    (found,) = trained(store, ["to_sector"], *(day(number, 22) for number in range(4)))
    assert found[0] is None
    assert found[1:] == pytest.approx([0.1 - 0.1, -0.2 - 0.25, 0.0 + 0.2])
