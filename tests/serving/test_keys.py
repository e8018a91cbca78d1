"""Join keys: their forms, their types, and rows as callers may give them."""

import datetime as dt
from types import MappingProxyType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import RequestError
from headwater.online.codec import encode_key
from headwater.serving.keys import check_column, encode_rows
from headwater.serving.reader import columns_of

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
DAY = dt.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("dtype", "given", "part"),
    [
        ("int64", 2**63 - 1, 2**63 - 1),
        ("int64", -(2**63), -(2**63)),
        ("int64", np.int32(7), 7),
        ("int32", 2**31 - 1, 2**31 - 1),
        ("string", "ä", "ä"),
        ("string", np.str_("x"), "x"),
        ("bool", True, True),
        ("bool", np.True_, True),
        ("bytes", b"ab", b"ab"),
        ("bytes", bytearray(b"ab"), b"ab"),
        ("bytes", "YWI=", b"ab"),
        ("timestamp", NOON, NOON),
        ("timestamp", dt.datetime(2026, 1, 1, 12), NOON),  # noqa: DTZ001
        ("timestamp", "2026-01-01T12:00:00Z", NOON),
        ("timestamp", "2026-01-01T13:00:00+01:00", NOON),
        ("timestamp", "2026-01-01 12:00", NOON),
        ("timestamp", 1767268800, NOON),
        ("timestamp", 1767268800.25, NOON + dt.timedelta(milliseconds=250)),
        ("timestamp", pd.Timestamp("2026-01-01 12:00"), NOON),
        ("date", DAY, DAY),
        ("date", "2026-01-01", DAY),
    ],
)
def test_values_that_fit(dtype, given, part):
    [found] = check_column("k", dtype, [given])
    assert found == part
    assert type(found) in (int, str, bool, bytes, dt.datetime, dt.date)
    assert encode_rows([[found]], [dtype]) == [encode_key([part])]
    assert check_column("k", dtype, [None, given]) == [None, part]


@pytest.mark.parametrize(
    ("dtype", "given"),
    [
        ("int64", "1"),
        ("int64", 1.0),
        ("int64", True),
        ("int64", 2**63),
        ("int64", -(2**63) - 1),
        ("int64", [1]),
        ("int64", np.float64(1)),
        ("int32", 2**31),
        ("string", 1),
        ("string", b"x"),
        ("bool", 1),
        ("bool", "true"),
        ("bytes", "not base64!"),
        ("bytes", 5),
        ("timestamp", "yesterday"),
        ("timestamp", True),
        ("timestamp", DAY),
        ("timestamp", 10**30),
        ("timestamp", float("nan")),
        ("timestamp", "0001-01-01T00:00:00+14:00"),
        ("date", NOON),
        ("date", "2026-13-01"),
        ("date", 5),
    ],
)
def test_values_that_do_not_fit(dtype, given):
    with pytest.raises(RequestError) as caught:
        check_column("k", dtype, [None, given])
    message = str(caught.value)
    assert message.startswith(f"column 'k', row 1: {type(given).__name__} ")
    assert message.endswith(f"(the column has the type {dtype})")


@pytest.mark.parametrize(
    ("dtype", "given", "found"),
    [
        ("vector[float64, 2]", [0.1, 2], [0.1, 2.0]),
        ("vector[float32, 2]", [0.5, 0.1], [0.5, 0.10000000149011612]),
        ("vector[float32, 2]", np.array([0.5, 0.1], np.float32), [0.5, 0.10000000149011612]),
        ("vector[float64, 2]", ["Infinity", -1.0], [float("inf"), -1.0]),
    ],
)
def test_vectors_that_fit(dtype, given, found):
    assert check_column("v", dtype, [given, None]) == [found, None]


@pytest.mark.parametrize(
    "given", [[1.0], [1.0, 2.0, 3.0], [1.0, None], [1.0, "x"], 1.0, [1e300, 0.0]]
)
def test_vectors_that_do_not_fit(given):
    with pytest.raises(RequestError, match="is not a list of 2 numbers"):
        check_column("v", "vector[float32, 2]", [given])


