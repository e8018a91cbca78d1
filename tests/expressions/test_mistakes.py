"""Every mistake gets one line that says what is wrong and, where there is one, the cure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import ExpressionError
from headwater.expressions.parse import MAX_DEPTH, MAX_LENGTH, parse
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


def test_wide_conditions_are_not_deep() -> None:
    parse(" or ".join(["a"] * 1_000), WHERE)


def test_a_message_is_one_plain_line() -> None:
    for case in mistakes():
        assert case.values[1].isprintable()
