"""The row codec: what goes in comes out, and nothing is misread."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import logging
import math
import struct

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.definitions.types import to_arrow
from headwater.errors import StoreError
from headwater.online.codec import Layout, encode_delete, from_micros

MICROS = pa.timestamp("us", tz="UTC")
ARROW = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
    "timestamp": MICROS,
    "date": pa.date32(),
}
instants = st.datetimes(timezones=st.just(dt.UTC))
VALUES = {
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "string": st.text(max_size=8),
    "bytes": st.binary(max_size=8),
    "timestamp": instants,
    "date": st.dates(),
}
ONE = Layout([("x", "int64")])
BATCH = pa.table({"x": [7]})


def bits(value):
    """A value that compares bit for bit: NaN equals itself, 0.0 is not -0.0."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, dict):
        return sorted((str(key), bits(part)) for key, part in value.items())
    return [bits(item) for item in value] if isinstance(value, list) else value


def round_trip(dtype, arrow, listed):
    layout = Layout([("x", dtype)])
    table = pa.table({"x": pa.array(listed, arrow)})
    return [layout.decode(row).values[0] for row in layout.encode_batch(table, 0)]


NESTED = {
    'struct[a: float64, "b c": list[int64]]': st.fixed_dictionaries(
        {"a": st.none() | st.floats(), "b c": st.none() | st.lists(st.none() | VALUES["int64"])}
    ),
    "struct[t: timestamp, d: date]": st.fixed_dictionaries(
        {"t": st.none() | instants, "d": st.none() | st.dates()}
    ),
    "map[string, float32]": st.dictionaries(st.text(max_size=4), st.none() | VALUES["float32"]),
    "map[date, timestamp]": st.dictionaries(st.dates(), st.none() | instants),
    "map[bool, bool]": st.dictionaries(st.booleans(), st.booleans()),
    "map[int64, struct[d: list[date]]]": st.dictionaries(
        VALUES["int64"],
        st.none() | st.fixed_dictionaries({"d": st.lists(st.none() | st.dates(), max_size=2)}),
    ),
    "list[list[date]]": st.lists(st.none() | st.lists(st.none() | st.dates())),
}


@pytest.mark.parametrize("dtype", NESTED)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_nested_values_come_back_bit_for_bit(dtype, data):
    some = st.none() | NESTED[dtype]
    listed = data.draw(st.lists(some, min_size=1, max_size=4))
    layout = Layout([("x", dtype)])
    table = pa.table({"x": pa.array([*listed, *listed], to_arrow(dtype))}).slice(len(listed))
    found = [layout.decode(row).values[0] for row in layout.encode_batch(table, 0)]
    assert [bits(value) for value in found] == [bits(value) for value in listed]


@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("float64", 8)])
@settings(max_examples=40)
@given(data=st.data())
def test_vectors_come_back_bit_for_bit_from_the_bytes_of_their_elements(dtype, width, data):
    size = data.draw(st.integers(1, 5))
    some = st.none() | st.lists(VALUES[dtype], min_size=size, max_size=size)
    listed = data.draw(st.lists(some, min_size=1, max_size=4))
    layout = Layout([("x", f"vector[{dtype}, {size}]"), ("y", "int64")])
    column = pa.array([*listed, *listed], pa.list_(ARROW[dtype], size)).slice(len(listed))
    rows = layout.encode_batch(pa.table({"x": column, "y": [7] * len(listed)}), 0)
    found = [layout.decode(row).values for row in rows]
    assert [bits(x) for x, _ in found] == [bits(value) for value in listed]
    assert {y for _, y in found} == {7}
    raw = [msgspec.msgpack.decode(row)[3][0] for row in rows]
    assert [None if x is None else len(x) for x in raw] == [
        None if value is None else width * size for value in listed
    ]


def test_a_vector_without_an_element_is_not_written():
    layout = Layout([("x", "vector[float32, 2]")])
    table = pa.table({"x": pa.array([[1.0, None]], pa.list_(pa.float32(), 2))})
    with pytest.raises(StoreError, match="x: an element of a vector is null"):
        layout.encode_batch(table, 0)


def test_a_nested_time_that_no_datetime_holds():
    layout = Layout([("x", "map[string, timestamp]")])
    late = pa.array([[("a", 253_402_300_800_000_000)]], pa.map_(pa.string(), pa.int64()))
    table = pa.table({"x": late.cast(to_arrow("map[string, timestamp]"))})
    with pytest.raises(StoreError, match="x: a time lies outside the years 1 to 9999"):
        layout.encode_batch(table, 0)


