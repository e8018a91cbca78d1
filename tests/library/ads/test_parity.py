"""What is served equals what training sees at the same time, for every feature, to the bit."""

from __future__ import annotations

import polars as pl
import pytest

from headwater import FeatureRef
from headwater.serving.catalogue import reference_of
from headwater.serving.reader import OnlineReader

from .project import day

TIMES = [day("2023-03-15T09:30:00"), day("2023-05-28T23:59:59")]
KEYS = {
    "user_id": ["u0", "u1", "u7", "u150", "nobody", None],
    "ad_id": ["a0", "a3", "a59", "a8", "none", None],
    "campaign_id": ["c0", "c3", "c11", "c8", "none", None],
    "category": ["fashion", "food", "autos", "home", "none", None],
}
REQUEST = {
    "device": ["mobile", "tablet", "watch", None, "desktop", "mobile"],
    "income_level": ["low", "high", None, "middle", "low", "high"],
    "hour": [0, 23, 7, None, 99, 12],
}


@pytest.mark.parametrize("at", TIMES, ids=lambda at: f"{at:%m-%d}")
def test_every_feature_is_served_as_it_is_trained(store, at):
    names = sorted(store.analyzed().features())
    store.materialize(until=at)
    spine = pl.DataFrame({**KEYS, **REQUEST, "event_timestamp": [at] * 6})
    expected = store.get_historical_features(spine, names).to_arrow().to_pydict()
    instant = int(at.timestamp()) * 1_000_000
    reader = OnlineReader(store.online, store.project, refresh=0, clock=lambda: instant)
    found = reader.get([reference_of(FeatureRef(name)) for name in names], {**KEYS, **REQUEST})
    values = found.to_dict()["values"]
    for name in names:
        assert values[name] == expected[name], name
    known = [name for name in names if any(value is not None for value in expected[name])]
    assert known == names
