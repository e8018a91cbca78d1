"""The type of an expression, and the conversions that are written out."""

from __future__ import annotations

import pytest

from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical, to_duckdb
from headwater.expressions.types import resolve, type_of

COLUMNS = {
    "a": "int64",
    "n": "int32",
    "b": "float64",
    "f": "float32",
    "s": "string",
    "flag": "bool",
    "ts": "timestamp",
    "d": "date",
    "tags": "list[string]",
    "ints": "list[int32]",
    "raw": "bytes",
    "st": 'struct[a: int64, "B b": struct[c: date]]',
    "m": "map[int64, list[float64]]",
}
TYPES = {
    "a": "int64",
    "n": "int32",
    "f": "float32",
    "raw": "bytes",
    "1": "int64",
    "0.1": "float64",
    "null": "null",
    "n + n": "int64",
    "f + f": "float64",
    "a + b": "float64",
    "a + null": "int64",
    "null + null": "int64",
    "a / a": "float64",
    "n // n": "int64",
    "-n": "int64",
    "abs(f)": "float64",
    "round(n)": "int64",
    "floor(n)": "float64",
    "a > f": "bool",
    "flag and null": "bool",
    "coalesce(n, n)": "int32",
    "coalesce(n, 0)": "int64",
    "coalesce(f, f)": "float32",
    "coalesce(f, 0)": "float64",
    "coalesce(a, null, b)": "float64",
    "coalesce(tags, null)": "list[string]",
    "coalesce(null, null)": "null",
    "nullif(s, '')": "string",
    "least(f, f)": "float64",
    "greatest(n, n)": "int32",
    "case when flag then 1 else b end": "float64",
    "case when flag then null end": "null",
    "case when flag then n end": "int32",
    "n::bigint": "int64",
    "try_cast(s as date)": "date",
    "ints::double[]": "list[float64]",
    "s || 'x'": "string",
    "length(tags)": "int64",
    "tags[1]": "string",
    "ints[1]": "int32",
    "list_contains(ints, 1)": "bool",
    "hour(d)": "int64",
    "epoch(ts)": "float64",
    "d + interval 21 hour": "timestamp",
    "date_trunc('day', d)": "timestamp",
    "last_day(ts)": "date",
    "as_of()": "timestamp",
    "date_diff('day', d, as_of())": "int64",
    "count(*)": "int64",
    "sum(n)": "int64",
    "sum(f)": "float64",
    "avg(a)": "float64",
    "min(n)": "int32",
    "max(s)": "string",
    "first(tags)": "list[string]",
    "last_k(d, 3)": "list[date]",
    "mode(s)": "string",
    "approx_count_distinct(s)": "int64",
    "approx_quantile(n, 0.5)": "float64",
    "histogram(s)": "map[string, int64]",
    "histogram(d)": "map[date, int64]",
    "mode(d)": "date",
    "mode_count(b)": "int64",
    "top_k(s, 3)": "list[string]",
    "quantile_cont(n, 0.5)": "float64",
    "quantile_disc(s, 0.5)": "string",
    "stddev(a)": "float64",
    "lag(n)": "int32",
    "ema(a, 3)": "float64",
    "wilder(greatest(a - lag(a), 0), 14)": "float64",
    "sum(a) filter (where null)": "int64",
    "sum(a) / nullif(count(*), 0)": "float64",
    "{'x': a, 'of day': {'y': [f]}}": 'struct[x: int64, "of day": struct[y: list[float32]]]',
    "st.A + 1": "int64",
    "st['b b'].c": "date",
    'st."B b"': "struct[c: date]",
    "lag(st).a": "int64",
    "last_k(st, 2)[1].a": "int64",
    "struct_pack(x := a).x": "int64",
    "m[n]": "list[float64]",
    "m[1][1]": "float64",
    "map([n], [d])": "map[int64, date]",
    "map {s: a}": "map[string, int64]",
    "map([], [])": "map[null, null]",
    "coalesce(m, map([], []))": "map[int64, list[float64]]",
    "map_keys(m)": "list[int64]",
    "map_values(m)": "list[list[float64]]",
    "cardinality(m)": "int64",
    "[]": "list[null]",
    "[n, b]": "list[float64]",
    "[[n], null]": "list[list[int32]]",
    "coalesce(tags, [])": "list[string]",
    "list_distinct(ints)": "list[int32]",
    "list_intersect(ints, [1])": "list[int64]",
    "list_sum(ints)": "int64",
    "list_sum([f])": "float64",
    "list_avg(ints)": "float64",
    "string_split(s, ',')": "list[string]",
    "list_has_any(tags, string_split(s, ' '))": "bool",
    "case when flag then {'x': n} else {'x': b} end": "struct[x: float64]",
    "last(m)": "map[int64, list[float64]]",
    "first(st) filter (where st.a > 1)": 'struct[a: int64, "B b": struct[c: date]]',
    "count(st)": "int64",
    "{'x': n}::struct(x double)": "struct[x: float64]",
    "null::map(varchar, bigint)": "map[string, int64]",
}


@pytest.mark.parametrize("text", TYPES)
def test_type(text: str) -> None:
    assert type_of(parse(text, "test"), COLUMNS, "test") == TYPES[text]


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("n + n", '(CAST("n" AS BIGINT) + CAST("n" AS BIGINT))'),
        ("b + 1", '("b" + 1.0)'),
        ("f > 1", '(CAST("f" AS DOUBLE) > 1.0)'),
        ("a / b", '(CAST("a" AS DOUBLE) / "b")'),
        ("year(d)", 'year(CAST("d" AS TIMESTAMP))'),
        ("coalesce(a, null)", 'coalesce("a", CAST(NULL AS BIGINT))'),
        ("upper(null)", "CAST(NULL AS VARCHAR)"),
        ("a::bigint", '"a"'),
        ("a::float", 'CAST(CAST("a" AS DOUBLE) AS FLOAT)'),
        ("list_contains(ints, 1)", 'list_contains(CAST("ints" AS BIGINT[]), 1)'),
        ("sum(n)", 'sum("n")'),
        ("st.A", "struct_extract(\"st\", 'a')"),
        ("m[n]", 'map_extract_value("m", CAST("n" AS BIGINT))'),
        ("[n, b]", '[CAST("n" AS DOUBLE), "b"]'),
        ("list_sum(ints)", 'CAST(list_sum(CAST("ints" AS BIGINT[])) AS BIGINT)'),
        ("coalesce(tags, [])", 'coalesce("tags", CAST([] AS VARCHAR[]))'),
        ("ema(n, 2)", 'ema(CAST("n" AS DOUBLE), 2)'),
        ("count(*) filter (where null)", "count(*) FILTER (WHERE CAST(NULL AS BOOLEAN))"),
    ],
)
def test_conversions_are_written(text: str, resolved: str) -> None:
    assert canonical(resolve(parse(text, "test"), COLUMNS, "test")[0]) == resolved


@pytest.mark.parametrize("text", TYPES)
def test_resolving_twice_changes_nothing(text: str) -> None:
    once = resolve(parse(text, "test"), COLUMNS, "test")
    assert resolve(once[0], COLUMNS, "test") == once


def test_texts_are_read_by_one_grammar() -> None:
    tree, _ = resolve(parse("cast(s as timestamp)", "test"), COLUMNS, "test")
    assert "regexp_full_match" in to_duckdb(tree)
