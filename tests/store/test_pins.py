"""A service that is re-pinned reads the other version at once."""

from headwater import FeatureService
from store.shop import day
from store.test_apply import total
from store.test_governance import AUTHOR, NOON, ROWS


def model(store):
    rows = store.get_online_features("model", [{"user_id": "a"}]).to_dict()
    return rows["values"]["total"][0], rows["versions"]["total"]


def test_a_service_follows_its_pin(make):
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    store.apply([total("max(amount)"), FeatureService("model", ["total@2.0.0"])])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert model(store) == (2.0, "2.0.0")
    store.governance.repin("total", "2.0.0", "1.0.0", author=AUTHOR)
    assert model(store) == (3.0, "1.0.0")
    store.materialize(until=day(0, 13))
    store.apply([total("max(amount)"), FeatureService("model", ["total@2.0.0"])])
    assert model(store) == (2.0, "2.0.0")
