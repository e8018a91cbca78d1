"""Graphs from columns to models, and the forms in which they are written."""

import html
import json
import re

import pytest

from headwater import Feature, FeatureService, FeatureView, Source
from headwater.errors import NotFoundError
from headwater.lineage import formats
from headwater.lineage.graph import Drawing, Node
from headwater.registry.kinds import FeatureUsage
from headwater.registry.usage import record_usage
from store import shop


def use(feature, model, environment="production", at=1_000_000, **given):
    return FeatureUsage(
        f"{feature}-{model}-{at}", feature, "1.0.0", model, environment, at, **given
    )


@pytest.fixture
def store(make):
    """Two views and one over both, a service that follows, one that is pinned, two models."""
    store = make()
    above = FeatureView(
        "above",
        entity=shop.USER,
        features=[Feature("rate", "clicks / nullif(last_items, 0)"), Feature("high", "rate > 2")],
    )
    store.apply(
        [
            shop.view(
                "windows",
                [Feature("clicks", "count(*) FILTER (WHERE kind = 'click')", window="1d")],
                update_frequency="daily",
            ),
            shop.view("rows", [Feature("last_items", "items")]),
            above,
            FeatureService("ranking", ["high", "clicks"]),
            FeatureService("old_ranking", ["clicks@1.0.0"]),
        ]
    )
    uses = [
        use("high", "ranker"),
        use("clicks", "churn", "dev"),
        use("rate", "x", service="ranking"),
    ]
    record_usage(store.registry, "shop", uses)
    return store


def graph(store, name, **how):
    return store.lineage.graph([store.lineage.find(name)], **how)


def edges(found):
    return {(e.start, e.end): e.labels for e in found.edges}


def test_upward(store):
    found = edges(graph(store, "rate", direction="up"))
    assert found["feature:clicks", "feature:rate"] == ()
    assert found["column:events.kind", "feature:clicks"] == ("filter",)
    assert found["column:events.user_id", "feature:last_items"] == ("key",)
    assert found["source:events", "column:events.kind"] == ()
    assert found["table:events*.parquet", "source:events"] == ()
    assert not any("model" in end or "service" in end for _, end in found)


def test_downward(store):
    found = edges(graph(store, "events.kind", direction="down"))
    assert found["column:events.kind", "feature:clicks"] == ("filter",)
    assert found["feature:clicks", "feature:rate"] == found["feature:rate", "feature:high"] == ()
    assert found["feature:clicks", "service:old_ranking"] == ("pinned 1.0.0",)
    assert found["feature:high", "service:ranking"] == ()
    assert found["feature:high", "model:ranker"] == ("production",)
    assert found["feature:clicks", "model:churn"] == ("dev",)
    assert found["service:ranking", "model:x"] == ("production",)
    assert not any("last_items" in end for _, end in found)


def test_as_far_as_asked(store):
    assert {e for e in edges(graph(store, "high", direction="up", depth=1)) if "column" not in e[0]}
    names = {start for start, _ in edges(graph(store, "high", direction="up", depth=1))}
    assert {n for n in names if n.startswith("feature")} == {"feature:rate"}
    names = {start for start, _ in edges(graph(store, "high", direction="up", depth=2))}
    assert {"feature:clicks", "feature:last_items"} <= names


def test_from_every_kind_of_node(store):
    found = edges(graph(store, "ranking"))
    assert ("feature:high", "service:ranking") in found
    assert ("column:events.items", "feature:last_items") in found
    found = edges(graph(store, "model:ranker"))
    assert found["feature:high", "model:ranker"] == ("production",)
    assert ("feature:clicks", "feature:rate") in found
    assert ("column:events.amount", "feature:clicks") not in edges(graph(store, "events"))
    assert ("source:events", "column:events.items") in edges(graph(store, "source:events"))


