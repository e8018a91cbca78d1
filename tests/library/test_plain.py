"""What TA-Lib does not have, against plain Python, on the youngest of the example's stocks."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from headwater.library import technical as ta

from .bars import EXAMPLE, after_each_bar, agree, floats, open_store
from .plain import PLAIN


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    bars = pq.read_table(EXAMPLE)
    recent = pc.and_(pc.equal(bars["ticker"], "IBM"), pc.greater(bars["date"], pa.scalar(SINCE)))
    kept = pc.or_(pc.equal(bars["ticker"], "FB"), recent)
    path = folder / "bars.parquet"
    pq.write_table(bars.filter(kept), path)
    features = [f for f in ta.indicators(ta.Bars()) if f.name in PLAIN]
    store = open_store(folder, features, path)
    yield after_each_bar(store, features, path)
    store.close()


SINCE = pq.read_table(EXAMPLE, columns=["date"])["date"][3270 - 400].as_py()


@pytest.mark.parametrize("ticker", ["FB", "IBM"])
@pytest.mark.parametrize("name", sorted(PLAIN))
def test_as_plain_python(computed, ticker, name):
    mine = computed.filter(pc.equal(computed["ticker"], ticker))
    bars = mine.select(["high", "low", "close", "volume"]).to_pylist()
    expected = [PLAIN[name](bars[: i + 1]) for i in range(len(bars))]
    agree(floats(mine[name]), np.array([math.nan if v is None else v for v in expected]))
