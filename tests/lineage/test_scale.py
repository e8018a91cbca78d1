"""Ten thousand features, and chains of a thousand: nothing recurses, nothing grows beyond."""

import json

import pytest

from headwater import Feature, FeatureService, FeatureView
from headwater.admission import LONGEST_CHAIN
from headwater.lineage import formats
from headwater.lineage.impact import impact_of
from headwater.registry.records import FeatureRecord
from store import shop

LONG = 1_000
pytestmark = pytest.mark.slow


def chain(first):
    return [first, *(Feature(f"f{n}", f"f{n - 1} + 1") for n in range(1, LONG))]


@pytest.fixture(
    params=[
        Feature("f0", "amount"),
        Feature("f0", "sum(amount)", window="1d"),
        Feature("f0", "amount - lag(amount)"),
    ],
    ids=["lookup", "windowed", "sequence"],
)
def store(request, make):
    """A thousand features of one view, each over the one before."""
    store = make()
    clock = {"update_frequency": "daily"} if request.param.window else {}
    store.apply(
        [
            shop.view("v", chain(request.param), **clock),
            FeatureService("s", [f"f{LONG - 1}"]),
        ]
    )
    return store


def test_a_chain_of_a_thousand_computed_features(store):
    lineage, last = store.lineage, f"f{LONG - 1}"
    found = lineage.columns.of((last, "1.0.0"))
    assert {use.column for use in found.columns} == {"amount", "user_id", "event_time", "known"}
    graph = lineage.graph([lineage.find("events.amount")])
    assert sum(node.kind == "feature" for node in graph.nodes.values()) == LONG
    assert formats.to_tree(graph).count("\n") == 1 + LONG + 4
    assert formats.to_dot(graph).count("->") == formats.to_mermaid(graph).count("-->")
    assert json.dumps(formats.to_dict(graph))
    reached = impact_of(lineage, lineage.find("events.amount"))
    assert len(reached.features) == LONG
    assert [service.service for service in reached.services] == ["s"]


def test_a_long_chain_of_views(make):
    """As long as one that can be read may be."""
    store = make()
    views = [
        FeatureView(f"v{n}", entity=shop.USER, features=[Feature(f"f{n}", f"f{n - 1} + 1")])
        for n in range(1, LONGEST_CHAIN)
    ]
    store.apply([shop.view("v0", [Feature("f0", "amount")]), *views])
    lineage = store.lineage
    found = lineage.columns.of((f"f{LONGEST_CHAIN - 1}", "1.0.0"))
    assert {use.column for use in found.columns if "value" in use.roles} == {"amount"}
    assert len(impact_of(lineage, lineage.find("f0")).views) == LONGEST_CHAIN


def test_ten_thousand_features_in_a_row_and_side_by_side(make):
    store = make()
    records = [
        FeatureRecord(
            f"f{n}", "raw", "float64", upstream_features=(f"f{n // 2 if n % 3 else n - 1}",)
        )
        for n in range(1, 10_000)
    ]
    store.governance.create_many([FeatureRecord("f0", "raw", "float64"), *records], author="ann")
    lineage = store.lineage
    graph = lineage.graph([lineage.find("f0")])
    assert len(graph.nodes) == 10_000
    assert len(graph.edges) == 9_999
    assert len(lineage.graph(lineage.features()).edges) == 9_999
    assert formats.to_tree(graph).count("\n") == 10_001
    assert len(impact_of(lineage, lineage.find("f0")).features) == 10_000
