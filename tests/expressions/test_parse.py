"""What can be written, and the one form to which it comes down."""

from __future__ import annotations

import logging

import pytest

from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Aggregate, Call, Case, Cast, Column, Literal, Node, Pack

A, B = Column("a"), Column("b")
ONE, TWO = Literal(1, "int64"), Literal(2, "int64")


def _field(node: Node, name: str) -> Node:
    return Call("struct_extract", (node, Literal(name, "string")))


def _list(*items: Node) -> Node:
    return Call("list_value", items)


TREES = {
    "a": A,
    '"A b"': Column("A b"),
    "date": Column("date"),
    "1": ONE,
    "-1": Literal(-1, "int64"),
    "- -1": ONE,
    "-9223372036854775808": Literal(-(2**63), "int64"),
    "0.1": Literal(0.1, "float64"),
    "1.0": Literal(1.0, "float64"),
    "1e3": Literal(1000.0, "float64"),
    "-0.0": Call("negate", (Literal(0.0, "float64"),)),
    "1_000": Literal(1000, "int64"),
    "'it''s'": Literal("it's", "string"),
    "true": Literal(True, "bool"),
    "NULL": Literal(None, "null"),
    "a + b * 2": Call("add", (A, Call("multiply", (B, TWO)))),
    "(a + b) * 2": Call("multiply", (Call("add", (A, B)), TWO)),
    "-a": Call("negate", (A,)),
    "a // 2 % 2": Call("mod", (Call("divide_integers", (A, TWO)), TWO)),
    "a != b": Call("ne", (A, B)),
    "a == b": Call("eq", (A, B)),
    "a ** 2": Call("pow", (A, TWO)),
    "a || b": Call("concat_operator", (A, B)),
    "a and b and (a and b)": Call("and", (A, B, A, B)),
    "a or b and a": Call("or", (A, Call("and", (B, A)))),
    "not a": Call("not", (A,)),
    "{'a': 1, 'b c': a}": Pack(("a", "b c"), (ONE, A)),
    "{a: 1}": Pack(("a",), (ONE,)),
    "struct_pack(a := 1, B := 2)": Pack(("a", "B"), (ONE, TWO)),
    "a.b": _field(A, "b"),
    'a."b c".d.e.f': _field(_field(_field(_field(A, "b c"), "d"), "e"), "f"),
    "(a).b": _field(A, "b"),
    "{'a': 1}.a": _field(Pack(("a",), (ONE,)), "a"),
    "lag(a).b": _field(Call("lag", (A, ONE)), "b"),
    "a[1].b": _field(Call("list_extract", (A, ONE)), "b"),
    "[a, 1]": Call("list_value", (A, ONE)),
    "[]": Call("list_value"),
    "list_value(a)": Call("list_value", (A,)),
    "map([1], [2])": Call("map", (_list(ONE), _list(TWO))),
    "map(a, b)": Call("map", (A, B)),
    "map {1: 2}": Call("map", (_list(ONE), _list(TWO))),
    "map {}": Call("map", (_list(), _list())),
    'a::struct(x double, "y z" map(varchar, bigint)[])': Cast(
        A, 'struct[x: float64, "y z": list[map[string, int64]]]'
    ),
    "a is null": Call("is_null", (A,)),
    "a is not null": Call("not", (Call("is_null", (A,)),)),
    "a is true": Call("is_not_distinct", (A, Literal(True, "bool"))),
    "a is distinct from b": Call("is_distinct", (A, B)),
    "a between 1 and 2": Call("and", (Call("ge", (A, ONE)), Call("le", (A, TWO)))),
    "a not between 1 and 2": Call(
        "not", (Call("and", (Call("ge", (A, ONE)), Call("le", (A, TWO)))),)
    ),
    "a in (1, b)": Call("in", (A, ONE, B)),
    "a not in (1)": Call("not", (Call("in", (A, ONE)),)),
    "a like 'x%'": Call("like", (A, Literal("x%", "string"))),
    "a not like 'x%'": Call("not", (Call("like", (A, Literal("x%", "string"))),)),
    "a ilike b": Call("ilike", (A, B)),
    "a not like 'x' escape '$'": Call(
        "not", (Call("like_escape", (A, Literal("x", "string"), Literal("$", "string"))),)
    ),
    "case when a then 1 end": Case(((A, ONE),)),
    "case a when 1 then b else 2 end": Case(((Call("eq", (A, ONE)), B),), TWO),
    "if(a, 1, 2)": Case(((A, ONE),), TWO),
    "a::int": Cast(A, "int32"),
    "cast(a as bigint)": Cast(A, "int64"),
    "try_cast(a as double)": Cast(A, "float64", is_try=True),
    "a::float": Cast(A, "float32"),
    "a::text": Cast(A, "string"),
    "a::bigint[]": Cast(A, "list[int64]"),
    "date '1970-01-02'": Literal(1, "date"),
    "'1970-01-02'::date": Literal(1, "date"),
    "timestamp '1970-01-01 00:00:01'": Literal(1_000_000, "timestamp"),
    "timestamptz '1970-01-01 01:00:00+01:00'": Literal(0, "timestamp"),
    "ifnull(a, 1)": Call("coalesce", (A, ONE)),
    "UPPER(a)": Call("upper", (A,)),
    "log(a)": Call("log10", (A,)),
    "extract(hour from a)": Call("hour", (A,)),
    "date_part('dow', a)": Call("dayofweek", (A,)),
    "date_trunc('HOURS', a)": Call("date_trunc", (Literal("hour", "string"), A)),
    "position(b in a)": Call("strpos", (A, B)),
    "substring(a from 1 for 2)": Call("substring", (A, ONE, TWO)),
    "trim(leading from a)": Call("ltrim", (A,)),
    "trim(both b from a)": Call("trim", (A, B)),
    "a[-1]": Call("list_extract", (A, Literal(-1, "int64"))),
    "a[1]": Call("list_extract", (A, ONE)),
    "as_of()": Call("as_of"),
    "a + interval 21 hour": Call("add_interval", (A, Literal(75_600_000_000, "int64"))),
    "a - interval '1 day'": Call("add_interval", (A, Literal(-86_400_000_000, "int64"))),
    "interval 1 second + a": Call("add_interval", (A, Literal(1_000_000, "int64"))),
    "a + interval '1.5 hours'": Call("add_interval", (A, Literal(5_400_000_000, "int64"))),
    "a + interval '1 month 1 us'": Call(
        "add_interval", (Call("add_months", (A, ONE)), Literal(1, "int64"))
    ),
    "a - interval 1 year": Call("add_months", (A, Literal(-12, "int64"))),
    "a + interval (b) minute": Call(
        "add_interval", (A, Call("multiply", (B, Literal(60_000_000, "int64"))))
    ),
    "count(*)": Aggregate("count"),
    "count()": Aggregate("count"),
    "count(a)": Aggregate("count", (A,)),
    "count(distinct a)": Aggregate("count", (A,), distinct=True),
    "count_if(a)": Aggregate("count", where=A),
    "count_if(a) filter (where b)": Aggregate("count", where=Call("and", (A, B))),
    "sum(a) filter (where b)": Aggregate("sum", (A,), where=B),
    "mean(a)": Aggregate("avg", (A,)),
    "stddev(a)": Aggregate("stddev_samp", (A,)),
    "variance(a)": Aggregate("var_samp", (A,)),
    "median(a)": Aggregate("quantile_cont", (A,), parameters=(0.5,)),
    "quantile_cont(a, 1)": Aggregate("quantile_cont", (A,), parameters=(1.0,)),
    "quantile_disc(a, 0.25)": Aggregate("quantile_disc", (A,), parameters=(0.25,)),
    "last_k(a, 2)": Aggregate("last_k", (A,), parameters=(2,)),
    "mode(a)": Aggregate("mode", (A,)),
    "top_k(a, 2)": Aggregate("top_k", (A,), parameters=(2,)),
    "lag(a)": Call("lag", (A, ONE)),
    "lag(a, 2)": Call("lag", (A, TWO)),
    "wilder(a - lag(a), 2)": Call("wilder", (Call("subtract", (A, Call("lag", (A, ONE)))), TWO)),
    "sum(greatest(a - lag(a), 0))": Aggregate(
        "sum",
        (
            Call(
                "greatest",
                (Call("subtract", (A, Call("lag", (A, ONE)))), Literal(0, "int64")),
            ),
        ),
    ),
    "a -- a comment\n + /* another */ b": Call("add", (A, B)),
}


