"""SQL for DuckDB."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from headwater.errors import ExpressionError
from headwater.expressions.closures import compile_row
from headwater.expressions.parse import parse
from headwater.expressions.printing import duckdb_type, quote, quote_text, to_duckdb
from headwater.expressions.tree import Call, Column, Literal, Node
from headwater.expressions.types import resolve

from .engines import Engines, bits


@pytest.mark.parametrize("name", ["a", 'a"b', "a b", "select", "ü", "'", "a.b"])
def test_names_are_quoted(engines: Engines, name: str) -> None:
    relation = engines.connection.sql(f"SELECT 1 AS {quote(name)}")
    assert relation.columns == [name]
    assert relation.select(to_duckdb(Column(name))).fetchall() == [(1,)]


@pytest.mark.parametrize("text", ["", "'", "''", "a\\'b", "\n", "--", "é👍", "$1", "?"])
def test_texts_are_quoted(engines: Engines, text: str) -> None:
    assert engines.connection.sql(f"SELECT {quote_text(text)}").fetchall() == [(text,)]
    assert parse(quote_text(text), "test") == Literal(text, "string")


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (Literal(2**63 - 1, "int64"), 2**63 - 1),
        (Literal(-(2**63), "int64"), -(2**63)),
        (Literal(7, "int32"), 7),
        (Literal(0.1, "float64"), 0.1),
        (Literal(5e-324, "float64"), 5e-324),
        (Literal(1.7976931348623157e308, "float64"), 1.7976931348623157e308),
        (Literal(math.inf, "float64"), math.inf),
        (Literal(-math.inf, "float64"), -math.inf),
        (Literal(math.nan, "float64"), math.nan),
        (Literal("it's", "string"), "it's"),
        (Literal(True, "bool"), True),
        (Literal(None, "null"), None),
        (Literal("00ff", "bytes"), b"\x00\xff"),
        (Literal(-1, "timestamp"), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
        (Literal(-1, "date"), datetime(1969, 12, 31, tzinfo=UTC).date()),
    ],
)
def test_literals(engines: Engines, literal: Literal, value: object) -> None:
    assert bits(engines.closures(literal, {}, [[]])[0]) == bits(value)
    assert bits(engines.duckdb(literal, {}, [[]])[0]) == bits(value)


@pytest.mark.parametrize(
    ("literal", "dtype"),
    [(Literal(1, "int64"), "BIGINT"), (Literal(0.1, "float64"), "DOUBLE")],
)
def test_numbers_have_our_types(engines: Engines, literal: Literal, dtype: str) -> None:
    assert engines.connection.sql(f"SELECT typeof({to_duckdb(literal)})").fetchall() == [(dtype,)]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int32", "INTEGER"), ("timestamp", "TIMESTAMP"), ("list[float64]", "DOUBLE[]")],
)
def test_types(dtype: str, expected: str) -> None:
    assert duckdb_type(dtype) == expected


def test_columns_and_as_of_are_printed_by_the_caller() -> None:
    tree = parse("date_diff('day', d, as_of())", "test")
    assert to_duckdb(tree, lambda name: f"t.{name}", "t.now") == "date_diff('day', t.d, t.now)"


@pytest.mark.parametrize("text", ["sum(a)", "1 + count(*)", "lag(a)", "ema(b, 3) > 1"])
def test_what_kernels_compute_is_refused(text: str) -> None:
    tree = parse(text, "test")
    with pytest.raises(ExpressionError, match="is not a scalar expression"):
        to_duckdb(tree)
    with pytest.raises(ExpressionError, match="is not a scalar expression"):
        compile_row(tree, ["a", "b"])


def test_as_of_without_a_time_is_refused() -> None:
    with pytest.raises(ExpressionError, match="as_of"):
        to_duckdb(Call("as_of"))


COLUMNS = {"t": "timestamp", "u": "timestamp", "d": "date"}
ROW = [
    datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC),
    datetime(1969, 12, 31, 12, tzinfo=UTC),
    datetime(2024, 3, 31, tzinfo=UTC).date(),
]


@pytest.mark.parametrize(
    "text",
    [
        "t > u",
        "hour(t) + dayofweek(d)",
        "date_trunc('week', t)",
        "date_diff('day', u, t) + date_sub('hour', t, u)",
        "t + interval 1 month - interval '3 hours'",
        "d + interval 21 hour",
        "cast(t as date) = d",
        "greatest(t, u, d::timestamp)",
        "epoch_us(t) - epoch_ms(u)",
    ],
)
def test_a_column_with_a_time_zone_gives_the_same(engines: Engines, text: str) -> None:
    tree: Node = resolve(parse(text, "test"), COLUMNS, "test")[0]
    expected = engines.closures(tree, COLUMNS, [ROW])[0]
    sql = to_duckdb(tree)
    source = """SELECT TIMESTAMPTZ '2024-02-29 23:59:59.999999+00' AS t,
        TIMESTAMPTZ '1969-12-31 12:00:00+00' AS u, DATE '2024-03-31' AS d"""
    if isinstance(expected, datetime):
        sql = f"CAST({sql} AS TIMESTAMP)"
    found = engines.connection.sql(f"SELECT {sql} AS v FROM ({source})").fetchall()[0][0]
    shown = found.replace(tzinfo=UTC) if isinstance(found, datetime) else found
    assert bits(shown) == bits(expected)
