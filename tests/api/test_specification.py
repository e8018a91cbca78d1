"""The user's specification of the registry, sentence by sentence, over REST.

Each test has the words that it checks as its name or in its docstring.
"""

import pytest

from api.client import RSI

pytestmark = pytest.mark.every_registry

FEATURE_FIELDS = {
    *("id", "feature_name", "current_version", "feature_type", "data_type", "status"),
    *("description", "owner", "tags", "upstream_features", "downstream_features"),
    *("transformation", "validation_rules", "duckdb_table", "duckdb_view"),
    *("usage_count", "last_used_at", "created_at", "updated_at", "deprecated_at"),
    *("value_kind", "data_source", "computation_logic", "update_frequency"),
}
VERSION_FIELDS = {
    *("id", "feature_name", "version", "changelog", "breaking_changes"),
    *("transformation_snapshot", "validation_snapshot", "created_by", "created_at"),
    *("is_rolled_back", "rolled_back_at"),
}
USAGE_FIELDS = {
    *("id", "feature_name", "feature_version", "used_by_model", "model_version", "environment"),
    *("feature_importance", "correlation_with_target", "usage_timestamp"),
    *("execution_id", "execution_duration_ms"),
}
LINEAGE_FIELDS = {
    *("feature_name", "current_version", "upstream_features", "downstream_features"),
    *("all_upstream", "all_downstream", "direct_dependents_count", "total_dependents_count"),
}
CODE = {"transformation_type": "python", "code": "def f(x): return x + 1", "parameters": {}}
RULES = [{"rule_type": "null_check", "parameters": {}, "is_blocking": False}]
USE = {"feature_version": "1.0.0", "used_by_model": "alpha", "environment": "production"}


# --- the call ---------------------------------------------------------------------------------


def test_this_call_must_succeed_on_an_empty_registry(api):
    made = api.post("/features", RSI)
    assert {**made, **RSI} == made
    assert (made["current_version"], made["status"]) == ("1.0.0", "draft")
    assert api.get("/features/stock_rsi_14d") == made


def test_its_upstream_is_not_registered_yet_a_draft_may_name_it_and_shows_it_as_unresolved(api):
    made = api.post("/features", RSI)
    assert made["upstream_features"] == ["stock_daily_close"]
    assert made["unresolved_features"] == ["stock_daily_close"]


def test_activation_is_refused_until_it_is_resolved(api):
    api.post("/features", RSI)
    said = api.problem("POST", "/features/stock_rsi_14d/activate", 409)
    assert "stock_daily_close" in said
    api.create("stock_daily_close")
    assert api.get("/features/stock_rsi_14d")["unresolved_features"] == []
    assert api.post("/features/stock_rsi_14d/activate")["status"] == "active"


# --- objects ----------------------------------------------------------------------------------


def test_feature_response_is_id_and_all_fields(api):
    found = api.post("/features", RSI)
    assert FEATURE_FIELDS | {"unresolved_features"} <= found.keys()
    assert found["usage_count"] == 0
    assert found["last_used_at"] is found["deprecated_at"] is None
    assert found["created_at"] == found["updated_at"]
    assert found["created_at"].endswith("Z")


@pytest.mark.parametrize("kind", ["categorical", "numerical", "binary", "embedding"])
def test_beside_them_optional_fields(api, kind):
    fields = {
        "value_kind": kind,
        "data_source": "the exchange's close",
        "computation_logic": "mean of gains over mean of losses",
        "update_frequency": "daily",
        "duckdb_view": "features.x_view",
    }
    made = api.create("x", **fields)
    assert {**made, **fields} == made


@pytest.mark.parametrize("frequency", ["real_time", "hourly", "daily", "weekly", "90m"])
def test_update_frequency_is_a_name_or_a_duration(api, frequency):
    assert api.create("x", update_frequency=frequency)["update_frequency"] == frequency


