"""Many processes on one store: readers beside a writer, two writers, forks, kill -9.

Children are forked, which is quick, and shows that a store survives a fork. They only write rows
that were encoded before, and leave by `os._exit`.
"""

from __future__ import annotations

import os
import random
import select
import signal
import threading
import traceback
from collections.abc import Callable

import pyarrow as pa
import pytest

from headwater.online import lmdb_rows
from headwater.online.codec import Layout, encode_keys
from online.backends import backend as backend_of
from online.backends import fresh
from online.facts import Fact, values, write

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

LAYOUT = Layout([("generation", "int64"), ("text", "string"), ("many", "list[int64]")])
KEYS = encode_keys([pa.array(range(3000))])
LONG = 4000
"""A list so long that its row fills pages of its own."""


def generation(number: int) -> list[bytes]:
    """The rows of all keys as run `number` writes them; every tenth row is a large one."""
    small, large = (
        LAYOUT.encode_batch(
            pa.table({"generation": [number], "text": [str(number)], "many": [[number] * size]}),
            number,
            cut=number,
        )[0]
        for size in (3, LONG)
    )
    return [large if place % 10 == 0 else small for place in range(len(KEYS))]


def generations_of(found: list[bytes | None]) -> list[int]:
    """Which run wrote each row; fails for a row that is not exactly what one run wrote."""
    numbers = []
    for place, row in enumerate(LAYOUT.decode_many(found)):
        number = row.values[0]
        size = LONG if place % 10 == 0 else 3
        assert row.values == (number, str(number), [number] * size)
        assert row.event_time.microsecond == number
        numbers.append(number)
    return numbers


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a child; its exit code is 0 only if nothing was raised."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def ended_well(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def wait_for(pipe: int) -> bytes:
    """The next byte that a child sends; a child that is stuck fails the test."""
    assert select.select([pipe], [], [], 60)[0], "the child sent nothing for a minute"
    return os.read(pipe, 1)


def test_killed_at_random_points_each_key_is_before_or_after(tmp_path, monkeypatch):
    """The map starts small, so that some writers die while it grows; a run is many commits."""
    monkeypatch.setattr(lmdb_rows, "_CHUNK_ROWS", 200)
    store = backend_of("lmdb", tmp_path, map_size=1 << 20).open()
    draw, revision, rounds = random.Random(5), fresh(), 25
    runs = {number: generation(number) for number in range(2 * rounds + 5)}
    store.write("p", revision, KEYS, runs[0])
    store.publish("p", revision, 0)
    oldest = 0
    for _ in range(rounds):
        reading, writing = os.pipe()

        def work(first=oldest + 1, pipe=writing):
            for number in range(first, len(runs)):
                store.write("p", revision, KEYS, runs[number])
                store.publish("p", revision, number)
                os.write(pipe, b".")

        child = forked(work)
        os.close(writing)
        if draw.random() < 0.5:
            wait_for(reading)
        for _ in range(draw.randrange(120)):
            generations_of(store.read("p", [(revision, KEYS[:10])])[0][0])
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        (found,), (tick,) = store.read("p", [(revision, KEYS)], [revision])
        numbers = set(generations_of(found))
        assert tick >= oldest
        assert numbers <= {tick, tick + 1}
        oldest = tick
    assert oldest > 0
    store.write("p", revision, KEYS, runs[oldest + 1])
    assert set(generations_of(store.read("p", [(revision, KEYS)])[0][0])) == {oldest + 1}
    store.close()


def test_readers_beside_a_writer_see_whole_runs(tmp_path):
    """Once a tick is published, no reader sees a row from before it; the map grows meanwhile."""
    backend = backend_of("lmdb", tmp_path, map_size=1 << 20)
    store, revision, last = backend.open(), fresh(), 8
    store.write("p", revision, KEYS, generation(0))
    store.publish("p", revision, 0)
    runs = {number: generation(number) for number in range(1, last + 1)}
    reading, writing = os.pipe()

    def read(seed):
        other, draw = backend.open(), random.Random(seed)
        before, tick = [0] * len(KEYS), 0
        while tick < last:
            places = [10 * draw.randrange(len(KEYS) // 10) for _ in range(20)]
            asked = [(revision, [KEYS[place] for place in places])]
            (found,), (tick,) = other.read("p", asked, [revision])
            assert tick is not None
            for place, row in zip(places, LAYOUT.decode_many(found), strict=True):
                number = row.values[0]
                assert row.values == (number, str(number), [number] * LONG)
                assert number >= max(tick, before[place])
                before[place] = number
            if tick == 0:
                os.write(writing, b".")

    readers = [forked(lambda seed=seed: read(seed)) for seed in range(3)]
    for _ in range(3):
        wait_for(reading)
    for number, run in runs.items():
        store.write("p", revision, KEYS, run)
        store.publish("p", revision, number)
    assert set(map(ended_well, readers)) == {True}
    store.close()


def test_two_writers_take_turns(backend):
    store, revision = backend.open(), fresh()
    runs = [generation(number) for number in range(12)]

    def work(which):
        for number in range(which, len(runs), 2):
            store.write("p", revision, KEYS, runs[number])

    children = [forked(lambda which=which: work(which)) for which in (0, 1)]
    assert set(map(ended_well, children)) == {True}
    assert set(generations_of(store.read("p", [(revision, KEYS)])[0][0])) == {len(runs) - 1}
    store.close()


def test_parent_and_child_use_one_store_after_a_fork(backend):
    store, revision = backend.open(), fresh()
    write(store, revision, [Fact("a", 1, 1)])
    for moment in (2, 3, 4):

        def work(moment=moment):
            assert values(store, revision, ["a"]) == [Fact("a", moment - 1, 1).value]
            write(store, revision, [Fact("a", moment, 1)])

        assert ended_well(forked(work))
        assert values(store, revision, ["a"]) == [Fact("a", moment, 1).value]
    store.close()


def test_a_killed_reader_holds_nothing_up(backend):
    store, revision = backend.open(), fresh()
    store.write("p", revision, KEYS, generation(0))
    reading, writing = os.pipe()

    def read():
        while True:
            store.read("p", [(revision, KEYS)])
            os.write(writing, b".")

    child = forked(read)
    wait_for(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert store.write("p", revision, KEYS, generation(1)).written == len(KEYS)
    assert set(generations_of(store.read("p", [(revision, KEYS)])[0][0])) == {1}
    store.close()


@pytest.mark.parametrize("open_before", [True, False])
def test_a_fork_while_threads_read_and_write(backend, open_before):
    """Nobody is caught in the middle: the fork waits for what is under way."""
    store, revision = backend.open(), fresh()
    if open_before:
        write(store, revision, [Fact("a", 0, 0)])
    stop, failures = threading.Event(), []

    def keep_busy(work):
        while not stop.is_set():
            try:
                work()
            except Exception as error:
                failures.append(error)
                raise

    jobs = [
        lambda: values(store, revision, ["a"]),
        lambda: write(store, revision, [Fact("a", 5, 5)]),
    ]
    threads = [threading.Thread(target=keep_busy, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    children = [forked(jobs[0]) for _ in range(10)]
    stop.set()
    for thread in threads:
        thread.join()
    assert set(map(ended_well, children)) == {True}
    assert failures == []
    store.close()
