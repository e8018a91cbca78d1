"""Offline tables: intervals are replaced whole, repeated writes change nothing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import NotFoundError, StoreError
from headwater.offline.intervals import Interval, Span
from headwater.offline.tables import OfflineTables, Written

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("event_time", TIMESTAMP),
        ("known_at", TIMESTAMP),
        ("clicks", pa.int64()),
        ("recent", pa.list_(pa.string())),
    ]
)
REVISION = "a1b2c3"


def rows(times, clicks=1) -> list[pa.RecordBatch]:
    """One batch with a row a time."""
    count = len(times)
    columns = [
        pa.array([f"u{t % 3}" for t in times]),
        pa.array(times, TIMESTAMP),
        pa.array(times, TIMESTAMP),
        pa.array([clicks] * count, pa.int64()),
        pa.array([["x", None]] * count, pa.list_(pa.string())),
    ]
    return [pa.RecordBatch.from_arrays(columns, schema=SCHEMA)]


def refuse():
    """Batches that nobody may read."""
    raise AssertionError
    yield


@pytest.fixture
def tables(tmp_path) -> OfflineTables:
    return OfflineTables(tmp_path, "shop")


def write(tables, start, end, snapshot, times=None, clicks=1) -> Written:
    times = range(start, end) if times is None else times
    return tables.write_interval(
        REVISION, SCHEMA, Interval(start, end), snapshot, rows(list(times), clicks)
    )


def content(tables, start=None, end=None) -> dict[int, int]:
    """Time to clicks; fails on a doubled time."""
    table = tables.read(REVISION, start, end, ["event_time", "clicks"]).read_all()
    times = table["event_time"].cast(pa.int64()).to_pylist()
    assert len(times) == len(set(times))
    return dict(sorted(zip(times, table["clicks"].to_pylist(), strict=True)))


def data_files(tables) -> set[str]:
    return {p.name for p in tables.path(REVISION).glob("*.parquet")}


def test_rows_come_back_with_their_types(tables):
    written = write(tables, 0, 10, "s1")
    assert written == Written(10, changed=True)
    table = tables.read(REVISION).read_all()
    assert table.schema.names == SCHEMA.names
    assert table.schema.field("event_time").type == TIMESTAMP
    assert table.column("recent").to_pylist()[0] == ["x", None]
    assert tables.intervals(REVISION) == [Span(0, 10, "s1")]
    assert tables.revisions() == [REVISION]


def test_the_same_triple_again_reads_and_changes_nothing(tables):
    write(tables, 0, 10, "s1")
    version = tables.version(REVISION)
    again = tables.write_interval(REVISION, SCHEMA, Interval(0, 10), "s1", refuse())
    part = tables.write_interval(REVISION, SCHEMA, Interval(3, 5), "s1", refuse())
    assert again == part == Written(0, changed=False)
    assert tables.version(REVISION) == version


def test_another_snapshot_replaces_the_interval_and_nothing_else(tables):
    write(tables, 0, 10, "s1")
    write(tables, 10, 20, "s1")
    write(tables, 0, 10, "s2", times=[3], clicks=7)
    assert content(tables) == {3: 7} | dict.fromkeys(range(10, 20), 1)
    assert tables.intervals(REVISION) == [Span(0, 10, "s2"), Span(10, 20, "s1")]


def test_an_interval_inside_another_replaces_its_own_rows_alone(tables):
    write(tables, 0, 10, "s1")
    write(tables, 4, 6, "s2", clicks=2)
    assert content(tables) == {t: 2 if 4 <= t < 6 else 1 for t in range(10)}
    assert tables.missing(REVISION, Interval(0, 12), "s1") == [Interval(4, 6), Interval(10, 12)]


def test_an_interval_without_rows_is_known_to_be_empty(tables):
    assert write(tables, 0, 10, "s1", times=[]) == Written(0, changed=True)
    assert content(tables) == {}
    assert tables.intervals(REVISION) == [Span(0, 10, "s1")]
    assert write(tables, 0, 10, "s1", times=[]) == Written(0, changed=False)
    write(tables, 0, 10, "s2")
    write(tables, 0, 10, "s3", times=[])
    assert content(tables) == {}


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(-6, 6), st.integers(1, 8), st.sampled_from(["s1", "s2"]), st.booleans()
        ),
        max_size=6,
    )
)
def test_any_sequence_of_writes_agrees_with_a_dictionary(tmp_path_factory, strokes):
    """Times are microseconds around 1970, so that every rounding of bounds would show."""
    tables = OfflineTables(tmp_path_factory.mktemp("offline"), "shop")
    write(tables, -20, -19, "s1", times=[])
    model: dict[int, int] = {}
    covered: dict[int, str] = {}
    for number, (start, length, snapshot, compacted) in enumerate(strokes):
        end = start + length
        inside = range(start, end)
        changed = write(tables, start, end, snapshot, clicks=number).changed
        assert changed == any(covered.get(t) != snapshot for t in inside)
        if changed:
            model |= dict.fromkeys(inside, number)
            covered |= dict.fromkeys(inside, snapshot)
        if compacted:
            tables.compact(REVISION)
        assert content(tables) == model
        assert content(tables, 0, 3) == {t: n for t, n in model.items() if 0 <= t < 3}
    tables.vacuum(REVISION, retention_hours=0)
    assert content(tables) == model


@pytest.mark.parametrize("time", [-(2**53), -1, 10**15 + 123_457, 253_402_300_799_999_999])
def test_bounds_hold_to_the_microsecond(tables, time):
    write(tables, time - 2, time + 1, "s1")
    write(tables, time, time + 1, "s2", times=[])
    assert content(tables) == {time - 2: 1, time - 1: 1}
    assert content(tables, time - 1, time) == {time - 1: 1}


def test_rows_outside_the_interval_leave_the_table_as_it_was(tables):
    write(tables, 0, 5, "s1")
    before = data_files(tables)
    for times in ([5], [-1], [0, 4, 9]):
        with pytest.raises(StoreError, match=r"is not within the interval \[0, 5\)"):
            write(tables, 0, 5, "s2", times=times)
    assert content(tables) == dict.fromkeys(range(5), 1)
    assert data_files(tables) == before


def test_batches_that_fail_half_way_leave_no_file(tables):
    def failing():
        yield from rows(range(300_000))
        raise RuntimeError("the source went away")

    with pytest.raises(RuntimeError, match="went away"):
        tables.write_interval(REVISION, SCHEMA, Interval(0, 300_000), "s1", failing())
    assert data_files(tables) == set()
    assert tables.intervals(REVISION) == []


def test_null_times_and_other_columns_are_refused(tables):
    with pytest.raises(StoreError, match="'event_time' is null"):
        tables.write_interval(REVISION, SCHEMA, Interval(5, 6), "s1", [null_time()])
    other = pa.RecordBatch.from_pydict({"user_id": ["u"]})
    with pytest.raises(StoreError, match="expected columns user_id, event_time"):
        tables.write_interval(REVISION, SCHEMA, Interval(5, 6), "s1", [other])
    less = pa.schema([field for field in SCHEMA if field.name != "clicks"])
    with pytest.raises(StoreError, match="its columns are"):
        tables.write_interval(REVISION, less, Interval(5, 6), "s1", refuse())
    with pytest.raises(StoreError, match="needs a column 'event_time' or 'tick'"):
        tables.write_interval("other", pa.schema([("a", pa.int64())]), Interval(0, 1), "s", [])
    with pytest.raises(StoreError, match="is empty"):
        write(tables, 5, 5, "s1")


def null_time() -> pa.RecordBatch:
    batch = rows([5])[0]
    return batch.set_column(1, SCHEMA.field(1), pa.array([None], TIMESTAMP))


def test_equivalent_arrow_types_are_conformed(tables):
    batch = rows(list(range(4)))[0]
    batch = batch.set_column(0, "user_id", batch.column(0).dictionary_encode())
    batch = batch.set_column(3, "clicks", pa.array([1, 2, 3, 4], pa.int32()))
    tables.write_interval(REVISION, SCHEMA, Interval(0, 4), "s1", [batch])
    assert content(tables) == {0: 1, 1: 2, 2: 3, 3: 4}


def test_a_tick_is_the_time_where_there_is_one(tables):
    schema = pa.schema([("tick", TIMESTAMP), ("event_time", TIMESTAMP), ("x", pa.int64())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array([7], TIMESTAMP), pa.array([None], TIMESTAMP), pa.array([1])], schema=schema
    )
    tables.write_interval(REVISION, schema, Interval(7, 8), "s1", [batch])
    assert tables.read(REVISION, 7, 8).read_all().num_rows == 1
    assert tables.read(REVISION, 8).read_all().num_rows == 0


def test_compaction_merges_small_files_and_changes_no_row(tables):
    for start in range(0, 50, 5):
        write(tables, start, start + 5, f"s{start}")
    before, spans = content(tables), tables.intervals(REVISION)
    assert tables.compact(REVISION) == 9
    assert len(tables.files(REVISION)) == 1
    assert content(tables) == before
    assert tables.intervals(REVISION) == spans
    assert tables.compact(REVISION) == 0
    write(tables, 7, 8, "new", clicks=9)
    assert content(tables) == before | {7: 9}


def test_vacuum_removes_old_files_and_what_crashes_left(tables):
    write(tables, 0, 5, "s1")
    write(tables, 0, 5, "s2")
    folder = tables.path(REVISION)
    for name in ("part-crashed.parquet", "part-crashed.parquet#1", "_delta_log/_x.json.tmp1"):
        (folder / name).write_text("half")
    assert tables.vacuum(REVISION) == []
    tables.vacuum(REVISION, retention_hours=0)
    assert data_files(tables) == {Path(f).name for f in tables.files(REVISION)}
    assert not list(folder.rglob("*#1")) + list(folder.rglob("*.tmp1"))
    assert len(list((folder / "_intervals").iterdir())) == 1
    assert content(tables) == dict.fromkeys(range(5), 1)
    assert tables.intervals(REVISION) == [Span(0, 5, "s2")]


def test_intervals_outlive_the_log_that_wrote_them(tables):
    write(tables, 0, 5, "s1")
    table = DeltaTable(tables.path(REVISION))
    table.create_checkpoint()
    for entry in (tables.path(REVISION) / "_delta_log").glob("*.json"):
        entry.unlink()
    assert tables.intervals(REVISION) == [Span(0, 5, "s1")]
    assert content(tables) == dict.fromkeys(range(5), 1)


def test_files_hold_the_rows_and_other_readers_see_them(tables):
    write(tables, 0, 5, "s1")
    write(tables, 10, 15, "s1")
    assert len(tables.files(REVISION, 0, 5)) == 1
    assert tables.files(REVISION, 5, 10) == []
    found = pa.table(DeltaTable(tables.path(REVISION)).to_pyarrow_table())
    assert found.num_rows == 10
    assert found.schema.names == SCHEMA.names


def test_large_intervals_are_written_in_row_groups(tables):
    batches = [*rows(range(200_000)), *rows(range(200_000, 400_000))]
    tables.write_interval(REVISION, SCHEMA, Interval(0, 400_000), "s1", iter(batches))
    file = pq.ParquetFile(tables.files(REVISION)[0])
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
        262_144,
        137_856,
    ]


def test_reading_holds_a_row_group_not_the_table(tables):
    schema = pa.schema([("event_time", TIMESTAMP), *((f"x{n}", pa.int64()) for n in range(5))])
    size, count = 262_144, 8

    def many():
        for low in range(0, size * count, size):
            numbers = pa.array(range(low, low + size), pa.int64())
            yield pa.RecordBatch.from_arrays(
                [numbers.cast(TIMESTAMP), *[numbers] * 5], schema=schema
            )

    tables.write_interval(REVISION, schema, Interval(0, size * count), "s1", many())
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in tables.read(REVISION)]
    assert max(held) < 3 * size * 6 * 8


def test_columns_of_another_layout_are_noticed(tables):
    write(tables, 0, 5, "s1")
    path = tables.files(REVISION)[0]
    pq.write_table(pq.read_table(path).drop_columns(["clicks"]), path)
    with pytest.raises(StoreError, match="its columns are"):
        tables.read(REVISION)


def test_a_table_that_needs_a_newer_reader_is_refused(tables):
    write(tables, 0, 5, "s1")
    DeltaTable(tables.path(REVISION)).alter.set_table_properties(
        {"delta.enableDeletionVectors": "true"}
    )
    with pytest.raises(StoreError, match="another tool has changed it"):
        tables.read(REVISION)


def test_a_revision_without_a_table(tables):
    assert not tables.exists(REVISION)
    assert tables.intervals(REVISION) == []
    assert tables.missing(REVISION, Interval(0, 5), "s1") == [Interval(0, 5)]
    with pytest.raises(NotFoundError, match=f"revision '{REVISION}' has no offline table"):
        tables.read(REVISION)
    tables.drop(REVISION)
    with pytest.raises(StoreError, match="is not a hash"):
        tables.path("../elsewhere")


def test_drop_and_start_again(tables):
    write(tables, 0, 5, "s1")
    tables.drop(REVISION)
    assert tables.revisions() == []
    assert list(tables.path(REVISION).parent.iterdir()) == []
    write(tables, 0, 5, "s1")
    assert content(tables) == dict.fromkeys(range(5), 1)


def test_an_unknown_column_is_named(tables):
    write(tables, 0, 5, "s1")
    with pytest.raises(NotFoundError, match="no column 'clics'"):
        tables.read(REVISION, columns=["clics"])
