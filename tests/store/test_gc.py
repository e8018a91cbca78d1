"""gc: what nothing can reach any more is shown, then removed; everything else stays (C14)."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from headwater import Feature, FeatureService, FeatureStore
from headwater.errors import ConflictError, RefusedError
from headwater.filling import materializer
from headwater.online.codec import encode_delete
from headwater.pipeline import collection
from headwater.pipeline.collection import Collector
from headwater.pipeline.marks import FirstRuns, marks_of
from headwater.registry.audit import history, verify
from headwater.registry.kinds import Run, now_us
from store import shop
from store.shop import day, event
from store.test_apply import served, total, trained
from store.test_governance import AUTHOR, NOON, ROWS

BAD = "max(amount)"


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    """A rollback may lead nowhere unless a test says so: what is replaced is garbage at once."""
    set_window(monkeypatch, 0)


def set_window(monkeypatch, days):
    monkeypatch.setenv("HEADWATER_REGISTRY__ROLLBACK_DAYS", str(days))


def replaced(make, *more):
    """A project whose `total` was changed; both versions are filled, and the old one is unread."""
    store = make(ROWS)
    store.apply([total(), *more])
    store.materialize(until=NOON)
    store.backfill("totals", day(0), day(1))
    store.apply([total(BAD), *more])
    store.materialize(until=NOON)
    return store


def found(store):
    return [(one.view, one.versions, one.rows) for one in store.garbage()]


OLD = ("totals", ("total@1.0.0",), 2)


def test_what_was_replaced_is_shown_then_removed(make):
    store = replaced(make)
    (shown,) = store.garbage()
    assert (shown.view, shown.versions, shown.rows) == OLD
    assert shown.online_bytes > 0
    assert shown.offline_bytes == store.tables.size(shown.revision) > 0
    assert shown.since <= now_us()
    assert store.garbage() == [shown]
    before = store.registry.head("shop").generation
    assert store.collect_garbage() == [shown]
    assert store.online.size("shop", shown.revision) == (0, 0)
    assert not store.tables.exists(shown.revision)
    assert store.garbage() == []
    assert served(store, "total") == [2.0]
    (commit, *_) = history(store.registry, "shop")
    assert (commit.generation, commit.summary) == (before + 1, "1 revision collected")
    assert [change.action for change in commit.revisions] == ["collected"]
    assert verify(store.registry, "shop").checked == commit.generation


def test_a_second_gc_does_nothing(make):
    store = replaced(make)
    store.collect_garbage()
    before = store.registry.head("shop")
    assert store.collect_garbage() == []
    assert store.registry.head("shop") == before


def test_history_and_training_sets_stay(make):
    store = replaced(make)
    store.collect_garbage()
    assert trained(store, "total@1.0.0") == [3.0]
    versions = [row["version"] for row in store.show("feature", "total")["versions"]]
    assert versions == ["2.0.0", "1.0.0"]
    assert len(store.list("runs")) == 3


# --- what is reached ---------------------------------------------------------------------


def test_an_empty_project_has_no_garbage(make):
    store = make(ROWS)
    assert store.garbage() == store.collect_garbage() == []


def test_what_is_in_its_rollback_window_stays(make, monkeypatch):
    set_window(monkeypatch, 7)
    store = replaced(make)
    assert store.garbage() == store.collect_garbage() == []
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total") == [3.0]


def test_what_has_left_its_rollback_window_goes(make, monkeypatch):
    set_window(monkeypatch, 7)
    store = replaced(make)
    later = now_us() + 8 * shop.DAY
    monkeypatch.setattr(collection, "now_us", lambda: later)
    assert found(store) == [OLD]


def test_what_a_service_is_pinned_to_stays(make):
    store = replaced(make, FeatureService("model", ["total@1.0.0"]))
    assert store.collect_garbage() == []
    rows = store.get_online_features("model", [{"user_id": "a"}]).to_dict()["values"]
    assert rows["total"] == [3.0]
    store.apply([total(BAD)], prune=True)
    assert found(store) == [OLD]


def test_what_a_version_was_rolled_back_to_stays(make):
    store = replaced(make)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert store.collect_garbage() == []
    assert served(store, "total") == [3.0]


def test_what_a_pinned_version_reads_stays(make):
    """A value that is computed on read, of a version that reads an earlier one."""

    def rates(expression):
        return shop.view("rates", [Feature("half", expression)], source=None)

    store = make(ROWS)
    model = FeatureService("model", ["half@1.0.0"])
    store.apply([total(), rates("total / 2")])
    store.materialize(until=NOON)
    store.apply([total(BAD), rates("total / 4"), model])
    store.materialize(until=NOON)
    assert store.collect_garbage() == []
    rows = store.get_online_features("model", [{"user_id": "a"}]).to_dict()["values"]
    assert rows["half"] == [1.5]


def test_the_former_home_of_what_is_not_filled_yet_stays(make):
    store = make(ROWS)
    store.apply([total()])
    store.materialize(until=NOON)
    store.apply([total("sum(amount)", Feature("most", BAD, window="1d"))])
    assert store.collect_garbage() == []
    assert served(store, "total") == [3.0]
    store.materialize(until=NOON)
    assert [one.versions for one in store.garbage()] == [("total@1.0.0",)]
    store.collect_garbage()
    assert served(store, "total", "most") == [3.0, 2.0]


def running(store, revision, at):
    run = Run("a-run", "materialize", "totals", revision, at)
    store.registry.put("shop", [run])
    return run


def test_what_a_run_writes_stays(make):
    store = replaced(make)
    (one,) = store.garbage()
    run = running(store, one.revision, now_us() - 3 * shop.HOUR)
    assert store.garbage() == store.collect_garbage() == []
    store.registry.put("shop", [replace(run, status="done")])
    assert found(store) == [OLD]


def test_what_a_dead_run_left_goes(make):
    """Its rows were never published; nobody will say how it ended but gc."""
    store = replaced(make)
    store.apply([total("min(amount)")])
    revision = store.analyzed().views["totals"].revision
    store.online.write("shop", revision, [b"k"], [encode_delete(NOON, NOON)])
    FirstRuns(store.online, "shop", revision).begin(NOON)
    running(store, revision, now_us() - 2 * shop.DAY)
    store.apply([total(BAD)])
    assert {one.revision for one in store.garbage()} >= {revision}
    store.collect_garbage()
    assert store.online.size("shop", revision) == (0, 0)
    assert marks_of(store.online, "shop", revision) == []
    (run,) = store.registry.list("shop", Run, where={"revision": revision})
    assert run.status == "failed"
    assert "was cut short" in run.error


# --- what comes back ---------------------------------------------------------------------


def test_the_old_definition_again_is_filled_again(make):
    store = replaced(make)
    store.collect_garbage()
    plan = store.plan([total()])
    assert next((change.view, change.action) for change in plan.revisions) == ("totals", "revived")
    assert len(plan.backfills) == 1
    store.apply(plan)
    store.materialize(until=NOON)
    assert served(store, "total") == [3.0]
    assert [one.versions for one in store.garbage()] == [("total@2.0.0",)]


def test_a_rollback_to_what_was_collected_says_what_to_do(make):
    store = replaced(make)
    store.collect_garbage()
    with pytest.raises(RefusedError, match=r"values of version '1\.0\.0' were removed by gc on"):
        store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total") == [2.0]
    store.apply([FeatureService("again", ["total@1.0.0"])])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    assert served(store, "total") == [3.0]


def test_what_is_read_again_before_it_is_removed_survives(make, monkeypatch):
    """Another process applies the old definition between the mark and the removal."""
    store = replaced(make)
    publish_all = FeatureStore.publish_all

    def and_applied(self):
        monkeypatch.setattr(FeatureStore, "publish_all", publish_all)
        other = make()
        other.apply([total()])
        other.materialize(until=NOON)
        publish_all(self)

    monkeypatch.setattr(FeatureStore, "publish_all", and_applied)
    assert store.collect_garbage() == []
    assert served(make(), "total") == [3.0]


def test_what_is_read_again_at_the_last_moment_survives(make, monkeypatch):
    """After gc has listed what it removes: it looks at the head again before each removal."""
    store = replaced(make)
    holds, calls = Collector._holds, []

    def and_applied(self, name):
        calls.append(name)
        if len(calls) == 2:  # the first one was for the mark
            make().apply([total()])
        return holds(self, name)

    monkeypatch.setattr(Collector, "_holds", and_applied)
    assert store.collect_garbage() == []
    assert len(calls) == 2
    assert served(make(), "total") == [3.0]


def test_those_who_read_meanwhile_notice_nothing(make):
    """The column moves from revision to revision, and each former home is removed."""
    store = replaced(make)
    other, stopped, seen = make(), threading.Event(), []

    def read():
        while not stopped.is_set():
            seen.append(served(other, "total"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(4):
            store.apply([total(BAD, Feature(f"sum_{number}", "sum(amount)", window="1d"))])
            store.materialize(until=NOON)
            assert store.collect_garbage()
    finally:
        stopped.set()
        reader.join()
    assert len(seen) > 10
    assert set(map(tuple, seen)) == {(2.0,)}


def test_what_is_read_again_before_it_is_marked_survives(make, monkeypatch):
    store = replaced(make)
    compare_and_set = store.registry.compare_and_set_head

    def too_late(*args):
        monkeypatch.undo()
        set_window(monkeypatch, 0)
        make().apply([total()])
        compare_and_set(*args)

    monkeypatch.setattr(store.registry, "compare_and_set_head", too_late)
    assert [one.versions for one in store.collect_garbage()] == [("total@2.0.0",)]
    assert served(store, "total") == [3.0]


def test_a_run_that_began_before_the_mark_is_left_alone(make, monkeypatch):
    store = replaced(make)
    (one,) = store.garbage()
    publish_all = FeatureStore.publish_all

    def and_run(self):
        running(store, one.revision, now_us())
        publish_all(self)

    with monkeypatch.context() as patched:
        patched.setattr(FeatureStore, "publish_all", and_run)
        assert store.collect_garbage() == []
    assert store.online.size("shop", one.revision).rows == 2
    (run,) = store.registry.list("shop", Run, where={"status": "running"})
    store.registry.put("shop", [replace(run, status="done")])
    assert found(store) == [OLD]
    assert store.collect_garbage() == [one]


def test_a_run_that_begins_after_the_mark_is_refused(make, monkeypatch):
    """A process that took the revision to be read, when it began."""
    store = replaced(make, FeatureService("model", ["total@1.0.0"]))
    runner = materializer(make())
    store.apply([total(BAD)], prune=True)
    (one,) = store.collect_garbage()
    shop.write(store.settings.root, [*ROWS, event("a", day(0, 11), amount=8.0)])
    with pytest.raises(ConflictError, match="gc removes its values; run materialize again"):
        runner.run(None, until=NOON)
    assert store.online.size("shop", one.revision) == (0, 0)
