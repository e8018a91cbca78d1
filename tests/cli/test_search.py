"""search, on the project that `init` makes."""

import json


def test_search(headwater, served):
    result = headwater("search", "orders")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()] == [
        "name",
        "orders_7d",
        "orders_30d",
    ]
    assert result.err == "2 found\n"


def test_all_words_and_filters(headwater, served):
    found = json.loads(headwater("search", "orders", "7d", "--status", "active", "--json").out)
    assert found["total"] == 1
    assert found["features"][0]["name"] == "orders_7d"
    assert headwater("search", "orders", "--owner", "nobody").out == ""
    assert headwater("search", "orders", "--skip", "1", "--limit", "1").err == "2 found\n"


def test_nothing_found(headwater, served):
    result = headwater("search", "ordrs")
    assert (result.code, result.out) == (0, "")
    assert result.err == "0 found; did you mean 'orders'?\n"
    result = headwater("search", "?")
    assert (result.code, result.err) == (
        1,
        "error: give a word to search for, of letters or digits\n",
    )
