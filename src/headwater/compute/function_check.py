"""Try a user's function on a sample before it is applied: it must not depend on other rows (C11).

A `row` function is run on the whole sample, on its halves, on single rows and on its rows reversed;
a `sequence` function on the whole sample and on many of its beginnings, as if the future were cut
off.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.compute.engines.duckdb import DuckDBEngine, Scan
from headwater.compute.fetch import time_sql
from headwater.compute.functions import call
from headwater.errors import DefinitionError
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.expressions.printing import quote

SAMPLE_ROWS = 500
SAMPLE_KEYS = 3
CUTS = 16
SINGLE_ROWS = 8


def check_functions(engine: DuckDBEngine, view: AnalyzedView) -> None:
    """Raises DefinitionError for a function whose values change with rows that it may not see."""
    functions = [feature for feature in view.features if feature.feature.function is not None]
    for feature in functions:
        _refuse_foreign_reader(feature)
    if not functions or view.source is None:
        return
    scan = engine.scan(view.source)
    for feature in functions:
        if feature.kind == "sequence":
            _check_sequence(engine, feature, _by_key(engine, scan, view, feature))
        else:
            _check_row(engine, feature, _sample(engine, scan, feature))


def _refuse_foreign_reader(feature: AnalyzedFeature) -> None:
    """What reads features is computed where it is served, and code of the API never is."""
    ref = feature.feature.function
    if ref is not None and ref.code is not None and feature.reads_features:
        raise DefinitionError(
            f"feature '{feature.name}': Python code that came over the API reads columns of a "
            f"source, not {', '.join(ref.inputs)}; write what reads features or requests in SQL"
        )


def _sample(engine: DuckDBEngine, scan: Scan, feature: AnalyzedFeature) -> pa.Table:
    columns = ", ".join(quote(name) for name in feature.columns)
    return engine.query(f"SELECT {columns} FROM {scan.relation} LIMIT {SAMPLE_ROWS}")


def _by_key(
    engine: DuckDBEngine, scan: Scan, view: AnalyzedView, feature: AnalyzedFeature
) -> list[pa.Table]:
    """The first rows of the keys that have most of them, in order."""
    keys = [quote(name) for name in view.join_keys]
    columns = ", ".join(f"r.{quote(name)}" for name in feature.columns)
    same = " AND ".join(f"r.{key} = k.{key}" for key in keys) or "true"
    listed = ", ".join(keys)
    when = time_sql(scan.source, "event_time", scan.columns)
    table = engine.query(
        f"WITH k AS (SELECT {listed + ', ' if keys else ''}"
        f'row_number() OVER (ORDER BY {", ".join(["count(*) DESC", *keys])}) AS "key number" '
        f"FROM {scan.relation} {'GROUP BY ' + listed if keys else ''} "
        f'QUALIFY "key number" <= {SAMPLE_KEYS}), '
        f'r AS (SELECT *, {when} AS "event time" FROM {scan.relation}) '
        f'SELECT k."key number", {columns} FROM r JOIN k ON {same} '
        f'QUALIFY row_number() OVER (PARTITION BY k."key number" ORDER BY r."event time") '
        f'<= {SAMPLE_ROWS} ORDER BY k."key number", r."event time"'
    )
    numbers = table["key number"].to_numpy()
    return [
        table.take(pa.array(np.flatnonzero(numbers == number))).drop_columns("key number")
        for number in np.unique(numbers)
    ]


def _run(engine: DuckDBEngine, feature: AnalyzedFeature, table: pa.Table) -> pa.Array:
    columns = {name: table[name].combine_chunks() for name in feature.columns}
    return call(engine, feature, columns, table.num_rows)


def _check_row(engine: DuckDBEngine, feature: AnalyzedFeature, sample: pa.Table) -> None:
    rows = sample.num_rows
    if rows < 2:
        return
    whole = _run(engine, feature, sample)
    middle = rows // 2
    halves = [
        _run(engine, feature, sample.slice(0, middle)),
        _run(engine, feature, sample.slice(middle)),
    ]
    backwards = pa.array(np.arange(rows - 1, -1, -1))
    turned = _run(engine, feature, sample.take(backwards)).take(backwards)
    ends = _cuts(sample)[:SINGLE_ROWS]
    alone = [_run(engine, feature, sample.slice(end - 1, 1)) for end in ends]
    chosen = whole.take(pa.array([end - 1 for end in ends]))
    same = _same(whole, pa.concat_arrays(halves)) and _same(whole, turned)
    if not (same and _same(chosen, pa.concat_arrays(alone))):
        raise DefinitionError(
            f"feature '{feature.name}': function '{_path(feature)}' is declared mode='row', "
            "but its values change when the batch is split or reordered; compute each value from "
            "its own row, or declare mode='sequence'"
        )


def _check_sequence(
    engine: DuckDBEngine, feature: AnalyzedFeature, samples: list[pa.Table]
) -> None:
    for sample in samples:
        whole = _run(engine, feature, sample)
        for end in _cuts(sample):
            if not _same(whole.slice(0, end), _run(engine, feature, sample.slice(0, end))):
                raise DefinitionError(
                    f"feature '{feature.name}': function '{_path(feature)}' changes its first "
                    f"{end} values when the rows after them are cut off: it looks into the future"
                )


def _cuts(sample: pa.Table) -> list[int]:
    """Where to cut a sample off: behind rows with a null, which a look ahead would fill, behind
    the first rows, and evenly between the others.
    """
    rows = sample.num_rows
    null = np.zeros(rows, dtype=bool)
    for column in sample.columns:
        null |= np.asarray(pc.is_null(column).to_numpy(), dtype=bool)
    behind_nulls = np.flatnonzero(null)[:CUTS] + 1
    evenly = np.linspace(1, rows, CUTS + 1)[:-1].astype(np.int64)
    found = np.concatenate([behind_nulls, np.arange(1, CUTS + 1), evenly])
    return [int(end) for end in dict.fromkeys(found.tolist()) if end < rows]


def _path(feature: AnalyzedFeature) -> str:
    return feature.feature.function.path if feature.feature.function else feature.name


def _same(one: pa.Array, other: pa.Array) -> bool:
    """Equal values; NaN equals NaN, null equals null."""
    if pa.types.is_floating(one.type):
        nan = pa.scalar("NaN", pa.string())
        one, other = (pc.if_else(pc.is_nan(a), nan, pc.cast(a, pa.string())) for a in (one, other))
    if pa.types.is_nested(one.type):
        return repr(one.to_pylist()) == repr(other.to_pylist())
    return bool(one.equals(other))
