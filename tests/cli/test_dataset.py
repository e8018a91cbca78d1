"""dataset create, list, show, reproduce and leakage on the project that `init` makes."""

import json

import pytest

GIVEN = ("--spine", "data/labels.csv", "--service", "repurchase_model", "--label", "bought_again")


@pytest.fixture
def applied(fresh, headwater):
    assert headwater("apply").code == 0
    return fresh


def test_a_dataset_is_kept_shown_and_computed_again(applied, headwater):
    made = headwater("dataset", "create", "churn", *GIVEN, "--test", "0.2", "--seed", "3")
    assert (made.code, made.out) == (0, "churn@1\n")
    assert "train 32 rows, test 8 rows" in made.err
    assert headwater("dataset", "create", "churn", *GIVEN).out == "churn@2\n"
    listed = json.loads(headwater("dataset", "list", "--json").out)
    assert [(row["name"], row["version"], row["rows"]) for row in listed] == [
        ("churn", 2, 40),
        ("churn", 1, 40),
    ]
    assert "churn@1: train 32 rows, test 8 rows" in headwater("dataset", "show", "churn@1").out
    shown = json.loads(headwater("dataset", "show", "churn@1", "--json").out)
    assert shown["split"] == {
        "kind": "random",
        "test": 0.2,
        "validation": 0.0,
        "seed": 3,
        "by": None,
    }
    again = headwater("dataset", "reproduce", "churn@1")
    assert (again.code, again.out) == (0, "")
    assert "the same in all 40 rows" in again.err


def test_other_rows_give_another_dataset_and_exit_code_1(applied, headwater):
    headwater("dataset", "create", "churn", *GIVEN)
    orders = applied / "data" / "orders.csv"
    first, *rows = orders.read_text().splitlines()
    orders.write_text("\n".join([first, *rows[: len(rows) // 2]]) + "\n")
    again = headwater("dataset", "reproduce", "churn")
    assert again.code == 1
    assert "rows differ" in again.out
    assert "changed since: orders" in again.err


def test_time_splits(applied, headwater):
    split = ("--test", "2026-11-16", "--gap", "12h")
    assert headwater("dataset", "create", "churn", *GIVEN, *split).code == 0
    shown = json.loads(headwater("dataset", "show", "churn", "--json").out)
    assert shown["split"]["kind"] == "time"
    assert set(shown["parts"]) == {"train", "test"}


def test_leakage(applied, headwater):
    found = json.loads(headwater("dataset", "leakage", *GIVEN, "--json").out)
    assert [item["feature"] for item in found] == ["orders_7d", "basket_30d", "last_country"]
    assert not any(item["is_suspicious"] for item in found)
    assert "suspicious" in headwater("dataset", "leakage", *GIVEN).out


def test_mistakes(applied, headwater):
    mixed = ("--test", "2026-11-16", "--validation", "0.1")
    assert headwater("dataset", "create", "churn", *GIVEN, *mixed).code == 2
    assert headwater("dataset", "create", "churn", *GIVEN, "--validation", "0.1").code == 2
    assert "no dataset 'churn'" in headwater("dataset", "show", "churn").err
    assert headwater("dataset", "create", "churn", *GIVEN[:-1], "bought").code == 1
