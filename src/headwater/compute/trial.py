"""Try SQL that came over the API on a sample before it is applied: what fails there fails later."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from headwater.compute.engines.duckdb import DuckDBEngine, Scan, first_line
from headwater.compute.fetch import time_sql
from headwater.errors import ComputeError
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.expressions.printing import quote, to_duckdb
from headwater.expressions.tree import Call, Node
from headwater.expressions.walk import aggregates_of, children, sequence_calls_of

SAMPLE_ROWS = 500


def try_expressions(engine: DuckDBEngine, view: AnalyzedView) -> None:
    """Evaluate what a view's features of the API compute of single rows, apart, on some rows.

    Raises ComputeError that names the feature.
    """
    foreign = [f for f in view.features if f.feature.code_by is not None and f.tree is not None]
    if not foreign or view.source is None:
        return
    scan = engine.scan(view.source)
    for feature in foreign:
        _try(engine, scan, feature)


def _try(engine: DuckDBEngine, scan: Scan, feature: AnalyzedFeature) -> None:
    if feature.kind == "derived" or feature.tree is None:
        return
    what = f"feature '{feature.name}'"
    time = f"make_timestamp({time_sql(scan.source, 'event_time', scan.columns)})"
    parts = [to_duckdb(node, quote, time) for node in _of_rows(feature.tree)]
    if not parts:
        return
    sql = f"SELECT {', '.join(parts)} FROM (SELECT * FROM {scan.relation} LIMIT {SAMPLE_ROWS})"
    try:
        engine.apart(what, scan.files).query(sql)
    except duckdb.Error as error:
        raise ComputeError(
            f"{what}: fails on rows of source '{scan.source.name}': {first_line(error)}"
        ) from None


def _of_rows(tree: Node) -> Iterator[Node]:
    """The scalar parts of a tree that are computed row by row: it, or what its frames take."""
    framed: list[Node] = [*aggregates_of(tree), *sequence_calls_of(tree)]
    if not framed:
        yield tree
    for node in framed:
        taken: tuple[Node, ...] = node.args[:1] if isinstance(node, Call) else children(node)
        for part in taken:
            if not aggregates_of(part) and not sequence_calls_of(part):
                yield part
