"""compute on the project that `init` makes."""

import json


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
