import pytest

from headwater.registry.kinds import Run
from headwater.registry.runs import finish_run, last_run, list_runs, record_run


@pytest.fixture
def record(registry):
    def run(at, view="ads", revision="r1", operation="backfill", **fields):
        return record_run(
            registry, "demo", operation=operation, view=view, revision=revision, at=at, **fields
        )

    return run


def test_a_run_is_logged_when_it_begins_and_when_it_ends(registry, record):
    run = record(5, start=1, end=9, snapshot="v1")
    assert registry.get("demo", Run, run.id) == run
    assert (run.status, run.started_at, run.finished_at) == ("running", 5, None)
    done = finish_run(registry, "demo", run, rows=100, published_at=8, at=9)
    assert registry.list("demo", Run) == (done,)
    assert (done.status, done.rows, done.published_at, done.finished_at) == ("done", 100, 8, 9)
    assert (done.start, done.end, done.snapshot) == (1, 9, "v1")


def test_a_failed_run_says_why(registry, record):
    failed = finish_run(registry, "demo", record(5), status="failed", error="no such file")
    assert (failed.status, failed.error, failed.published_at) == ("failed", "no such file", None)
    assert last_run(registry, "demo", "ads", "r1") is None
    assert last_run(registry, "demo", "ads", "r1", status=None) == failed


def test_the_last_run_is_that_of_the_revision(registry, record):
    finished = {}
    for at, revision, operation in (
        (1, "r1", "backfill"),
        (2, "r1", "materialize"),
        (3, "r2", "materialize"),
        (4, "r1", "backfill"),
    ):
        run = record(at, revision=revision, operation=operation)
        finished[at] = finish_run(registry, "demo", run)
    record(5)
    assert last_run(registry, "demo", "ads", "r1") == finished[4]
    assert last_run(registry, "demo", "ads", "r1", operation="materialize") == finished[2]
    assert last_run(registry, "demo", "ads", "r3") is None
    assert last_run(registry, "demo", "other", "r1") is None
    assert last_run(registry, "other", "ads", "r1") is None


def test_runs_are_listed_newest_first(registry, record):
    for at in (2, 3, 1):
        record(at)
    record(4, view="other")
    assert [run.started_at for run in list_runs(registry, "demo", view="ads")] == [3, 2, 1]
    assert [run.started_at for run in list_runs(registry, "demo", limit=2)] == [4, 3]
    assert list_runs(registry, "demo", status="failed") == ()


def test_runs_of_one_instant_have_names_of_their_own(record):
    assert len({record(1).id for _ in range(20)}) == 20
