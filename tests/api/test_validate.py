"""POST /features/{feature_name}/validate: values against a feature's present rules."""

import pytest

from api.client import RSI

NULL = {"rule_type": "null_check", "parameters": {}, "is_blocking": False}
PATH = "/features/stock_rsi_14d/validate"


def check(api, *values, path=PATH):
    return api.post(path, {"values": values}, status=200)


@pytest.fixture
def rsi(api):
    api.post("/features", {**RSI, "validation_rules": [*RSI["validation_rules"], NULL]})
    return api


@pytest.mark.every_registry
def test_values_that_pass(rsi):
    assert check(rsi, 0, 71.5, 100.0) == {
        "is_valid": True,
        "passed_rules": ["range(max=100.0, min=0.0)", "not_null"],
        "failed_rules": [],
        "errors": [],
    }


def test_a_blocking_rule_that_fails_makes_them_invalid(rsi):
    found = check(rsi, 71.5, 104.2, -1)
    assert found["is_valid"] is False
    assert found["failed_rules"] == ["range(max=100.0, min=0.0)"]
    assert found["errors"] == [
        "blocking rule 'range(max=100.0, min=0.0)': 2 of 3 fail: values[1] = 104.2, values[2] = -1"
    ]


def test_another_rule_is_told_and_they_stay_valid(rsi):
    found = check(rsi, 71.5, None)
    assert (found["is_valid"], found["failed_rules"]) == (True, ["not_null"])
    assert found["errors"] == ["rule 'not_null': 1 of 2 fail: values[1] = None"]


def test_rules_are_those_that_the_feature_has_now(rsi):
    api = rsi
    rule = {"rule_type": "range", "parameters": {"max": 50}, "is_blocking": True}
    api.put("/features/stock_rsi_14d", {"validation_rules": [rule]})
    assert check(api, 71.5)["failed_rules"] == ["range(max=50)"]


def test_a_kind_that_is_not_built_or_does_not_fit_is_said_so(api):
    rules = [
        {"rule_type": "outlier", "parameters": {"sigma": 3}},
        {"rule_type": "regex", "parameters": {"pattern": "a"}},
    ]
    api.create("x", validation_rules=rules)
    found = check(api, 1.0, path="/features/x/validate")
    assert (found["is_valid"], found["passed_rules"], found["failed_rules"]) == (False, [], [])
    first, second = found["errors"]
    assert "'outlier(sigma=3)' can't be checked yet" in first
    assert "does not fit float64" in second


@pytest.mark.parametrize(
    ("dtype", "right", "wrong"),
    [
        ("float", [1, 2.5, None], ["1", True, [1.0]]),
        ("integer", [1, -(2**63)], [1.0, "1", False]),
        ("int32", [2**31 - 1], [2**31]),
        ("string", ["a", ""], [1, {"a": 1}]),
        ("boolean", [True, False], [0, "true"]),
        ("timestamp", ["2026-01-01T00:00:00Z", "2026-01-01"], ["yesterday", 0]),
        ("date", ["2026-01-01"], ["2026-13-01"]),
        ("bytes", ["AAE="], ["?", 1]),
        ("list[integer]", [[1, None], []], [1, ["a"]]),
    ],
)
def test_a_value_of_another_type_is_named(api, dtype, right, wrong):
    api.create("x", data_type=dtype)
    assert check(api, *right, path="/features/x/validate")["is_valid"]
    found = check(api, *right, *wrong, path="/features/x/validate")
    assert found["is_valid"] is False
    assert len(found["errors"]) == len(wrong)
    assert found["errors"][0].startswith(f"values[{len(right)}]: ")


@pytest.mark.parametrize("body", [{}, {"values": []}, {"values": [1] * 10_001}, {"values": 1}])
def test_what_is_no_request(rsi, body):
    assert "'values'" in rsi.problem("POST", PATH, 422, json=body)


def test_an_unknown_feature(rsi):
    detail = rsi.problem("POST", "/features/stock_rsi/validate", 404, json={"values": [1]})
    assert "'stock_rsi_14d'" in detail
