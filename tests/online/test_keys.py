"""Keys: typed, unambiguous, the same one by one and by column."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import StoreError
from headwater.online.keys import encode_key, encode_keys

MICROS = pa.timestamp("us", tz="UTC")
NOON = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)

parts = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=6),
    st.binary(max_size=6),
    st.dates(),
    st.datetimes(timezones=st.just(dt.UTC)),
)
keys = st.tuples(parts) | st.tuples(parts, parts) | st.tuples(parts, parts, parts)


def typed(key):
    return [(type(part), part) for part in key]


@given(keys, keys)
def test_two_keys_are_equal_only_if_parts_and_types_are(one, other):
    assert (encode_key(one) == encode_key(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), ("1",)),
        ((1,), (True,)),
        ((0,), (False,)),
        (("a",), (b"a",)),
        (("ab", "c"), ("a", "bc")),
        (("a", ""), ("a",)),
        ((dt.date(2024, 5, 1),), ("2024-05-01",)),
        ((dt.date(2024, 5, 1),), (dt.datetime(2024, 5, 1, tzinfo=dt.UTC),)),
    ],
)
def test_near_misses_stay_apart(one, other):
    assert encode_key(one) != encode_key(other)


def test_the_bytes_of_the_reference():
    assert encode_key(("u1", 7)) == bytes.fromhex("92 A2 75 31 07")
    assert encode_key(()) == b"\x90"


def test_an_instant_has_one_key_whatever_its_zone():
    east = NOON.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert encode_key((east,)) == encode_key((NOON,))


def test_a_null_part_has_no_key():
    assert encode_key(("a", None)) is None
    assert encode_key((None,)) is None


@pytest.mark.parametrize("part", [1.5, [1], NOON.replace(tzinfo=None)])
def test_what_is_no_part_of_a_key(part):
    with pytest.raises(StoreError, match="key"):
        encode_key((part,))


COLUMNS = {
    "bool": (pa.bool_(), [True, None, False]),
    "int32": (pa.int32(), [1, None, -(2**31)]),
    "int64": (pa.int64(), [2**63 - 1, None, -(2**63)]),
    "string": (pa.string(), ["a", None, ""]),
    "large_string": (pa.large_string(), ["a", None, "é"]),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), ["a", None, "b"]),
    "bytes": (pa.binary(), [b"a", None, b""]),
    "timestamp": (MICROS, [NOON, None, dt.datetime(1969, 1, 1, 0, 0, 0, 7, tzinfo=dt.UTC)]),
    "whole second": (MICROS, [NOON, None, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]),
    "date": (pa.date32(), [dt.date(2024, 5, 1), None, dt.date(1950, 1, 1)]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_gives_the_keys_of_its_rows(kind):
    arrow, listed = COLUMNS[kind]
    column = pa.array(listed, arrow)
    assert encode_keys([column]) == [encode_key((part,)) for part in listed]
    chunked = pa.chunked_array([column[:1], column[1:]])
    assert encode_keys([chunked]) == encode_keys([column])
    full = column.drop_null()
    assert encode_keys([full, full]) == [encode_key((p, p)) for p in listed if p is not None]


def test_a_column_of_floats_is_no_key():
    with pytest.raises(StoreError, match="double"):
        encode_keys([pa.array([1.5])])
