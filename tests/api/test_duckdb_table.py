"""A feature with SQL, an entity and `duckdb_table`, and no source, is computed from that table."""

import datetime as dt

import duckdb
import pytest

from api.client import RSI
from api.test_brought import ORDERS, ROWS, USER, served, sql
from headwater import Entity, Feature, FeatureStore, FeatureView, Source
from headwater.config import local_settings
from headwater.errors import DefinitionError

TABLE = "features.orders"
YEAR = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC))


@pytest.fixture
def database(tmp_path):
    path = tmp_path / ".headwater" / "offline" / "shop.duckdb"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def store(url, tmp_path, database):
    (tmp_path / "orders.csv").write_text(ROWS)
    found = FeatureStore(settings=local_settings(tmp_path, project="shop", registry__url=url))
    yield found
    found.close()


def run(database, *statements):
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in statements:
            found = connection.execute(statement).fetchall()
    return found


def fill(database, name=TABLE, time="event_time", more=""):
    made = f"'u1' AS user_id, TIMESTAMP '2026-01-02' AS {time}, 5 AS amount{more}"
    run(
        database,
        "CREATE SCHEMA IF NOT EXISTS features",
        f"CREATE OR REPLACE TABLE {name} AS SELECT {made}",
    )


def feature(name, code="amount", **fields):
    made = {"feature_name": name, "feature_type": "raw", "data_type": "integer", "entity": USER}
    return {**made, "transformation": sql(code), "duckdb_table": TABLE, **fields}


def activate(api, name):
    return api.post(f"/features/{name}/activate")


@pytest.mark.parametrize("table", [TABLE, "orders", "Features.Orders"])
def test_it_is_computed_and_served_like_any_other(api, store, database, table):
    fill(database, table)
    assert api.post("/features", feature("last", duckdb_table=table))["source"] is None
    made = activate(api, "last")
    assert made["duckdb_table"] == table
    assert made["source"].lower().startswith("duckdb__")
    assert made["computed_in"] == "child process"
    store.materialize()
    assert served(store, "last") == [5]
    run(database, f"UPDATE {table} SET amount = 7, event_time = '2026-01-03'")
    store.materialize()
    assert served(store, "last") == [7]
    # the table stays what it is: it is read, and no values are written there
    store.backfill(made["view"], *YEAR)
    assert [row[0] for row in run(database, f"SELECT amount FROM {table}")] == [7]


def test_several_read_one_table_in_one_view(api, store, database):
    fill(database)
    for name, code in (("one", "amount"), ("two", "amount * 2")):
        api.post("/features", feature(name, code))
        activate(api, name)
    store.materialize()
    assert served(store, "one", "two") == [5, 10]
    assert store.show("features", "one")["view"] == store.show("features", "two")["view"]


def test_what_was_known_when_is_heeded(api, store, database):
    fill(database, more=", TIMESTAMP '2999-01-01' AS known_at")
    api.post("/features", feature("late"))
    activate(api, "late")
    store.materialize()
    assert served(store, "late") == [None]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda _: None, "no file"),
        (lambda database: fill(database, "other"), "features"),
        (
            lambda database: fill(database, time="at"),
            "no column 'event_time' (columns: ",
        ),
    ],
)
def test_a_table_that_can_t_be_read_is_told_at_activation(api, store, database, given, said):
    given(database)
    api.post("/features", feature("f"))
    found = api.problem("POST", "/features/f/activate", 422)
    assert "feature 'f': field 'duckdb_table'" in found
    assert said in found
    assert api.get("/features/f")["status"] == "draft"


@pytest.mark.parametrize("table", ["headwater.names", "temp.x"])
def test_what_is_not_the_users_is_no_table_of_theirs(api, store, database, table):
    fill(database)
    api.post("/features", feature("f", duckdb_table=table))
    assert "is reserved" in api.problem("POST", "/features/f/activate", 422)


def test_with_a_source_it_is_where_the_values_are_kept(api, store, database):
    api.post("/features", feature("kept", source=ORDERS))
    made = activate(api, "kept")
    assert (made["source"], made["duckdb_table"]) == ("orders", TABLE)
    store.backfill(made["view"], *YEAR)
    assert run(database, f"SELECT kept FROM {TABLE} ORDER BY event_time") == [(2,), (5,)]
    # and what one feature keeps another may read
    api.post("/features", feature("read", "kept + 1", entity="user"))
    activate(api, "read")
    store.materialize()
    assert served(store, "read") == [6]


@pytest.mark.parametrize("field", ["duckdb_table", "duckdb_view"])
def test_a_feature_never_writes_over_the_table_that_it_reads(store, database, field):
    fill(database)
    source = Source(
        "rows", table=TABLE, database=".headwater/offline/shop.duckdb", event_time="event_time"
    )
    user = Entity("user", join_keys={"user_id": "string"})
    kept = Feature("amount_twice", "amount * 2", **{field: "Features.ORDERS"})
    with pytest.raises(DefinitionError, match=f"'amount_twice': field '{field}': .*written over"):
        store.apply([FeatureView("v", entity=user, source=source, features=[kept])])


def test_a_catalogue_entry_stays_one(api, store):
    api.post("/features", {**RSI, "upstream_features": []})
    assert activate(api, "stock_rsi_14d")["view"] is None
    no_entity = feature("entry", "SELECT 1", entity=None)
    api.post("/features", no_entity)
    assert activate(api, "entry")["computed_in"] is None
