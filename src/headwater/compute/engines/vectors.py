"""The functions of vectors that DuckDB lacks, as functions that it calls with whole columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from duckdb.func import ARROW

from headwater.compute.kernels.products import (
    cosine_similarities,
    distances,
    inner_products,
)
from headwater.compute.kernels.rows import Float64

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