@pytest.mark.parametrize(
    "feature_type",
    ["technical_indicator", "fundamental", "sentiment", "macro_economic", "derived", "raw"],
)
def test_feature_types(api, feature_type):
    assert api.create("x", feature_type=feature_type)["feature_type"] == feature_type


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        *((name, name) for name in ("float", "integer", "string", "boolean", "timestamp")),
        *((name, name) for name in ("float32", "int32", "bytes", "date", "list[string]")),
        *(("float64", "float"), ("int64", "integer"), ("bool", "boolean")),
    ],
)
def test_float_means_float64_and_integer_int64(api, given, shown):
    assert api.create("x", data_type=given)["data_type"] == shown


@pytest.mark.parametrize("kind", ["sql", "python", "spark"])
def test_transformation_types(api, kind):
    given = {"transformation_type": kind, "code": "a + b", "parameters": {"k": [1, 2.5, "x"]}}
    assert api.create("x", transformation=given)["transformation"] == given


@pytest.mark.parametrize("kind", ["range", "null_check", "outlier"])
def test_rule_types(api, kind):
    given = [{"rule_type": kind, "parameters": {}, "is_blocking": True}]
    given[0]["parameters"] = {"max": 3.0} if kind == "range" else {}
    assert api.create("x", validation_rules=given)["validation_rules"] == given


def test_unknown_fields_are_refused(api):
    said = api.problem("POST", "/features", 422, json={**RSI, "onwer": "me"})
    assert "'onwer'" in said
    assert "did you mean 'owner'?" in said


def test_usage_is_a_reserved_feature_name(api):
    body = {"feature_name": "usage", "feature_type": "raw", "data_type": "float"}
    assert "'usage' is a reserved name" in api.problem("POST", "/features", 422, json=body)


@pytest.mark.parametrize("field", ["feature_name", "feature_type", "data_type"])
def test_what_a_feature_needs(api, field):
    body = {key: value for key, value in RSI.items() if key != field}
    assert f"'{field}'" in api.problem("POST", "/features", 422, json=body)


# --- features ---------------------------------------------------------------------------------


def test_create_a_duplicate_is_refused(api):
    api.post("/features", RSI)
    assert "exists already" in api.problem("POST", "/features", 409, json=RSI)


def test_create_a_duplicate_is_refused_also_of_a_deprecated_name(api):
    api.post("/features", RSI)
    assert api.request("DELETE", "/features/stock_rsi_14d").status_code == 204
    assert "deprecated" in api.problem("POST", "/features", 409, json=RSI)


def test_list_filters_and_pages(api):
    api.create("a", active=True, owner="ann", tags=["red", "old"])
    api.create("b", owner="bob", tags=["red"], feature_type="sentiment")
    api.create("c", owner="ann", tags=["blue"])

    def names(**params):
        found = api.get("/features", **params)
        return [feature["feature_name"] for feature in found["features"]], found["total"]

    assert names() == (["c", "b", "a"], 3)
    assert names(owner="ann") == (["c", "a"], 2)
    assert names(status="active") == (["a"], 1)
    assert names(feature_type="sentiment") == (["b"], 1)
    assert names(owner="ann", status="draft") == (["c"], 1)
    assert names(tags="red") == (["b", "a"], 2)
    assert names(tags=["blue", "old"]) == (["c", "a"], 2)
    assert names(tags="none") == ([], 0)
    assert names(skip=1) == (["b", "a"], 3)
    assert names(skip=1, limit=1) == (["b"], 3)
    assert names(skip=7) == ([], 3)


def test_list_limit_is_50_by_default(api):
    for number in range(51):
        api.create(f"f{number}")
    found = api.get("/features")
    assert (len(found["features"]), found["total"]) == (50, 51)


def test_update_changes_what_is_given(api):
    before = api.post("/features", RSI)
    after = api.put("/features/stock_rsi_14d", {"description": "other", "tags": ["x"]})
    assert after == {
        **before,
        "description": "other",
        "tags": ["x"],
        "updated_at": after["updated_at"],
    }
    assert after["updated_at"] > before["updated_at"]


