"""Every mistake gets one line that says what is wrong and, where there is one, the cure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import ExpressionError
from headwater.expressions.closures import compile_row
from headwater.expressions.parse import MAX_DEPTH, MAX_LENGTH, parse
from headwater.expressions.printing import canonical, to_duckdb
from headwater.expressions.types import resolve

WHERE = "feature 'f': field 'expression'"
COLUMNS = {
    "a": "int64",
    "b": "float64",
    "city": "string",
    "n": "int32",
    "ts": "timestamp",
    "d": "date",
    "flag": "bool",
    "tags": "list[string]",
    "raw": "bytes",
}


def mistakes() -> Iterator[Any]:
    text = ""
    for line in (Path(__file__).parent / "mistakes.txt").read_text("utf-8").splitlines():
        if line.startswith("    "):
            yield pytest.param(text, line.strip(), id=text)
        elif line and not line.startswith("#"):
            text = line


@pytest.mark.parametrize(("text", "message"), list(mistakes()))
def test_message(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        resolve(parse(text, WHERE), COLUMNS, WHERE)
    assert str(caught.value) == f"{WHERE}: {message}"


@pytest.mark.parametrize("text", ["", " ", "\n", "-- a comment", "/* a comment */"])
def test_nothing_written(text: str) -> None:
    with pytest.raises(ExpressionError, match="the expression is empty"):
        parse(text, WHERE)


def test_place_in_a_text_of_several_lines() -> None:
    with pytest.raises(ExpressionError, match=r"syntax error at line 3, column 3: unexpected '\)'"):
        parse("a\n + b\n  )", WHERE)


def test_too_long() -> None:
    with pytest.raises(ExpressionError, match=f"longer than {MAX_LENGTH} characters"):
        parse("a + " * MAX_LENGTH + "a", WHERE)


@pytest.mark.parametrize("text", ["+".join("a" * (MAX_DEPTH + 1)), "(" * 500 + "a" + ")" * 500])
def test_too_deep(text: str) -> None:
    with pytest.raises(ExpressionError, match="nested too deeply"):
        parse(text, WHERE)


@pytest.mark.parametrize(
    "text",
    [
        " + ".join(["n", "b"] * (MAX_DEPTH // 2)),
        "n" + "::float::int" * (MAX_DEPTH // 2 - 1),
        "case when flag then 1 else " * 20 + "n" + " end" * 20,
        "coalesce(n, " * 20 + "b" + ")" * 20,
        "- " * 30 + "n",
    ],
)
def test_what_is_read_can_be_computed(text: str) -> None:
    tree, _ = resolve(parse(text, WHERE), COLUMNS, WHERE)
    assert to_duckdb(tree)
    assert canonical(tree)
    row = dict.fromkeys(COLUMNS) | {"n": 1, "b": 1.0, "flag": False}
    assert compile_row(tree, [*COLUMNS])([*row.values()]) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9" * 5_000, "does not fit int64"),
        ("1e" + "9" * 5_000, "does not fit float64"),
        (f"ts + interval '1 hour {'9' * 5_000} days'", "is not an INTERVAL"),
        (f"ts + interval '{'9' * 5_000}' day", "should hold one number"),
        (f"ts + interval '{'9' * 300} days'", "is too long"),
    ],
)
def test_a_number_of_many_digits(text: str, expected: str) -> None:
    with pytest.raises(ExpressionError, match=expected) as caught:
        parse(text, WHERE)
    assert len(str(caught.value)) < 250


def test_leading_zeros_count_for_nothing() -> None:
    assert parse("0" * 5_000 + "12", WHERE) == parse("12", WHERE)


def test_wide_conditions_are_not_deep() -> None:
    parse(" or ".join(["a"] * 1_000), WHERE)


def test_a_message_is_one_plain_line() -> None:
    for case in mistakes():
        assert case.values[1].isprintable()
