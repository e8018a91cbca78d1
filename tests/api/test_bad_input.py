"""Every field has bounds; what is wrong is answered with a problem that names the field."""

import json

import pytest

from api.client import PROBLEM, RSI
from headwater.errors import StoreError

LONG = "x" * 200_000
DEEP = {"a": [[[[[{"b": 1}]]]]]}
VERSION = {"version": "2.0.0", "changelog": "x"}
USE = {
    "feature_name": "x",
    "feature_version": "1.0.0",
    "used_by_model": "m",
    "environment": "dev",
}


def rules(*parameters, kind="range"):
    return [{"rule_type": kind, "parameters": given} for given in parameters]


def code(**fields):
    return {"transformation_type": "sql", "code": "a", **fields}


FEATURES = [
    ("feature_name", ""),
    ("feature_name", "1st"),
    ("feature_name", "a-b"),
    ("feature_name", "a" * 129),
    ("feature_name", "a\n"),
    ("feature_name", "é"),
    ("feature_name", 7),
    ("feature_name", None),
    ("feature_name", "usage"),
    ("feature_type", "technical"),
    ("feature_type", None),
    ("data_type", "decimal"),
    ("data_type", "list[list[in]]"),
    ("data_type", "struct[a int]"),
    ("data_type", "map[float, int]"),
    ("data_type", "list[" * 40),
    ("data_type", 1),
    ("description", LONG),
    ("description", "a\x00b"),
    ("description", ["a"]),
    ("owner", ""),
    ("owner", "a" * 257),
    ("owner", " me"),
    ("owner", "two\nlines"),
    ("tags", "red"),
    ("tags", ["x" * 65]),
    ("tags", [""]),
    ("tags", [1]),
    ("tags", [f"t{n}" for n in range(51)]),
    ("upstream_features", ["a b"]),
    ("upstream_features", [f"f{n}" for n in range(501)]),
    ("upstream_features", [["a"]]),
    ("transformation", "a"),
    ("transformation", {"transformation_type": "sql"}),
    ("transformation", code(transformation_type="perl")),
    ("transformation", code(code="")),
    ("transformation", code(code=LONG)),
    ("transformation", code(code="é" * 60_000)),
    ("transformation", code(code="\x07")),
    ("transformation", code(parameters=[])),
    ("transformation", code(parameters={"k": LONG})),
    ("transformation", code(parameters={"k": 2**63})),
    ("transformation", code(parameters={"k": [{"l": -(2**63) - 1}]})),
    ("transformation", code(parameters={"k\x00": 1})),
    ("transformation", code(kind=1)),
    ("validation_rules", {}),
    ("validation_rules", [{}]),
    ("validation_rules", rules({"min": 2, "max": 1})),
    ("validation_rules", rules({"min": "a"})),
    ("validation_rules", rules({"low": 1})),
    ("validation_rules", rules({}, kind="enum")),
    ("validation_rules", rules({"pattern": "("}, kind="regex")),
    ("validation_rules", rules({}, kind="")),
    ("validation_rules", rules(*[{"min": 1}] * 51)),
    ("validation_rules", [{"rule_type": "outlier", "is_blocking": "yes"}]),
    ("duckdb_table", "a.b.c"),
    ("duckdb_table", "1a"),
    ("duckdb_view", "a; drop table b"),
    ("duckdb_view", ""),
    ("value_kind", "ordinal"),
    ("data_source", LONG),
    ("computation_logic", 1),
    ("update_frequency", "often"),
    ("update_frequency", "0s"),
    ("update_frequency", "-1h"),
    ("entity", "a b"),
    ("source", {"path": "x"}),
    ("window", "7"),
    ("window", "0s"),
    ("window", "9" * 30 + "d"),
    ("ttl", "soon"),
    ("rows", 0),
    ("rows", 1.5),
    ("rows", "3"),
    ("rows", True),
    ("min_rows", 2),
    ("tail_hop", "1h"),
    ("offset", "1h"),
    ("default", 2**64),
]


@pytest.mark.parametrize(("field", "value"), FEATURES)
def test_a_wrong_field_of_a_feature(api, field, value):
    said = api.problem("POST", "/features", 422, json={**RSI, field: value})
    assert f"'{field}" in said
    assert len(said) <= 2000
    assert api.get("/features")["total"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "1"),
        ("version", "v2"),
        ("version", "2.0.0_rollback"),
        ("version", "1.0.0+build"),
        ("version", "01.0.0"),
        ("version", "9" * 65),
        ("version", None),
        ("changelog", ""),
        ("changelog", None),
        ("breaking_changes", "yes"),
        ("breaking_changes", [1]),
        ("breaking_changes", [""]),
        ("breaking_changes", ["x"] * 51),
        ("transformation_snapshot", {"code": "x"}),
        ("validation_snapshot", [{"rule": "x"}]),
        ("created_by", "me"),
    ],
)
def test_a_wrong_field_of_a_version(api, field, value):
    api.create("x")
    body = {**VERSION, field: value}
    said = api.problem("POST", "/features/x/versions", 422, json=body)
    assert f"'{field}" in said
    assert api.get("/features/x/versions")["total"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("feature_name", "a b"),
        ("feature_version", ""),
        ("used_by_model", ""),
        ("used_by_model", "x" * 257),
        ("environment", "prod"),
        ("feature_importance", "high"),
        ("correlation_with_target", 1.01),
        ("usage_timestamp", "yesterday"),
        ("usage_timestamp", "0001-01-01T00:00:00+23:00"),
        ("usage_timestamp", "2999-01-01T00:00:00Z"),
        ("usage_timestamp", 10**20),
        ("execution_duration_ms", -1),
        ("count", 7),
    ],
)
def test_a_wrong_field_of_a_use(api, field, value):
    api.create("x")
    said = api.problem("POST", "/features/usage", 422, json={**USE, field: value})
    assert f"'{field}" in said
    assert api.get("/features/x")["usage_count"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"),
        ("owner", "me"),
        ("tags", [[]]),
        ("transformation", {}),
        ("validation_rules", [7]),
    ],
)
def test_a_wrong_field_of_an_update(api, field, value):
    api.create("x")
    assert f"'{field}" in api.problem("PUT", "/features/x", 422, json={field: value})


