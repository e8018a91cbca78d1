"""Every function: the closure and DuckDB agree bit for bit, errors included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.expressions.functions import SCALAR_FUNCTIONS, Function
from headwater.expressions.tree import Call, Column, Literal, Node
from headwater.expressions.widening import is_constant

from .engines import Engines, bits, dtype_of
from .strategies import (
    NUMBER_TEXTS,
    SINGLE,
    SMALL_INTEGERS,
    TIME_TEXTS,
    argument_types,
    constants,
    values,
)

# arguments for which the general values would hit too seldom
SPECIAL = {
    "number_text": NUMBER_TEXTS,
    "read_date": TIME_TEXTS,
    "try_read_date": TIME_TEXTS,
    "read_timestamp": TIME_TEXTS,
    "try_read_timestamp": TIME_TEXTS,
}
SMALL = {"left", "right", "split_part", "list_extract", "make_date", "shift_left", "shift_right"}


@st.composite
def calls(draw: st.DrawFn, function: Function) -> tuple[Node, dict[str, str], list[list[Any]]]:
    """A call of the function over columns, and rows for them."""
    types = argument_types(
        function,
        draw(st.sampled_from(SINGLE)),
        draw(st.sampled_from(["int64", "float64", "int32", "float32"])),
        draw(st.sampled_from(["int64", "float64", "string"])),
    )
    types = types[: draw(st.integers(function.least, len(types)))]
    nodes: list[Node] = []
    columns: dict[str, str] = {}
    for place, dtype in enumerate(types):
        if is_constant(function.pattern(place)):
            constant = draw(constants(function.pattern(place)))
            nodes.append(Literal(constant, dtype_of([constant])))
        else:
            nodes.append(Column(f"c{place}"))
            columns[f"c{place}"] = dtype
    strategy = [
        st.one_of(SMALL_INTEGERS, values(t))
        if function.name in SMALL and t == "int64"
        else st.one_of(SPECIAL.get(function.name, st.nothing()), values(t))
        for t in columns.values()
    ]
    rows = draw(st.lists(st.tuples(*strategy).map(list), min_size=1, max_size=12))
    return Call(function.name, tuple(nodes)), columns, rows


@pytest.mark.parametrize(
    "function", [pytest.param(f, id=f.name) for f in SCALAR_FUNCTIONS.values()]
)
def test_agree(engines: Engines, function: Function) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(calls(function))
    def check(drawn: tuple[Node, dict[str, str], list[list[Any]]]) -> None:
        tree, columns, rows = drawn
        ours = engines.closures(tree, columns, rows)
        theirs = engines.duckdb(tree, columns, rows)
        for row, one, other in zip(rows, ours, theirs, strict=True):
            assert bits(one) == bits(other), f"{tree} over {columns}: {row}"

    check()
