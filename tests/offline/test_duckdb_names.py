"""Features that are queried in DuckDB under a name of their own."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pyarrow as pa
import pytest

from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError, StoreError
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.offline.duckdb_names import (
    DuckDBNames,
    NamedFeature,
    check_duckdb_names,
    named_features,
)
from headwater.offline.intervals import Interval
from headwater.offline.layout import offline_schema
from headwater.offline.tables import OfflineTables

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("event_time", TIMESTAMP),
        ("known_at", TIMESTAMP),
        ("rsi", pa.float64()),
        ("last", pa.list_(pa.int64())),
    ]
)
VIEW = NamedFeature("features.stock_rsi", "view", "rsi", "r1", ("ticker",))
TABLE = NamedFeature("rsi_copy", "table", "rsi", "r1", ("ticker",))
LISTS = NamedFeature("Features2.lists", "view", "last", "r1", ("ticker",))


@pytest.fixture
def names(tmp_path) -> DuckDBNames:
    tables = OfflineTables(tmp_path / "it's here", "shop")
    return DuckDBNames(tmp_path / "folder" / "offline.duckdb", tables)


def write(names, start, end, snapshot, rsi=50.0, revision="r1") -> None:
    times = list(range(start, end))
    batch = pa.RecordBatch.from_pydict(
        {
            "ticker": ["A"] * len(times),
            "event_time": pa.array(times, TIMESTAMP),
            "known_at": pa.array(times, TIMESTAMP),
            "rsi": [rsi] * len(times),
            "last": [[1]] * len(times),
        },
        schema=SCHEMA,
    )
    interval = Interval(start, end)
    names.tables.write_interval(revision, SCHEMA, interval, snapshot, [batch])


def query(names, sql) -> list[tuple]:
    with duckdb.connect(str(names.database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()


def test_a_name_shows_keys_times_and_the_feature(names):
    write(names, 0, 2, "s1")
    names.publish([VIEW, TABLE, LISTS])
    for name in ("features.stock_rsi", "rsi_copy", "main.rsi_copy"):
        rows = query(names, f"SELECT ticker, epoch_us(event_time), rsi FROM {name} ORDER BY 2")
        assert rows == [("A", 0, 50.0), ("A", 1, 50.0)]
    described = [row[:2] for row in query(names, "DESCRIBE features.stock_rsi")]
    assert described == [
        ("ticker", "VARCHAR"),
        ("event_time", "TIMESTAMP WITH TIME ZONE"),
        ("known_at", "TIMESTAMP WITH TIME ZONE"),
        ("rsi", "DOUBLE"),
    ]
    assert query(names, 'SELECT last FROM "Features2".lists LIMIT 1') == [([1],)]


def test_refresh_follows_commits_compaction_and_vacuum(names):
    write(names, 0, 2, "s1")
    names.publish([VIEW, TABLE])
    write(names, 0, 2, "s2", rsi=60.0)
    write(names, 2, 4, "s2", rsi=60.0)
    for change in ("commit", "compact"):
        if change == "compact":
            names.tables.compact("r1")
        names.refresh("r1")
        names.tables.vacuum("r1", retention_hours=0)
        for name in (VIEW.name, TABLE.name):
            assert query(names, f"SELECT count(*), sum(rsi) FROM {name}") == [(4, 240.0)]


def test_a_table_is_copied_only_when_there_is_something_new(names):
    write(names, 0, 2, "s1")
    names.publish([TABLE])
    with duckdb.connect(str(names.database)) as connection:
        connection.execute("DELETE FROM rsi_copy")
    names.refresh("r1")
    assert query(names, "SELECT count(*) FROM rsi_copy") == [(0,)]
    write(names, 2, 3, "s1")
    names.refresh("r1")
    assert query(names, "SELECT count(*) FROM rsi_copy") == [(3,)]


def test_an_empty_table_keeps_its_types(names):
    write(names, 0, 2, "s1")
    names.tables.write_interval("r1", SCHEMA, Interval(0, 2), "s2", [])
    names.publish([VIEW, LISTS, TABLE])
    assert query(names, "SELECT * FROM features.stock_rsi") == []
    assert query(names, 'DESCRIBE "Features2".lists')[-1][:2] == ("last", "BIGINT[]")


def test_a_name_appears_with_the_first_backfill_and_goes_with_the_feature(names):
    names.publish([VIEW])
    assert relations(names) == []
    write(names, 0, 2, "s1")
    names.refresh("r1")
    assert relations(names) == ["stock_rsi"]
    names.publish([TABLE])
    assert relations(names) == ["rsi_copy"]
    names.publish([])
    assert relations(names) == []


def test_a_new_revision_never_shows_the_old_rows(names):
    write(names, 0, 2, "s1")
    names.publish([VIEW])
    newer = NamedFeature(VIEW.name, "table", "rsi", "r2", ("ticker",))
    names.publish([newer])
    assert relations(names) == []
    write(names, 0, 1, "s1", rsi=1.0, revision="r2")
    names.refresh("r2")
    assert query(names, "SELECT rsi FROM features.stock_rsi") == [(1.0,)]


def test_what_somebody_else_made_is_left_alone(names):
    write(names, 0, 2, "s1")
    names.database.parent.mkdir()
    with duckdb.connect(str(names.database)) as connection:
        connection.execute("CREATE TABLE RSI_copy AS SELECT 1 AS mine")
    with pytest.raises(StoreError, match="which Headwater did not make"):
        names.publish([VIEW, TABLE])
    assert query(names, "SELECT * FROM rsi_copy") == [(1,)]
    assert relations(names) == ["RSI_copy"]


def test_a_file_that_another_process_has_open_is_named(names):
    write(names, 0, 2, "s1")
    names.publish([VIEW])
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(names.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreError, match="if another process has it open") as caught:
            names.refresh("r1")
        other.communicate(b"\n")
    assert caught.value.retryable
    names.refresh("r1")


def test_no_names_make_no_file(names):
    names.publish([])
    names.refresh("r1")
    assert not names.database.exists()


def relations(names) -> list[str]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema <> 'headwater'"
    return [row[0] for row in query(names, f"{sql} ORDER BY 1")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.b.c"], "'a.b.c' has 3 parts"),
        (["a; drop table b"], "is not a name"),
        (['a"b'], "is not a name"),
        ([""], "is not a name"),
        (["features."], "is not a name"),
        (["headwater.names"], "the schema 'headwater' is reserved"),
        (["Offline.x"], "the schema 'Offline' is reserved"),
        (["a.x", "A.X"], "'A.X' is taken by feature 'f0': field 'duckdb_view'"),
        (["x", "main.x"], "'main.x' is taken by feature 'f0'"),
    ],
)
def test_names_are_checked(names, message):
    features = [Feature(f"f{n}", "x", duckdb_view=name) for n, name in enumerate(names)]
    with pytest.raises(DefinitionError, match="field 'duckdb_view'") as caught:
        check_duckdb_names(features)
    assert message in str(caught.value)


def test_one_feature_may_have_a_view_and_a_table():
    check_duckdb_names([Feature("f", "x", duckdb_view="f.v", duckdb_table="f.t"), Feature("g")])
    with pytest.raises(DefinitionError, match="is taken by feature 'f': field 'duckdb_table'"):
        check_duckdb_names([Feature("f", "x", duckdb_view="v", duckdb_table="v")])


def analyzed(name="rsi", **fields) -> AnalyzedView:
    feature = Feature(name, "close", duckdb_view="features.rsi", duckdb_table="rsi")
    view = FeatureView("stock", entity="stock", source="bars", features=[feature], **fields)
    entity = Entity("stock", {"ticker": "string"})
    known = AnalyzedFeature(feature, "stock", "lookup", "float64", None, (), (), "", "")
    return AnalyzedView(view, entity, None, {}, (known,), (), "r1", stored=True)


def test_names_and_columns_of_a_view():
    assert named_features(analyzed()) == [
        NamedFeature("features.rsi", "view", "rsi", "r1", ("ticker",)),
        NamedFeature("rsi", "table", "rsi", "r1", ("ticker",)),
    ]
    assert offline_schema(analyzed()).names == ["ticker", "event_time", "known_at", "rsi"]
    ticked = offline_schema(analyzed(update_frequency="daily"))
    assert ticked.names == ["ticker", "tick", "event_time", "known_at", "rsi"]
    with pytest.raises(DefinitionError, match="'tick' is the name of a time"):
        offline_schema(analyzed("tick"))
