"""Vectors, the embeddings, through the whole product: one value in training and when served."""

from __future__ import annotations

import datetime as dt
import math

import deltalake
import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Feature, FeatureStore, FeatureView, Source
from headwater.errors import (
    ComputeError,
    DefinitionError,
    ExpressionError,
    RequestError,
    SourceError,
    SpineError,
)
from headwater.serving.reader import OnlineReader
from headwater.serving.wire import render
from store.shop import TIME, USER, day

AT = day(5, hours=10)
USERS = ["u1", "u2", "u3", "unknown", None]
QUERIES = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.1], None, [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
NAN = math.nan
SINGLES = pa.list_(pa.float32(), 3)
EMBEDDINGS = [
    ("u1", day(1), [0.1, 2.0, -1.0]),
    ("u1", day(2), None),
    ("u1", day(3), [1e-3, 1.0, 3.0]),
    ("u2", day(2), [0.0, 0.0, 0.0]),
    ("u2", day(4), [NAN, -0.0, 1.0]),
    ("u3", day(4), None),
]
LATEST = (
    Feature("embedding", "embedding", value_kind="embedding"),
    Feature("wide", "CAST(elements AS DOUBLE[3])"),
    Feature("declared", "elements", dtype="vector[float32, 3]"),
    Feature("second", "embedding[2]"),
    Feature("filled", "embedding", default=[0.1, 0, 1]),
)
WINDOWS = tuple(
    Feature(f"{name}_5d", f"{name}(embedding)", window="5d")
    for name in ("sum", "avg", "min", "max", "first", "last", "count")
)
FRAMES = (
    Feature("avg_2", "avg(embedding)", rows=2, min_rows=1),
    Feature("before", "lag(embedding)"),
    Feature("moved", "array_distance(embedding, lag(embedding))"),
)
DERIVED = (
    Feature("drift", "array_cosine_similarity(embedding, avg_5d)"),
    Feature("known", "coalesce(embedding, array_value(0, 0, 1))"),
    Feature(
        "match",
        "array_cosine_similarity(embedding, query)",
        request={"query": "vector[float32, 3]"},
    ),
    Feature("far", "array_distance(avg_5d, query)", request={"query": "vector[float32, 3]"}),
)
NAMES = [feature.name for feature in (*LATEST, *WINDOWS, *FRAMES, *DERIVED)]


def rows(values=EMBEDDINGS, kind=SINGLES):
    users, times, vectors = zip(*values, strict=True)
    return pa.table(
        {
            "user_id": pa.array(users),
            "event_time": pa.array(times).cast(TIME),
            "embedding": pa.array(vectors, kind),
            "elements": pa.array(vectors, pa.list_(pa.float64())),
        }
    )


def views(source):
    given = {"entity": USER, "source": source}
    return [
        FeatureView("latest", features=LATEST, **given),
        FeatureView("windows", features=WINDOWS, update_frequency="hourly", **given),
        FeatureView("frames", features=FRAMES, **given),
        FeatureView("derived", entity=USER, features=DERIVED),
    ]


def parquet(folder, table, **given):
    pq.write_table(table, folder / "embeddings.parquet")
    return Source("embeddings", path="embeddings.parquet", event_time="event_time", **given)


def delta(folder, table):
    deltalake.write_deltalake(
        folder / "embeddings", table.cast(rows(kind=pa.list_(pa.float32())).schema)
    )
    return Source(
        "embeddings",
        path="embeddings",
        format="delta",
        event_time="event_time",
        schema={"embedding": "vector[float32, 3]"},
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "embeddings"\n')
    return tmp_path


@pytest.fixture
def store(folder):
    with_store = FeatureStore(folder)
    yield with_store
    with_store.close()


def spine(at=AT, query=QUERIES, kind=SINGLES):
    times = pa.array([at] * len(USERS)).cast(TIME)
    given = {"user_id": USERS, "event_timestamp": times, "query": pa.array(query, kind)}
    return pa.table(given)


def trained(store, names=NAMES, **given):
    table = store.get_historical_features(spine(**given), names).to_arrow()
    return {name: table[name].to_pylist() for name in names}


def served(store, names=NAMES, query=QUERIES):
    reader = OnlineReader(store.online, store.project, clock=lambda: AT)
    return reader.get(names, {"user_id": USERS, "query": query})


@pytest.mark.parametrize("make", [parquet, delta])
def test_what_is_served_is_what_was_trained_on(store, folder, make):
    store.apply(views(make(folder, rows())))
    store.materialize(until=AT)
    known, found = trained(store), served(store).to_dict()["values"]
    for name in NAMES:
        assert repr(found[name]) == repr(known[name]), name  # all NaN alike
    assert known["embedding"][0] == [np.float32(1e-3), 1.0, 3.0]
    assert known["wide"][0] == [1e-3, 1.0, 3.0]
    assert repr(known["declared"]) == repr(known["embedding"])
    assert known["filled"][3] == [np.float32(0.1), 0.0, 1.0]
    assert known["sum_5d"][0] == [float(np.float32(0.1)) + float(np.float32(1e-3)), 3.0, 2.0]
    assert repr(known["max_5d"][1]) == "[nan, 0.0, 1.0]"
    assert known["min_5d"][1] == [0.0, 0.0, 0.0]
    assert known["count_5d"] == [2, 2, 0, 0, None]
    assert known["sum_5d"][2:] == [None, None, None]


def test_a_later_run_goes_on_from_the_last_one(store, folder):
    source = parquet(folder, rows())
    store.apply(views(source))
    for at in (day(2, hours=1), day(4, hours=1), AT):
        store.materialize(until=at)
        store.materialize(until=at)
    known, found = trained(store), served(store).to_dict()["values"]
    assert {n: repr(found[n]) for n in NAMES} == {n: repr(known[n]) for n in NAMES}


def test_json_has_lists_of_numbers(store, folder):
    store.apply(views(parquet(folder, rows())))
    store.materialize(until=AT)
    answer = msgspec.json.decode(b"".join(render(served(store, ["embedding", "match"]))))
    columns = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
    assert columns["embedding"]["values"][0] == [0.0010000000474974513, 1.0, 3.0]
    assert columns["embedding"]["values"][1] == ["NaN", -0.0, 1.0]
    assert columns["embedding"]["values"][2:] == [None, None, None]
    assert columns["query"]["values"][0] == [1.0, 0.0, 0.5]


def test_a_training_set_has_arrays(store, folder):
    store.apply(views(parquet(folder, rows())))
    job = store.get_historical_features(spine(), ["embedding", "sum_5d"])
    assert job.to_arrow().schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert job.to_arrow().schema.field("sum_5d").type == pa.list_(pa.float64(), 3)
    assert job.to_polars().schema["sum_5d"] == pl.Array(pl.Float64, 3)
    assert list(job.to_pandas()["embedding"][0]) == [np.float32(1e-3), 1.0, 3.0]


def test_a_dataset_gives_the_elements_as_columns(store, folder):
    store.apply(views(parquet(folder, rows())))
    made = store.create_dataset("similar", spine(), ["second", "embedding"])
    x, _ = made.to_numpy()
    assert x.shape == (len(USERS), 4)
    assert x[0].tolist() == [1.0, np.float32(1e-3), 1.0, 3.0]
    assert np.isnan(x[3]).all()
    assert store.reproduce_dataset("similar").is_same


def test_values_are_kept_offline(store, folder):
    store.apply(views(parquet(folder, rows())))
    before = trained(store)
    for view in ("latest", "windows", "frames"):
        store.backfill(view, dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 8))  # noqa: DTZ001
    assert repr(trained(store)) == repr(before)


def test_a_changed_definition_is_compared_on_a_sample(store, folder):
    source = parquet(folder, rows())
    store.apply(views(source))
    [_, windows, *_] = views(source)
    others = [f for f in WINDOWS if f.name != "avg_5d"]
    changed = Feature("avg_5d", "avg(embedding) FILTER (WHERE embedding[2] > 0)", window="5d")
    plan = store.plan([windows.model_copy(update={"features": (changed, *others)})])
    assert "avg_5d" in str(plan)


def test_sizes_that_differ_are_refused_when_planned(store, folder):
    source = parquet(folder, rows())
    short = Feature("m", "array_distance(embedding, q)", request={"q": "vector[float32, 2]"})
    with pytest.raises(ExpressionError, match=r"are vector\[float32, 2\] and vector\[float32, 3\]"):
        store.apply([*views(source)[:1], FeatureView("d", entity=USER, features=[short])])


@pytest.mark.parametrize(
    ("expression", "given", "message"),
    [
        ("last_k(embedding, 2)", {"window": "1d"}, "a vector is a feature of its own"),
        ("{'a': embedding}", {}, "a vector is a feature of its own"),
        ("embedding", {"default": [1.0]}, "it has 1 elements"),
        ("embedding", {"default": 0.0}, "does not fit the type"),
        ("embedding", {"validation_rules": [("range", {"min": 0})]}, "takes only 'not_null'"),
    ],
)
def test_what_is_refused_when_planned(store, folder, expression, given, message):
    from headwater.definitions.rules import ValidationRule

    rules = [
        ValidationRule(rule_type=k, parameters=p) for k, p in given.pop("validation_rules", ())
    ]
    feature = Feature("f", expression, validation_rules=rules, **given)
    source = parquet(folder, rows())
    with pytest.raises(DefinitionError, match=message):
        store.apply([FeatureView("v", entity=USER, source=source, features=[feature])])


def test_elements_that_are_null(store, folder):
    wrong = rows([("u1", day(1), [1.0, None, 2.0])])
    given = {
        "entity": USER,
        "features": [LATEST[0], Feature("tried", "TRY_CAST(elements AS FLOAT[3])")],
    }
    store.apply([FeatureView("v", source=parquet(folder, wrong), **given)])
    assert trained(store, ["tried"])["tried"] == [None] * 5
    with pytest.raises(
        (ComputeError, SourceError),
        match=r"column 'embedding' \(vector\[float32, 3\]\): an element of a vector is null",
    ):
        trained(store, ["embedding"])


def test_request_values_that_do_not_fit(store, folder):
    store.apply(views(parquet(folder, rows())))
    store.materialize(until=AT)
    with pytest.raises(RequestError, match=r"'query', row 0: .* is not a list of 3 numbers"):
        served(store, ["match"], [[1.0, 2.0]] * 5)
    with pytest.raises(SpineError, match="column 'query' does not fit"):
        trained(store, ["match"], query=[[1.0]] * 5, kind=pa.list_(pa.float32()))
    with pytest.raises(SpineError, match="column 'query': an element of a vector"):
        trained(store, ["match"], query=[[1.0, None, 2.0]] * 5)
    wider = trained(store, ["match"], kind=pa.list_(pa.float64()))
    assert repr(wider) == repr(trained(store, ["match"]))