@pytest.mark.parametrize("text", TREES)
def test_tree(text: str) -> None:
    assert parse(text, "test") == TREES[text]


@pytest.mark.parametrize("text", TREES)
def test_canonical_is_read_back(text: str) -> None:
    assert parse(canonical(TREES[text]), "test") == TREES[text]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("avg( a )", "MEAN(a)"),
        ("(a+(b))", "a + b"),
        ("a::INT", "CAST(a AS integer)"),
        ("coalesce(a, b)", "IFNULL(a, b)"),
        ("a <> b", "a != b"),
        ("a AND (b AND a)", "a and b and a"),
        ("date_diff('hours', a, b)", "datediff('hour', a, b)"),
        ("a + interval 1 day", "a + INTERVAL '24 hours'"),
        ("date '2024-01-01'", "'2024-01-01'::DATE"),
        ("power(a, 2)", "a ^ 2"),
    ],
)
def test_one_meaning_has_one_text(one: str, other: str) -> None:
    assert canonical(parse(one, "test")) == canonical(parse(other, "test"))


@pytest.mark.parametrize(
    ("one", "other"),
    [("a - b", "b - a"), ("'a'", '"a"'), ("1", "1.0"), ("0.0", "-0.0"), ("lag(a)", "lag(a, 2)")],
)
def test_other_meanings_have_other_texts(one: str, other: str) -> None:
    assert canonical(parse(one, "test")) != canonical(parse(other, "test"))


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="unexpected 'if'"):
        parse("if + 1", "test")
    assert not caplog.records
