"""What Arrow reads directly is what DuckDB would read; what it can't read so, DuckDB reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Source
from headwater.compute import direct as direct_module
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.engines.plain import PlainFiles
from headwater.compute.facts import FactQuery, read_facts
from headwater.compute.fetch import fetch_rows
from headwater.compute.keys import KeyIndex
from headwater.expressions.parse import parse

UTC_MICROS, INT64 = pa.timestamp("us", "UTC"), pa.int64()
COMPUTED = ("name = 'n3'", "amount * small", "hour(seen)", "1", "coalesce(flag, small > 3)")
START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 1000
EVERY = ("amount", "name", "flag", "day", "seen", "small")


def micros(when):
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def events(seed=1, *, first=0, time=UTC_MICROS, key=INT64):
    draw = np.random.default_rng(seed)
    when = micros(START) + (first + np.arange(ROWS)) * 60_000_000
    null = draw.random(ROWS) < 0.1
    users = draw.integers(-5, 20, ROWS)
    return pa.table(
        {
            "user": pa.array(users, pa.int64(), mask=null).cast(key),
            "at": pa.array(when, pa.timestamp("us"), mask=draw.random(ROWS) < 0.05).cast(time),
            "known": pa.array(
                when + draw.integers(0, 10**10, ROWS),
                pa.timestamp("us"),
                mask=draw.random(ROWS) < 0.2,
            ),
            "amount": pa.array(draw.standard_normal(ROWS), mask=draw.random(ROWS) < 0.1),
            "name": pa.array([f"n{i % 7}" for i in range(ROWS)]),
            "flag": pa.array(draw.random(ROWS) < 0.5),
            "day": pa.array([date(2024, 1, 1) + timedelta(days=i % 30) for i in range(ROWS)]),
            "seen": pa.array(when, pa.timestamp("us", "Europe/Berlin")),
            "small": pa.array(draw.integers(0, 9, ROWS), pa.int32()),
        }
    )


@pytest.fixture
def engine(tmp_path):
    return DuckDBEngine(tmp_path)


def scan_of(engine, *tables, available_at=None, event_time="at", id=None, sequence=None):  # noqa: A002
    for place, table in enumerate(tables):
        pq.write_table(table, engine.base / f"part{place}.parquet", row_group_size=170)
    source = Source(
        "events",
        path="*.parquet",
        event_time=event_time,
        available_at=available_at,
        id=id,
        sequence=sequence,
    )
    return engine.scan(source)


def by_sql(engine, scan):
    """The same scan, of whose files nothing is known."""
    other = engine.scan(scan.source)
    other.__dict__["plain"] = PlainFiles()
    return other


def shown(facts):
    order = np.argsort(facts.row_id)
    rows = facts.rows
    arrays = [facts.row_id, rows.key, rows.event_time, rows.available_at]
    listed = [array[order].tolist() for array in arrays]
    columns = [facts.columns[name].take(pa.array(order)) for name in sorted(facts.columns)]
    return listed, [(str(column.type), column.to_pylist()) for column in columns]


def query(keys, **given):
    columns = {f"column {name}": parse(name, "here") for name in EVERY}
    for place, text in enumerate(COMPUTED):
        columns[f"computed {place}"] = parse(text, "here")
    return FactQuery(keys, latest=micros(START + timedelta(hours=30)), columns=columns, **given)


USERS = pa.table({"user": pa.array([3, 4, -2, 11, 500], pa.int64())})


@pytest.mark.parametrize("knowledge", [True, False])
@pytest.mark.parametrize("available_at", [None, "known"])
@pytest.mark.parametrize("earliest", [None, micros(START + timedelta(hours=7))])
def test_direct_facts_are_those_of_the_query(engine, knowledge, available_at, earliest):
    scan = scan_of(engine, events(), events(2, first=ROWS), available_at=available_at)
    wanted = query(USERS, earliest=earliest, knowledge=knowledge, data_delay=5_000_000)
    with engine.traced() as statements:
        direct = read_facts(engine, scan, wanted)
    assert not any("JOIN" in sql for sql in statements)
    assert direct.row_id.size > 50
    assert shown(direct) == shown(read_facts(engine, by_sql(engine, scan), wanted))


@pytest.mark.parametrize("time", [pa.timestamp("us"), pa.timestamp("ms", "UTC"), pa.date32()])
@pytest.mark.parametrize("key", [pa.int64(), pa.int32(), pa.string()])
def test_kinds_of_times_and_keys(engine, time, key):
    scan = scan_of(engine, events(time=time, key=key))
    wanted = query(USERS.cast(pa.schema([("user", key)])), earliest=micros(START))
    assert shown(read_facts(engine, scan, wanted)) == shown(
        read_facts(engine, by_sql(engine, scan), wanted)
    )


@pytest.mark.parametrize("available_at", [None, "known"])
def test_more_rows_than_room_was_made_for(engine, monkeypatch, available_at):
    monkeypatch.setattr(direct_module, "MOST_AT_ONCE", 1)
    scan = scan_of(
        engine, events(), events(2, first=ROWS), events(3, first=9), available_at=available_at
    )
    wanted = query(USERS)
    assert shown(read_facts(engine, scan, wanted)) == shown(
        read_facts(engine, by_sql(engine, scan), wanted)
    )


def test_no_key_and_two_keys(engine):
    scan = scan_of(engine, events())
    none = pa.table({"_": pa.nulls(1)}).select([])
    two = pa.table({"user": pa.array([3, 4]), "name": ["n1", "n2"]})
    for keys in (none, two):
        direct = read_facts(engine, scan, query(keys))
        assert direct.row_id.size > 0
        assert shown(direct) == shown(read_facts(engine, by_sql(engine, scan), query(keys)))


def test_ids_and_sequences(engine):
    scan = scan_of(engine, events(), available_at="known", id="small", sequence="small")
    wanted = query(USERS)
    first = read_facts(engine, scan, wanted)
    second = read_facts(engine, by_sql(engine, scan), wanted)
    assert shown(first) == shown(second)
    ranks = [np.lexsort((f.rows.order, f.rows.key)) for f in (first, second)]
    assert first.row_id[ranks[0]].tolist() == second.row_id[ranks[1]].tolist()


def test_fetched_rows_are_those_of_the_query(engine):
    scan = scan_of(engine, events(), events(2))
    row_id = np.array([(1 << 40) + 999, 0, 171, 171, 1 << 40, 998])
    columns = {f"column {name}": f'"{name}"' for name in EVERY}
    direct = fetch_rows(engine, scan, row_id, columns)
    assert direct.equals(fetch_rows(engine, by_sql(engine, scan), row_id, columns))
    assert fetch_rows(engine, scan, row_id[:0], columns).num_rows == 0


def test_a_column_of_another_type_in_one_file_is_left_to_the_query(engine):
    other = events(2)
    other = other.set_column(3, "amount", other["amount"].cast(pa.float32()))
    other = other.drop_columns("small")
    scan = scan_of(engine, events(), other)
    assert not {"amount", "small"} & set(scan.plain.types)
    assert {"user", "at", "name"} <= set(scan.plain.types)
    direct = fetch_rows(engine, scan, np.array([5, (1 << 40) + 5]), {"x": '"small"'})
    assert direct["x"].to_pylist()[1] is None


def test_columns_named_by_folders_are_left_to_the_query(engine):
    folder = engine.base / "name=zz"
    folder.mkdir()
    pq.write_table(events(), folder / "part.parquet")
    scan = engine.scan(Source("events", path="name=zz/*.parquet", event_time="at"))
    assert not scan.plain.types
    assert fetch_rows(engine, scan, np.array([1]), {"x": '"name"'})["x"].to_pylist() == ["zz"]


def test_groups_of_rows_outside_of_the_bounds_are_not_read(engine):
    table = events()
    scan = scan_of(engine, table.filter(table["at"].is_valid()))
    low = micros(START + timedelta(hours=9))
    read = list(scan.plain.batches(["at"], within=("at", low, low + 1)))
    assert sum(batch.num_rows for _, batch in read) == 170
    first, batch = read[0]
    found = batch.column("at").cast(pa.int64()).to_numpy()
    assert first % 170 == 0
    assert found[0] <= low <= found[-1]


@pytest.mark.parametrize("low", [-(2**63), 2**63 - 3, -1, 0])
def test_positions_among_keys_at_the_ends_of_the_integers(low):
    keys = pa.array([low + 2, low], pa.int64())
    asked = pa.array([low, None, low + 1, low + 2, -(2**63), 2**63 - 1, 0], pa.int64())
    expected = [{low: 1, low + 2: 0}.get(value, -1) for value in asked.to_pylist()]
    assert KeyIndex.of(keys).codes(asked).tolist() == expected