def test_update_of_transformation_or_rules_edits_a_draft_in_place(api):
    api.create("x")
    after = api.put("/features/x", {"transformation": CODE, "validation_rules": RULES})
    assert (after["transformation"], after["validation_rules"]) == (CODE, RULES)
    assert after["current_version"] == "1.0.0"
    (version,) = api.get("/features/x/versions")["versions"]
    assert (version["transformation_snapshot"], version["validation_snapshot"]) == (CODE, RULES)


def test_update_of_transformation_or_rules_otherwise_creates_the_next_version(api):
    api.create("x", active=True)
    assert api.put("/features/x", {"validation_rules": RULES})["current_version"] == "1.0.1"
    assert api.put("/features/x", {"transformation": CODE})["current_version"] == "1.1.0"
    other = {**CODE, "code": "def f(x): return -x"}
    assert api.put("/features/x", {"transformation": other})["current_version"] == "2.0.0"
    assert api.get("/features/x/versions")["total"] == 4


def test_delete_is_soft(api):
    api.create("x")
    api.create("y", active=True)
    for name in ("x", "y"):
        response = api.request("DELETE", f"/features/{name}")
        assert (response.status_code, response.content) == (204, b"")
        found = api.get(f"/features/{name}")
        assert found["status"] == "deprecated"
        assert found["deprecated_at"] is not None


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/features/base"), ("POST", "/features/base/deprecate")]
)
def test_delete_and_deprecate_are_refused_while_anything_is_downstream(api, method, path):
    api.create("base", active=True)
    api.create("above", "base")
    assert "above" in api.problem(method, path, 409)
    assert api.request("DELETE", "/features/above").status_code == 204
    assert api.request(method, path).status_code in (200, 204)


def test_activate_makes_a_draft_active(api):
    """A catalogue entry without source may be active."""
    api.create("x")
    assert api.post("/features/x/activate")["status"] == "active"
    assert "may become deprecated" in api.problem("POST", "/features/x/activate", 409)


def test_deprecate_makes_an_active_feature_deprecated(api):
    api.create("x")
    assert "draft" in api.problem("POST", "/features/x/deprecate", 409)
    api.post("/features/x/activate")
    assert api.post("/features/x/deprecate")["status"] == "deprecated"


@pytest.mark.parametrize(
    ("way", "legal"),
    [
        ((), "active or deprecated"),
        (("active",), "deprecated"),
        (("deprecated",), "archived"),
        (("deprecated", "archived"), None),
    ],
)
def test_the_table_of_legal_status_transitions(api, way, legal):
    """An illegal one names the legal ones."""
    api.create("x")
    for status in way:
        api.put("/features/x", {"status": status})
    reached = way[-1] if way else "draft"
    possible = set((legal or "").split(" or "))
    for status in ("draft", "active", "deprecated", "archived"):
        if status not in possible and status != reached:
            said = api.problem("PUT", "/features/x", 409, json={"status": status})
            assert (f"it may become {legal}" if legal else "nothing leads out") in said
    assert api.get("/features/x")["status"] == reached


# --- versions ---------------------------------------------------------------------------------


def new(version, **fields):
    return {"version": version, "changelog": f"to {version}", **fields}


def test_create_version_moves_current_version(api):
    api.create("x", active=True)
    snapshot = {"transformation_snapshot": CODE, "validation_snapshot": RULES}
    made = api.post("/features/x/versions", new("2.0.0", breaking_changes=True, **snapshot))
    assert made.keys() == VERSION_FIELDS
    assert {**made, **new("2.0.0", breaking_changes=True, **snapshot)} == made
    assert made["is_rolled_back"] is False
    found = api.get("/features/x")
    assert found["current_version"] == "2.0.0"
    assert (found["transformation"], found["validation_rules"]) == (CODE, RULES)


