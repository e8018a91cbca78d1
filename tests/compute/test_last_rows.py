"""A run of lookups finds, while it reads the files, the rows that the query and the kernel find."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureView, Source
from headwater.compute import latest
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.engines.plain import PlainFiles
from headwater.compute.latest import latest_part, latest_parts_of
from headwater.compute.reading import Reader
from headwater.definitions.collection import collect
from headwater.errors import SourceError
from headwater.expressions.analysis import analyze

START = 1_700_000_000_000_000
MINUTE = 60_000_000
ROWS = 400
FEATURES = (
    Feature("amount"),
    Feature("twice", "amount * 2"),
    Feature("age", "date_diff('minute', at, as_of())"),
    Feature("label", "name", default="none"),
    Feature("long", "twice + coalesce(length(label), 0)"),
)


def events(seed, *, key, low=-40, minutes=30):
    """Few keys and instants, in no order: most last rows tie in their times, some in all."""
    draw = np.random.default_rng(seed)
    at = START + draw.integers(0, minutes, ROWS) * MINUTE
    return pa.table(
        {
            "user": pa.array(
                low + draw.integers(0, 40, ROWS), pa.int64(), mask=draw.random(ROWS) < 0.05
            ).cast(key),
            "at": pa.array(at, pa.timestamp("us"), mask=draw.random(ROWS) < 0.05),
            "known": pa.array(
                at + draw.integers(0, 20, ROWS) * MINUTE,
                pa.timestamp("us", "UTC"),
                mask=draw.random(ROWS) < 0.3,
            ),
            "step": pa.array(draw.integers(0, 3, ROWS), mask=draw.random(ROWS) < 0.3),
            "amount": pa.array(draw.integers(0, 5, ROWS), mask=draw.random(ROWS) < 0.1),
            "name": pa.array(draw.choice(["a", "bb", "ccc"], ROWS)),
        }
    )


def project(folder, *tables, part_rows=8_000_000, key="int64", delay="0s", **source):
    for place, table in enumerate(tables):
        pq.write_table(table, folder / f"part{place}.parquet", row_group_size=70)
    given = Source("events", path="*.parquet", event_time="at", **source)
    view = FeatureView(
        "stats",
        entity=Entity("user", join_keys={"user": key}),
        source=given,
        update_frequency="1m",
        data_delay=delay,
        features=FEATURES,
    )
    engine = DuckDBEngine(folder)
    analyzed = analyze(collect([view]), engine.schema)
    return Reader(engine, analyzed, part_rows=part_rows), analyzed.views["stats"]


def run(reader, view, minute):
    """The rows of all parts by key, and the keys that are gone."""
    rows, gone = {}, set()
    total = latest_parts_of(reader, view)
    for part in range(total):
        for piece in latest_part(reader, view, START + minute * MINUTE, None, (part, total)):
            times = zip(piece.event_time.tolist(), piece.known_at.tolist(), strict=True)
            for row, at in zip(piece.rows.to_pylist(), times, strict=True):
                assert row["user"] not in rows
                rows[row["user"]] = (*row.values(), *at)
            gone.update(piece.gone["user"].to_pylist())
    return rows, gone


def by_query(reader, view, minute):
    """The same of files of which nothing is known."""
    other = Reader(reader.engine, reader.project, part_rows=reader.part_rows)
    other.scan(view.source).__dict__["plain"] = PlainFiles()
    return run(other, view, minute)


SOURCES = (
    {},
    {"available_at": "known"},
    {"sequence": "step"},
    {"available_at": "known", "sequence": "step"},
)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("key", [pa.int64(), pa.int32(), pa.string()])
@pytest.mark.parametrize("part_rows", [8_000_000, 60])
def test_the_last_rows_are_those_of_the_query(tmp_path, source, key, part_rows):
    tables = [events(seed, key=key) for seed in range(2)]
    dtype = "string" if pa.types.is_string(key) else str(key)
    given = {"part_rows": part_rows, "key": dtype, "delay": "3m"}
    reader, view = project(tmp_path, *tables, **given, **source)
    with patch.object(latest, "PIECE_ROWS", 7):
        for minute in (-1, 14, 60):
            with reader.engine.traced() as statements:
                found = run(reader, view, minute)
            assert found == by_query(reader, view, minute)
            assert pa.types.is_string(key) or not any("DISTINCT" in sql for sql in statements)
        assert len(found[0]) == 40


def test_a_key_whose_rows_are_not_known_yet_is_gone(tmp_path):
    table = pa.table(
        {
            "user": [1, 2, 2],
            "at": pa.array([START] * 3, pa.timestamp("us")),
            "known": pa.array([START + 9 * MINUTE, START, START + MINUTE], pa.timestamp("us")),
            "amount": [1, 2, 3],
            "name": ["a", "b", "c"],
        }
    )
    reader, view = project(tmp_path, table, available_at="known")
    rows, gone = run(reader, view, 0)
    assert {key: row[1] for key, row in rows.items()} == {2: 2}
    assert gone == {1}
    assert (rows, gone) == by_query(reader, view, 0)


@pytest.mark.parametrize("low", [-(2**63), 2**63 - 40, 0])
def test_keys_at_the_ends_of_the_integers(tmp_path, low):
    reader, view = project(tmp_path, events(1, key=pa.int64(), low=low), part_rows=30)
    found = run(reader, view, 60)
    assert len(found[0]) == 40
    assert found == by_query(reader, view, 60)


def test_numbers_far_apart_are_listed_first(tmp_path):
    far = events(1, key=pa.int64(), low=2**40)
    reader, view = project(tmp_path, events(2, key=pa.int64()), far)
    with reader.engine.traced() as statements:
        found = run(reader, view, 60)
    assert any("DISTINCT" in sql for sql in statements)
    assert len(found[0]) == 80
    assert found == by_query(reader, view, 60)


def test_a_number_that_does_not_fit_the_key_is_named(tmp_path):
    reader, view = project(tmp_path, events(1, key=pa.int64(), low=2**31 - 5), key="int32")
    with pytest.raises(SourceError, match="does not fit its join key"):
        run(reader, view, 60)


def test_files_without_statistics_are_read_all_the_same(tmp_path):
    table = events(1, key=pa.int64())
    reader, view = project(tmp_path, table, available_at="known")
    pq.write_table(table, tmp_path / "part0.parquet", write_statistics=False)
    assert run(reader, view, 20) == by_query(reader, view, 20)


def test_the_arrays_grow_with_the_keys_of_a_part_alone(tmp_path):
    from headwater.compute import last_rows

    sizes = []
    original = last_rows._Best.of

    def noted(keys, instant, **given):
        sizes.append(keys)
        return original(keys, instant, **given)

    reader, view = project(tmp_path, *(events(seed, key=pa.int64()) for seed in range(5)))
    reader.part_rows = 20
    with patch.object(last_rows._Best, "of", noted):
        run(reader, view, 60)
    assert sizes == [10] * 4
