"""The product's answer to a scenario. Only this module knows how the product is called."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.historical import Options, Request, compute_historical
from headwater.compute.pieces import Retrieval, Rows
from headwater.definitions.collection import collect
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.types import from_arrow
from headwater.definitions.view import FeatureView
from headwater.expressions.analysis import analyze
from headwater.expressions.analyzed import AnalyzedProject
from oracle import Nanos, View
from oracle.times import FIRST_DAY, from_datetime
from pit.scenario import Scenario
from pit.sql import sql
from pit.tables import Table

ARROW = {
    "us": pa.timestamp("us"),
    "us_utc": pa.timestamp("us", tz="UTC"),
    "us_zone": pa.timestamp("us", tz="America/New_York"),
    "ns": pa.timestamp("ns"),
    "ms": pa.timestamp("ms"),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "extreme": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "vector": pa.list_(pa.float32(), 2),
    "string": pa.string(),
    "bytes": pa.binary(),
    "struct": pa.struct([("a", pa.float64()), ("b", pa.string())]),
    "map": pa.map_(pa.string(), pa.int64()),
}


def training_set(scenario: Scenario, **options: Any) -> list[dict[str, Any]]:
    """The rows of the product's training set, times as aware datetimes."""
    return training_table(scenario, **options).to_pylist(maps_as_pydicts="strict")


def training_table(
    scenario: Scenario, *, code_by: str | None = None, threads: int = 1, **options: Any
) -> pa.Table:
    """`code_by` is who gave the code of all features over the API, if they came that way."""
    with _folder() as folder:
        for table in scenario.tables:
            write(table, folder)
        project = analyzed(scenario, folder, code_by)
        return compute_historical(
            _engine(threads),
            to_table(scenario.spine, scenario.spine_types),
            requests(scenario, project),
            Options(scenario.timestamp, scenario.knowledge, **options),
        )


def without_spine(scenario: Scenario, rows: Rows, piece_rows: int) -> list[dict[str, Any]]:
    """What is asked for, of all known keys, computed in pieces of some rows."""
    with _folder() as folder:
        for table in scenario.tables:
            write(table, folder)
        project = analyzed(scenario, folder)
        options = Options(scenario.timestamp, scenario.knowledge)
        asked = tuple(requests(scenario, project))
        found = Retrieval(_engine(), rows, asked, options).pieces(piece_rows)
        return [row for table in found for row in table.to_pylist(maps_as_pydicts="strict")]


def dtype_of(kind: pa.DataType) -> str | None:
    """The product's name for the type of a training set's column."""
    return from_arrow(kind)


def analyzed(scenario: Scenario, folder: Path, code_by: str | None = None) -> AnalyzedProject:
    """The scenario as the product's definitions, analysed."""
    sources = {table.name: to_source(table, folder) for table in scenario.tables}
    views = [to_view(view, scenario, sources, code_by) for view in scenario.views]
    return analyze(collect([*sources.values(), *views]), _engine().schema)


def requests(scenario: Scenario, project: AnalyzedProject) -> list[Request]:
    homes = {f.name: view.name for view in scenario.views for f in view.features}
    return [
        Request(project, homes[ref.feature], ref.feature, ref.output, ref.join_keys)
        for ref in scenario.refs
    ]


def to_source(table: Table, folder: Path) -> Source:
    oracle = table.source
    return Source(
        table.name,
        path=str(folder / table.name / "*.parquet"),
        event_time=oracle.event_time,
        available_at=oracle.available_at,
        id=oracle.id or None,
        sequence=oracle.sequence,
    )


def to_view(
    view: View, scenario: Scenario, sources: Mapping[str, Source], code_by: str | None = None
) -> FeatureView:
    keys = {name: scenario.keys[name] for name in view.keys}
    ticks: dict[str, Any] = {}
    if view.ticks is not None:
        ticks = {
            "update_frequency": duration(view.ticks.every),
            "at": view.ticks.at,
            "timezone": view.ticks.timezone,
            "data_delay": duration(view.data_delay),
        }
    return FeatureView(
        view.name,
        entity=Entity("_".join(["by", *keys]), join_keys=keys) if keys else None,
        source=None if view.source is None else sources[view.source.name],
        features=[
            Feature(
                feature.name,
                sql(feature.expression),
                window=duration(feature.window),
                tail_hop=duration(feature.tail_hop),
                offset=duration(feature.offset),
                rows=feature.rows,
                min_rows=feature.min_rows,
                default=feature.default,
                via=feature.via,
                code_by=code_by,
            )
            for feature in view.features
        ],
        ttl=duration(view.ttl),
        **ticks,
    )


def duration(given: int | str | None) -> str | None:
    """Microseconds as a definition takes them; other texts (`lifetime`) as they are."""
    return f"{given}us" if isinstance(given, int) else given


def write(table: Table, folder: Path) -> None:
    """The table's rows in its files, in their order."""
    home = folder / table.name
    home.mkdir()
    for number in sorted({0, *table.files}):
        rows = [r for r, n in zip(table.source.rows, table.files, strict=True) if n == number]
        pq.write_table(to_table(rows, table.types), home / f"{number}.parquet")


def to_table(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> pa.Table:
    """Rows as an Arrow table with their columns in their order."""
    names = list(rows[0]) if rows else list(types)
    arrays = [_array([row[name] for row in rows], ARROW[types[name]]) for name in names]
    return pa.table(dict(zip(names, arrays, strict=True)))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_map(kind):
        # in no good order, since files keep any
        return pa.array([None if v is None else [*v.items()][::-1] for v in values], kind)
    if not pa.types.is_timestamp(kind):
        return pa.array(values, kind)
    per_unit = {"ns": 1, "us": 1_000, "ms": 1_000_000}[kind.unit]
    integers = [None if value is None else _nanos(value) // per_unit for value in values]
    return pa.array(integers, pa.int64()).cast(kind)


def _nanos(value: Any) -> int:
    if isinstance(value, Nanos):
        return value.value
    if isinstance(value, datetime):
        return from_datetime(value) * 1_000
    assert isinstance(value, date)
    return (value - FIRST_DAY).days * 86_400_000_000_000


@cache
def _engine(threads: int = 1) -> DuckDBEngine:
    return DuckDBEngine(Path(tempfile.gettempdir()), threads=threads)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pit-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