@pytest.mark.parametrize(
    ("path", "params", "named"),
    [
        ("/features", {"skip": -1}, "skip"),
        ("/features", {"limit": 0}, "limit"),
        ("/features", {"limit": 1001}, "limit"),
        ("/features", {"limit": "many"}, "limit"),
        ("/features", {"status": "old"}, "status"),
        ("/features", {"feature_type": "old"}, "feature_type"),
        ("/features", {"tag": "x"}, "tag"),
        ("/features", {"project": "A b"}, "project"),
        ("/features/x", {"version": "1"}, "version"),
        ("/features/x/usage", {"limit": 10_001}, "limit"),
        ("/features/x/lineage", {"recursive": "deep"}, "recursive"),
    ],
)
def test_a_wrong_parameter(api, path, params, named):
    assert f"query parameter '{named}'" in api.problem("GET", path, 422, params=params)


def test_unknown_fields_are_told_where_they_stand(api):
    body = {**RSI, "transformation": {**RSI["transformation"], "parameter": {}}}
    said = api.problem("POST", "/features", 422, json=body)
    assert "'transformation.parameter': unknown; did you mean 'parameters'?" in said
    body = {**RSI, "validation_rules": [{"rule_type": "range", "blocking": True}]}
    response = api.request("POST", "/features", json=body)
    errors = response.json()["errors"]
    assert {"in", "field", "detail"} == errors[0].keys()
    assert errors[0]["field"] == "validation_rules.0.blocking"
    assert "is_blocking" in errors[0]["detail"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 422, "the body: is required"),
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b'{"a": NaN}', 400, "not JSON"),
        (b'{"a": 1e999}', 400, "not JSON"),
        (b'{"a": "\\ud800"}', 400, "not JSON"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b"[" * 60 + b"]" * 60, 400, "nested more than 50 levels"),
        (b"[]", 422, "the body: give a JSON object"),
        (b"null", 422, "the body: "),
        (b'"a"', 422, "the body: give a JSON object"),
        (b"7", 422, "the body: give a JSON object"),
    ],
)
def test_a_body_that_is_no_feature(api, content, status, said):
    headers = {"content-type": "application/json"}
    assert said in api.problem("POST", "/features", status, content=content, headers=headers)


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type(api, media):
    content = json.dumps(RSI).encode()
    headers = {"content-type": media} if media else {}
    said = api.problem("POST", "/features", 415, content=content, headers=headers)
    assert "Content-Type: application/json" in said


def test_a_body_whose_type_has_parameters(api):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    content = json.dumps(RSI).encode()
    assert api.request("POST", "/features", content=content, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/feature", 404),
        ("GET", "/features/", 404),
        ("GET", "/features/x/y", 404),
        ("GET", "/features/usage", 404),
        ("GET", "/features/a%00b", 404),
        ("GET", "/features/" + "a" * 129, 422),
        ("GET", "/features/x/versions/7.7.7", 404),
        ("GET", "/features/x/versions/none", 404),
        ("GET", "/features?project=unknown", 404),
        ("PUT", "/features", 405),
        ("PATCH", "/features/x", 405),
        ("GET", "/features/x/activate", 405),
    ],
)
def test_where_nothing_is(api, method, path, status):
    api.create("x")
    api.problem(method, path, status)


def test_another_method_is_told_the_right_ones(api):
    response = api.request("PUT", "/features")
    assert response.status_code == 405
    assert "GET" in response.headers["allow"] or "POST" in response.headers["allow"]


def test_an_unknown_project_is_told_the_near_one(api, projects):
    api.post("/features", RSI, project="research")
    said = api.problem("GET", "/features", 404, params={"project": "reserch"})
    assert "did you mean 'research'?" in said


def test_a_project_is_not_made_by_a_feature_that_is_refused(api):
    wrong = {**RSI, "upstream_features": ["stock_rsi_14d"]}
    lab = {"project": "lab"}
    assert "itself" in api.problem("POST", "/features", 409, json=wrong, params=lab)
    assert "no project 'lab'" in api.problem("GET", "/features", 404, params=lab)
    api.post("/features", RSI, **lab)
    assert api.get("/features", **lab)["total"] == 1


def test_a_registry_that_fails_is_503_and_try_again(api, registry, monkeypatch):
    def fail(*_):
        raise StoreError("registry sqlite:///x: disk I/O error")

    monkeypatch.setattr(registry, "generation", fail)
    response = api.request("POST", "/features", json=RSI)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.headers["content-type"] == PROBLEM


def test_a_crash_shows_nothing_of_itself(api, registry, monkeypatch, caplog):
    def crash(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(registry, "generation", crash)
    response = api.request("GET", "/features/x")
    assert response.status_code == 500
    assert response.headers["content-type"] == PROBLEM
    assert "secret" not in response.text
    mark = response.json()["detail"].rpartition(" ")[2]
    assert mark in caplog.text
    assert "ZeroDivisionError" in caplog.text
