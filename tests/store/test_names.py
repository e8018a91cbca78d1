"""Names that DuckDB would mix up, and keys that their type can't hold."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureView, Source
from headwater.errors import DefinitionError, SourceError
from store import shop
from store.shop import HOUR, TIME, day, event, view


def test_features_whose_names_differ_in_case_are_told_apart(make):
    store = make([event("u0", day(0), items=5), event("u0", day(0, 1), items=7)])
    ticked = {"update_frequency": "hourly"}
    store.apply(
        [
            view("sums", [Feature("Total", "sum(items)", window="2d")], **ticked),
            view("counts", [Feature("total", "count(*)", window="2d")], **ticked),
            FeatureView("both", entity=shop.USER, features=[Feature("diff", "Total - total")]),
        ]
    )
    found = store.get_historical_features(shop.spine(["u0"], [day(1)]), ["diff"]).to_arrow()
    assert found["diff"].to_pylist() == [10]


def test_columns_of_one_view_differ_in_more_than_case(make):
    store = make()
    both = [Feature("Total", "sum(items)", window="2d"), Feature("total", "count(*)", window="2d")]
    with pytest.raises(DefinitionError, match="'total' and 'Total' differ in nothing but case"):
        store.plan([view("sums", both)])


def test_a_source_may_have_columns_of_any_name(make, tmp_path):
    store = make()
    given = {
        "user_id": ["a", "b"],
        "event_time": [day(0)] * 2,
        "__row": [1, 2],
        "#row number": [3, 4],
    }
    columns = {n: pa.array(v).cast(TIME) if n == "event_time" else v for n, v in given.items()}
    pq.write_table(pa.table(columns), tmp_path / "odd.parquet")
    source = Source("odd", path="odd.parquet", event_time="event_time")
    late = " + epoch_us(as_of()) * 0"
    features = [Feature("one", f"__row{late}"), Feature("two", f'"#row number"{late}')]
    store.apply([view("odd", features, source=source, update_frequency="hourly")])
    spine = shop.spine(["b", "a"], [day(1)] * 2)
    found = store.get_historical_features(spine, ["one", "two"]).to_arrow()
    assert found.select(["one", "two"]).to_pydict() == {"one": [2, 1], "two": [4, 3]}


@pytest.fixture
def wide(make, tmp_path):
    """A source with more keys than a 32-bit key can name, far apart from each other."""
    store = make()
    keys = [*range(0, 2_000 * 2**18, 2**18), 2**40]
    columns = {
        "key": pa.array(keys, pa.int64()),
        "event_time": pa.array([day(0)] * len(keys)).cast(TIME),
        "value": pa.array(range(len(keys))),
    }
    pq.write_table(pa.table(columns), tmp_path / "wide.parquet")
    source = Source("wide", path="wide.parquet", event_time="event_time")
    entity = Entity("narrow", join_keys={"key": "int32"})
    store.apply(
        [FeatureView("wide", entity=entity, source=source, features=[Feature("v", "value")])]
    )
    return store, keys


def test_a_key_that_its_type_cant_hold_has_no_rows(wide):
    store, keys = wide
    times = pa.array([day(0) + HOUR] * 2_000).cast(TIME)
    spine = pa.table({"key": pa.array(keys[:-1], pa.int32()), "event_timestamp": times})
    found = store.get_historical_features(spine, ["v"]).to_arrow()
    assert found["v"].to_pylist() == list(range(2_000))


def test_a_run_refuses_a_key_that_its_type_cant_hold(wide):
    store, _ = wide
    with pytest.raises(SourceError, match=r"does not fit its join key \(key int32\)"):
        store.materialize("wide")


@pytest.mark.parametrize("dtype", ["timestamp", "date", "bytes", "bool"])
def test_a_derived_view_whose_inputs_have_no_keys_yet(make, tmp_path, dtype):
    store = make()
    kind = {"timestamp": TIME, "date": pa.date32(), "bytes": pa.binary(), "bool": pa.bool_()}[dtype]
    none = {
        "key": pa.array([], kind),
        "event_time": pa.array([], TIME),
        "value": pa.array([], pa.int64()),
    }
    pq.write_table(pa.table(none), tmp_path / "none.parquet")
    source = Source("none", path="none.parquet", event_time="event_time")
    entity = Entity("keyed", join_keys={"key": dtype})
    plain = FeatureView("plain", entity=entity, source=source, features=[Feature("v", "value")])
    twice = FeatureView(
        "twice", entity=entity, update_frequency="daily", features=[Feature("w", "v * 2")]
    )
    store.apply([plain, twice])
    assert [report.written for report in store.materialize()] == [0, 0]
