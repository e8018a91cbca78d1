"""Features with SQL, an entity and a source, over REST: the same values as any other's."""

import pytest

from api.client import Api
from headwater.api.app import create_app
from headwater.api.projects import Projects
from store.conftest import make  # noqa: F401 (a fixture)
from store.shop import day, event
from store.test_apply import served, total, trained

ROWS = [
    event("a", day(0, 1), amount=1.0),
    event("a", day(0, 2), amount=2.0, kind="click"),
    event("b", day(0, 3), amount=4.0),
]
NOON = day(0, 12)


@pytest.fixture
def store(make):  # noqa: F811
    opened = make(ROWS)
    opened.apply([total()])
    opened.materialize(until=NOON)
    return opened


@pytest.fixture
def api(store):
    projects = Projects(store.settings)
    yield Api(create_app(projects))
    projects.close()


def sql(code):
    return {"transformation_type": "sql", "code": code}


def create(api, name, code, **fields):
    given = {"entity": "user", "source": "events", "update_frequency": "hourly", **fields}
    given = {"window": "1d", **given} if "rows" not in given else given
    return api.create(name, transformation=sql(code), **given)


def test_an_active_feature_is_trained_and_served(api, store):
    create(api, "biggest", "max(amount)", default=0.0)
    assert api.post("/features/biggest/activate")["status"] == "active"
    assert trained(store, "biggest") == [2.0]
    store.materialize(until=NOON)
    assert served(store, "biggest", "total") == [2.0, 3.0]
    assert served(store, "biggest", user="nobody") == [0.0]
    assert store.show("feature", "biggest")["view"] == "api__user__events__hourly"


def test_a_struct_is_an_object(api, store):
    made = create(
        api,
        "spent",
        "{'mean': avg(amount), 'n': count(*)}",
        data_type="struct[mean: float, n: int]",
        value_kind="struct",
        default={"mean": 0, "n": 0},
    )
    assert made["data_type"] == "struct[mean: float64, n: int64]"
    api.post("/features/spent/activate")
    assert trained(store, "spent") == [{"mean": 1.5, "n": 2}]
    store.materialize(until=NOON)
    assert served(store, "spent") == [{"mean": 1.5, "n": 2}]
    checked = api.post(
        "/features/spent/validate",
        {"values": [{"mean": 1.5, "n": 2}, None, {"mean": "x", "n": 2}, {"mean": 1.5}]},
        status=200,
    )
    assert [error.partition(":")[0] for error in checked["errors"]] == ["values[2]", "values[3]"]
    create(api, "words", "max(amount)", data_type="map[string, int]")
    detail = api.problem("POST", "/features/words/activate", 422)
    assert "is map[string, int64], but the definition gives float64" in detail


def test_what_is_wrong_is_told_at_activation(api):
    create(api, "biggest", "max(amout)")
    said = api.problem("POST", "/features/biggest/activate", 422)
    assert "did you mean 'amount'?" in said
    assert "feature 'biggest': field 'transformation.code': " in said
    create(api, "stolen", "max(getenv('HOME'))")
    assert "'getenv'" in api.problem("POST", "/features/stolen/activate", 422)
    create(api, "lost", "max(amount)", source="event")
    assert "did you mean 'events'?" in api.problem("POST", "/features/lost/activate", 422)
    python = {"transformation_type": "python", "code": "def f(x): return x"}
    api.create("python", transformation=python, entity="user", source="events")
    assert "not run" in api.problem("POST", "/features/python/activate", 409)


@pytest.mark.parametrize("computed", [True, False])
def test_an_active_feature_takes_no_rule_that_is_not_built(api, computed):
    if computed:
        create(api, "biggest", "max(amount)")
        api.post("/features/biggest/activate")
    else:
        api.create("biggest", active=True)
    rules = [{"rule_type": "outlier", "parameters": {"k": 3}}]
    new = {"version": "1.0.1", "changelog": "rules", "validation_snapshot": rules}
    for method, path, body in (
        ("PUT", "", {"validation_rules": rules}),
        ("POST", "/versions", new),
        ("POST", "/versions/propose", {"validation_snapshot": rules}),
    ):
        said = api.problem(method, f"/features/biggest{path}", 409, json=body)
        assert "'validation_rules': rule 'outlier' is not built" in said
    assert api.get("/features/biggest")["current_version"] == "1.0.0"