@pytest.mark.parametrize("dtype", VALUES)
@settings(max_examples=40)
@given(data=st.data())
def test_values_come_back_bit_for_bit(dtype, data):
    listed = data.draw(st.lists(st.none() | VALUES[dtype], max_size=5))
    found = round_trip(dtype, ARROW[dtype], listed)
    assert [bits(value) for value in found] == [bits(value) for value in listed]
    assert [type(value) for value in found] == [type(value) for value in listed]


@pytest.mark.parametrize("dtype", VALUES)
@settings(max_examples=40)
@given(data=st.data())
def test_lists_come_back_with_their_nulls(dtype, data):
    one = st.lists(st.none() | VALUES[dtype], max_size=3)
    listed = data.draw(st.lists(st.none() | one, max_size=4))
    found = round_trip(f"list[{dtype}]", pa.list_(ARROW[dtype]), listed)
    assert [bits(value) for value in found] == [bits(value) for value in listed]


@pytest.mark.parametrize("payload", [0x7FF8000000000000, 0x7FF8000000000123, 0xFFF0000000000000])
def test_nan_keeps_its_payload_and_infinity_its_sign(payload):
    value = struct.unpack(">d", payload.to_bytes(8, "big"))[0]
    (found,) = round_trip("float64", pa.float64(), [value])
    assert struct.pack(">d", found) == payload.to_bytes(8, "big")


@given(instants, instants, st.none() | instants)
def test_times_come_back(event_time, known_at, cut):
    times = pa.array([event_time], MICROS), pa.array([known_at], MICROS)
    at = None if cut is None else (cut - from_micros(0)) // dt.timedelta(microseconds=1)
    row = ONE.decode(ONE.encode_batch(BATCH, *times, cut=at)[0])
    assert (row.event_time, row.known_at, row.values) == (event_time, known_at, (7,))


def test_a_row_is_known_at_its_event_time_unless_told():
    row = ONE.decode(ONE.encode_batch(BATCH, 5)[0])
    assert row.event_time == row.known_at == from_micros(5)


def test_slices_chunks_and_other_columns():
    layout = Layout([("b", "list[timestamp]"), ("a", "string")])
    stamps = pa.array([[None, 1], None, [3]], pa.list_(MICROS))
    table = pa.table({"a": ["x", None, "z"], "more": [1, 2, 3], "b": stamps})
    whole = layout.encode_batch(table, 9)
    assert layout.encode_batch(table.slice(1), 9) == whole[1:]
    assert layout.encode_batch(pa.concat_tables([table[:2], table[2:]]), 9) == whole
    assert layout.encode_batch(table.to_batches()[0].slice(2), 9) == whole[2:]
    assert layout.decode(whole[2]).values == ([from_micros(3)], "z")


def test_integers_with_nulls_stay_integers():
    assert round_trip("int64", pa.int64(), [2**53 + 1, None]) == [2**53 + 1, None]


def test_narrower_columns_are_widened_and_wrong_ones_named():
    assert round_trip("int64", pa.int8(), [1, None]) == [1, None]
    assert round_trip("string", pa.dictionary(pa.int8(), pa.string()), ["a", None]) == ["a", None]
    with pytest.raises(StoreError, match="x: double can't be stored as int64"):
        round_trip("int64", pa.float64(), [1.5])
    with pytest.raises(StoreError, match=r"x: .* can't be stored as float64"):
        round_trip("float64", pa.list_(pa.int8()), [[1]])


def test_a_missing_column_is_an_error_with_the_near_miss():
    layout = Layout([("clicks_7d", "int64")])
    with pytest.raises(StoreError, match=r"clicks_7d: .* did you mean 'clicks_7'"):
        layout.encode_batch(pa.table({"clicks_7": [1]}), 0)


def test_a_row_needs_its_time():
    with pytest.raises(StoreError, match="event_time is null in 1 rows"):
        ONE.encode_batch(BATCH, pa.array([None], MICROS))
    with pytest.raises(StoreError, match="known_at is null"):
        ONE.encode_batch(BATCH, 5, pa.array([None], MICROS))


@pytest.mark.parametrize("micros", [-(2**63), 2**63 - 1])
def test_times_that_nobody_could_read(micros):
    with pytest.raises(StoreError, match="years 1 to 9999"):
        ONE.encode_batch(BATCH, pa.array([micros], MICROS))
    with pytest.raises(StoreError, match="years 1 to 9999"):
        ONE.encode_batch(BATCH, micros)
    with pytest.raises(StoreError, match=r"x: .*years 1 to 9999"):
        round_trip("timestamp", pa.int64(), [micros])
    with pytest.raises(StoreError, match=r"x: .*years 1 to 9999"):
        round_trip("date", pa.date32(), pa.array([2**31 - 1], pa.int32()).cast(pa.date32()))


