"""Columns, graphs and impact over REST."""

import pytest

from api.client import Api
from headwater import Feature, FeatureStore, FeatureView
from headwater.api.app import create_app
from headwater.api.projects import Projects
from headwater.config import load_settings
from store import shop


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with a feature over a column, one over that, and a use of it."""
    folder = tmp_path_factory.mktemp("lineage")
    store = shop.make(folder)
    above = FeatureView("above", entity=shop.USER, features=[Feature("rate", "last_items / 2")])
    store.apply([shop.view("rows", [Feature("last_items", "items")]), above])
    store.close()
    return folder


@pytest.fixture
def api(folder):
    projects = Projects(load_settings(folder))
    yield Api(create_app(projects))
    projects.close()


def test_columns(api):
    found = api.get("/features/rate/columns")
    assert found["feature_name"] == "rate"
    assert found["version"] == "1.0.0"
    assert {"source": "events", "column": "items", "roles": ["value"]} in found["columns"]
    assert found["ties"] == ["events"]
    assert api.get("/features/rate/columns", version="1.0") == found


def test_impact(api):
    use = {"feature_name": "rate", "feature_version": "1.0.0", "used_by_model": "ranker"}
    assert api.post("/features/usage", {**use, "environment": "dev"})
    found = api.get("/lineage/impact", of="events.items")
    assert [(f["feature_name"], f["roles"], f["reads"]) for f in found["features"]] == [
        ("last_items", ["value"], []),
        ("rate", [], ["last_items"]),
    ]
    assert [(m["model"], m["environment"], m["uses"]) for m in found["models"]] == [
        ("ranker", "dev", 1)
    ]
    assert found["models"][0]["last_used_at"].endswith("Z")
    assert found["views"] == [
        {"view": "above", "is_stored": False, "features": ["rate"]},
        {"view": "rows", "is_stored": True, "features": ["last_items"]},
    ]
    of_feature = api.get("/features/last_items/impact")
    assert [f["feature_name"] for f in of_feature["features"]] == ["last_items", "rate"]


def test_graph(api):
    found = api.get("/lineage/graph", start="rate", direction="up")
    assert found["starts"] == ["feature:rate"]
    assert {"from": "column:events.items", "to": "feature:last_items", "labels": ["value"]} in (
        found["edges"]
    )
    whole = api.get("/lineage/graph")
    assert {"feature:rate", "feature:last_items"} <= {node["id"] for node in whole["nodes"]}
    near = api.get("/lineage/graph", start=["rate", "events"], depth=1, direction="down")
    assert near["starts"] == ["feature:rate", "source:events"]


@pytest.mark.parametrize(
    ("form", "media", "begin"),
    [("mermaid", "text/vnd.mermaid", "flowchart LR"), ("dot", "text/vnd.graphviz", "digraph")],
)
def test_graph_as_text(api, form, media, begin):
    answer = api.request("GET", f"/lineage/graph?start=rate&format={form}")
    assert answer.headers["content-type"].startswith(media)
    assert answer.text.startswith(begin)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/features/rat/columns", 404, "did you mean 'rate'"),
        ("/features/rate/columns?version=9.0.0", 404, "has no version '9.0.0'"),
        ("/features/rat/impact", 404, "feature:rat"),
        ("/lineage/impact", 422, "'of'"),
        ("/lineage/impact?of=events.itms", 404, "did you mean 'items'"),
        ("/lineage/impact?of=model:x", 409, "nothing depends on it"),
        ("/lineage/graph?format=svg", 422, "'format'"),
        ("/lineage/graph?depth=0", 422, "'depth'"),
        ("/lineage/graph?start=nothing", 404, "there is no feature"),
        ("/lineage/graph?strat=rate", 422, "did you mean 'start'"),
        ("/lineage/graph?project=unknown", 404, "no project"),
    ],
)
def test_mistakes(api, path, status, said):
    assert said in api.problem("GET", path, status)


def test_a_project_without_features_has_an_empty_graph(tmp_path):
    (tmp_path / "headwater.toml").write_text('project = "empty"\n')
    projects = Projects(load_settings(tmp_path))
    assert Api(create_app(projects)).get("/lineage/graph")["nodes"] == []
    projects.close()


def test_the_facade_holds_the_same(folder):
    store = FeatureStore(folder)
    assert {use.column for use in store.lineage.columns.of(("rate", "1.0.0")).columns} >= {"items"}
    store.close()
