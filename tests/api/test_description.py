"""The description of the API: both planes, every route, every problem."""

import json
from pathlib import Path

import pytest

from headwater.api.app import ROUTERS, describe
from headwater.api.routes import PREFIX
from headwater.api.schemas import FeatureCreate, FeatureUsageCreate, FeatureVersionCreate
from headwater.registry.transitions import TRANSITIONS

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "rest.md").read_text()

ROUTES = {
    "createFeature": "POST /features",
    "listFeatures": "GET /features",
    "recordFeatureUsage": "POST /features/usage",
    "getFeature": "GET /features/{feature_name}",
    "updateFeature": "PUT /features/{feature_name}",
    "deleteFeature": "DELETE /features/{feature_name}",
    "activateFeature": "POST /features/{feature_name}/activate",
    "deprecateFeature": "POST /features/{feature_name}/deprecate",
    "createVersion": "POST /features/{feature_name}/versions",
    "getFeatureVersions": "GET /features/{feature_name}/versions",
    "getVersion": "GET /features/{feature_name}/versions/{version}",
    "proposeVersion": "POST /features/{feature_name}/versions/propose",
    "getVersionComparison": "GET /features/{feature_name}/versions/{version}/comparison",
    "rollbackVersion": "POST /features/{feature_name}/rollback",
    "getFeatureLineage": "GET /features/{feature_name}/lineage",
    "getFeatureUsageHistory": "GET /features/{feature_name}/usage",
    "getFeatureStatistics": "GET /features/{feature_name}/statistics",
    "getFeatureColumns": "GET /features/{feature_name}/columns",
    "getFeatureImpact": "GET /features/{feature_name}/impact",
    "getImpact": "GET /lineage/impact",
    "getLineageGraph": "GET /lineage/graph",
    "getFeatureHistory": "GET /features/{feature_name}/history",
    "getAudit": "GET /audit",
    "validateFeature": "POST /features/{feature_name}/validate",
    "rankUsage": "GET /usage",
    "getFeatureUses": "GET /usage/{feature_name}",
    "keepUsageCounts": "PUT /usage/counts/{writer}",
    "getPinnedServices": "GET /features/{feature_name}/versions/{version}/services",
    "repinServices": "POST /features/{feature_name}/versions/{version}/repin",
}


def operations():
    for path, methods in describe()["paths"].items():
        for method, said in methods.items():
            yield path, method.upper(), said


def test_it_covers_both_planes():
    found = {said["operationId"]: f"{method} {path}" for path, method, said in operations()}
    mine = {name: said.replace(PREFIX, "") for name, said in found.items() if PREFIX in said}
    assert mine == ROUTES
    assert found["getOnlineFeatures"] == "POST /get-online-features"
    assert sum(len(router.routes) for router in ROUTERS) == len(ROUTES)


def test_every_reference_leads_somewhere():
    document = describe()
    text = json.dumps(document)
    names = document["components"]["schemas"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in names
    assert "HTTPValidationError" not in names


def test_every_route_says_how_it_fails():
    for path, _, said in operations():
        if not path.startswith(PREFIX):
            continue
        assert said["summary"]
        problems = {status: r for status, r in said["responses"].items() if int(status) >= 400}
        assert {"404", "422", "503"} <= problems.keys()
        for response in problems.values():
            assert list(response["content"]) == ["application/problem+json"]


def test_the_names_of_the_specification_are_there():
    names = {
        *("FeatureCreate", "FeatureUpdate", "FeatureVersionCreate", "FeatureUsageCreate"),
        *("FeatureResponse", "FeatureListResponse", "FeatureVersionResponse"),
        *("FeatureVersionListResponse", "FeatureUsageResponse", "FeatureLineageResponse"),
        *("FeatureStatisticsResponse", "FeatureValidationResult"),
    }
    assert names <= describe()["components"]["schemas"].keys()


def test_every_route_is_documented():
    table = [line.partition("` |")[0] for line in REFERENCE.splitlines() if line.startswith("| `")]
    documented = {row.removeprefix("| `").partition("?")[0] for row in table}
    assert set(ROUTES.values()) <= documented


@pytest.mark.parametrize("model", [FeatureCreate, FeatureVersionCreate, FeatureUsageCreate])
def test_every_field_is_documented(model):
    for field in model.model_fields:
        assert f"`{field}`" in REFERENCE


def test_the_table_of_transitions_is_the_one_that_holds():
    rows = [line.split(" | ") for line in REFERENCE.splitlines() if line.startswith("| `")]
    told = {
        (before.strip("| `"), after.strip("`"))
        for before, after, *how in rows
        if how and "apply" not in how[0] and after.strip("`") in TRANSITIONS
    }
    assert told == {(a, b) for a, ways in TRANSITIONS.items() for b in ways}
