"""Vectors and DuckDB: the functions that it lacks, as functions that it calls with whole columns,
and the columns of files that hold vectors, though it sees lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb.func import ARROW

from headwater.compute.kernels.products import (
    cosine_similarities,
    distances,
    inner_products,
)
from headwater.compute.kernels.rows import Float64
from headwater.definitions.types import element, from_arrow, is_vector
from headwater.expressions.printing import duckdb_type, quote, quote_text

_FUNCTIONS: dict[str, Callable[[Float64, Float64], Float64]] = {
    "headwater_inner_product": inner_products,
    "headwater_cosine_similarity": cosine_similarities,
    "headwater_distance": distances,
}


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Let expressions on this connection, and on its cursors, call them.

    They take two DOUBLE[] of one length, the same in all rows, and give a DOUBLE.
    """
    for name, function in _FUNCTIONS.items():
        connection.create_function(
            name, _of_columns(function), ["DOUBLE[]", "DOUBLE[]"], "DOUBLE", type=ARROW
        )


def remove_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Take them away: DuckDB complains of functions that are left when the process ends."""
    for name in _FUNCTIONS:
        connection.remove_function(name)


def read_vector(name: str, dtype: str) -> str:
    """SQL that reads a column of lists, or of arrays, as vectors; a null element is an error."""
    wrong = quote_text(f"column '{name}' ({dtype}): an element of a vector is null")
    elements = f"CAST({quote(name)} AS {duckdb_type(element(dtype))}[])"
    checked = f"list_transform({elements}, lambda x: coalesce(x, error({wrong})))"
    return f"CAST({checked} AS {duckdb_type(dtype)})"


def vector_columns(files: Iterable[str], schema: pa.Schema) -> dict[str, str]:
    """The columns of Parquet files that Arrow wrote as lists of one fixed size, and their types.

    `schema` is what DuckDB sees. A file that Arrow can't read tells of none.
    """
    asked = [field.name for field in schema if _is_list_of_floats(field.type)]
    if not asked:
        return {}
    told = [_vectors_of(file) for file in files]
    alike = {name: {found.get(name) for found in told} for name in asked}
    return {
        name: dtype
        for name, types in alike.items()
        for dtype in types
        if len(types) == 1 and dtype is not None
    }


def _is_list_of_floats(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_floating(kind.value_type))


def _vectors_of(file: str) -> dict[str, str]:
    if not Path(file).is_file():
        return {}
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowException):
        return {}
    return dict(_typed(schema))


def _typed(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    for field in schema:
        dtype = from_arrow(field.type)
        if dtype is not None and is_vector(dtype):
            yield field.name, dtype


def _of_columns(
    function: Callable[[Float64, Float64], Float64],
) -> Callable[..., Any]:
    def run(x: pa.ChunkedArray, y: pa.ChunkedArray) -> pa.Array:
        return pa.array(function(_matrix(x), _matrix(y)))

    return run


def _matrix(column: pa.ChunkedArray) -> Float64:
    """Lists of one length as the rows of a matrix. DuckDB itself answers for rows with a null."""
    rows = len(column)
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    found: Float64 = flat.reshape(rows, len(flat) // max(rows, 1)).astype(np.float64, copy=False)
    return found
