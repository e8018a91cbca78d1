"""Text without parentheses means to us what it means to DuckDB."""

from __future__ import annotations

from random import Random
from typing import Any

import duckdb

from headwater.errors import ExpressionError
from headwater.expressions.functions import CANNOT
from headwater.expressions.parse import parse
from headwater.expressions.printing import to_duckdb
from headwater.expressions.types import resolve

from .engines import Engines, bits

COLUMNS = {"a": "int64", "b": "int64", "c": "int64", "p": "bool", "q": "bool", "s": "string"}
ROW = "SELECT 7::BIGINT AS a, 2::BIGINT AS b, 3::BIGINT AS c, TRUE AS p, FALSE AS q, 'x' AS s"
ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**", "^", "&", "|", "<<", ">>")
COMPARISON = ("=", "<>", "<", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
LOGIC = ("AND", "OR", "=", "<>", "IS DISTINCT FROM")
TEXTS = ("||", "LIKE", "NOT LIKE", "AND", "=")
# operators and names that have a good chance to go together
MOODS = (
    (ARITHMETIC, "abc"),
    ((*ARITHMETIC, *COMPARISON), "abc"),
    ((*ARITHMETIC, *COMPARISON, *LOGIC), "abcpq"),
    (LOGIC, "pq"),
    ((*TEXTS, *LOGIC), "ssp"),
)
PREFIXES = ["", "", "", "", "-", "NOT ", "- -", "+"]
SUFFIXES = ["", "", "", "", " IS NULL", " IS NOT TRUE", " IN (a, 2)", " BETWEEN b AND c",
            " NOT IN (c)", "::BIGINT", "::VARCHAR"]  # fmt: skip


def chain(random: Random) -> str:
    operators, names = random.choice(MOODS)
    text = ""
    for place in range(random.randint(2, 4)):
        joint = f" {random.choice(operators)} " if place else ""
        name = random.choice(names)
        text += joint + random.choice(PREFIXES) + name + random.choice(SUFFIXES)
    return text


def theirs(engines: Engines, text: str) -> Any:
    try:
        return engines.connection.sql(f"SELECT {text} FROM ({ROW})").fetchall()[0][0]
    except duckdb.Error:
        return CANNOT


def test_precedence(engines: Engines) -> None:
    random = Random(12)
    compared = 0
    for _ in range(4000):
        text = chain(random)
        try:
            tree, _ = resolve(parse(text, "test"), COLUMNS, "test")
        except ExpressionError:
            continue
        expected = theirs(engines, text)
        if expected is not CANNOT:
            compared += 1
            assert bits(theirs(engines, to_duckdb(tree))) == bits(expected), text
    assert compared > 300
