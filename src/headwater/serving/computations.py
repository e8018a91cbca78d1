"""How a derived value is computed: by closures row by row, or by a Python function in one go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import Any

from headwater.errors import ComputeError, DefinitionError, ExpressionError, StoreError
from headwater.expressions.closures import compile_row
from headwater.expressions.walk import uses
from headwater.serving.catalogue import Derived

_AS_OF = "as_of()"

Columns = Sequence[Sequence[Any]]
Run = Callable[[Columns, int, Collection[int]], list[Any]]
"""Columns of arguments, the number of rows, and the rows without a value; gives a value a row."""


def computation(label: str, made: Derived) -> tuple[Run, bool]:
    """What computes a feature version, and whether it takes t after its arguments."""
    if made.tree is None:
        return _function(label, made), False
    takes_t = uses(made.tree, "as_of")
    names = [item.name for item in made.inputs] + [name for name, _ in made.request]
    names += [_AS_OF] * takes_t
    try:
        return _by_row(compile_row(made.tree, names)), takes_t
    except (ExpressionError, KeyError, RecursionError) as error:
        raise StoreError(
            f"the serving catalogue holds an expression of feature '{label}' that this Headwater "
            f"can't compile: {type(error).__name__} {error}"
        ) from error


def _by_row(closure: Callable[[Sequence[Any]], Any]) -> Run:
    def run(columns: Columns, count: int, nulls: Collection[int]) -> list[Any]:
        rows = list(zip(*columns, strict=True)) if columns else [()] * count
        if not nulls:
            return list(map(closure, rows))
        return [None if place in nulls else closure(row) for place, row in enumerate(rows)]

    return run


def _function(label: str, made: Derived) -> Run:
    """A function is imported when it is called first: what it needs may not be installed here, and
    all other features are served nevertheless.
    """

    def run(columns: Columns, count: int, nulls: Collection[int]) -> list[Any]:
        import pyarrow as pa

        from headwater.compute.functions import Labelled, call_function
        from headwater.definitions.functions import FunctionRef
        from headwater.definitions.types import to_arrow

        ref = FunctionRef.from_dict(made.function or {})
        arrays = {
            name: pa.array(column, to_arrow(dtype))
            for (name, dtype), column in zip(made.arguments.items(), columns, strict=True)
        }
        try:
            found = call_function(ref, Labelled(label, made.dtype), arrays, count)
        except DefinitionError as error:
            raise ComputeError(str(error)) from error
        values = [_plain(value) for value in found.to_pylist(maps_as_pydicts="strict")]
        return [None if place in nulls else value for place, value in enumerate(values)]

    return run


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value
