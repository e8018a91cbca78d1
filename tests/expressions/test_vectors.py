"""Vectors: casts to them and from them, their functions, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import ExpressionError
from headwater.expressions.functions import CANNOT
from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Cast, Column
from headwater.expressions.types import resolve

from .engines import Engines, bits
from .strategies import values

COLUMNS = {
    "v": "vector[float32, 3]",
    "w": "vector[float64, 3]",
    "other": "vector[float32, 4]",
    "xs": "list[float64]",
    "ns": "list[int64]",
    "words": "list[string]",
    "x": "float64",
}
ROWS = ("int64", "int32", "float32", "float64")
FLOATS = ("float32", "float64")
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)


def typed(text: str) -> str:
    tree, dtype = resolve(parse(text, "test"), COLUMNS, "test")
    assert resolve(tree, COLUMNS, "test") == (tree, dtype)
    assert parse(canonical(parse(text, "test")), "test") == parse(text, "test")
    return dtype


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("CAST(xs AS FLOAT[64])", "vector[float32, 64]"),
        ("TRY_CAST(ns AS DOUBLE[2])", "vector[float64, 2]"),
        ("v::DOUBLE[3]", "vector[float64, 3]"),
        ("w::FLOAT[3]", "vector[float32, 3]"),
        ("v::DOUBLE[]", "list[float64]"),
        ("v[1]", "float32"),
        ("len(w)", "int64"),
        ("list_max(v)", "float32"),
        ("array_value(1, x)", "vector[float64, 2]"),
        ("array_value(v[1], v[2])", "vector[float32, 2]"),
        ("array_inner_product(v, w)", "float64"),
        ("coalesce(v, w)", "vector[float64, 3]"),
        ("v IS NULL", "bool"),
        ("sum(v)", "vector[float64, 3]"),
        ("avg(v) FILTER (WHERE x > 0)", "vector[float64, 3]"),
        ("min(v)", "vector[float32, 3]"),
        ("last(w)", "vector[float64, 3]"),
        ("lag(v, 2)", "vector[float32, 3]"),
    ],
)
def test_types(text: str, dtype: str) -> None:
    assert typed(text) == dtype


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "array_distance(v, other)",
            "function 'array_distance': the vectors should have one type, are "
            "vector[float32, 3] and vector[float32, 4]",
        ),
        (
            "array_distance(v, xs)",
            "argument 2 should be a vector, is list[float64]; write CAST(x AS FLOAT[64]), with the "
            "number of its elements",
        ),
        ("v::FLOAT[4]", "vectors of different sizes have nothing in common"),
        ("CAST(words AS FLOAT[3])", "list[string] can't be cast to vector[float32, 3]"),
        ("CAST(xs AS INTEGER[3])", "a vector holds float32 or float64, not int32"),
        ("CAST(xs AS FLOAT[0])", "the size of a vector is a number from 1 to 16384"),
        ("CAST(xs AS FLOAT[3][])", "a vector stands alone, and in no other type"),
        ("coalesce(v, xs)", "should have one type, are list[float64] and vector[float32, 3]"),
        ("v = v", "argument 1 should be a single value, is vector[float32, 3]"),
        ("stddev(v)", "argument 1 should be a number, is vector[float32, 3]"),
        ("count(DISTINCT v)", "x should be a single value, is vector[float32, 3]"),
        ("ema(v, 3)", "argument 1 should be a number, is vector[float32, 3]"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        resolve(parse(text, "test"), COLUMNS, "test")
    assert message in str(caught.value)


@QUIET
@given(st.sampled_from(ROWS), st.sampled_from(FLOATS), st.booleans(), st.data())
def test_casts_of_lists(engines: Engines, inner: str, after: str, is_try: Any, data: Any) -> None:
    columns = {"c": f"list[{inner}]"}
    rows = [[data.draw(values(columns["c"]))] for _ in range(3)]
    agree(engines, Cast(Column("c"), f"vector[{after}, 2]", is_try), columns, rows)
    agree(engines, Cast(Column("c"), f"list[{after}]", is_try), columns, rows)


@QUIET
@given(st.sampled_from(FLOATS), st.sampled_from(FLOATS), st.booleans(), st.data())
def test_casts_of_vectors(engines: Engines, inner: str, after: str, is_try: Any, data: Any) -> None:
    columns = {"c": f"vector[{inner}, 2]"}
    rows = [[data.draw(values(columns["c"]))] for _ in range(3)]
    agree(engines, Cast(Column("c"), f"vector[{after}, 2]", is_try), columns, rows)
    agree(engines, Cast(Column("c"), f"list[{after}]", is_try), columns, rows)


@QUIET
@given(
    st.sampled_from(
        [
            "array_cosine_similarity(v, w)",
            "array_inner_product(w, array_value(x, 1, v[2]))",
            "array_distance(v, CAST(xs AS FLOAT[3]))",
            "CASE WHEN len(xs) = 3 THEN array_distance(v, CAST(xs AS DOUBLE[3])) END",
            "coalesce(v, w, TRY_CAST(ns AS DOUBLE[3]))",
            "list_contains(v, x)",
            "v[2] * list_min(w)",
        ]
    ),
    st.data(),
)
def test_engines_agree(engines: Engines, text: str, data: Any) -> None:
    rows = [[data.draw(values(dtype)) for dtype in COLUMNS.values()] for _ in range(3)]
    agree(engines, parse(text, "test"), COLUMNS, rows)


def agree(engines: Engines, tree: Any, columns: dict[str, str], rows: list[list[Any]]) -> None:
    ours, theirs = engines.closures(tree, columns, rows), engines.duckdb(tree, columns, rows)
    for row, one, other in zip(rows, ours, theirs, strict=True):
        # DuckDB skips an argument, errors and all, where another one makes a batch null anyway
        if other is CANNOT or one is not CANNOT:
            assert bits(one) == bits(other), f"{canonical(tree)} over {row}"