def test_a_version_without_snapshots_is_one_of_the_present_state(api):
    api.post("/features", RSI)
    made = api.post("/features/stock_rsi_14d/versions", new("1.1.0"))
    assert made["transformation_snapshot"] == RSI["transformation"]
    assert made["validation_snapshot"] == RSI["validation_rules"]
    assert made["breaking_changes"] is False


def test_breaking_changes_may_be_listed(api):
    api.create("x")
    changes = ["the unit is percent", "nulls are gone"]
    made = api.post("/features/x/versions", new("2.0.0", breaking_changes=changes))
    assert made["breaking_changes"] == changes


def test_versions_come_newest_first(api):
    api.create("x", active=True)
    for version in ("1.1.0", "1.10.0-rc.1", "1.10.0", "2.0.0"):
        api.post("/features/x/versions", new(version))
    found = api.get("/features/x/versions")
    names = [version["version"] for version in found["versions"]]
    assert names == ["2.0.0", "1.10.0", "1.10.0-rc.1", "1.1.0", "1.0.0"]
    assert found["total"] == 5


def test_1_0_is_read_as_1_0_0(api):
    api.create("x")
    assert api.post("/features/x/versions", new("1.1"))["version"] == "1.1.0"
    assert api.get("/features/x/versions/1.1")["version"] == "1.1.0"
    assert api.get("/features/x/versions/1.0.0")["version"] == "1.0.0"


def test_an_explicit_version_is_refused_when_it_is_not_above_every_existing_one(api):
    api.create("x")
    api.post("/features/x/versions", new("1.2.0"))
    for version in ("1.2.0", "1.1.9", "0.9.0", "1.2"):
        said = api.problem("POST", "/features/x/versions", 409, json=new(version))
        assert "is not above 1.2.0" in said


def test_or_smaller_than_the_change_deserves_unless_forced(api):
    api.create("x", active=True)
    small = new("1.0.1", transformation_snapshot=CODE)
    assert "too small" in api.problem("POST", "/features/x/versions", 409, json=small)
    assert api.post("/features/x/versions", small, force="true")["version"] == "1.0.1"


def test_rollback_restores_the_snapshots_and_marks_the_version_that_was_current(api):
    before = api.post("/features", RSI)
    name = "stock_rsi_14d"
    snapshot = {"transformation_snapshot": CODE, "validation_snapshot": RULES}
    api.post(f"/features/{name}/versions", new("2.0.0", **snapshot))
    made = api.post(f"/features/{name}/rollback", target_version="1.0.0")
    left = {"replaced_version", "still_read_by", "pinned_services"}
    assert made.keys() == VERSION_FIELDS | left
    assert made["version"] == "1.0.0_rollback"
    assert made["transformation_snapshot"] == RSI["transformation"]
    assert made["validation_snapshot"] == RSI["validation_rules"]
    after = api.get(f"/features/{name}")
    assert after["current_version"] == "1.0.0_rollback"
    assert after["transformation"] == before["transformation"]
    assert after["validation_rules"] == before["validation_rules"]
    bad = api.get(f"/features/{name}/versions/2.0.0")
    assert bad["is_rolled_back"] is True
    assert bad["rolled_back_at"] is not None


def test_a_second_rollback_to_one_target_gets_another_free_name(api):
    api.create("x")
    api.post("/features/x/versions", new("1.1.0"))
    first = api.post("/features/x/rollback", target_version="1.0.0")["version"]
    api.post("/features/x/versions", new("1.2.0"))
    second = api.post("/features/x/rollback", target_version="1.0.0")["version"]
    assert first == "1.0.0_rollback"
    assert second not in (first, "1.0.0")
    assert second.startswith("1.0.0_rollback")


def test_a_rollback_orders_after_the_version_it_replaced(api):
    api.create("x")
    api.post("/features/x/versions", new("1.1.0"))
    api.post("/features/x/rollback", target_version="1.0.0")
    api.post("/features/x/versions", new("1.1.1"))
    names = [version["version"] for version in api.get("/features/x/versions")["versions"]]
    assert names == ["1.1.1", "1.0.0_rollback", "1.1.0", "1.0.0"]


