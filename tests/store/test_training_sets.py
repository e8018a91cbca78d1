"""Training sets: every form of spine and result, names, aliases, composite and absent keys (C1)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureRef, FeatureService, FeatureView, Source
from headwater.errors import DefinitionError, NotFoundError, SpineError
from store import shop
from store.shop import TIME, day, event, moment, view

ROWS = [
    event("a", day(0, 1), amount=1.0, items=3),
    event("a", day(0, 2), amount=2.0, items=None, kind="click"),
    event("b", day(0, 3), amount=None, items=5),
]
USERS = ["b", "a", None, "nobody", "a"]
TIMES = [day(0, 4), day(0, 1), day(0, 4), day(0, 4), day(0, 2, micros=-1)]
FEATURES = ["last_items", "last_kind", "last_amount"]
EXPECTED = [
    {"last_items": 5, "last_kind": "view", "last_amount": -1.0},
    {"last_items": 3, "last_kind": "view", "last_amount": 1.0},
    {"last_items": None, "last_kind": None, "last_amount": -1.0},
    {"last_items": None, "last_kind": None, "last_amount": -1.0},
    {"last_items": 3, "last_kind": "view", "last_amount": 1.0},
]
LAST = view("latest", [Feature("last_items", "items"), *shop.LOOKUPS])


@pytest.fixture
def store(make):
    found = make(ROWS)
    found.apply([LAST, shop.activity()])
    return found


def spine_table() -> pa.Table:
    return shop.spine(USERS, TIMES, label=[1, 0, 1, 0, 1])


SPINES = {
    "arrow": lambda _: spine_table(),
    "batch": lambda _: spine_table().to_batches()[0],
    "chunked": lambda _: pa.concat_tables([spine_table()[:2], spine_table()[2:]]),
    "pandas": lambda _: spine_table().to_pandas(),
    "pandas, naive": lambda _: spine_table().to_pandas().assign(event_timestamp=naive()),
    "pandas, nanoseconds": lambda _: spine_table().to_pandas().astype({"event_timestamp": NANOS}),
    "pandas, categories": lambda _: spine_table().to_pandas().astype({"user_id": "category"}),
    "large strings": lambda _: spine_table().set_column(0, "user_id", large()),
    "polars": lambda _: pl.from_arrow(spine_table()),
    "polars, categories": lambda _: pl.from_arrow(spine_table()).cast({"user_id": pl.Categorical}),
    "polars, lazy": lambda _: pl.from_arrow(spine_table()).lazy(),
    "columns": lambda _: spine_table().to_pydict(),
    "path": lambda folder: Path(written(folder)),
    "text of a path": lambda folder: str(written(folder)),
    "path in the project": lambda folder: written(folder).name,
    "query": lambda folder: f"SELECT * FROM '{written(folder)}'",
    "query with a comment": lambda folder: f"-- all\n/* of it */ (FROM '{written(folder)}')",
}
NANOS = "datetime64[ns, UTC]"


def large() -> pa.Array:
    return pa.array(USERS, pa.large_string())


def naive() -> list[dt.datetime]:
    return [moment(at).replace(tzinfo=None) for at in TIMES]


def written(folder):
    path = folder / "spine.parquet"
    pq.write_table(spine_table(), path)
    return path


@pytest.mark.parametrize("form", SPINES)
def test_every_form_of_a_spine_gives_the_same(store, tmp_path, form):
    job = store.get_historical_features(SPINES[form](tmp_path), FEATURES)
    found = job.to_arrow()
    assert found.column_names == ["user_id", "event_timestamp", "label", *FEATURES]
    assert found["user_id"].to_pylist() == USERS
    assert found["label"].to_pylist() == [1, 0, 1, 0, 1]
    assert found.select(FEATURES).to_pylist() == EXPECTED
    assert found.schema.field("last_items").type == pa.int64()


def test_results_in_every_form_are_the_same(store, tmp_path):
    job = store.get_historical_features(spine_table(), FEATURES)
    arrow = job.to_arrow()
    assert arrow.select(FEATURES).to_pylist() == EXPECTED
    polars = job.to_polars()
    assert isinstance(polars, pl.DataFrame)
    assert polars.select(FEATURES).to_dicts() == EXPECTED
    assert polars["last_items"].dtype == pl.Int64
    pandas = job.to_pandas()
    assert pandas["last_items"].dtype == pd.Int64Dtype()
    assert pandas["last_items"].tolist() == [5, 3, pd.NA, pd.NA, 3]
    path = job.to_parquet(tmp_path / "out.parquet")
    assert pq.ParquetFile(path).read().equals(arrow)


def test_pandas_keeps_integers_and_booleans_with_nulls(make):
    big = 2**53 + 1  # a float would lose it
    store = make([event("a", day(0, 1), items=big), event("b", day(0, 1), items=None)])
    flags = Feature("is_big", "items > 5")
    narrow = Feature("few", "CAST(items % 10 AS INTEGER)")
    store.apply([view("v", [Feature("last_items", "items"), flags, narrow])])
    job = store.get_historical_features(
        shop.spine(["a", "b"], [day(1)] * 2), ["last_items", "is_big", "few"]
    )
    found = job.to_pandas()
    assert found["last_items"].tolist() == [big, pd.NA]
    assert found["is_big"].tolist() == [True, pd.NA]
    assert [str(found[name].dtype) for name in ("last_items", "is_big", "few")] == [
        "Int64",
        "boolean",
        "Int32",
    ]


def test_sql_and_explain_say_what_is_done(store):
    job = store.get_historical_features(spine_table(), [*FEATURES, "clicks_1d"])
    told = job.explain()
    assert "feature view latest" in told
    assert "known since known" in told
    assert "every 1h), visible 15m later" in told
    assert "clicks_1d: windowed int64 = count(*) FILTER (WHERE kind = 'click') over 1d" in told
    sql = job.sql()
    assert "read_parquet" in sql
    assert "\"kind\" = 'click'" in sql


def test_explain_reads_nothing(store, tmp_path):
    job = store.get_historical_features("SELECT broken", FEATURES)
    assert "feature view latest" in job.explain()


def test_the_timestamp_has_the_name_that_is_given(store):
    spine = spine_table().rename_columns(["user_id", "asked_at", "label"])
    found = store.get_historical_features(spine, FEATURES, timestamp="asked_at").to_arrow()
    assert found.select(FEATURES).to_pylist() == EXPECTED
    with pytest.raises(SpineError, match=r"no column 'event_timestamp'.*timestamp="):
        store.get_historical_features(spine, FEATURES).to_arrow()


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (pa.array([None] * 5, TIME), "is null in row 0"),
        (pa.array(range(5), pa.int64()), "a timestamp or a date is expected"),
        (pa.array(["soon"] * 5), "'soon'.*write times as"),
        (pa.array(["2024-01-05T12:00:00+02:00"] * 5), "or convert the column to timestamps"),
    ],
)
def test_times_that_are_none_are_refused(store, column, match):
    spine = spine_table().set_column(1, "event_timestamp", column)
    with pytest.raises(SpineError, match=match):
        store.get_historical_features(spine, FEATURES).to_arrow()


@pytest.mark.parametrize("given", [None, 7, {"last_items": 1}])
def test_what_is_no_list_of_features_is_told(store, given):
    with pytest.raises(DefinitionError, match="features: expected a list of references, a service"):
        store.get_historical_features(spine_table(), given)
    with pytest.raises(DefinitionError, match="features: expected a list of references, a service"):
        store.get_online_features(given, [{"user_id": "a"}])


@pytest.mark.parametrize("given", [[7], [None]])
def test_what_is_no_feature_is_told(store, given):
    for ask in (store.get_historical_features, lambda a, b: store.get_online_features(b, a)):
        with pytest.raises(DefinitionError, match=r"feature reference .*: give a text as 'view:"):
            ask(spine_table(), given)


def test_nested_columns_of_a_polars_spine_come_back_as_they_were(store):
    tags = [["x"], [], None, ["y", "z"], ["x"]]
    notes = [{"by": "ann", "at": [1.5]}] * 5
    spine = pl.from_arrow(spine_table()).with_columns(
        pl.Series("tags", tags, pl.List(pl.String)), pl.Series("notes", notes)
    )
    job = store.get_historical_features(spine, FEATURES)
    assert job.to_polars().select("tags", "notes").equals(spine.select("tags", "notes"))
    assert [None if v is None else list(v) for v in job.to_pandas()["tags"]] == tags


def test_two_columns_of_one_name_are_refused(store):
    spine = spine_table().append_column("user_id", pa.array(USERS))
    with pytest.raises(SpineError, match="two columns are called 'user_id'"):
        store.get_historical_features(spine, FEATURES).to_arrow()


def test_a_date_in_a_spine_is_its_beginning(store):
    spine = pa.table({"user_id": ["a", "a"], "event_timestamp": pa.array([19723, 19724], "date32")})
    found = store.get_historical_features(spine, ["last_kind"]).to_arrow()
    assert found["last_kind"].to_pylist() == [None, "click"]


@pytest.mark.parametrize(
    ("spine", "match"),
    [
        ({"event_timestamp": [moment(day(1))]}, "no column 'user_id' for join key 'user_id'"),
        ({"userid": ["a"], "event_timestamp": [moment(day(1))]}, "did you mean 'userid'"),
        ({"user_id": [1], "event_timestamp": [moment(day(1))]}, "join key 'user_id' is string"),
        ("events.csv", "neither a Parquet file"),
        ("", "neither a Parquet file"),
        ("nowhere.parquet", "can't read 'nowhere.parquet'"),
        ("select.parquet", "can't read 'select.parquet'"),
        ("SELECT nothing FROM nowhere", "the query failed"),
        (object(), "can't read a object"),
    ],
)
def test_what_is_wrong_with_a_spine_is_told(store, spine, match):
    with pytest.raises(SpineError, match=match):
        store.get_historical_features(spine, ["last_kind"]).to_arrow()


def test_an_empty_spine_gives_an_empty_table_of_the_right_types(store):
    found = store.get_historical_features(spine_table()[:0], [*FEATURES, "clicks_1d"]).to_arrow()
    assert found.num_rows == 0
    kinds = [found.schema.field(name).type for name in (*FEATURES, "clicks_1d")]
    assert kinds == [pa.int64(), pa.string(), pa.float64(), pa.int64()]


def test_keys_of_nulls_alone_give_nulls(store):
    spine = pa.table({"user_id": pa.nulls(2), "event_timestamp": [moment(day(1))] * 2})
    found = store.get_historical_features(spine, ["last_kind", "clicks_1d"]).to_arrow()
    assert found["last_kind"].to_pylist() == [None, None]
    assert found["clicks_1d"].to_pylist() == [None, None]


def test_features_come_in_the_order_in_which_they_are_asked_for(store):
    wanted = ["clicks_1d", "last_kind", "events_2d", "last_items"]
    found = store.get_historical_features(spine_table(), wanted).to_arrow()
    assert found.column_names[3:] == wanted


def test_two_outputs_of_one_name_name_alias(store):
    with pytest.raises(SpineError, match=r"'last_kind' is asked for twice.*alias="):
        store.get_historical_features(spine_table(), ["last_kind", "last_kind"]).to_arrow()
    spine = spine_table().append_column("last_kind", pa.array(USERS))
    with pytest.raises(SpineError, match=r"'last_kind' is a column of the spine.*alias="):
        store.get_historical_features(spine, ["last_kind"]).to_arrow()
    refs = ["last_kind", FeatureRef("latest:last_kind", alias="again")]
    found = store.get_historical_features(spine_table(), refs).to_arrow()
    assert found["again"].to_pylist() == found["last_kind"].to_pylist()


def test_a_reference_may_name_its_view(store):
    found = store.get_historical_features(spine_table(), ["latest:last_kind"]).to_arrow()
    assert found["last_kind"].to_pylist() == [row["last_kind"] for row in EXPECTED]
    with pytest.raises(NotFoundError, match="belongs to view 'latest', not 'activity'"):
        store.get_historical_features(spine_table(), ["activity:last_kind"])


@pytest.mark.parametrize(
    ("wanted", "error", "match"),
    [
        (["last_knd"], NotFoundError, "did you mean 'last_kind'"),
        (["last_kind@9.0.0"], NotFoundError, "no version '9.0.0'.*1.0.0"),
        ([], DefinitionError, "the list is empty"),
        ("last_knd", NotFoundError, "did you mean 'last_kind'"),
        (["a b"], DefinitionError, "'a b' is not a name"),
    ],
)
def test_what_is_wrong_with_a_reference_is_told(store, wanted, error, match):
    with pytest.raises(error, match=match):
        store.get_historical_features(spine_table(), wanted)


def test_one_feature_may_be_named_alone(store):
    found = store.get_historical_features(spine_table(), "last_kind").to_arrow()
    assert found["last_kind"].to_pylist() == [row["last_kind"] for row in EXPECTED]


def test_a_service_is_asked_for_by_name_or_itself(store):
    service = FeatureService("model", ["last_kind", FeatureRef("last_items", alias="n")])
    store.apply([LAST, shop.activity(), service])
    for asked in ("model", service):
        found = store.get_historical_features(spine_table(), asked).to_arrow()
        assert found.column_names[3:] == ["last_kind", "n"]
        assert found["n"].to_pylist() == [row["last_items"] for row in EXPECTED]


def test_a_key_read_under_two_other_names(make, tmp_path):
    """The origin and the destination of a trip are both locations."""
    rows = {
        "location_id": pa.array([1, 2, 2], pa.int64()),
        "rain": [0.5, 0.0, 3.0],
        "at": pa.array([day(0), day(0), day(2)]).cast(TIME),
    }
    pq.write_table(pa.table(rows), tmp_path / "weather.parquet")
    store = make()
    location = Entity("location", join_keys={"location_id": "int64"})
    source = Source("weather", path="weather.parquet", event_time="at")
    store.apply(
        [FeatureView("weather", entity=location, source=source, features=[Feature("rain")])]
    )
    spine = pa.table(
        {
            "origin_id": [1, 2, 2],
            "destination_id": [2, None, 7],
            "event_timestamp": [moment(day(1)), moment(day(3)), moment(day(1))],
        }
    )
    refs = [
        FeatureRef("rain", alias="rain_here", join_keys={"location_id": "origin_id"}),
        FeatureRef("rain", alias="rain_there", join_keys={"location_id": "destination_id"}),
    ]
    found = store.get_historical_features(spine, refs).to_arrow()
    assert found["rain_here"].to_pylist() == [0.5, 3.0, 0.0]
    assert found["rain_there"].to_pylist() == [0.0, None, None]
    store.materialize()
    online = store.get_online_features(refs, {"origin_id": [1, 2], "destination_id": [2, 1]})
    assert online.to_dict()["values"]["rain_here"] == [0.5, 3.0]
    assert online.to_dict()["values"]["rain_there"] == [3.0, 0.5]
    wrong = FeatureRef("rain", join_keys={"location": "origin_id"})
    with pytest.raises(DefinitionError, match="did you mean 'location_id'"):
        store.get_historical_features(spine, [wrong])


def test_composite_keys_never_collide(make, tmp_path):
    rows = {
        "a": ["x", "xy", "x", "", None],
        "b": ["yz", "z", "", "x", "x"],
        "n": pa.array([1, 2, 3, 4, 5], pa.int64()),
        "at": pa.array([day(0)] * 5).cast(TIME),
    }
    pq.write_table(pa.table(rows), tmp_path / "pairs.parquet")
    pair = Entity("pair", join_keys={"a": "string", "b": "string"})
    store = make()
    source = Source("pairs", path="pairs.parquet", event_time="at")
    windowed = Feature("count_2d", "count(*)", window="2d")
    store.apply(
        [
            FeatureView("pairs", entity=pair, source=source, features=[Feature("n")]),
            FeatureView(
                "counts", entity=pair, source=source, features=[windowed], update_frequency="daily"
            ),
        ]
    )
    spine = pa.table({**rows, "at": pa.array([day(1)] * 5).cast(TIME)}).drop_columns("n")
    found = store.get_historical_features(spine, ["n", "count_2d"], timestamp="at").to_arrow()
    assert found["n"].to_pylist() == [1, 2, 3, 4, None]
    assert found["count_2d"].to_pylist() == [1, 1, 1, 1, None]
    store.materialize(until=day(1))
    keys = spine.select(["a", "b"]).to_pydict()
    online = store.get_online_features(["n", "count_2d"], keys).to_dict()
    assert online["values"]["n"] == [1, 2, 3, 4, None]
    assert online["values"]["count_2d"] == [1, 1, 1, 1, None]
    assert online["statuses"]["count_2d"][-1] == "NOT_FOUND"


def test_a_view_without_an_entity_holds_for_everybody(make, tmp_path):
    rows = {"rate": [1.0, 2.0], "at": pa.array([day(0), day(2)]).cast(TIME)}
    pq.write_table(pa.table(rows), tmp_path / "rates.parquet")
    source = Source("rates", path="rates.parquet", event_time="at")
    store = make(ROWS)
    store.apply(
        [
            LAST,
            FeatureView("rates", source=source, features=[Feature("rate")]),
            FeatureView(
                "weighted", entity=shop.USER, features=[Feature("worth", "last_items * rate")]
            ),
        ]
    )
    spine = shop.spine(["a", "b", "b"], [day(1), day(1), day(3)])
    found = store.get_historical_features(spine, ["rate", "worth"]).to_arrow()
    assert found["rate"].to_pylist() == [1.0, 1.0, 2.0]
    assert found["worth"].to_pylist() == [None, 5.0, 10.0]
    alone = pa.table({"event_timestamp": [moment(day(1))]})
    assert store.get_historical_features(alone, ["rate"]).to_arrow()["rate"].to_pylist() == [1.0]
    store.materialize()
    rows = [{"user_id": "a"}, {"user_id": "b"}]
    online = store.get_online_features(["rate", "worth"], rows).to_dict()
    assert online["values"]["rate"] == [2.0, 2.0]
    assert online["values"]["worth"] == [None, 10.0]


def test_several_views_with_their_own_ticks_and_ages(make):
    store = make(
        [
            event("a", day(0, 1), amount=1.0),
            event("a", day(0, 5.5), amount=2.0),
            event("a", day(0, 5.9), amount=4.0, known=day(0, 9)),
        ]
    )
    totals = Feature("hourly_total", "sum(amount)", window="1d")
    store.apply(
        [
            view("hourly", [totals], update_frequency="hourly"),
            view(
                "delayed",
                [totals.model_copy(update={"name": "delayed_total"})],
                update_frequency="hourly",
                data_delay="4h",
            ),
            view("instant", [totals.model_copy(update={"name": "instant_total"})]),
            view("young", [Feature("young_amount", "amount")], ttl="2h"),
        ]
    )
    wanted = ["hourly_total", "delayed_total", "instant_total", "young_amount"]
    times = [day(0, 1, 1), day(0, 6.5), day(0, 7.5, 1), day(0, 10.5)]
    found = store.get_historical_features(shop.spine(["a"] * 4, times), wanted).to_arrow()
    assert found.select(wanted).to_pylist() == [
        dict(zip(wanted, row, strict=True))
        for row in [
            (None, None, 1.0, 1.0),
            (3.0, 1.0, 3.0, 2.0),
            (3.0, 1.0, 3.0, None),
            (7.0, 7.0, 7.0, None),
        ]
    ]


def test_knowledge_can_be_switched_off(make):
    store = make([event("a", day(0, 1), known=day(5)), event("a", day(0, 0), kind="click")])
    store.apply([LAST])
    spine = shop.spine(["a"], [day(1)])
    known = store.get_historical_features(spine, ["last_kind"]).to_arrow()
    all_rows = store.get_historical_features(spine, ["last_kind"], knowledge=False)
    assert known["last_kind"].to_pylist() == ["click"]
    assert all_rows.to_arrow()["last_kind"].to_pylist() == ["view"]
    assert "knowledge=False" in all_rows.explain()


@pytest.mark.parametrize(
    ("name", "values"), [("user_id", ["a", 2]), ("event_timestamp", [moment(day(1)), "2024-01-01"])]
)
def test_a_pandas_column_of_several_types_is_told(store, name, values):
    frame = spine_table().slice(0, 2).to_pandas()
    frame[name] = pd.Series(values, dtype="object")
    with pytest.raises(SpineError, match=f"column {name} .*give the column values of one type"):
        store.get_historical_features(frame, ["last_kind"]).to_arrow()
