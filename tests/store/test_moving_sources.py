"""Files that change while they are read: no answer is mixed of two states."""

from __future__ import annotations

import pytest

from headwater.errors import SourceError
from headwater.pipeline import materialize as runs
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


def test_a_file_that_is_gone_is_named(store, tmp_path):
    job = store.get_historical_features(shop.spine(["u0"], [day(1)]), ["last_kind"])
    (tmp_path / "events.parquet").unlink()
    with pytest.raises(SourceError, match="events"):
        job.to_arrow()
