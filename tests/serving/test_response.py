"""The answer in the process: as dict, as Arrow table, and its length."""

import datetime as dt

import pyarrow as pa
import pytest

from serving.world import MINUTE, USERS, T, at


def test_the_dict(world):
    found = world.reader.get(["age", "clicks"], [{"user_id": 1}, {"user_id": 99}]).to_dict()
    assert found == {
        "values": {"user_id": [1, 99], "age": [21, None], "clicks": [4, 0]},
        "statuses": {"age": ["PRESENT", "NOT_FOUND"], "clicks": ["PRESENT", "PRESENT"]},
        "event_timestamps": {
            "age": [at(T - MINUTE), None],
            "clicks": [at(T - 60 * MINUTE), at(T - 60 * MINUTE)],
        },
        "versions": {"age": "1.0.0", "clicks": "1.0.0"},
    }


def test_names_length_and_time(world):
    found = world.reader.get(["users:age"], [{"user_id": 1}, {"user_id": 2}])
    assert len(found) == 2
    assert found.names == ("user_id", "age")
    assert found.now == T
    assert repr(found) == "OnlineResponse(2 rows: user_id, age)"


def test_the_arrow_table_has_the_features_types(world):
    names = [c.name for c in USERS.columns]
    found = world.reader.get(names, {"user_id": [1, 99]}).to_arrow()
    assert found.schema == pa.schema(
        {
            "user_id": pa.int64(),
            "age": pa.int64(),
            "score": pa.float64(),
            "name": pa.string(),
            "joined": pa.timestamp("us", "UTC"),
            "born": pa.date32(),
            "photo": pa.binary(),
            "vip": pa.bool_(),
            "tags": pa.list_(pa.string()),
            "vector": pa.list_(pa.float64()),
            "visits": pa.list_(pa.timestamp("us", "UTC")),
        }
    )
    first = found.to_pylist()[0]
    assert (first["age"], first["born"], first["photo"]) == (21, dt.date(2000, 1, 1), b"\x01")
    assert found.column("age").null_count == 1


def test_the_arrow_table_with_metadata(world):
    found = world.reader.get(["score"], {"user_id": [1, None]}).to_arrow(metadata=True)
    assert found.to_pylist() == [
        {
            "user_id": 1,
            "score": 0.25,
            "score__status": "PRESENT",
            "score__event_timestamp": at(T - MINUTE),
        },
        {
            "user_id": None,
            "score": 0.5,
            "score__status": "NOT_FOUND",
            "score__event_timestamp": None,
        },
    ]


def test_the_arrow_table_of_nothing_but_nulls(empty):
    found = empty.reader.get(["age", "tags"], {"user_id": [1]}).to_arrow()
    assert found.schema.types == [pa.int64(), pa.int64(), pa.list_(pa.string())]


@pytest.mark.parametrize("key", ["2026-01-01T00:00:00Z", T // 10**6, at(T)])
def test_a_key_has_its_type_however_it_was_given(tmp_path, key):
    from headwater.serving.catalogue import Catalogue, Column, Revision, Stored
    from serving.world import PROJECT, feature, make

    revision = Revision("r", "v", (Column("a", "int64"),), (("at", "timestamp"),))
    catalogue = Catalogue(PROJECT, 1, (revision,), {"a": feature("v", Stored("r", "a"))})
    found = make(tmp_path, catalogue)
    found.put(revision, [at(T)], T, a=1)
    table = found.reader.get(["a"], {"at": [key]}).to_arrow()
    assert table.to_pylist() == [{"at": at(T), "a": 1}]
    assert table.schema.types == [pa.timestamp("us", "UTC"), pa.int64()]
    found.store.close()
