"""A feature that is registered over REST alone is computed and served like any other."""

import pytest

from headwater import FeatureStore
from headwater.config import local_settings
from headwater.registry.kinds import Commit

ROWS = "user_id,at,amount\nu1,2026-01-01T00:00:00Z,2\nu1,2026-01-02T00:00:00Z,5\n"
USER = {"name": "user", "join_keys": {"user_id": "string"}}
ORDERS = {"name": "orders", "path": "orders.csv", "event_time": "at"}


def sql(code):
    return {"transformation_type": "sql", "code": code, "parameters": {}}


def feature(name, code, **fields):
    made = {"feature_name": name, "feature_type": "raw", "data_type": "integer"}
    return {**made, "transformation": sql(code), "entity": USER, "source": ORDERS, **fields}


@pytest.fixture
def store(url, tmp_path):
    """The project of the server, as somebody else sees it."""
    (tmp_path / "orders.csv").write_text(ROWS)
    settings = local_settings(tmp_path, project="shop", registry__url=url)
    found = FeatureStore(settings=settings)
    yield found
    found.close()


def served(store, *names):
    found = store.get_online_features(list(names), [{"user_id": "u1"}]).to_dict()
    return [found["values"][name][0] for name in names]


def test_from_nothing_to_a_served_value(api, store):
    made = api.post("/features", feature("last_amount", "amount"))
    assert (made["status"], made["entity"], made["source"]) == ("draft", "user", "orders")
    assert (made["view"], made["computed_in"], made["code_by"]) == (None, None, None)
    made = api.post("/features/last_amount/activate")
    assert (made["status"], made["view"]) == ("active", "api__user__orders__rows")
    assert (made["computed_in"], made["code_by"]) == ("child process", "rest")
    store.materialize()
    assert served(store, "last_amount") == [5]

    # those with the same entity, source and frequency join one view; names do for what is known
    api.post("/features", feature("twice", "amount * 2", entity="user", source="orders"))
    api.post("/features/twice/activate")
    derived = feature("thrice", "twice + last_amount", entity=None, source=None)
    api.post("/features", {**derived, "upstream_features": ["twice", "last_amount"]})
    api.post("/features/thrice/activate")
    store.materialize()
    assert served(store, "twice", "thrice") == [10, 15]
    assert store.show("features", "twice")["view"] == store.show("features", "last_amount")["view"]


def test_other_code_makes_the_next_version_and_a_rollback_undoes_it(api, store):
    api.post("/features", feature("last_amount", "amount"))
    api.post("/features/last_amount/activate")
    store.materialize()
    after = api.put("/features/last_amount", {"transformation": sql("amount + 100")})
    assert after["current_version"] == "2.0.0"
    store.materialize()
    assert served(store, "last_amount") == [105]
    api.post("/features/last_amount/rollback", target_version="1.0.0")
    while (found := served(store, "last_amount")) == [105]:
        pass  # a reader looks ten times a second what is current
    assert found == [5]


def test_python_code_is_kept_and_not_run(api, store):
    code = {"transformation_type": "python", "code": "def f(rows): ...", "parameters": {}}
    api.post("/features", {**feature("f", ""), "transformation": code})
    assert "not run" in api.problem("POST", "/features/f/activate", 409)
    assert api.get("/features/f")["status"] == "draft"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("amout", "amount"),
        ("read_text('/etc/passwd')", "read_text"),
        ("amount; DROP TABLE x", "';'"),
        ("(SELECT 1)", ""),
        ("amount ||", ""),
    ],
)
def test_sql_that_is_wrong_or_not_allowed_leaves_a_draft(api, store, code, said):
    api.post("/features", feature("f", code))
    found = api.problem("POST", "/features/f/activate", 422)
    assert "'f'" in found
    assert said in found
    assert api.get("/features/f")["status"] == "draft"


@pytest.mark.parametrize(
    "source",
    [
        {"query": "SELECT * FROM read_text('/etc/passwd')"},
        {"table": "t", "database": "x.duckdb"},
        {"path": "/etc/passwd", "format": "csv"},
        {"path": "../orders.csv"},
        {"path": "a/../../orders.csv"},
        {"path": ".headwater/registry.csv"},
        {"path": "headwater.toml", "format": "csv"},
        {"path": "s3://bucket/orders.csv"},
        {"path": "~/orders.csv"},
        {"path": "C:\\orders.csv"},
        {"path": ["orders.csv", "/x.csv"]},
        {"path": "orders.csv", "event_tme": "at"},
        {"path": "missing.csv"},
        {"path": ""},
        {},
    ],
)
def test_a_source_may_only_read_data_files_of_the_project(api, store, source):
    body = feature("f", "amount", source={"name": "s", "event_time": "at", **source})
    said = api.problem("POST", "/features", 422, json=body)
    assert "source" in said
    assert api.get("/features")["total"] == 0


def test_a_definition_never_replaces_another(api, store):
    api.post("/features", feature("f", "amount"))
    other = {**ORDERS, "event_time": "at + INTERVAL 1 HOUR"}
    said = api.problem("POST", "/features", 409, json=feature("g", "amount", source=other))
    assert "source 'orders'" in said
    said = api.problem(
        "POST", "/features", 409, json=feature("g", "amount", entity={**USER, "description": "x"})
    )
    assert "entity 'user'" in said


def test_an_unknown_entity_or_source_is_told_at_activation(api, store):
    api.post("/features", feature("f", "amount"))
    api.post("/features", feature("g", "amount", source="order"))
    assert "did you mean 'orders'?" in api.problem("POST", "/features/g/activate", 422)


def test_nothing_is_left_of_a_feature_that_is_refused(api, store):
    api.post("/features", feature("f", "amount"))
    other = {**ORDERS, "name": "others"}
    body = feature("f", "amount", entity={**USER, "name": "visitor"}, source=other)
    api.problem("POST", "/features", 409, json=body)  # the name is taken
    body = {**body, "feature_name": "g", "upstream_features": ["g"]}
    assert "itself" in api.problem("POST", "/features", 409, json=body)
    assert [found["name"] for found in store.list("sources")] == ["orders"]
    assert [found["name"] for found in store.list("entities")] == ["user"]


def test_what_comes_with_a_feature_is_one_commit(api, store):
    api.post("/features", feature("f", "amount"))
    assert store.registry.head("shop").generation == 1
    said = store.registry.get("shop", Commit, "1")
    assert {(change.kind, change.name) for change in said.objects} == {
        ("entity", "user"),
        ("source", "orders"),
    }
    assert [change.name for change in said.features] == ["f"]
