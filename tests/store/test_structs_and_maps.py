"""Structs, maps and lists of anything: one value in training, in a run's rows and when served."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from textwrap import dedent

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureStore, FeatureView, NotNull, Range, Source
from headwater.cli.app import run
from headwater.computing import compute_feature
from headwater.errors import ComputeError, DefinitionError, RequestError, SpineError
from headwater.explaining import explain
from headwater.serving.reader import OnlineReader
from headwater.serving.wire import render

UTC = dt.UTC
MICROS = pa.timestamp("us", tz="UTC")
STRUCT = pa.struct(
    [
        ("ctr", pa.float64()),
        ("at", MICROS),
        ("Tags", pa.list_(pa.string())),
        ("day", pa.date32()),
    ]
)
MAP = pa.map_(pa.string(), pa.int64())
DEEP = pa.map_(pa.date32(), pa.list_(pa.struct([("m", pa.map_(pa.int32(), pa.float32()))])))
NAN = float("nan")


def at(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2024, 1, day, hour, tzinfo=UTC)


AT = at(5, 12)
ROWS = pa.table(
    {
        "user_id": ["a", "a", "b", "b", "c"],
        "event_time": pa.array([at(1), at(2), at(1), at(3), at(2)], MICROS),
        "s": pa.array(
            [
                {"ctr": 0.5, "at": at(1), "Tags": ["x", None], "day": dt.date(2024, 1, 1)},
                {"ctr": NAN, "at": None, "Tags": None, "day": None},
                None,
                {"ctr": None, "at": at(3, 5), "Tags": [], "day": dt.date(1969, 1, 1)},
                {"ctr": -0.0, "at": at(9), "Tags": ["q"], "day": None},
            ],
            STRUCT,
        ),
        "m": pa.array(
            [[("b", 1), ("a", 2)], [], None, [("é", 5), ("z", None)], [("k", 2**60)]], MAP
        ),
        "deep": pa.array(
            [
                [
                    (dt.date(2024, 1, 2), [{"m": [(2, 1.5), (1, None)]}]),
                    (dt.date(2023, 1, 2), None),
                ],
                [(dt.date(2024, 1, 2), [{"m": [(2, 1.5), (1, NAN)]}, None])],
                [],
                [(dt.date(2024, 1, 2), [{"m": None}]), (dt.date(1, 1, 1), [])],
                None,
            ],
            DEEP,
        ),
        "x": [1.0, 2.0, 3.0, -0.0, 5.0],
        "n": [1, 2, 3, 4, 5],
    }
)
USERS = ["a", "b", "c", "unknown", None]
USER = Entity("user", join_keys={"user_id": "string"})
EVENTS = Source("events", path="events.parquet", event_time="event_time")
LOOKUPS = (
    Feature("s0", "s"),
    Feature("m0", "m", default={"none": 0}),
    Feature("deep0", "deep"),
    Feature("made", "{'x': x, 'n': n, 'inside': {'m': m, 'l': [x, NULL]}}"),
    Feature("pairs", "map([n + 1, n], [x, NULL])"),
    Feature("field", "s.tags[1]"),
    Feature("under", "coalesce(m['a'], cardinality(m))"),
    Feature("words", "map_keys(m)"),
    Feature("of_features", "{'c': s0.ctr, 'm': m0}", default={"c": 1, "m": {"d": 1}}),
    Feature("one", "{'a': 1, 'b': x}", dtype="struct[a: float64, b: float64]"),
    Feature("truths", "map([x > 1], [n])"),
    Feature("empty", "coalesce(list_distinct(s.tags), [])"),
)
SEQUENCES = (
    Feature("before", "lag(s)"),
    Feature("before_day", "lag(s).day"),
    Feature("last_maps", "last_k(m, 2)", rows=2, min_rows=1),
)
WINDOWS = (
    Feature("last_s", "last(s)", window="7d"),
    Feature("first_m", "first(m) FILTER (WHERE x > 0)", window="7d"),
    Feature("structs", "last_k({'m': m, 'x': x}, 2)", window="7d"),
    Feature("perf", "{'mean': sum(x) / count(*), 'n': count(*)}", window="7d"),
    Feature("seen", "count(m)", window="7d"),
)
DERIVED = (
    Feature("both", "{'p': perf, 'n': coalesce(cardinality(m0), 0), 's': s0}"),
    Feature("asked", "map_extract_value(m0, word)", request={"word": "string"}),
    Feature(
        "echo",
        "{'r': r, 'q': q}",
        request={"r": "struct[a: int64, t: timestamp]", "q": "map[bool, list[float64]]"},
    ),
)
STORED = [f.name for f in (*LOOKUPS, *SEQUENCES, *WINDOWS)]
NAMES = [*STORED, *(f.name for f in DERIVED)]
GIVEN = {
    "word": pa.array(["a", "z", None, "none", "q"]),
    "r": pa.array(
        [{"a": 1, "t": at(1)}, None, {"a": None, "t": None}, {"a": 2**60, "t": at(2)}, None],
        pa.struct([("a", pa.int64()), ("t", MICROS)]),
    ),
    "q": pa.array(
        [[(True, [1.0]), (False, None)], None, [], [(True, [NAN])], None],
        pa.map_(pa.bool_(), pa.list_(pa.float64())),
    ),
}


def views(**rules) -> list[FeatureView]:
    look = FeatureView("look", entity=USER, source=EVENTS, features=LOOKUPS)
    rows = FeatureView("rows", entity=USER, source=EVENTS, features=SEQUENCES)
    windows = FeatureView(
        "windows", entity=USER, source=EVENTS, update_frequency="daily", features=WINDOWS
    )
    return [look, rows, windows, FeatureView("der", entity=USER, features=DERIVED)]


@pytest.fixture
def folder(tmp_path):
    pq.write_table(ROWS, tmp_path / "events.parquet")
    (tmp_path / "headwater.toml").write_text('project = "parts"\n')
    return tmp_path


@pytest.fixture
def store(folder):
    with contextlib.closing(FeatureStore(folder)) as found:
        found.apply(views())
        yield found


def trained(store, names=NAMES):
    spine = pa.table(
        {
            "user_id": USERS,
            "event_timestamp": pa.array([AT] * len(USERS), MICROS),
            **GIVEN,
        }
    )
    return store.get_historical_features(spine, names)


def online(store, names=NAMES):
    reader = OnlineReader(store.online, store.project, clock=lambda: micros(AT))
    columns = {"user_id": USERS}
    columns |= {n: c.to_pylist(maps_as_pydicts="strict") for n, c in GIVEN.items()}
    return reader.get(names, columns)


def micros(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(microseconds=1)


def plain(values):
    """Exact text: NaN equals NaN, -0.0 is not 0.0, and a zone is a zone."""
    return repr(values).replace("zoneinfo.ZoneInfo(key='UTC')", "datetime.timezone.utc")


def test_training_equals_runs_equals_serving(store):
    offline = trained(store).to_arrow()
    store.materialize(until=AT)
    found = online(store)
    values = found.to_dict()["values"]
    listed = offline.to_pylist(maps_as_pydicts="strict")
    for name in NAMES:
        assert plain(values[name]) == plain([row[name] for row in listed]), name
    assert found.to_arrow().select(NAMES).schema == offline.select(NAMES).schema


def test_the_values(store):
    rows = trained(store).to_arrow().to_pylist(maps_as_pydicts="strict")
    a, b, c, unknown, null = rows
    assert a["m0"] == {}
    assert list(b["m0"].items()) == [("z", None), ("é", 5)]  # in the order of its keys
    assert c["s0"] == {"ctr": 0.0, "at": at(9), "Tags": ["q"], "day": None}
    assert str(c["s0"]["ctr"]) == "-0.0"
    assert b["deep0"] == {dt.date(1, 1, 1): [], dt.date(2024, 1, 2): [{"m": None}]}
    assert list(a["deep0"][dt.date(2024, 1, 2)][0]["m"]) == [1, 2]
    assert a["made"] == {"x": 2.0, "n": 2, "inside": {"m": {}, "l": [2.0, None]}}
    assert list(a["pairs"].items()) == [(2, None), (3, 2.0)]
    assert [row["field"] for row in rows] == [None, None, "q", None, None]
    assert [row["under"] for row in rows] == [0, 2, 1, None, None]
    assert b["words"] == ["z", "é"]
    assert b["of_features"] == {"c": None, "m": {"z": None, "é": 5}}
    assert c["one"] == {"a": 1.0, "b": 5.0}
    assert b["truths"] == {False: 4}
    assert a["before"] == ROWS["s"][0].as_py()
    assert a["before_day"] == dt.date(2024, 1, 1)
    assert [list(one) for one in a["last_maps"]] == [["a", "b"], []]
    assert b["last_maps"] == [None, {"z": None, "é": 5}]
    assert a["first_m"] == {"a": 2, "b": 1}
    assert b["structs"] == [{"m": None, "x": 3.0}, {"m": {"z": None, "é": 5}, "x": 0.0}]
    assert a["perf"] == {"mean": 1.5, "n": 2}
    assert [row["seen"] for row in rows] == [2, 1, 1, 0, None]
    assert unknown["perf"] == {"mean": None, "n": 0}
    assert unknown["m0"] == null["m0"] == {"none": 0}
    assert unknown["both"] == {"p": {"mean": None, "n": 0}, "n": 1, "s": None}
    assert null["of_features"] == {"c": 1.0, "m": {"d": 1}}
    assert [row["asked"] for row in rows] == [None, None, None, 0, None]
    assert a["echo"]["q"] == {False: None, True: [1.0]}


def test_types(store):
    features = store.analyzed().features()
    assert features["s0"].dtype == (
        "struct[ctr: float64, at: timestamp, Tags: list[string], day: date]"
    )
    assert features["deep0"].dtype == "map[date, list[struct[m: map[int64, float32]]]]"
    assert features["structs"].dtype == "list[struct[m: map[string, int64], x: float64]]"
    assert features["perf"].dtype == "struct[mean: float64, n: int64]"


def test_what_http_answers(store):
    store.materialize(until=AT)
    answer = json.loads(b"".join(render(online(store))))
    names = answer["metadata"]["feature_names"]
    found = dict(zip(names, (column["values"] for column in answer["results"]), strict=True))
    assert found["s0"][0] == {"ctr": "NaN", "at": None, "Tags": None, "day": None}
    assert found["s0"][1]["at"] == 1_704_258_000
    assert found["deep0"][0] == {"2024-01-02": [{"m": {"1": "NaN", "2": 1.5}}, None]}
    assert found["truths"][1] == {"false": 4}
    assert found["echo"][3] == {"r": {"a": 2**60, "t": 1_704_153_600}, "q": {"true": ["NaN"]}}
    assert found["q"][0] == {"false": None, "true": [1.0]}
    assert found["m0"][3] == {"none": 0}


def test_frames(store):
    job = trained(store)
    frame = job.to_pandas()
    assert frame["perf"][0] == {"mean": 1.5, "n": 2}
    assert isinstance(frame["r"][3]["a"], int)
    assert frame["pairs"][0] == {2: None, 3: 2.0}
    assert frame["m0"][4] == {"none": 0}
    polars = job.to_polars()
    assert polars["perf"].to_list()[0] == {"mean": 1.5, "n": 2}


def test_defaults_are_not_shared_between_readers(store):
    store.materialize(until=AT)
    first = online(store, ["m0"]).to_dict()["values"]["m0"]
    first[3]["none"] = 7
    assert online(store, ["m0"]).to_dict()["values"]["m0"][3] == {"none": 0}


def test_backfilled_tables_hold_the_same(store):
    before = trained(store, STORED).to_arrow()
    store.backfill("look", start=at(1), end=at(5))
    store.backfill("rows", start=at(1), end=at(5))
    store.backfill("windows", start=at(1), end=at(5))
    assert plain(trained(store, STORED).to_arrow().to_pylist()) == plain(before.to_pylist())


def test_datasets_are_reproduced(store):
    spine = pa.table({"user_id": USERS, "event_timestamp": pa.array([AT] * 5, MICROS)})
    kept = store.create_dataset("parts", spine, STORED)
    assert plain(kept.to_arrow().select(STORED).to_pylist()) == plain(
        trained(store, STORED).to_arrow().select(STORED).to_pylist()
    )
    report = store.reproduce_dataset("parts")
    assert report.is_same, report


def test_an_explained_value(store):
    found = explain(store, "both", {"user_id": "b"}, micros(AT))
    assert found.value["s"]["at"] == at(3, 5)
    by_name = {one.feature: one.value for one in found.inputs}
    assert by_name["m0"] == {"z": None, "é": 5}


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        (Feature("f", "min(s)", window="7d"), "feature 'f'.*'min': argument 1 should be a single"),
        (Feature("f", "m = m"), "feature 'f'.*'x = y': argument 1 should be a single value"),
        (Feature("f", "s.clicks"), r"no field 'clicks' \(fields: ctr, at, Tags, day\)"),
        (Feature("f", "events.n"), "'events.n' is qualified; an expression sees one source"),
        (Feature("f", "{'a': NULL}"), "a part of struct.a: null. is always null; give a type"),
        (Feature("f", "m", default={"a": "x"}), "does not fit the type map.string, int64."),
        (Feature("f", "{'a': n}", default={"b": 1}), "a struct needs all its fields: a"),
        (Feature("f", "{'a': n}", dtype="struct[a: string]"), "but the definition gives"),
        (Feature("f", "m", value_kind="struct"), "'struct' does not fit map.string, int64."),
        (Feature("f", "m", validation_rules=[Range(min=0)]), "a map takes only 'not_null'"),
    ],
)
def test_what_is_refused_when_planned(store, feature, told):
    view = FeatureView(
        "v",
        entity=USER,
        source=EVENTS,
        update_frequency="daily" if feature.window else "real_time",
        features=[feature],
    )
    with pytest.raises(DefinitionError, match=told):
        store.plan([view])


def test_a_struct_is_no_join_key():
    with pytest.raises(DefinitionError, match="can't be a join key"):
        Entity("e", join_keys={"s": "struct[a: int64]"})


def test_a_join_key_of_a_struct_column_is_refused(store):
    entity = Entity("e", join_keys={"s": "string"})
    view = FeatureView("v", entity=entity, source=EVENTS, features=[Feature("x")])
    with pytest.raises(DefinitionError, match="'s'"):
        store.plan([view])


def test_not_null_counts_a_null_struct_and_no_null_inside(store):
    rule = NotNull(is_blocking=True)
    view = FeatureView(
        "ruled", entity=USER, source=EVENTS, features=[Feature("f", "m", validation_rules=[rule])]
    )
    store.apply([view])
    (run,) = store.materialize("ruled", until=at(1, 1))
    assert (run.written, run.quarantined) == (1, 1)


def test_a_key_that_stands_twice_is_an_error(store, folder):
    twice = pa.array([[("a", 1), ("a", 2)]], MAP)
    rows = ROWS.slice(0, 1).set_column(3, "m", twice)
    pq.write_table(rows, folder / "events.parquet")
    with pytest.raises(ComputeError, match="unique"):
        trained(store, ["m0"]).to_arrow()
    spine = pa.table({"user_id": ["a"], "event_timestamp": pa.array([AT], MICROS), "word": ["a"]})
    with_map = spine.append_column("r", GIVEN["r"].slice(0, 1)).append_column(
        "q", pa.array([[(True, None), (True, None)]], GIVEN["q"].type)
    )
    with pytest.raises(SpineError, match="column 'q': a key stands twice in a map"):
        store.get_historical_features(with_map, ["echo"]).to_arrow()


def test_a_value_of_the_request_that_does_not_fit(store):
    reader = OnlineReader(store.online, store.project)
    told = r"column 'r', row 0: .* an object with the fields a"
    for value in ({"a": 1}, {"a": "x", "t": None}, [1], 1):
        with pytest.raises(RequestError, match=told):
            reader.get(["echo"], {"user_id": ["a"], "r": [value], "q": [None]})


def test_python_functions_take_and_give_them(folder, monkeypatch):
    (folder / "parts_of_python.py").write_text(
        dedent(
            """
            import pyarrow as pa
            from headwater import feature_function

            @feature_function(inputs=["m"], output="map[string, int64]", frame="arrow")
            def doubled(table):
                rows = table["m"].to_pylist(maps_as_pydicts="strict")
                return pa.array(
                    [None if m is None else [(k, 2 * (v or 0)) for k, v in reversed(m.items())]
                     for m in rows], pa.map_(pa.string(), pa.int64()))

            @feature_function(inputs=["s"], output="struct[n: int64, w: list[string]]",
                              frame="pandas")
            def words(frame):
                return frame["s"].map(
                    lambda s: None if s is None else {"n": len(s["Tags"] or []), "w": s["Tags"]})
            """
        )
    )
    monkeypatch.syspath_prepend(str(folder))
    try:
        import parts_of_python as made

        features = [Feature("doubled", made.doubled), Feature("tagged", made.words)]
        with contextlib.closing(FeatureStore(folder)) as store:
            store.apply([FeatureView("py", entity=USER, source=EVENTS, features=features)])
            spine = pa.table({"user_id": USERS, "event_timestamp": pa.array([AT] * 5, MICROS)})
            table = store.get_historical_features(spine, ["doubled", "tagged"]).to_arrow()
            rows = table.to_pylist(maps_as_pydicts="strict")
    finally:
        sys.modules.pop("parts_of_python", None)
    assert list(rows[1]["doubled"].items()) == [("z", 0), ("é", 10)]
    assert rows[2]["tagged"] == {"n": 1, "w": ["q"]}
    assert rows[3]["tagged"] is None


def test_tables_of_duckdb(store, folder):
    features = [
        Feature("kept", "{'TIMESTAMP': s.at, 'm': m}", duckdb_table="named.kept"),
        Feature("looked", "deep", duckdb_view="named.looked"),
    ]
    store.apply([FeatureView("named", entity=USER, source=EVENTS, features=features)])
    store.backfill("named", start=at(1), end=at(5))
    with duckdb.connect(str(store.names.database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        kept, looked = (
            connection.sql(f"SELECT * FROM named.{name} ORDER BY user_id, event_time")
            .to_arrow_table()
            .column(name)
            .to_pylist(maps_as_pydicts="strict")
            for name in ("kept", "looked")
        )
    assert kept[3]["TIMESTAMP"] == at(3, 5)
    assert kept[3]["m"] == {"z": None, "é": 5}
    assert looked[3] == {dt.date(1, 1, 1): [], dt.date(2024, 1, 2): [{"m": None}]}


def test_values_of_single_keys(store):
    found = compute_feature(store, "m0", {"user_id": "b"}, at=AT)
    assert found.value == {"z": None, "é": 5}


def test_what_the_command_line_shows(store, folder, capsys, monkeypatch):
    store.materialize(until=AT)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    for command, told in (
        (("get", "s0", "m0", "--key", "user_id=b"), "z: null, é: 5"),
        (
            ("explain", "both", "--key", "user_id=b", "--at", "2024-01-05T12:00Z"),
            "p: {mean: 1.5, n: 2}",
        ),
        (("show", "s0"), "struct[ctr: float64, at: timestamp, Tags: list[string]"),
        (("get", "truths", "--key", "user_id=b", "--json"), '"false": 4'),
    ):
        with contextlib.suppress(SystemExit):
            run(list(command))
        assert told in capsys.readouterr().out, command
