"""A store records what it is used for: training sets at once, online reads now and then."""

import gc
import subprocess
import sys

import pytest

from headwater import FeatureService, FeatureStore
from headwater.config import for_model
from headwater.errors import ConfigError, StoreError
from headwater.registry.kinds import FeatureUsage
from store import shop

ROWS = [shop.event("a", shop.day(0, 1), amount=1.0, items=3)]
RANKING = FeatureService("ranking", ["last_kind", "last_amount"])


@pytest.fixture
def store(make):
    found = make(ROWS)
    found.apply([shop.latest(), RANKING])
    found.materialize()
    return found


def groups(store):
    found = store.registry.usage_groups(store.project)
    told = [(g.feature_name, g.operation, g.service, g.used_by_model, g.count) for g in found]
    return sorted(told, key=str)


def train(store, features):
    return store.get_historical_features(shop.spine(["a", "b"], [shop.day(1)] * 2), features)


def test_a_training_set_is_recorded_when_its_rows_are_taken(store):
    job = train(store, ["last_kind"])
    job.explain()
    assert groups(store) == []
    job.to_arrow()
    job.to_polars()
    (use,) = store.registry.list(store.project, FeatureUsage)
    assert (use.feature_name, use.feature_version) == ("last_kind", "1.0.0")
    assert use.operation == "training"
    assert (use.rows, use.count, use.environment, use.used_by_model) == (2, 1, "dev", "")
    assert use.execution_id
    assert use.execution_duration_ms > 0


@pytest.mark.parametrize("asked", ["ranking", RANKING])
def test_a_service_is_recorded_by_its_name(store, asked):
    train(store, asked).to_arrow()
    store.get_online_features(asked, [{"user_id": "a"}])
    store.close()
    assert groups(store) == [
        (name, operation, "ranking", "", 1)
        for name in ("last_amount", "last_kind")
        for operation in ("online", "training")
    ]


def test_a_service_that_was_not_applied_is_a_list_of_features(store):
    other = FeatureService("ranking", ["last_kind"])
    train(store, other).to_arrow()
    store.get_online_features(other, [{"user_id": "a"}])
    store.close()
    assert {service for _, _, service, _, _ in groups(store)} == {None}


def test_a_model_has_a_name(tmp_path, store):
    with_model = FeatureStore(tmp_path, model="ranker")
    train(with_model, ["last_kind"]).to_arrow()
    for _ in range(3):
        with_model.get_online_features(["last_kind"], [{"user_id": "a"}])
    with_model.close()
    assert groups(store) == [
        ("last_kind", "online", None, "ranker", 3),
        ("last_kind", "training", None, "ranker", 1),
    ]
    with pytest.raises(ConfigError, match=r"setting 'usage\.model': give a name of ASCII letters"):
        FeatureStore(tmp_path, model="a b")


def test_a_store_that_is_forgotten_has_told(tmp_path, store):
    other = FeatureStore(tmp_path)
    other.get_online_features(["last_kind"], [{"user_id": "a"}])
    del other
    gc.collect()
    assert groups(store) == [("last_kind", "online", None, "", 1)]


def test_a_process_that_ends_has_told(tmp_path, store):
    code = f"""
from headwater import FeatureStore
store = FeatureStore({str(tmp_path)!r})
for _ in range(7):
    store.get_online_features(["last_kind"], [{{"user_id": "a"}}, {{"user_id": "b"}}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (group,) = store.registry.usage_groups(store.project)
    assert (group.count, group.rows) == (7, 14)


def test_nothing_is_recorded_where_that_is_switched_off(tmp_path, store):
    (tmp_path / "headwater.toml").write_text('project = "shop"\nusage = false\n')
    other = FeatureStore(tmp_path)
    train(other, ["last_kind"]).to_arrow()
    other.get_online_features(["last_kind"], [{"user_id": "a"}])
    other.close()
    assert groups(store) == []


def test_a_registry_that_fails_takes_no_rows_away(store, monkeypatch, caplog):
    job = train(store, ["last_kind"])
    store.get_online_features(["last_kind"], [{"user_id": "a"}])

    def fail(*_):
        raise StoreError("registry: no connection")

    monkeypatch.setattr(store.registry, "put", fail)
    assert job.to_arrow().num_rows == 2
    store.close()
    assert "by a training set can't be recorded: registry: no connection" in caplog.text


def test_settings_for_a_model(store):
    assert for_model(store.settings, "m").usage.model == "m"
