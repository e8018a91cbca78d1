"""Beyond the specification, 9: who changed what and when, from what to what."""

import pytest

from api.client import RSI

ANN, BOB = ({"X-Headwater-User": name} for name in ("ann", "bob"))


def ask(api, method, path, who, **options):
    response = api.request(method, path, headers=who, **options)
    assert response.status_code < 300, response.text


@pytest.fixture
def lived(api):
    """The specification's feature, after some changes by two people."""
    ask(api, "POST", "/features", ANN, json={**RSI, "upstream_features": []})
    ask(api, "POST", "/features", BOB, json={**RSI, "feature_name": "other"})
    ask(api, "PUT", "/features/stock_rsi_14d", BOB, json={"description": "RSI"})
    ask(api, "POST", "/features/stock_rsi_14d/activate", ANN)
    new = {"transformation_type": "python", "code": "def f(): return 1"}
    ask(api, "PUT", "/features/stock_rsi_14d", BOB, json={"transformation": new})
    path = "/features/stock_rsi_14d/rollback"
    ask(api, "POST", path, ANN, params={"target_version": "1.0.0"})
    ask(api, "DELETE", "/features/stock_rsi_14d", BOB)
    return api


def fields(entry):
    return {field["field"]: (field["old"], field["new"]) for field in entry["fields"]}


@pytest.mark.every_registry
def test_who_changed_what_and_when_from_what_to_what(lived):
    found = lived.get("/features/stock_rsi_14d/history")
    assert found["total"] == 6
    assert [(entry["change"], entry["author"]) for entry in found["changes"]] == [
        ("status", "bob"),
        ("rollback", "ann"),
        ("version", "bob"),
        ("status", "ann"),
        ("update", "bob"),
        ("create", "ann"),
    ]
    deprecated, back, version, active, update, create = found["changes"]
    assert fields(deprecated) == {"status": ("active", "deprecated")}
    assert (back["old_version"], back["new_version"]) == ("2.0.0", "1.0.0_rollback")
    assert fields(back)["transformation"] == fields(version)["transformation"][::-1]
    assert (version["bump"], version["new_version"]) == ("major", "2.0.0")
    assert fields(active) == {"status": ("draft", "active")}
    assert fields(update) == {"description": (RSI["description"], "RSI")}
    assert fields(create)["tags"] == (None, RSI["tags"])
    assert fields(create)["transformation"] == (None, RSI["transformation"])


@pytest.mark.every_registry
def test_filters(lived):
    def names(path="/audit", **query):
        found = lived.get(path, **query)
        return [(e["generation"], e["name"]) for e in found["changes"]], found["total"]

    assert names()[1] == 7
    assert names(author="ann", change="create") == ([(1, "stock_rsi_14d")], 1)
    assert names(kind="feature", name="other") == ([(2, "other")], 1)
    assert names(kind="view") == ([], 0)
    assert names(skip=1, limit=2) == ([(6, "stock_rsi_14d"), (5, "stock_rsi_14d")], 7)
    at = lived.get("/audit")["changes"][1]["at"]
    assert names(since=at) == ([(7, "stock_rsi_14d"), (6, "stock_rsi_14d")], 2)
    assert names(until=at, change="version")[1] == 1
    assert names("/features/stock_rsi_14d/history", author="ann")[1] == 3


def test_what_is_wrong(api):
    api.create("momentum")
    assert "'momentum'?" in api.problem("GET", "/features/momentun/history", 404)
    for field, value in (("change", "made"), ("kind", "model"), ("since", "x"), ("limit", 0)):
        assert f"'{field}'" in api.problem("GET", "/audit", 422, params={field: value})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_only_grows(lived, method):
    assert "does not take" in lived.problem(method, "/audit", 405)
    assert "does not take" in lived.problem(method, "/features/other/history", 405)
