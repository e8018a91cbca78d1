"""Random typed trees: one value on both engines, one canonical text."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.expressions.functions import CANNOT
from headwater.expressions.parse import parse
from headwater.expressions.printing import canonical
from headwater.expressions.tree import Node
from headwater.expressions.types import resolve

from .engines import Engines, bits
from .strategies import values
from .trees import COLUMNS, trees

ROWS = st.lists(
    st.tuples(*(values(dtype) for dtype in COLUMNS.values())).map(list), min_size=1, max_size=4
)
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)


@QUIET
@given(trees(), ROWS)
def test_engines_agree(engines: Engines, tree: Node, rows: list[list[Any]]) -> None:
    ours = engines.closures(tree, COLUMNS, rows)
    theirs = engines.duckdb(tree, COLUMNS, rows)
    for row, one, other in zip(rows, ours, theirs, strict=True):
        # DuckDB skips an argument, errors and all, where another one makes a batch null anyway
        if other is CANNOT or one is not CANNOT:
            assert bits(one) == bits(other), f"{canonical(tree)} over {row}"


@QUIET
@given(trees())
def test_canonical_text_is_read_back(tree: Node) -> None:
    text = canonical(tree)
    assert parse(text, "test") == tree


@QUIET
@given(trees())
def test_resolving_twice_changes_nothing(tree: Node) -> None:
    once, dtype = resolve(tree, COLUMNS, "test")
    assert resolve(once, COLUMNS, "test") == (once, dtype)
