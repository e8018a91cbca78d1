"""Frames in frames, features in features: what a row and its predecessors can say."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureStore, FeatureView, Source
from headwater.errors import ComputeError, DefinitionError

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
X = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]


@pytest.fixture
def store(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "p"\n')
    times = [START + dt.timedelta(hours=hour) for hour in range(len(X))]
    table = pa.table({"k": ["a"] * len(X), "t": times, "x": X, "n": [2**62] * len(X)})
    pq.write_table(table, tmp_path / "bars.parquet")
    return FeatureStore(tmp_path)


def values(store, *features):
    """The values of the last feature after each row."""
    view = FeatureView(
        "v",
        entity=Entity("k", join_keys={"k": "string"}),
        source=Source("bars", path="bars.parquet", event_time="t"),
        features=features,
    )
    store.apply([view])
    times = [START + dt.timedelta(hours=hour, minutes=1) for hour in range(len(X))]
    spine = pa.table({"k": ["a"] * len(X), "event_timestamp": times})
    name = features[-1].name
    return store.get_historical_features(spine, [name]).to_arrow()[name].to_pylist()


def test_a_frame_as_in_sql(store):
    found = values(store, Feature("f", "sum(x) OVER (ROWS 2 PRECEDING)"))
    assert found == [sum(X[max(0, i - 2) : i + 1]) for i in range(len(X))]


def test_all_rows_up_to_this_one(store):
    found = values(store, Feature("f", "x / max(x) OVER (ROWS UNBOUNDED PRECEDING)"))
    assert found == [x / max(X[: i + 1]) for i, x in enumerate(X)]


def test_rows_gives_null_until_there_are_so_many(store):
    found = values(store, Feature("f", "min(x) OVER (ROWS 1 PRECEDING)", rows=3))
    assert found == [None, None, 1.0, 1.0, 1.0, 5.0, 2.0, 2.0]


def test_frames_in_frames(store):
    inner = [max(X[max(0, i - 1) : i + 1]) for i in range(len(X))]
    text = "sum(max(x) OVER (ROWS 1 PRECEDING)) FILTER (WHERE x > 1) OVER (ROWS 2 PRECEDING)"
    found = values(store, Feature("f", text))
    passed = [[j for j in range(max(0, i - 2), i + 1) if X[j] > 1] for i in range(len(X))]
    assert found == [sum(inner[j] for j in places) for places in passed]


def test_a_feature_keeps_its_frame_in_another(store):
    """Of a feature with rows= another reads its values, null until there are so many rows."""
    features = Feature("mean", "avg(x)", rows=3), Feature("before", "lag(mean, 2)")
    means = [None, None, *(sum(X[i - 2 : i + 1]) / 3 for i in range(2, len(X)))]
    assert values(store, *features) == [None, None, *means[:-2]]


def test_a_feature_keeps_its_frame_in_a_longer_one(store):
    features = Feature("low", "min(x)", rows=2), Feature("f", "max(low)", rows=4, min_rows=1)
    low = [None, *(min(X[i - 1 : i + 1]) for i in range(1, len(X)))]
    known = [[v for v in low[max(0, i - 3) : i + 1] if v is not None] for i in range(len(X))]
    assert values(store, *features) == [max(vs, default=None) for vs in known]


def test_a_column_and_a_sequence_feature_in_one(store):
    features = Feature("mean", "avg(x)", rows=2), Feature("f", "x - mean")
    assert values(store, *features)[:3] == [None, 1.0 - 2.0, 4.0 - 2.5]


def test_a_frame_without_a_size_is_refused(store):
    with pytest.raises(DefinitionError, match="aggregate 'avg' needs a frame"):
        values(store, Feature("f", "avg(x) - lag(x)"))


def test_a_window_of_time_has_no_rows(store):
    with pytest.raises(DefinitionError, match=r"OVER have no 'window'; use rows="):
        values(store, Feature("f", "avg(x) OVER (ROWS 2 PRECEDING)", window="1d"))


def test_as_of_has_no_place_in_a_frame(store):
    text = "max(date_diff('day', t, as_of())) OVER (ROWS 2 PRECEDING)"
    with pytest.raises(DefinitionError, match=r"as_of\(\) can't stand in a sequence"):
        values(store, Feature("f", text))


def test_an_error_names_its_feature(store):
    features = Feature("good", "sum(x) OVER (ROWS 1 PRECEDING)"), Feature("bad", "lag(n + n)")
    with pytest.raises(ComputeError, match="feature 'bad'"):
        values(store, *features)
