"""explain on the project that `init` makes."""

import json


def test_the_rows_that_make_a_count(headwater, served):
    result = headwater("explain", "orders_7d", "--key", "user_id=u1")
    assert result.code == 0
    first, *rest = result.out.splitlines()
    assert first.startswith("orders_7d@1.0.0 = ")
    number = int(first.removeprefix("orders_7d@1.0.0 = "))
    assert "windowed int64 = count(*) over 7d" in rest[0]
    (made,) = [line for line in rest if "made of" in line]
    assert f"made of {number} of " in made
    assert len(rest) - rest.index(made) - 2 == number  # a header, then a line a row
    found = json.loads(headwater("get", "orders_7d", "--key", "user_id=u1", "--json").out)
    assert found["values"]["orders_7d"] == [number]


def test_a_derived_feature_as_json(headwater, served):
    result = headwater("explain", "basket_30d", "-k", "user_id=u1", "--rows", "2", "--json")
    found = json.loads(result.out)
    by_name = {item["feature"]: item for item in found["inputs"]}
    assert found["value"] == by_name["spend_30d"]["value"] / by_name["orders_30d"]["value"]
    assert len(by_name["spend_30d"]["rows"]) == 2
    assert by_name["spend_30d"]["rows_of_value"] == by_name["orders_30d"]["value"]
    assert found["sql"]


def test_before_all_rows(headwater, served):
    at = ("--at", "2001-01-01", "--key", "user_id=u1")
    assert headwater("explain", "last_country", *at).out.startswith(
        "last_country@1.0.0 = null (NOT_FOUND)\n"
    )


def test_mistakes(headwater, served):
    assert "join key 'user_id' (string) is missing" in headwater("explain", "orders_7d").err
    wrong = headwater("explain", "orders_7d", "--key", "user=u1")
    assert (wrong.code, wrong.out) == (1, "")
    assert "did you mean 'user_id'?" in wrong.err
    assert headwater("explain", "orders_7d", "--key", "user_id").code == 2
    assert headwater("explain", "orders_7d", "--at", "noon").code == 2
    assert "did you mean 'orders_7d'" in headwater("explain", "orders_7", "-k", "user_id=u1").err
