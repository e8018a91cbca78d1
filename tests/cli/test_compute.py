"""compute on the project that `init` makes."""

import json

import pyarrow.parquet as pq


def test_what_is_served_is_what_is_computed_now(headwater, served):
    keys = ("--key", "user_id=u1", "--key", "user_id=u2")
    served_values = json.loads(headwater("get", "orders_7d", *keys, "--json").out)["values"]
    found = json.loads(headwater("compute", "orders_7d", *keys, "--json").out)
    assert [value["value"] for value in found] == served_values["orders_7d"]
    assert [value["entity_id"] for value in found] == ["u1", "u2"]
    assert found[0]["metadata"]["status"] == "PRESENT"


def test_a_table_as_of_a_time(headwater, served):
    result = headwater(
        "compute", "--service", "repurchase_model", "-k", "user_id=u1", "--at", "2001-01-01"
    )
    assert result.code == 0
    header, *lines = result.out.splitlines()
    assert header.split() == ["entity", "feature", "value", "status", "event_time", "version"]
    by_feature = {line.split()[1]: line.split()[2:] for line in lines}
    assert by_feature["orders_7d"][:2] == ["0", "PRESENT"]
    assert by_feature["last_country"] == ["NOT_FOUND", "1.0.0"]


def test_mistakes(headwater, served):
    assert "'user_id' (string) is missing" in headwater("compute", "orders_7d").err
    assert headwater("compute", "-k", "user_id=u1").code == 2
    assert headwater("compute", "orders_7d", "-k", "user_id").code == 2
    assert headwater("compute", "orders_7d", "-k", "user_id=u1", "--at", "noon").code == 2
    assert headwater("compute", "orders_7", "-k", "user_id=u1").code == 1


def test_a_training_set_without_a_spine(headwater, served, tmp_path):
    out = tmp_path / "all.parquet"
    asked = ("training-set", "-s", "repurchase_model", "--out", out)
    result = headwater(*asked, "--at", "2099-01-01", "--json")
    assert result.code == 0
    made = json.loads(result.out)
    assert made["columns"][:2] == ["user_id", "event_timestamp"]
    users = pq.read_table(out)["user_id"].to_pylist()
    assert users == sorted(set(users))
    assert made["rows"] == len(users) > 1
    days = ("--start", "2099-01-01", "--end", "2099-01-04", "--every", "1d", "--force", "--json")
    assert json.loads(headwater(*asked, *days).out)["rows"] == 3 * len(users)


def test_mistakes_without_a_spine(headwater, served, tmp_path):
    asked = ("training-set", "-f", "orders_7d", "--out", tmp_path / "all.parquet")
    both = headwater(*asked, "--at", "2026-01-01", "--spine", "SELECT 1")
    assert (both.code, "--spine, or --at, not both" in both.err) == (2, True)
    assert headwater(*asked, "--at", "noon").code == 2
    alone = headwater(*asked, "--start", "2026-01-01")
    assert (alone.code, "both ends" in alone.err) == (1, True)
