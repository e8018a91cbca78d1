"""lineage and impact on the project that `init` makes."""

import json

import pytest

from cli.test_commands import EDIT, edit
from cli.test_govern import changing
from headwater import FeatureStore
from headwater.registry.kinds import FeatureUsage
from headwater.registry.usage import record_usage

__all__ = ["changing"]

AROUND = "order_id (id), ordered_at (event_time), user_id (key)"


def test_lineage(headwater, served):
    result = headwater("lineage", "basket_30d")
    assert result.code == 0
    assert result.out == (
        "basket_30d 1.0.0 comes from:\n"
        "  orders_30d 1.0.0\n"
        f"    orders: {AROUND}\n"
        "  spend_30d 1.0.0\n"
        f"    orders: amount, {AROUND}\n"
        "basket_30d 1.0.0 leads to:\n"
        "  service repurchase_model\n"
    )
    up = headwater("lineage", "basket_30d", "--up").out
    assert "leads to" not in up
    down = headwater("lineage", "orders_30d", "--down", "--depth", "1").out
    assert down == (
        "orders_30d 1.0.0 leads to:\n  basket_30d 1.0.0\n    service repurchase_model\n"
    )


def test_lineage_of_a_column(headwater, served):
    assert headwater("lineage", "orders.amount").out == (
        "orders.amount comes from:\n"
        "  orders\n"
        "    data/orders.csv\n"
        "orders.amount leads to:\n"
        "  last_amount 1.0.0 (value)\n"
        "  spend_30d 1.0.0 (value)\n"
        "    basket_30d 1.0.0\n"
        "      service repurchase_model\n"
    )


@pytest.mark.parametrize("how", [("--json",), ("--output", "json")])
def test_lineage_as_json(headwater, served, how):
    found = json.loads(headwater("lineage", "basket_30d", *how).out)
    assert found["all_upstream"] == ["orders_30d", "spend_30d"]
    edge = {"from": "column:orders.amount", "to": "feature:spend_30d", "labels": ["value"]}
    assert edge in found["edges"]
    assert found["starts"] == ["feature:basket_30d"]


def test_lineage_for_other_programs(headwater, served):
    assert headwater("lineage", "basket_30d", "--output", "mermaid").out.startswith(
        "flowchart LR\n"
    )
    dot = headwater("lineage", "basket_30d", "--output", "graphviz").out
    assert dot.startswith("digraph lineage {\n")
    assert dot.endswith("}\n")
    assert headwater("lineage", "basket_30d", "--output", "svg").code == 2


def test_impact(headwater, served):
    result = headwater("impact", "orders.amount")
    assert result.code == 0
    assert result.out == (
        "features:\n"
        "  last_amount 1.0.0 (as value)\n"
        "  spend_30d 1.0.0 (as value)\n"
        "  basket_30d 1.0.0 (through spend_30d)\n"
        "services:\n"
        "  repurchase_model (follows basket_30d)\n"
        "to compute again:\n"
        "  view user_orders (spend_30d, basket_30d)\n"
        "  view user_profile (last_amount)\n"
        "only where rows of a key agree in their times, it decides which is the later one in: "
        "last_country, orders_30d, orders_7d\n"
    )
    found = json.loads(headwater("impact", "spend_30d", "--json").out)
    assert [feature["feature"] for feature in found["features"]] == ["spend_30d", "basket_30d"]
    assert found["services"] == [
        {"service": "repurchase_model", "following": ["basket_30d"], "pinned": []}
    ]


@pytest.mark.parametrize("command", ["lineage", "impact"])
def test_unknown_names(headwater, served, command):
    result = headwater(command, "basket")
    assert (result.code, result.out) == (1, "")
    assert "there is no feature, source or service 'basket'" in result.err
    result = headwater(command, "orders.amont")
    assert "has no column 'amont'; did you mean 'amount'?" in result.err


def test_plan_says_what_breaks(headwater, changing):
    assert "breaks" not in headwater("plan").err
    store = FeatureStore(changing)
    use = FeatureUsage("1", "orders_7d", "1.0.0", "churn", "production", 1_000_000)
    record_usage(store.registry, "shop", [use])
    store.close()
    edit(changing, *EDIT)
    said = "breaks: services repurchase_model; models churn (production)\n"
    assert said in headwater("plan").err
    assert said in headwater("apply", "--yes").err