def test_a_declared_feature_is_the_same_object(api, store):
    found = api.get("/features/total")
    assert (found["status"], found["current_version"]) == ("active", "1.0.0")
    assert found["transformation"] == {**sql("sum(amount)"), "parameters": {}}
    assert (found["entity"], found["source"], found["window"]) == ("user", "events", "1d")
    assert "exists already" in api.problem(
        "POST",
        "/features",
        409,
        json={"feature_name": "total", "feature_type": "raw", "data_type": "float"},
    )
    changed = api.put("/features/total", {"transformation": sql("max(amount)")})
    assert changed["current_version"] == "2.0.0"
    [warning] = changed["warnings"]
    assert warning.startswith("version 2.0.0 has no values online until 'headwater materialize tot")
    assert "'transformation.code'" in api.problem(
        "PUT", "/features/total", 422, json={"transformation": sql("max(amout)")}
    )
    assert trained(store, "total") == [2.0]


def test_a_rollback_over_rest_serves_what_was_served(api, store, make):  # noqa: F811
    api.create("half", transformation=sql("total / 2"), upstream_features=["total"], active=True)
    api.put("/features/total", {"transformation": sql("max(amount)")})
    store.materialize(until=NOON)
    assert served(store, "total") == [2.0]
    made = api.post("/features/total/rollback", target_version="1.0.0")
    assert made["version"] == "1.0.0_rollback"
    assert (made["replaced_version"], made["still_read_by"]) == ("2.0.0", ["half@2.0.0"])
    assert served(make(), "total") == [3.0]
    versions = api.get("/features/total/versions")["versions"]
    assert [v["version"] for v in versions] == ["1.0.0_rollback", "2.0.0", "1.0.0"]
    assert [v["is_rolled_back"] for v in versions] == [False, True, False]


def test_what_is_downstream_of_a_declared_feature_holds_it(api):
    api.create("idea", "total", active=True)
    assert api.get("/features/total")["downstream_features"] == ["idea"]
    said = api.problem("DELETE", "/features/total", 409)
    assert "idea depends on it" in said


def test_an_on_demand_feature(api, store):
    made = api.create(
        "boosted",
        transformation=sql("total * factor"),
        upstream_features=["total"],
        request={"factor": "float"},
    )
    assert made["request"] == {"factor": "float64"}
    assert api.post("/features/boosted/activate")["status"] == "active"
    rows = [{"user_id": "a", "factor": 0.5}]
    assert store.get_online_features(["boosted"], rows).to_dict()["values"]["boosted"] == [1.5]
    created = api.create(
        "odd",
        data_type="boolean",
        transformation=sql("hour % 2 = 1"),
        request={"hour": "integer"},
    )
    assert created["request"] == {"hour": "int64"}
    api.post("/features/odd/activate")
    found = store.get_online_features(["odd"], {"hour": [1, 2]}).to_dict()["values"]["odd"]
    assert found == [True, False]


def test_a_feature_at_the_value_of_another(api, store):
    create(api, "last_kind", "kind", data_type="string", window=None, update_frequency=None)
    kind = {"name": "kind", "join_keys": {"kind": "string"}}
    create(api, "of_kind", "sum(amount)", entity=kind)
    made = api.create(
        "share",
        transformation=sql("total / of_kind"),
        entity="user",
        upstream_features=["total", "of_kind"],
        via={"kind": "last_kind"},
    )
    assert made["via"] == {"kind": "last_kind"}
    for name in ("last_kind", "of_kind", "share"):
        api.post(f"/features/{name}/activate")
    store.materialize(until=NOON)
    assert trained(store, "share") == [1.5]
    assert served(store, "share") == [1.5]
    above = api.get("/features/share")["upstream_features"]
    assert set(above) == {"total", "of_kind", "last_kind"}
    wrong = api.create(
        "other", transformation=sql("of_kind"), entity="user", via={"kind": "last_knd"},
        upstream_features=["of_kind"],
    )  # fmt: skip
    assert wrong["status"] == "draft"
    said = api.problem("POST", "/features/other/activate", 422)
    assert "did you mean 'last_kind'?" in said


def test_request_values_have_types(api):
    body = {
        "feature_name": "odd",
        "feature_type": "raw",
        "data_type": "boolean",
        "transformation": sql("hour"),
        "request": {"hour": "itn"},
    }
    assert "'itn' is not a type" in api.problem("POST", "/features", 422, json=body)