def test_only_rollback_may_create_such_names(api):
    api.create("x")
    body = new("2.0.0_rollback")
    assert "'version'" in api.problem("POST", "/features/x/versions", 422, json=body)


def test_a_rollback_to_what_is_not_there_or_current(api):
    api.create("x")
    where = "/features/x/rollback"
    assert "9.9.9" in api.problem("POST", where, 404, params={"target_version": "9.9.9"})
    assert "current" in api.problem("POST", where, 409, params={"target_version": "1.0.0"})
    assert "'target_version'" in api.problem("POST", where, 422)


# --- lineage ----------------------------------------------------------------------------------


@pytest.fixture
def chain(api):
    """Feature b needs a; c needs b; d needs c and b."""
    api.create("a")
    api.create("b", "a")
    api.create("c", "b")
    api.create("d", "c", "b")
    return api


def test_downstream_features_is_the_mirror_of_upstream_features(chain):
    assert chain.get("/features/a")["downstream_features"] == ["b"]
    assert chain.get("/features/b")["downstream_features"] == ["c", "d"]
    assert chain.get("/features/d")["upstream_features"] == ["c", "b"]


def test_lineage_recursive(chain):
    found = chain.get("/features/b/lineage", recursive="true")
    assert found == {
        "feature_name": "b",
        "current_version": "1.0.0",
        "upstream_features": ["a"],
        "downstream_features": ["c", "d"],
        "all_upstream": ["a"],
        "all_downstream": ["c", "d"],
        "direct_dependents_count": 2,
        "total_dependents_count": 2,
    }
    top = chain.get("/features/a/lineage", recursive="true")
    assert top.keys() == LINEAGE_FIELDS
    assert (top["downstream_features"], top["all_downstream"]) == (["b"], ["b", "c", "d"])
    assert (top["direct_dependents_count"], top["total_dependents_count"]) == (1, 3)
    assert chain.get("/features/d/lineage", recursive="true")["all_upstream"] == ["c", "b", "a"]


def test_lineage_or_not(chain):
    found = chain.get("/features/a/lineage")
    assert (found["all_downstream"], found["total_dependents_count"]) == (["b"], 1)


def test_cycles_are_refused(api):
    api.create("a", "c")
    api.create("b", "a")
    body = {"feature_name": "c", "feature_type": "raw", "data_type": "float"}
    said = api.problem("POST", "/features", 409, json={**body, "upstream_features": ["b"]})
    assert "c -> b -> a -> c" in said


# --- usage ------------------------------------------------------------------------------------


def test_usage_increments_usage_count_and_sets_last_used_at(api):
    api.create("x")
    made = api.post("/features/usage", {"feature_name": "x", **USE})
    assert made.keys() == USAGE_FIELDS
    assert {**made, **USE, "feature_name": "x"} == made
    api.post("/features/usage", {"feature_name": "x", **USE})
    found = api.get("/features/x")
    assert found["usage_count"] == 2
    assert found["last_used_at"] >= made["usage_timestamp"]


def use(api, at, **fields):
    body = {"feature_name": "x", **USE, "usage_timestamp": at, **fields}
    return api.post("/features/usage", body)


def test_usage_history_comes_newest_first_a_hundred_at_the_most(api):
    api.create("x")
    use(api, "2026-01-02T00:00:00Z")
    use(api, "2026-01-03T00:00:00+09:00", environment="dev", execution_id="run-7")
    use(api, "2026-01-01T00:00:00")
    found = api.get("/features/x/usage")
    times = [item["usage_timestamp"] for item in found]
    assert times == [f"2026-01-0{day}" for day in ("2T15:00:00Z", "2T00:00:00Z", "1T00:00:00Z")]
    assert [item["usage_timestamp"] for item in api.get("/features/x/usage", limit=1)] == times[:1]
    for minute in range(60):
        use(api, f"2026-02-01T00:{minute:02}:00Z")
        use(api, f"2026-02-01T01:{minute:02}:00Z")
    assert len(api.get("/features/x/usage")) == 100


