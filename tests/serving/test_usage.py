"""Online reads are counted: exactly, off the request's way, and never twice."""

import os
import threading

import pytest

from headwater.errors import NotFoundError, StoreError
from headwater.serving.usage import UsageCounter
from serving.client import post
from serving.world import DAY, T


class Registry:
    """Takes what is delivered as the registry does: what a process tells replaces what it told."""

    def __init__(self):
        self.rows = {}
        self.error = None
        self.deliveries = 0

    def __call__(self, writer, counts):
        self.deliveries += 1
        if self.error is not None:
            raise self.error
        for found in counts:
            key = writer, found.day, found.feature_name, found.feature_version
            self.rows[*key, found.used_by_model, found.service] = found

    def total(self, feature, **fields):
        return sum(
            row.count
            for row in self.rows.values()
            if row.feature_name == feature
            and all(getattr(row, name) == value for name, value in fields.items())
        )


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def counter(registry):
    found = UsageCounter(registry, interval=3600)
    yield found
    registry.error = None
    found.close()


@pytest.fixture
def read(world, counter):
    def run(features=None, users=(1,), *, service=None, model=None, now=T):
        plan = world.reader.plan(features, service, full_feature_names=False)
        counter.add(plan, len(users), now, model)

    return run


def test_requests_and_rows_by_version_service_and_model(read, counter, registry):
    read(["age", "name"], (1, 2, 3))
    read(["age"], model=b"ranker")
    read(["age@0.9.0"], model=b"ranker")
    read(service="model")
    assert counter.flush()
    assert registry.total("age", feature_version="1.0.0") == 2
    assert registry.total("age", feature_version="0.9.0") == 2
    assert registry.total("age", used_by_model="ranker", service=None) == 2
    assert registry.total("score", service="model") == 1
    (row,) = [r for r in registry.rows.values() if r.feature_name == "name"]
    assert (row.count, row.rows, row.day, row.last_used_at) == (1, 3, T // DAY, T)


def test_two_outputs_of_one_version_are_one_use(read, counter, registry):
    read(service="model")  # which reads the temperature of two places
    counter.flush()
    assert registry.total("temperature") == 1


def test_what_is_told_grows_and_may_be_told_again(read, counter, registry):
    for count in (1, 2, 3):
        read(["age"])
        counter.flush()
        counter.flush()
        assert registry.total("age") == count
    assert registry.deliveries == 3


def test_days_are_told_apart(read, counter, registry):
    read(["age"], now=T - 1)
    counter.flush()
    read(["age"], now=T)
    read(["age"], now=T + 1)
    counter.flush()
    assert registry.total("age", day=T // DAY - 1) == 1
    assert registry.total("age", day=T // DAY) == 2
    read(["age"], now=T - 1)  # a clock that was set back
    counter.flush()
    assert registry.total("age", day=T // DAY - 1) == 1
    assert registry.total("age") == 4


@pytest.mark.parametrize("error", [StoreError("down"), NotFoundError("no project")])
def test_what_cannot_be_delivered_is_kept(read, counter, registry, error, caplog):
    registry.error = error
    for day in range(3):
        read(["age"], now=T + day * DAY)
        assert not counter.flush()
    registry.error = None
    assert counter.flush()
    assert registry.total("age") == 3
    assert counter.dropped == 0
    assert [record.message for record in caplog.records] == [
        f"uses of features can't be recorded: {error}"
    ]


def test_what_is_kept_has_a_bound(world, registry):
    counter = UsageCounter(registry, interval=3600, limit=2)
    plan = world.reader.plan(["age"], None, full_feature_names=False)
    registry.error = StoreError("down")
    for day in range(3):
        counter.add(plan, 1, T + day * DAY)
        counter.flush()
    assert counter.dropped == 1
    registry.error = None
    counter.close()
    assert registry.total("age") == 2


def test_models_are_names_of_a_bounded_length(read, counter, registry):
    for model in (b"a b", b"x" * 129, "é".encode(), b""):
        read(["age"], model=model)
    counter.flush()
    assert registry.total("age", used_by_model="") == 4


def test_a_flood_of_models_is_counted_too(world, read, counter, registry):
    for number in range(200):
        for _ in range(2):
            read(["age"], model=b"m%d" % number)
    counter.flush()
    assert registry.total("age", used_by_model="m199") == 2
    assert registry.total("age") == 400
    assert len(world.reader.plan(["age"], None, full_feature_names=False).uses) == 64


def test_a_sample_stands_for_all(world, registry):
    draws = iter([0.1, 0.9, 0.3, 0.24] * 25)
    counter = UsageCounter(registry, sample=0.25, interval=3600, draw=lambda: next(draws))
    plan = world.reader.plan(["age"], None, full_feature_names=False)
    for _ in range(100):
        counter.add(plan, 2, T)
    counter.flush()
    (row,) = registry.rows.values()
    assert (row.count, row.rows) == (200, 400)  # half of the draws are below a quarter
    counter.close()


def test_threads_lose_nothing(world, counter, registry):
    plans = [world.reader.plan([name], None, full_feature_names=False) for name in ("age", "name")]
    go = threading.Event()

    def work():
        go.wait()
        for number in range(5_000):
            counter.add(plans[number % 2], 1, T)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    while any(thread.is_alive() for thread in threads):
        counter.flush()
    counter.flush()
    assert registry.total("age") == registry.total("name") == 10_000


def test_closing_delivers(read, counter, registry):
    read(["age"])
    counter.close()
    assert registry.total("age") == 1


def test_a_registry_that_is_down_does_not_hold_up_the_end(world, registry, caplog):
    counter = UsageCounter(registry, patience=0.2)
    registry.error = StoreError("down")
    counter.add(world.reader.plan(["age"], None, full_feature_names=False), 1, T)
    counter.close()
    assert "uses of features were lost: 1 counts not delivered" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_counts_for_itself(world, tmp_path):
    file = tmp_path / "told"

    def deliver(writer, counts):
        with file.open("a") as out:
            out.write("".join(f"{writer} {found.count}\n" for found in counts))

    counter = UsageCounter(deliver, interval=3600)
    plan = world.reader.plan(["age"], None, full_feature_names=False)
    counter.add(plan, 1, T)
    child = os.fork()
    if child == 0:
        try:
            counter.add(plan, 1, T)
            counter.add(plan, 1, T)
            counter.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    counter.add(plan, 1, T)
    counter.close()
    told = [line.split() for line in file.read_text().splitlines()]
    assert [count for _, count in told] == ["2", "2"]
    assert len({writer for writer, _ in told}) == 2


def test_a_request_says_which_model_asks(world, registry, tmp_path):
    from headwater.online.lmdb_store import LmdbStore
    from headwater.serving.app import ServingApp

    app = ServingApp(
        "shop",
        lambda: LmdbStore(path=tmp_path / "online"),
        open_usage=lambda: UsageCounter(registry, model="usual", interval=3600),
    )
    app.open()
    body = {"features": ["age"], "entities": {"user_id": [1, 2]}}
    assert post(app, body).status == 200
    assert post(app, body, headers=[(b"x-headwater-model", b"ranker")]).status == 200
    assert post(app, {**body, "features": ["nothing"]}).status == 404
    app.close()
    assert registry.total("age", used_by_model="usual") == 1
    assert registry.total("age", used_by_model="ranker") == 1
    assert registry.total("age") == 2
