"""Expressions over decimals: one value on both engines, decimals only where nothing is computed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import ExpressionError
from headwater.expressions.functions import CANNOT
from headwater.expressions.parse import parse
from headwater.expressions.types import resolve, type_of

from .engines import Engines, bits
from .strategies import FLOATS, INTEGERS

COLUMNS = {
    "p": "decimal(12, 2)",
    "q": "decimal(6, 4)",
    "r": "decimal(18, 0)",
    "x": "float64",
    "i": "int64",
    "b": "bool",
}
EXPRESSIONS = {
    "p + q": "float64",
    "p * 2": "float64",
    "-p": "float64",
    "p / nullif(q, 0)": "float64",
    "abs(p)": "float64",
    "round(p, 1)": "float64",
    "ln(p)": "float64",
    "CAST(r AS DOUBLE)": "float64",
    "p = q": "bool",
    "p < q": "bool",
    "p > 3": "bool",
    "p >= 0.1": "bool",
    "r <> x": "bool",
    "r = i": "bool",
    "p BETWEEN q AND x": "bool",
    "p IN (q, 1.5)": "bool",
    "p IS DISTINCT FROM q": "bool",
    "p IS NULL": "bool",
    "coalesce(p, q)": "decimal(14, 4)",
    "least(p, q)": "decimal(14, 4)",
    "greatest(p, x)": "float64",
    "nullif(p, q)": "decimal(14, 4)",
    "CASE WHEN b THEN p ELSE q END": "decimal(14, 4)",
    "CASE WHEN b THEN p ELSE i END": "float64",
    "CASE WHEN b THEN r ELSE p END": "float64",
    "IF(b, p, NULL)": "decimal(12, 2)",
    "struct_pack(a := p, c := q).c": "decimal(6, 4)",
}


def decimals(precision: int, scale: int) -> st.SearchStrategy[Any]:
    most = 10**precision - 1
    units = st.one_of(st.integers(-most, most), st.integers(-300, 300), st.just(most))
    return st.one_of(st.none(), units.map(lambda n: Decimal(n).scaleb(-scale)))


ROWS = st.lists(
    st.tuples(
        decimals(12, 2),
        decimals(6, 4),
        decimals(18, 0),
        st.one_of(st.none(), FLOATS),
        st.one_of(st.none(), INTEGERS),
        st.one_of(st.none(), st.booleans()),
    ).map(list),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("text", EXPRESSIONS)
@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30
)
@given(rows=ROWS)
def test_engines_agree(engines: Engines, text: str, rows: list[list[Any]]) -> None:
    tree, dtype = resolve(parse(text, "test"), COLUMNS, "test")
    assert dtype == EXPRESSIONS[text]
    ours = engines.closures(tree, COLUMNS, rows)
    theirs = engines.duckdb(tree, COLUMNS, rows)
    for row, one, other in zip(rows, ours, theirs, strict=True):
        if other is CANNOT or one is not CANNOT:
            assert bits(one) == bits(other), f"{text} over {row}"


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("sum(p)", "decimal(18, 2)"),
        ("min(q)", "decimal(6, 4)"),
        ("last_k(p, 2)", "list[decimal(12, 2)]"),
        ("mode(r)", "decimal(18, 0)"),
        ("avg(p)", "float64"),
        ("quantile_cont(p, 0.5)", "float64"),
        ("corr(p, q)", "float64"),
        ("lag(p)", "decimal(12, 2)"),
        ("ema(p, 3)", "float64"),
        ("count(DISTINCT p)", "int64"),
    ],
)
def test_types_of_aggregates(text: str, dtype: str) -> None:
    assert type_of(parse(text, "test"), COLUMNS, "test") == dtype


@pytest.mark.parametrize("text", ["lower(p)", "CAST(p AS VARCHAR)", "hour(p)", "p & 1"])
def test_what_takes_no_decimal(text: str) -> None:
    with pytest.raises(ExpressionError, match="decimal"):
        type_of(parse(text, "test"), COLUMNS, "test")
