"""Services that are pinned to a version, over REST: listed, and re-pinned."""

import pytest

from headwater import Entity, Feature, FeatureService, FeatureStore, FeatureView, Source
from headwater.config import local_settings

pytestmark = pytest.mark.every_registry
ROWS = "user_id,at,amount\nu1,2026-01-01T00:00:00Z,2\nu1,2026-01-02T00:00:00Z,5\n"


def view(expression):
    return FeatureView(
        "spending",
        entity=Entity("user", {"user_id": "string"}),
        source=Source("orders", path="orders.csv", event_time="at"),
        features=[Feature("last_amount", expression), Feature("amount_2", "amount * 2")],
    )


@pytest.fixture
def store(url, tmp_path):
    """A feature whose bad version 2.0.0 two models are pinned to."""
    (tmp_path / "orders.csv").write_text(ROWS)
    found = FeatureStore(settings=local_settings(tmp_path, project="shop", registry__url=url))
    found.apply([view("amount")])
    found.materialize()
    services = [FeatureService(name, ["last_amount@2.0.0"]) for name in ("model", "ranker")]
    found.apply([view("amount * 10"), *services])
    found.materialize()
    yield found
    found.close()


def served(store, service):
    found = store.get_online_features(service, [{"user_id": "u1"}]).to_dict()["values"]
    return found["last_amount"]


def test_after_a_rollback_they_are_listed_and_moved(api, store):
    rolled = api.post("/features/last_amount/rollback", target_version="1.0.0")
    assert rolled["version"] == "1.0.0_rollback"
    assert (rolled["replaced_version"], rolled["still_read_by"]) == ("2.0.0", [])
    assert rolled["pinned_services"] == ["model", "ranker"]
    path = "/features/last_amount/versions"
    assert api.get(f"{path}/2.0/services") == {
        "feature_name": "last_amount",
        "version": "2.0.0",
        "services": ["model", "ranker"],
        "total": 2,
    }
    moved = api.post(f"{path}/2.0.0/repin", to="1.0", service="ranker")
    assert moved == {
        "feature_name": "last_amount",
        "from_version": "2.0.0",
        "to_version": "1.0.0",
        "services": ["ranker"],
        "total": 1,
    }
    assert served(store, "ranker") == [5]
    assert served(store, "model") == [50]
    assert api.post(f"{path}/2.0.0/repin", to="1.0.0_rollback")["services"] == ["model"]
    assert served(store, "model") == [5]
    assert api.get(f"{path}/2.0.0/services")["total"] == 0
    assert api.post(f"{path}/2.0.0/repin", to="1.0.0")["services"] == []


def test_mistakes(api, store):
    path = "/features/last_amount/versions/2.0.0/repin"
    assert "'to'" in api.problem("POST", path, 422)
    assert "has no version '9.0.0'" in api.problem("POST", path, 404, params={"to": "9.0.0"})
    asked = {"to": "1.0.0", "service": "modell"}
    assert "did you mean 'model'" in api.problem("POST", path, 404, params=asked)
    path = "/features/last_amount/versions/1.0.0/repin"
    asked = {"to": "2.0.0", "service": "model"}
    assert "is not pinned to last_amount@1.0.0" in api.problem("POST", path, 409, params=asked)
    api.problem("GET", "/features/last_amount/versions/9.0.0/services", 404)
    api.problem("GET", "/features/lst/versions/1.0.0/services", 404)


def test_what_a_service_lists_is_not_archived(api, store):
    path = "/features/last_amount"
    assert api.get(path)["warnings"] == []
    gone = api.post(f"{path}/deprecate")
    assert gone["warnings"] == [
        "deprecated, and listed by model, ranker; take it off these services before it is archived"
    ]
    assert api.get(path)["warnings"] == gone["warnings"]
    said = api.problem("PUT", path, 409, json={"status": "archived"})
    assert "model, ranker would lose it" in said
    assert served(store, "model") == [50.0]
