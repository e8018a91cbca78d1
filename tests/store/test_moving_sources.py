"""Files that change while they are read: no answer is mixed of two states."""

from __future__ import annotations

import pytest

from headwater.errors import SourceError
from headwater.pipeline import carrying as runs
from headwater.pipeline.checking import Gate
from store import shop
from store.shop import day, event

BEFORE = [event("u0", day(0), items=1), event("u1", day(0), items=2)]
AFTER = [event("u1", day(0), items=3), event("u0", day(0, 1), items=4), event("u2", day(0))]


@pytest.fixture
def store(make):
    found = make(BEFORE)
    found.apply([shop.latest(), shop.activity()])
    return found


def test_a_training_set(store, tmp_path):
    def rewrite(_progress):
        shop.write(tmp_path, AFTER)

    names = ["last_kind", "events_2d"]
    spine = shop.spine(["u0", "u1"], [day(2)] * 2)
    job = store.get_historical_features(spine, names, on_progress=rewrite)
    with pytest.raises(SourceError, match=r"events.parquet'.*(has changed|replaced)"):
        job.to_arrow()
    again = store.get_historical_features(spine, names).to_arrow()
    assert again["events_2d"].to_pylist() == [1, 1]


def test_a_new_file_beside_it_is_for_the_next_reader(store, tmp_path):
    def add(_progress):
        shop.write(tmp_path, AFTER, "events_2.parquet")

    spine = shop.spine(["u0"], [day(1)])
    job = store.get_historical_features(spine, ["events_2d", "last_kind"], on_progress=add)
    assert job.to_arrow()["events_2d"].to_pylist() == [1]


def test_a_run_writes_nothing_of_it(store, tmp_path, monkeypatch):
    whole = runs.latest_part

    def moved(*given):
        found = whole(*given)
        shop.write(tmp_path, AFTER)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(runs, "latest_part", moved)
        with pytest.raises(SourceError, match=r"(has changed|replaced)"):
            store.materialize("latest", until=day(1))
    assert store.get_online_features(["last_kind"], {"user_id": ["u0"]}).to_dict()["statuses"] == {
        "last_kind": ["NOT_FOUND"]
    }
    store.materialize("latest", until=day(1))
    found = store.get_online_features(["last_kind"], {"user_id": ["u0", "u2"]}).to_dict()
    assert found["statuses"]["last_kind"] == ["PRESENT", "PRESENT"]


@pytest.mark.parametrize("name", ["latest", "activity"])
def test_a_run_notices_it_when_all_is_computed(store, tmp_path, name):
    """What was read last may be of other files than what was read first."""

    def rewrite(state):
        if state.done == state.total:
            shop.write(tmp_path, AFTER)

    with pytest.raises(SourceError, match=r"events.parquet' has changed while it was read"):
        store.materialize(name, until=day(1), on_progress=rewrite)
    assert store.show("view", name)["published"] is None
    assert list(store.online.keys("shop", store.analyzed().views[name].revision)) == []
    store.materialize(name, until=day(1))
    assert store.show("view", name)["published"] is not None


def test_a_backfill_notices_it(store, tmp_path, monkeypatch):
    """Nothing of the chunk that was computed meanwhile is kept."""
    whole = Gate.let_through

    def moved(gate, batch):
        shop.write(tmp_path, AFTER)
        return whole(gate, batch)

    monkeypatch.setattr(Gate, "let_through", moved)
    with pytest.raises(SourceError, match=r"events.parquet' has changed while it was read"):
        store.backfill("activity", day(0), day(2))
    assert store.tables.intervals(store.analyzed().views["activity"].revision) == []


def test_a_file_that_is_gone_is_named(store, tmp_path):
    job = store.get_historical_features(shop.spine(["u0"], [day(1)]), ["last_kind"])
    (tmp_path / "events.parquet").unlink()
    with pytest.raises(SourceError, match="events"):
        job.to_arrow()
