"""The table of values that every function carries, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.expressions.functions import SCALAR_FUNCTIONS, Function
from headwater.expressions.tree import Call, Column, Literal, Node
from headwater.expressions.widening import is_constant

from .engines import Engines, bits, dtype_of

FUNCTIONS = [pytest.param(f, id=f.name) for f in SCALAR_FUNCTIONS.values()]


def call(function: Function, args: tuple[Any, ...]) -> tuple[Node, dict[str, str], list[Any]]:
    """The call over columns, constants written where the function wants them."""
    nodes: list[Node] = []
    columns: dict[str, str] = {}
    row: list[Any] = []
    for place, value in enumerate(args):
        if is_constant(function.pattern(place)):
            nodes.append(Literal(value, dtype_of([value])))
            continue
        nodes.append(Column(f"c{place}"))
        columns[f"c{place}"] = dtype_of([value], function.pattern(place))
        row.append(list(value) if isinstance(value, tuple) else value)
    return Call(function.name, tuple(nodes)), columns, row


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("engine", ["closures", "duckdb"])
def test_examples(engines: Engines, engine: str, function: Function) -> None:
    assert function.examples
    for args, expected in function.examples:
        tree, columns, row = call(function, args)
        found = getattr(engines, engine)(tree, columns, [row])[0]
        assert bits(found) == bits(expected), f"{function.name}{args}"