def test_statistics(api):
    api.create("x")
    empty = {
        "total_usage": 0,
        "unique_models": 0,
        "environments": [],
        "avg_importance": None,
        "avg_correlation": None,
        "last_used_at": None,
    }
    assert api.get("/features/x/statistics") == empty
    use(api, "2026-01-01T00:00:00Z", feature_importance=0.5, correlation_with_target=-0.5)
    use(api, "2026-01-03T00:00:00Z", used_by_model="beta", environment="staging")
    use(api, "2026-01-02T00:00:00Z", feature_importance=1.0, execution_duration_ms=12.5)
    assert api.get("/features/x/statistics") == {
        "total_usage": 3,
        "unique_models": 2,
        "environments": ["production", "staging"],
        "avg_importance": 0.75,
        "avg_correlation": -0.5,
        "last_used_at": "2026-01-03T00:00:00Z",
    }


def test_a_use_names_what_exists(api):
    api.create("x")
    body = {"feature_name": "y", **USE}
    assert "no feature 'y'" in api.problem("POST", "/features/usage", 404, json=body)
    body = {"feature_name": "x", **USE, "feature_version": "7.0.0"}
    assert "7.0.0" in api.problem("POST", "/features/usage", 404, json=body)


# --- projects, concurrency --------------------------------------------------------------------


def test_the_servers_default_project_unless_project(api):
    api.post("/features", RSI)
    other = api.post("/features", RSI, project="lab")
    assert other["id"] != api.get("/features/stock_rsi_14d")["id"]
    api.request("DELETE", "/features/stock_rsi_14d", params={"project": "lab"})
    assert api.get("/features/stock_rsi_14d")["status"] == "draft"
    assert api.get("/features/stock_rsi_14d", project="lab")["status"] == "deprecated"
    assert api.get("/features", project="shop")["total"] == 1


def test_without_if_match_they_behave_as_specified_and_with_it_a_conflict_is_412(api):
    made = api.request("POST", "/features", json=RSI)
    tag = made.headers["etag"]
    path = "/features/stock_rsi_14d"
    assert api.request("GET", path).headers["etag"] == tag
    seen = {"if-match": tag}
    changed = api.request("PUT", path, json={"description": "mine"}, headers=seen)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    for method, where, body in (
        ("PUT", path, {"description": "theirs"}),
        ("DELETE", path, None),
        ("POST", f"{path}/activate", None),
        ("POST", f"{path}/deprecate", None),
        ("POST", f"{path}/versions", new("2.0.0")),
        ("POST", f"{path}/rollback?target_version=1.0.0", None),
    ):
        said = api.problem(method, where, 412, json=body, headers=seen)
        assert "stock_rsi_14d" in said
    assert api.get(path)["description"] == "mine"
    for number, seen_last in enumerate((changed.headers["etag"], "*")):
        headers = {"if-match": seen_last}
        again = api.request("PUT", path, json={"tags": [str(number)]}, headers=headers)
        assert again.status_code == 200
    assert "If-Match" in api.problem("DELETE", path, 422, headers={"if-match": "7"})


def test_an_unknown_feature_is_404_with_the_near_miss(api):
    api.post("/features", RSI)
    for method, path in (
        ("GET", "/features/{}"),
        ("DELETE", "/features/{}"),
        ("POST", "/features/{}/activate"),
        ("POST", "/features/{}/deprecate"),
        ("GET", "/features/{}/versions"),
        ("GET", "/features/{}/versions/1.0.0"),
        ("POST", "/features/{}/rollback?target_version=1.0.0"),
        ("GET", "/features/{}/lineage"),
        ("GET", "/features/{}/usage"),
        ("GET", "/features/{}/statistics"),
    ):
        said = api.problem(method, path.format("stock_rsi_14"), 404)
        assert "did you mean 'stock_rsi_14d'?" in said, path
