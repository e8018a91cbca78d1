"""HistoricalJob: a training set that is computed when its rows are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.describe import describe
from headwater.compute.historical import Options, Request, compute_historical
from headwater.errors import MissingExtraError

if TYPE_CHECKING:
    from headwater.compute.engines.duckdb import DuckDBEngine


class HistoricalJob:
    """The rows of a spine with features as known at their times; computed once, when needed."""

    def __init__(
        self,
        engine: DuckDBEngine,
        spine: Any,
        requests: Sequence[Request],
        options: Options,
    ) -> None:
        self._engine = engine
        self._spine = spine
        self._requests = tuple(requests)
        self._options = options

    @cached_property
    def _computed(self) -> tuple[pa.Table, tuple[str, ...]]:
        with self._engine.traced() as statements:
            table = compute_historical(self._engine, self._spine, self._requests, self._options)
        return table, tuple(statements)

    def to_arrow(self) -> pa.Table:
        """An Arrow table: the spine's columns, then the features, in the spine's order."""
        return self._computed[0]

    def to_polars(self) -> Any:
        """A polars DataFrame. Raises MissingExtraError where polars is not installed."""
        try:
            import polars as pl
        except ImportError:
            raise MissingExtraError("to_polars()", "polars") from None
        return pl.from_arrow(self.to_arrow())

    def to_pandas(self) -> Any:
        """A pandas DataFrame; integers with nulls stay integers (nullable types)."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("to_pandas()", "pandas") from None
        nullable = {
            pa.int32(): pd.Int32Dtype(),
            pa.int64(): pd.Int64Dtype(),
            pa.bool_(): pd.BooleanDtype(),
        }
        table = self.to_arrow()
        with_nulls = {
            field.type: nullable[field.type]
            for field in table.schema
            if field.type in nullable and table[field.name].null_count
        }
        return table.to_pandas(types_mapper=with_nulls.get)

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file (zstd) and return its path."""
        target = Path(path)
        pq.write_table(self.to_arrow(), target, compression="zstd")
        return target

    def sql(self) -> str:
        """The SQL statements that read and evaluate; the kernels work between them.

        Computes the training set if that was not done yet.
        """
        return ";\n\n".join(self._computed[1]) + ";\n"

    def explain(self) -> str:
        """In words: what is read, as of when, and how; nothing is computed."""
        return describe(self._requests, knowledge=self._options.knowledge)