def test_a_query_leads_to_its_tables(make, tmp_path):
    store = make()
    source = Source(
        "clicks",
        query="SELECT user_id, event_time, amount AS paid FROM 'events.parquet' WHERE kind = 'x'",
        event_time="event_time",
    )
    star = Source("every", query="SELECT * FROM 'events.parquet'", event_time="event_time")
    store.apply(
        [
            FeatureView("v", entity=shop.USER, source=source, features=[Feature("p", "paid")]),
            FeatureView("w", entity=shop.USER, source=star, features=[Feature("a", "amount")]),
        ]
    )
    found = edges(graph(store, "p", direction="up"))
    assert found["table:events.parquet.amount", "column:clicks.paid"] == ("value",)
    assert found["table:events.parquet.kind", "column:clicks.paid"] == ("filter",)
    assert found["table:events.parquet", "source:clicks"] == ()
    assert edges(graph(store, "a"))["source:every", "column:every.amount"] == ("unknown",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clikcs", "there is no feature, source or service 'clikcs'; did you mean 'clicks'?"),
        ("events.knd", "source 'events' has no column 'knd'; did you mean 'kind'?"),
        ("service:rankin", "there is no feature, source or service"),
    ],
)
def test_unknown_names(store, name, message):
    with pytest.raises(NotFoundError, match=re.escape(message)):
        store.lineage.find(name)


def test_a_tree_tells_each_node_once(make):
    """Sixty diamonds, one on the other: 2^60 ways through them."""
    drawing = Drawing([Node("feature", "f60")])
    for n in range(60):
        for side in ("l", "r"):
            drawing.edge(Node("feature", f"f{n}"), Node("feature", f"{side}{n}"))
            drawing.edge(Node("feature", f"{side}{n}"), Node("feature", f"f{n + 1}"))
    lines = formats.to_tree(drawing.graph(), "up").splitlines()
    assert len(lines) == 1 + 4 * 60
    assert sum(line.endswith(" ...") for line in lines) == 59


def test_a_tree(store):
    assert formats.to_tree(graph(store, "rate")) == (
        "rate 1.0.0 comes from:\n"
        "  clicks 1.0.0\n"
        "    events: event_time (event_time), kind (filter), known (available_at), user_id (key)\n"
        "  last_items 1.0.0\n"
        "    events: event_time (event_time), items, known (available_at), user_id (key)\n"
        "rate 1.0.0 leads to:\n"
        "  high 1.0.0\n"
        "    service ranking\n"
        "      model x (production)\n"
        "    model ranker (production)\n"
    )


NASTY = ['say "hi"', "end", "back\\slash", "two\nlines", "a-b; c", "<b>&", "#1", "graph", "]", "한"]


@pytest.mark.parametrize("name", NASTY)
def test_any_name_survives_mermaid(name):
    drawing = Drawing([Node("model", name)])
    drawing.edge(Node("feature", "f"), Node("model", name), [name])
    lines = formats.to_mermaid(drawing.graph()).splitlines()
    assert lines[0] == "flowchart LR"
    shown = re.fullmatch(r'  n0\(\("([^"]*)"\)\)', lines[1])
    assert html.unescape(re.sub(r"#(\d+);", r"&#\1;", shown[1])) == f"model {name}"
    told = re.fullmatch(r'  n1 -->\|"([^"]*)"\| n0', lines[3])
    assert html.unescape(re.sub(r"#(\d+);", r"&#\1;", told[1])) == name


@pytest.mark.parametrize("name", NASTY)
def test_any_name_survives_graphviz(name):
    drawing = Drawing([Node("model", name)])
    drawing.edge(Node("feature", "f"), Node("model", name), [name])
    text = formats.to_dot(drawing.graph())
    assert all(line.count("\n") == 0 for line in text.splitlines())
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    plain = [re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], q) for q in quoted]
    assert f"model:{name}" in plain
    assert f"model {name}" in plain
    assert re.sub(r'"((?:[^"\\]|\\.)*)"', "_", text).count('"') == 0


def test_json(store):
    found = json.loads(json.dumps(formats.to_dict(graph(store, "rate"))))
    assert {"id": "feature:rate", "kind": "feature", "name": "rate"}.items() <= found["nodes"][
        0
    ].items()
    assert {"from": "feature:rate", "to": "feature:high", "labels": []} in found["edges"]
    ids = {node["id"] for node in found["nodes"]}
    assert all({e["from"], e["to"]} <= ids for e in found["edges"])
