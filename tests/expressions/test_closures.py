"""Closures over one row."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import pytest

from headwater.errors import ComputeError, ExpressionError
from headwater.expressions.casts import can_cast
from headwater.expressions.closures import compile_row
from headwater.expressions.parse import parse
from headwater.expressions.types import resolve

from .engines import Engines, bits
from .strategies import SINGLE

COLUMNS = {"a": "int64", "b": "float64", "s": "string", "flag": "bool", "ints": "list[int32]"}


def run(text: str, *row: Any) -> Any:
    tree, _ = resolve(parse(text, "test"), COLUMNS, "test")
    return compile_row(tree, [*COLUMNS][: len(row)])(row)


def test_values_are_taken_by_position() -> None:
    tree = parse("a - b", "test")
    assert compile_row(tree, ["a", "b"])((3, 1)) == 2
    assert compile_row(tree, ["b", "a"])((3, 1)) == -2


def test_as_of_is_a_name_of_the_row() -> None:
    now = datetime(2024, 1, 2, tzinfo=UTC)
    closure = compile_row(parse("hour(as_of()) + a", "test"), ["a", "as_of()"])
    assert closure([1, now]) == 1


def test_a_missing_name_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="'b' is not among the names of the row: a"):
        compile_row(parse("a + b", "test"), ["a"])


def test_branches_that_are_not_taken_are_not_computed() -> None:
    assert run("case when a = 0 then null else 1 // a end", 0) is None
    assert run("coalesce(a, 1 // 0)", 5) == 5
    assert run("coalesce(null, a, 1 // 0)", 5) == 5


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("a + 1", (2**63 - 1,)),
        ("a // 0", (1,)),
        ("s::int", (0, 0.0, "x")),
        ("b::int", (0, math.nan)),
        ("a::int", (2**31,)),
        ("null + a is null and a + 1 > 0", (2**63 - 1,)),
    ],
)
def test_errors_of_a_row(text: str, row: tuple[Any, ...]) -> None:
    with pytest.raises(ComputeError):
        run(text, *row)


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a in (1, 2, null)", (2,), True),
        ("a in (1, 2, null)", (3,), None),
        ("a in (1, 2)", (3,), False),
        ("a in (1, 2)", (None,), None),
        ("b in (0.0, 1.0)", (0, -0.0), True),
        ("b in (0.0, 1.0)", (0, math.nan), False),
        ("a in (a, 2)", (7,), True),
        ("nullif(a, 0)", (0,), None),
        ("nullif(b, 0)", (0, -0.0), None),
        ("nullif(b, 0)", (0, math.nan), math.nan),
        ("nullif(a, a)", (None,), None),
        ("flag and flag and flag", (0, 0.0, "", None), None),
        ("flag or flag or true", (0, 0.0, "", None), True),
        ("length(ints) + ints[1]", (0, 0.0, "", None, [3, 4]), 5),
    ],
)
def test_values(text: str, row: tuple[Any, ...], expected: Any) -> None:
    assert bits(run(text, *row)) == bits(expected)


VALUES: dict[str, list[Any]] = {
    "int32": [0, 1, -(2**31), 2**31 - 1],
    "int64": [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 16_777_217],
    "float32": [0.0, -0.0, 1.5, math.nan, -math.inf, 0.10000000149011612, 3.4028234663852886e38],
    "float64": [0.5, 1.5, 2.5, -0.5, 0.1, 1e16, 1e-5, math.nan, math.inf, 2.0**63, 3.5e38,
                2147483647.5, -2147483648.5, 9.3e18, 3.4028235677973366e38],
    "string": ["", " 1 ", "1.5", "-2.5", "t", "NO", "nan", "2024-02-29", "2024-02-30", "x", "1e400",
               "2024-02-29 10:00:00+01", "9223372036854775807.5", "2147483648", "-0"],
    "bool": [True, False],
    "timestamp": [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(999, 1, 1, tzinfo=UTC),
                  datetime(2024, 2, 29, 1, 2, 3, 450_000, UTC)],
    "date": [date(1969, 12, 31), date(999, 1, 1), date(2024, 2, 29)],
}  # fmt: skip
PAIRS = [(before, after) for before in SINGLE for after in SINGLE if can_cast(before, after)]


@pytest.mark.parametrize("verb", ["CAST", "TRY_CAST"])
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_casts_agree(engines: Engines, verb: str, before: str, after: str) -> None:
    names = {"int64": "BIGINT", "int32": "INT", "float64": "DOUBLE", "float32": "FLOAT"}
    tree = parse(f"{verb}(x AS {names.get(after, after)})", "test")
    rows = [[value] for value in [*VALUES[before], None]]
    ours = engines.closures(tree, {"x": before}, rows)
    theirs = engines.duckdb(tree, {"x": before}, rows)
    assert [bits(value) for value in ours] == [bits(value) for value in theirs]


def test_serving_loads_no_parser_and_no_engine() -> None:
    code = """if True:
        import sys
        import headwater.expressions.closures, headwater.expressions.walk
        loaded = {"sqlglot", "duckdb", "pyarrow", "numpy"} & set(sys.modules)
        sys.exit(f"loaded: {loaded}" if loaded else 0)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
