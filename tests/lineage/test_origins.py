"""From the columns of a query to those of the tables and files below it."""

import pytest

from headwater import Source
from headwater.lineage.origins import Origin, Origins, origins_of


def traced(query):
    return origins_of(Source("s", query=query, event_time="at"))


def told(origins, role="value"):
    return [f"{o.table}.{o.column}" for o in origins if o.role == role]


QUERIES = {
    "SELECT a AS x FROM t": ["t.a"],
    "SELECT a + b AS x FROM t WHERE c > 1": ["t.a", "t.b"],
    "SELECT x FROM (SELECT a AS x FROM inside) AS t": ["inside.a"],
    "WITH r AS (SELECT id, sum(v) AS s FROM sales.raw GROUP BY id) SELECT r.s * 2 AS x FROM r": [
        "sales.raw.v"
    ],
    "SELECT u.a AS x FROM t JOIN u ON t.id = u.id": ["u.a"],
    "SELECT a AS x FROM t UNION ALL SELECT b FROM u": ["t.a", "u.b"],
    "SELECT row_number() OVER (PARTITION BY k ORDER BY at) AS x FROM t": ["t.at", "t.k"],
    "SELECT a AS x FROM read_csv('data/x.csv')": ["data/x.csv.a"],
    "SELECT a AS x FROM 'data/x.parquet'": ["data/x.parquet.a"],
    "FROM t SELECT a AS x": ["t.a"],
    "SELECT 1 AS x FROM t": [],
    'SELECT a AS "X" FROM t;': ["t.a"],
    "WITH t AS (SELECT a AS b FROM real_t), u AS (SELECT b AS c FROM t) SELECT c AS x FROM u": [
        "real_t.a"
    ],
}


@pytest.mark.parametrize("query", QUERIES)
def test_the_columns_behind_a_column(query):
    assert sorted(told(traced(query).of("x"))) == QUERIES[query]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t",
        "SELECT COLUMNS('x.*') FROM t",
        "SELECT x FROM t, u",
        "PIVOT t ON k USING sum(x)",
        "SELECT unnest(xs) AS x, (SELECT max(z) FROM other) AS m FROM t",
    ],
)
def test_what_can_not_be_told_is_unknown(query):
    assert traced(query).of("x") is None


def test_what_is_no_query_at_all_is_unknown():
    assert traced("SELECT FROM WHERE (") == Origins({}, known=False)


def test_what_a_query_filters_joins_and_groups_by_touches_all_its_columns():
    found = traced(
        "WITH r AS (SELECT id, sum(v) AS s FROM raw WHERE ok GROUP BY id) "
        "SELECT s AS x FROM r JOIN users u ON u.id = r.id WHERE s > 3"
    )
    assert sorted(told(found.filters, "filter")) == ["raw.id", "raw.ok", "raw.v", "users.id"]
    assert found.tables == ("raw", "users")


def test_a_file_and_a_table_are_their_own_origin():
    assert origins_of(Source("s", path=["a.parquet", "b.parquet"], event_time="at")).tables == (
        "a.parquet",
        "b.parquet",
    )
    table = Source("s", table="main.t", database="x.duckdb", event_time="at")
    assert origins_of(table).tables == ("x.duckdb:main.t",)


def test_letters_are_compared_as_sql_does():
    assert traced("SELECT Amount AS Spent FROM T").of("SPENT") == (Origin("t", "amount"),)