def test_a_long_value_is_shown_in_part():
    with pytest.raises(RequestError) as caught:
        check_column("k", "int64", ["x" * 10_000])
    assert len(str(caught.value)) < 200


PARTS = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=8),
    "date": st.dates(),
    "timestamp": st.datetimes(timezones=st.just(dt.UTC)),
}


@given(st.data())
def test_rows_are_encoded_as_the_codec_encodes_keys(data):
    dtypes = data.draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3))
    row = st.tuples(*(st.none() | PARTS[dtype] for dtype in dtypes))
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    columns = [
        check_column("k", dtype, column)
        for dtype, column in zip(dtypes, zip(*rows, strict=True), strict=True)
    ]
    expected = [None if None in parts else encode_key(parts) for parts in rows]
    assert encode_rows(columns, dtypes) == expected


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1, "b": "x"}, {"b": "y", "a": 2}],
        ({"a": 1, "b": "x"}, MappingProxyType({"a": 2, "b": "y"})),
        {"a": [1, 2], "b": ("x", "y")},
        {"a": np.array([1, 2]), "b": pd.Series(["x", "y"])},
        {"a": pa.array([1, 2]), "b": pl.Series(["x", "y"])},
        pa.table({"a": [1, 2], "b": ["x", "y"]}),
        pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=["i", "j"]),
    ],
)
def test_the_forms_of_rows(rows):
    columns, count = columns_of(rows)
    assert {name: list(column) for name, column in columns.items()} == {
        "a": [1, 2],
        "b": ["x", "y"],
    }
    assert count == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no entity rows"),
        ({"a": []}, "there are no entity rows"),
        ([{"a": 1}, {"b": 1}], "entity row 1 has no 'a', as row 0 has"),
        ([{"a": 1}, 5], "entity row 1 is of type int; expected a dict of join keys"),
        ({"a": [1, 2], "b": [1]}, "column 'b' has 1 rows, column 'a' has 2"),
        ({"a": 5}, "column 'a' is of type int; expected a list"),
        (pl.DataFrame({"a": []}), "there are no entity rows"),
        (None, "entity_rows is of type NoneType; expected a list with one dict of join keys a row"),
        ("u1", "entity_rows is of type str; expected a list"),
        (7, "entity_rows is of type int; expected a list"),
        ({"a": "xy"}, "column 'a' is of type str; expected a list"),
    ],
)
def test_rows_that_are_none(rows, message):
    with pytest.raises(RequestError, match=message):
        columns_of(rows)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"userid": [1]},
            "column 'user_id' (int64), a join key of feature 'age', is missing "
            "(columns given: 'userid')",
        ),
        (
            {"x": [1]},
            "column 'user_id' (int64), a join key of feature 'age', is missing "
            "(columns given: 'x')",
        ),
    ],
)
def test_a_missing_column(world, columns, message):
    with pytest.raises(RequestError) as caught:
        world.get("age", **columns)
    assert str(caught.value) == message


def test_a_missing_key_of_a_derived_feature_that_no_input_has(world):
    with pytest.raises(RequestError, match=r"column 'item' \(string\), a join key of"):
        world.get("keyed", user_id=[1])


@given(st.lists(st.none() | st.integers(0, 5), min_size=1, max_size=20))
def test_a_row_gets_the_same_alone_and_among_others(shared_world, users):
    features = ("age", "score", "name", "clicks", "spend_per_click", "always", "holiday")
    together = shared_world.get(*features, user_id=users)
    for place, user in enumerate(users):
        alone = shared_world.get(*features, user_id=[user])
        for part in ("values", "statuses", "event_timestamps"):
            assert {n: [c[place]] for n, c in together[part].items()} == alone[part]


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    from serving.world import USERS, T, fill, make

    found = make(tmp_path_factory.mktemp("keys") / "online")
    fill(found)
    found.put(USERS, [4], T - 7_200_000_000, age=None, score=3.0)
    yield found
    found.store.close()