@pytest.mark.parametrize(
    "other",
    [
        [("x", "int32")],
        [("y", "int64")],
        [("x", "int64"), ("y", "int64")],
        [("x", "list[int64]")],
    ],
)
def test_a_row_of_another_layout_reads_as_missing_and_is_counted(other, caplog):
    layout = Layout(other)
    row = ONE.encode_batch(BATCH, 0)[0]
    with caplog.at_level(logging.WARNING):
        assert layout.decode(row) is None
        assert layout.decode_many([row, None]) == [None, None]
    assert layout.other_layout == 2
    assert len(caplog.records) == 1


def test_the_order_of_values_is_part_of_the_layout():
    names = [("a", "int64"), ("b", "int64")]
    assert Layout(names).id != Layout(names[::-1]).id
    assert Layout(names).id == Layout(tuple(names)).id


def test_state_is_never_read_as_value():
    row = Layout(ONE.features, kind="state").encode_batch(BATCH, 0)[0]
    with pytest.raises(StoreError, match="kind 's' can't be read as value"):
        ONE.decode(row)


def test_a_tombstone_reads_as_missing():
    assert ONE.decode(encode_delete(5, 6)) is None
    assert ONE.other_layout == 0


@pytest.mark.parametrize("row", [b"", b"\x96", b"hello", b"\x93\x01\x02\x03"])
def test_bytes_that_are_no_row(row):
    with pytest.raises(StoreError, match="can't be read"):
        ONE.decode(row)


@given(st.data())
def test_a_row_cut_short_is_never_read(data):
    row = ONE.encode_batch(BATCH, 1_700_000_000_000_000, cut=5)[0]
    size = data.draw(st.integers(0, len(row) - 1))
    with pytest.raises(StoreError):
        ONE.decode(row[:size])


def test_rows_are_plain_messagepack():
    layout = Layout([("x", "int64"), ("day", "date")])
    table = pa.table({"x": [7], "day": [dt.date(2024, 5, 1)]})
    options = {"sequence": pa.array([3]), "tie": [b"t"], "row_id": [b"\x91\x01"]}
    mark, event_time, known_at, values, cut, order = msgspec.msgpack.decode(
        layout.encode_batch(table, 5, 6, cut=9, **options)[0]
    )
    assert mark == f"v{layout.id}"
    assert (event_time, known_at, cut) == (from_micros(5), from_micros(6), from_micros(9))
    assert (values, order) == ([7, "2024-05-01"], [3, b"t", b"\x91\x01"])


@pytest.mark.parametrize(
    "micros", [0, 10**15, 10**15 + 1, -1, -(10**6), 2**34 * 10**6, 2**32 * 10**6]
)
def test_a_column_of_times_is_encoded_as_one_time_is(micros):
    one = ONE.encode_batch(BATCH, micros)
    assert ONE.encode_batch(BATCH, pa.array([micros], MICROS)) == one
    mixed = pa.array([micros, -5, 7, 3_000_000], MICROS)
    four = ONE.encode_batch(pa.table({"x": [7] * 4}), mixed)
    assert four == [ONE.encode_batch(BATCH, at)[0] for at in (micros, -5, 7, 3_000_000)]


def test_the_layout_is_named_as_the_reference_says():
    told = '["headwater row 1",[["a","int64"],["é","list[date]"]]]'.encode()
    name = base64.urlsafe_b64encode(hashlib.blake2b(told, digest_size=6).digest()).decode()
    assert Layout([("a", "int64"), ("é", "list[date]")]).id == name


def test_decode_takes_a_memoryview():
    row = ONE.encode_batch(BATCH, 5)[0]
    assert ONE.decode(memoryview(row)) == ONE.decode(row)
    assert ONE.decode(memoryview(encode_delete(5, 6))) is None


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([("x", "int65")], r"x: 'int65' is not a type; did you mean 'int64'"),
        ([("x", "list[list[int65]]")], "is not a type"),
        ([], "needs names"),
        ([("x", "int64"), ("x", "string")], "each of them once"),
    ],
)
def test_wrong_layouts(features, said):
    with pytest.raises(StoreError, match=said):
        Layout(features)


def test_float32_keeps_what_it_can_hold():
    (found,) = round_trip("float32", pa.float32(), [0.1])
    assert found == struct.unpack("f", struct.pack("f", 0.1))[0] != 0.1
    assert math.isnan(round_trip("float32", pa.float32(), [math.nan])[0])
