"""Every kind of source gives the same: training sets, backfills, what is served, and snapshots."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from headwater import Feature, Source
from headwater.errors import SourceError
from store import shop
from store.shop import TIME, day, event, moment, view

ROWS = shop.random_events(60, users=5)
TIMES = {"event_time": "event_time", "available_at": "known"}


def duck(folder, rows):
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.register("given", shop.table(rows))
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA IF NOT EXISTS raw")
        connection.execute("CREATE OR REPLACE TABLE raw.events AS FROM given")


def one_file(folder, rows):
    shop.write(folder, rows, "data/events.parquet")


def many_files(folder, rows):
    for name, part in (("one", rows[:20]), ("two", rows[20:])):
        shop.write(folder, part, f"data/{name}/events.parquet")


def csv(folder, rows):
    pyarrow.csv.write_csv(shop.table(rows), folder / "events.csv")


def delta(folder, rows):
    write_deltalake(folder / "lake", shop.table(rows), mode="overwrite")


FORMS = {
    "parquet": (one_file, {"path": "data/events.parquet"}),
    "glob": (many_files, {"path": "data/*/events.parquet"}),
    "deep glob": (many_files, {"path": "data/**/*.parquet"}),
    "list": (many_files, {"path": ["data/one/*.parquet", "data/two/events.parquet"]}),
    "csv": (csv, {"path": "events.csv"}),
    "delta": (delta, {"path": "lake"}),
    "table": (duck, {"table": "raw.events", "database": "shop.duckdb"}),
    "query of a database": (
        duck,
        {"query": "SELECT * FROM raw.events WHERE true;", "database": "shop.duckdb"},
    ),
    "query of files": (one_file, {"query": "FROM 'data/*.parquet'"}),
}


def everything(store, folder):
    """What a project says of its three views: offline, in its tables, and online."""
    names = shop.values_of(shop.activity(), shop.latest(), shop.trend())
    users = [f"u{number % 6}" for number in range(24)]
    times = [day(0, 7 * number) for number in range(24)]
    trained = store.get_historical_features(shop.spine(users, times), names).to_arrow()
    store.materialize(until=day(7))
    served = store.get_online_features(names, {"user_id": sorted(set(users))}).to_dict()
    store.backfill("trend", day(1), day(3))
    revision = store.show("view", "trend")["revision"]
    kept = pa.Table.from_batches(store.tables.read(revision))
    return trained.to_pydict(), served["values"], sorted(kept.to_pylist(), key=str)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    store = shop.make(folder, ROWS)
    store.apply([shop.activity(), shop.latest(), shop.trend()])
    found = everything(store, folder)
    assert len(found[2]) > 10
    store.close()
    return found


def applied(make, folder, form, rows=ROWS):
    write, place = FORMS[form]
    store = make()
    write(folder, rows)
    source = Source("events", **place, **TIMES)
    store.apply([v(source=source) for v in (shop.activity, shop.latest, shop.trend)])
    return store


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_source_makes_no_difference(make, tmp_path, expected, form):
    store = applied(make, tmp_path, form)
    assert everything(store, tmp_path) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_source_that_changes_has_another_snapshot(make, tmp_path, form):
    store = applied(make, tmp_path, form)
    (source,) = store.analyzed().sources.values()
    before = store.engine.snapshot(source)
    assert store.engine.snapshot(source) == before
    FORMS[form][0](tmp_path, [*ROWS, event("u1", day(6, 5), amount=99.0)])
    assert store.engine.snapshot(source) != before
    spine = shop.spine(["u1"], [day(6, 6)])
    found = store.get_historical_features(spine, ["last_amount"]).to_arrow()
    assert found["last_amount"].to_pylist() == [99.0]
    store.materialize("latest", until=day(6, 6))
    online = store.get_online_features(["last_amount"], [{"user_id": "u1"}]).to_dict()
    assert online["values"]["last_amount"] == [99.0]


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ({"path": "nothing/*.parquet"}, r"field 'path': no file matches 'nothing/\*.parquet'"),
        ({"path": "nowhere"}, "field 'path'.*nowhere"),
        ({"path": "."}, "is read as a Delta table's folder"),
        ({"path": "s3://shop/a.parquet"}, "'s3://shop/a.parquet' is an address"),
        ({"table": "t", "database": "no.duckdb"}, "field 'database': no file 'no.duckdb'"),
        ({"query": "SELECT * FROM nowhere"}, "source 'events'.*nowhere"),
        ({"query": "SELEC"}, "source 'events'"),
    ],
)
def test_a_source_that_is_not_there_is_told(make, place, match):
    store = make()
    with pytest.raises(SourceError, match=match):
        store.plan([shop.latest(source=Source("events", **place, **TIMES))])


def test_a_source_that_has_gone_is_told(make, tmp_path):
    store = applied(make, tmp_path, "csv")
    (tmp_path / "events.csv").unlink()
    with pytest.raises(SourceError, match="no file matches"):
        store.materialize("latest")
    assert store.list("runs") == []


def test_times_may_be_expressions_and_dates_are_ends_of_days(make, tmp_path):
    """A bar is known at the close, a daily figure without a time of day the next morning."""
    bars = {
        "user_id": ["x", "x"],
        "date": [dt.date(2024, 1, 2), dt.date(2024, 1, 3)],
        "close": [1.0, 2.0],
    }
    pq.write_table(pa.table(bars), tmp_path / "bars.parquet")
    store = make()
    closed = Source("closed", path="bars.parquet", event_time="date + INTERVAL 21 HOUR")
    daily = Source("daily", path="bars.parquet", event_time="date")
    store.apply(
        [
            view("a", [Feature("at_close", "close")], source=closed),
            view("b", [Feature("next_day", "close")], source=daily),
        ]
    )
    times = [day(1, 21, -1), day(1, 21), day(2, 0, -1), day(2), day(2, 21), day(3)]
    spine = shop.spine(["x"] * 6, times)
    found = store.get_historical_features(spine, ["at_close", "next_day"]).to_arrow()
    assert found["at_close"].to_pylist() == [None, 1.0, 1.0, 1.0, 2.0, 2.0]
    assert found["next_day"].to_pylist() == [None, None, None, 1.0, 1.0, 2.0]


def test_rows_without_times(make, tmp_path):
    """A null event time is no event; a null available_at means known at the event."""
    store = make([event("a", None, kind="never"), event("a", day(0), kind="known", known=None)])
    store.apply([shop.latest()])
    found = store.get_historical_features(shop.spine(["a"], [day(9)]), ["last_kind"]).to_arrow()
    assert found["last_kind"].to_pylist() == ["known"]


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("at", [day(0, 5), -day(0, 5)], ids=["after 1970", "before 1970"])
def test_source_times_finer_than_microseconds_round_up(make, tmp_path, zone, at):
    """What happened a nanosecond after t has not happened at t (C2)."""
    store = make()
    times = pa.array([at * 1000 + 1, at * 1000 - 2_000_000_999], pa.timestamp("ns", zone))
    start = pa.array([at - shop.DAY] * 2).cast(TIME)
    rows = {"user_id": ["a", "b"], "at": times, "start": start, "n": [1, 2]}
    pq.write_table(pa.table(rows), tmp_path / "fine.parquet")
    late = Source("late", path="fine.parquet", event_time="start", available_at="at")
    store.apply(
        [
            view(
                "by_event",
                [Feature("by_event", "n")],
                source=Source("fine", path="fine.parquet", event_time="at"),
            ),
            view("by_knowledge", [Feature("by_knowledge", "n")], source=late),
        ]
    )
    spine = shop.spine(["a", "a", "b", "b"], [at, at + 1, at - 2_000_001, at - 2_000_000])
    found = store.get_historical_features(spine, ["by_event", "by_knowledge"]).to_arrow()
    assert found["by_event"].to_pylist() == [None, 1, None, 2]
    assert found["by_knowledge"].to_pylist() == [None, 1, None, 2]


def test_a_query_runs_once_a_training_set(make, monkeypatch):
    """Its rows are their own snapshot: they are looked at where they are staged."""
    store = make([event("a", day(0)), event("a", day(1), amount=2.0)])
    query = "SELECT user_id, amount * 2 AS twice, event_time FROM 'events.parquet'"
    queried = Source("queried", query=query, event_time="event_time")
    store.apply([view("by_query", [Feature("twice")], source=queried)])
    store = make()
    run = []
    copy, ask = store.engine._copy, store.engine.query
    monkeypatch.setattr(store.engine, "_copy", lambda *told: (run.append(query), copy(*told))[1])
    monkeypatch.setattr(
        store.engine, "query", lambda sql, *told: (run.append(sql), ask(sql, *told))[1]
    )
    job = store.get_historical_features(shop.spine(["a"], [day(2)]), ["twice"])
    assert job.to_arrow()["twice"].to_pylist() == [4.0]
    assert sum(query in sql for sql in run) == 1
    staged = list(store.engine.scratch.glob("query-*"))
    store.get_historical_features(shop.spine(["a"], [day(3)]), ["twice"]).to_arrow()
    assert list(store.engine.scratch.glob("query-*")) == staged, "the same rows, the same file"
    before = store.engine.snapshot(queried)
    shop.write(store.settings.root, [event("a", day(1), amount=2.0), event("a", day(0))])
    assert store.engine.snapshot(queried) == before, "in another order"
    shop.write(store.settings.root, [event("a", day(0)), event("a", day(1), amount=3.0)])
    assert store.engine.snapshot(queried) != before


_IN_A_ZONE = """
import sys
from headwater import FeatureStore
store = FeatureStore(sys.argv[1])
names = ["hour_of_day", "as_text", "day_of_row", "queried_day", "parsed"]
spine = "SELECT 'a' AS user_id, TIMESTAMP '2024-01-01 04:00:00' AS event_timestamp"
print(store.get_historical_features(spine, names).to_arrow().select(names).to_pylist())
print(store.materialize(until="2024-01-02")[0].tick)
"""


def test_the_zone_of_the_machine_decides_nothing(make, tmp_path):
    """Every session is pinned to UTC (C2): elsewhere the same project has the same values."""
    store = make([event("a", day(0, 3.5))])
    queried = Source(
        "queried",
        query="SELECT user_id, event_time, event_time::DATE AS d, event_time::VARCHAR AS told "
        "FROM 'events.parquet'",
        event_time="event_time",
    )
    (tmp_path / "naive.csv").write_text("user_id,at\na,2024-01-01 03:30:00\n")
    naive = Source("naive", path="naive.csv", event_time="at")
    store.apply(
        [
            view(
                "plain",
                [
                    Feature("hour_of_day", "hour(event_time)"),
                    Feature("as_text", "event_time::VARCHAR"),
                    Feature("day_of_row", "event_time::DATE"),
                ],
            ),
            view("by_query", [Feature("queried_day", "d")], source=queried),
            view("by_csv", [Feature("parsed", "at::VARCHAR")], source=naive),
        ]
    )
    told = set()
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        shutil.rmtree(tmp_path / ".headwater" / "online", ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-c", _IN_A_ZONE, str(tmp_path)],
            env={**os.environ, "TZ": zone},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1, told
    assert "'hour_of_day': 3" in told.pop()


def test_files_with_other_columns_are_read_as_one(make, tmp_path):
    store = make([event("a", day(0, 1), kind="old")])
    newer = shop.table([event("b", day(0, 2), kind="new")])
    newer = newer.append_column("extra", pa.array([1], pa.int64())).drop_columns("items")
    pq.write_table(newer, tmp_path / "events_2.parquet")
    store.apply([view("latest", [*shop.LOOKUPS, Feature("items"), Feature("extra")])])
    spine = shop.spine(["a", "b"], [day(1)] * 2)
    found = store.get_historical_features(spine, ["last_kind", "items", "extra"]).to_arrow()
    assert found["items"].to_pylist() == [1, None]
    assert found["extra"].to_pylist() == [None, 1]


@pytest.mark.parametrize("name", ["file_row_number", "File_Index", "#row"])
def test_a_column_by_which_the_engine_numbers_rows_is_told(make, tmp_path, name):
    """DuckDB lets such a column hide its own, and rows would be mixed up."""
    rows = [event("a", day(0, 1), amount=1.0), event("b", day(0, 2), amount=2.0)]
    table = shop.table(rows).append_column(name, pa.array([1, 0]))
    pq.write_table(table, tmp_path / "numbered.parquet")
    store = make([])
    numbered = Source("numbered", path="numbered.parquet", **TIMES)
    with pytest.raises(SourceError, match=f"column '{name}'.*RENAME"):
        store.apply([view("v", [Feature("last_amount", "amount")], source=numbered)])
    query = f"SELECT * RENAME (\"{name}\" AS number) FROM 'numbered.parquet'"
    renamed = Source("renamed", query=query, **TIMES)
    store.apply([view("v", [Feature("last_amount", "amount")], source=renamed)])
    spine = shop.spine(["a", "b"], [day(1)] * 2)
    found = store.get_historical_features(spine, ["last_amount"]).to_arrow()
    assert found["last_amount"].to_pylist() == [1.0, 2.0]


def test_a_column_that_has_gone_is_told(make, tmp_path):
    store = make([event("a", day(0, 1))])
    store.apply([shop.latest()])
    table = shop.table([event("a", day(0, 1))]).drop_columns("amount")
    pq.write_table(table, tmp_path / "events.parquet")
    with pytest.raises(
        SourceError, match="'amount', which feature 'last_amount' reads, is no longer"
    ):
        store.materialize("latest")
    assert store.list("runs")[0]["status"] == "failed"
    assert "amount" in store.list("runs")[0]["error"]


def test_versions_of_one_id(make, tmp_path):
    """Only the version known last counts, wherever it has moved in time."""
    rows = [
        event("a", day(0, 1), amount=1.0, event_id="x", known=day(0, 1)),
        event("a", day(0, 1), amount=5.0, event_id="x", known=day(0, 6)),
        event("a", day(0, 9), amount=7.0, event_id="x", known=day(0, 8)),
        event("a", day(0, 2), amount=2.0, event_id=None),
        event("a", day(0, 2), amount=2.0, event_id=None),
    ]
    store = make(rows)
    source = Source("events", path="events.parquet", id="event_id", **TIMES)
    totals = Feature("total", "sum(amount)", window="1d")
    store.apply(
        [
            view("totals", [totals], source=source, update_frequency="hourly"),
            view("last", [Feature("last_amount", "amount")], source=source),
        ]
    )
    times = [day(0, hours) for hours in (1.5, 3, 6, 8, 9, 10)]
    spine = shop.spine(["a"] * 6, times)
    found = store.get_historical_features(spine, ["total", "last_amount"]).to_arrow()
    assert found["total"].to_pylist() == [None, 5.0, 9.0, 4.0, 4.0, 11.0]
    assert found["last_amount"].to_pylist() == [1.0, 2.0, 2.0, 2.0, 7.0, 7.0]
    for at, total in zip(times, found["total"].to_pylist(), strict=True):
        store.materialize(until=at)
        online = store.get_online_features(["total"], [{"user_id": "a"}]).to_dict()
        assert online["values"]["total"] == [total], moment(at)


def test_a_lookup_whose_only_row_is_corrected_into_the_future_is_gone_until_then(make):
    rows = [
        event("a", day(0, 1), amount=1.0, event_id="x"),
        event("a", day(0, 9), amount=7.0, event_id="x", known=day(0, 4)),
    ]
    store = make(rows)
    source = Source("events", path="events.parquet", id="event_id", **TIMES)
    store.apply([view("last", [Feature("last_amount", "amount")], source=source)])
    for hours, expected in ((2, 1.0), (5, None), (9, 7.0)):
        store.materialize(until=day(0, hours))
        online = store.get_online_features(["last_amount"], [{"user_id": "a"}]).to_dict()
        spine = shop.spine(["a"], [day(0, hours)])
        trained = store.get_historical_features(spine, ["last_amount"]).to_arrow()
        assert online["values"]["last_amount"] == trained["last_amount"].to_pylist() == [expected]


def test_a_sequence_orders_what_comes_at_once(make, tmp_path):
    rows = shop.table([event("a", day(0), kind=kind) for kind in ("b", "c", "a")])
    rows = rows.append_column("n", pa.array([3, None, 5], pa.int64()))
    pq.write_table(rows, tmp_path / "ordered.parquet")
    store = make()
    source = Source("ordered", path="ordered.parquet", sequence="n", **TIMES)
    listed = Feature("kinds", "last_k(kind, 3)", rows=3, min_rows=1)
    store.apply([view("v", [Feature("last_kind", "kind"), listed], source=source)])
    spine = shop.spine(["a"], [day(0)])
    found = store.get_historical_features(spine, ["last_kind", "kinds"]).to_arrow()
    assert found["last_kind"].to_pylist() == ["a"]
    assert found["kinds"].to_pylist() == [["c", "b", "a"]]


def test_types_go_through_every_store(make, tmp_path):
    row = {
        "flag": pa.array([True]),
        "small": pa.array([-(2**31)], pa.int32()),
        "big": pa.array([2**63 - 1], pa.int64()),
        "half": pa.array([0.1], pa.float32()),
        "real": pa.array([float("inf")]),
        "text": pa.array(["ü\x00"]),
        "raw": pa.array([b"\x00\xff"]),
        "seen": pa.array([-1]).cast(TIME),
        "born": pa.array([dt.date(1969, 12, 31)]),
        "tags": pa.array([["x", None, "y"]]),
        "days": pa.array([[dt.date(2024, 1, 2)]]),
        "nothing": pa.array([None], pa.int64()),
    }
    at = pa.array([day(0)]).cast(TIME)
    pq.write_table(pa.table({"user_id": ["a"], "at": at, **row}), tmp_path / "types.parquet")
    store = make()
    source = Source("types", path="types.parquet", event_time="at")
    store.apply([view("v", [Feature(f"f_{n}", n) for n in row], source=source)])
    names = [f"f_{name}" for name in row]
    spine = shop.spine(["a"], [day(1)])
    trained = store.get_historical_features(spine, names).to_arrow()
    assert [trained.schema.field(n).type for n in names] == [row[n].type for n in row]
    values = [row[name][0].as_py() for name in row]
    assert [trained[name][0].as_py() for name in names] == values
    store.materialize()
    online = store.get_online_features(names, [{"user_id": "a"}]).to_dict()["values"]
    assert [online[name][0] for name in names] == values
    store.backfill("v", day(0), day(1))
    kept = pa.Table.from_batches(store.tables.read(store.show("view", "v")["revision"]))
    assert [kept[name][0].as_py() for name in names] == values


@pytest.mark.parametrize(
    ("dtype", "kind", "values"),
    [
        ("string", pa.string(), ["1", "007"]),
        ("string", pa.string(), ["2024-01-01", None]),
        ("string", pa.string(), ["a b/c%", "é"]),
        ("int32", pa.int32(), [1, -2]),
        ("bool", pa.bool_(), [True, False]),
        ("date", pa.date32(), [dt.date(2024, 1, 1), None]),
        ("timestamp", TIME, [dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)] * 2),
    ],
)
def test_a_column_that_partitions_a_delta_table_has_its_type(make, tmp_path, dtype, kind, values):
    store = make()
    rows = shop.table([event("u0", day(0)), event("u1", day(0))])
    write_deltalake(
        tmp_path / "lake", rows.append_column("part", pa.array(values, kind)), partition_by=["part"]
    )
    source = Source("lake", path="lake", format="delta", event_time="event_time")
    assert store.engine.schema(source)["part"] == dtype
    store.apply([view("parts", [Feature("part_of", "part")], source=source)])
    spine = shop.spine(["u0", "u1"], [day(1)] * 2)
    assert (
        store.get_historical_features(spine, ["part_of"]).to_arrow()["part_of"].to_pylist()
        == values
    )


def test_a_delta_table_without_rows(make, tmp_path):
    store = make()
    write_deltalake(tmp_path / "lake", shop.table([]))
    source = Source("lake", path="lake", format="delta", event_time="event_time")
    counted = Feature("n", "count(*)", window="1d")
    store.apply([view("none", [counted], source=source, update_frequency="daily")])
    spine = shop.spine(["u0"], [day(1)])
    assert store.get_historical_features(spine, ["n"]).to_arrow()["n"].to_pylist() == [0]
    assert store.materialize("none", until=day(1))[0].rows == 0
    write_deltalake(tmp_path / "lake", shop.table([event("u0", day(0))]), mode="append")
    assert store.get_historical_features(spine, ["n"]).to_arrow()["n"].to_pylist() == [1]


CHANGED = {
    "amount": ("feature 'amount'", pa.string(), "float64", "string"),
    "user_id": ("the entity of view 'v'", pa.binary(), "string", "bytes"),
    "event_time": ("field 'event_time'", pa.string(), "timestamp", "string"),
    "event_id": ("field 'id'", pa.binary(), "string", "bytes"),
}


@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.parametrize("verb", ["train", "materialize", "backfill"])
def test_a_column_of_another_type_is_told_not_misread(make, tmp_path, name, verb):
    store = make([event("u0", day(0), event_id="e")])
    source = Source("events", path="events.parquet", id="event_id", **TIMES)
    store.apply([view("v", [Feature("amount"), Feature("before", "lag(amount)")], source=source)])
    reader, kind, before, after = CHANGED[name]
    rows = shop.table([event("u0", day(0), event_id="e"), event("u0", day(1), event_id="f")])
    at = rows.schema.get_field_index(name)
    pq.write_table(rows.set_column(at, name, rows[name].cast(kind)), tmp_path / "events.parquet")
    told = rf"column '{name}', which {reader} reads, is {after} now and was {before} when"
    with pytest.raises(SourceError, match=told):
        if verb == "train":
            store.get_historical_features(shop.spine(["u0"], [day(2)]), ["amount"]).to_arrow()
        elif verb == "materialize":
            store.materialize()
        else:
            store.backfill("v", moment(day(0)), moment(day(2)))


DECLARED = {"code": "string", "amount": "float64"}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_schema_says_the_types_of_columns(make, tmp_path, ending):
    store = make()
    rows = pa.table(
        {"user_id": ["u0"], "code": [7], "amount": ["1.5"], "event_time": ["2024-01-01 00:00:00"]}
    )
    write = {"csv": pyarrow.csv.write_csv, "parquet": pq.write_table}[ending]
    write(rows, tmp_path / f"rows.{ending}")
    source = Source(
        "rows",
        path=tmp_path / f"rows.{ending}",
        event_time="event_time",
        schema={**DECLARED, "event_time": "timestamp"},
    )
    store.apply([view("v", [Feature("code"), Feature("amount")], source=source)])
    found = store.get_historical_features(shop.spine(["u0"], [day(1)]), ["code", "amount"])
    assert found.to_arrow().select(["code", "amount"]).to_pylist() == [{"code": "7", "amount": 1.5}]
    wrong = source.model_copy(update={"schema_": {"amuont": "float64"}})
    with pytest.raises(SourceError, match=r"'schema': no column 'amuont'; did you mean 'amount'"):
        store.plan([view("w", [Feature("x", "amount")], source=wrong)])


def test_a_row_that_does_not_fit_the_schema_is_told(make, tmp_path):
    store = make()
    (tmp_path / "rows.csv").write_text("user_id,amount,at\nu0,1.5,2024-01-01\nu0,abc,2024-01-01\n")
    source = Source("rows", path="rows.csv", event_time="at", schema={"amount": "float64"})
    with pytest.raises(SourceError, match='Line: 3: Error when converting column "amount"'):
        store.plan([view("v", [Feature("amount")], source=source)])
