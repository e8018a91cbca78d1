"""What only LMDB needs."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headwater.errors import ConflictError
from headwater.online import lmdb_rows
from headwater.online.keys import encode_key
from headwater.online.lmdb_store import LmdbStore
from online.facts import Fact, key_of, row_of, values, write
from online.test_processes import forked, wait_for

PATIENCE = 60


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_write_frees_the_slot_of_a_reader_killed_while_it_read(tmp_path):
    """Its snapshot would else keep old pages from being used again, and the file would grow."""
    store = LmdbStore(tmp_path)
    write(store, "r", [Fact("a", 1, 1)])
    reading, writing = os.pipe()

    def read():
        store._env.view(lambda txn: (os.write(writing, b"."), signal.pause()))

    child = forked(read)
    wait_for(reading)
    store.read("p", [])  # whoever opens a directory that nobody has open clears it anyway
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert str(child) in store._env._env.readers()
    write(store, "r", [Fact("a", 2, 2)])
    assert str(child) not in store._env._env.readers()
    store.close()


def test_unsorted_new_revisions_fill_their_pages(tmp_path):
    """A first load is appended in the order of keys: pages are full, about half of the size."""
    store = LmdbStore(tmp_path, sync=False)
    texts = [f"user {n * 7919 % 10_007}" for n in range(10_007)]
    write(store, "r", [Fact(text, 1, 1) for text in texts])
    stat = store._env.view(lambda txn: txn.stat(store._env.rows))
    size = sum(len(k) + len(v) for k, v in store._env.view(lambda txn: list(txn.cursor())))
    assert stat["entries"] == len(texts)
    assert stat["leaf_pages"] * stat["psize"] < 1.2 * size
    store.close()


def mapped_mib():
    """How much of the files of LMDB counts as memory of this process."""
    own, found = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            own = line.endswith("data.mdb")
        elif own and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found / 1024


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel tells it on Linux")
def test_a_load_over_stored_rows_does_not_keep_the_files_in_memory(tmp_path):
    store = LmdbStore(tmp_path, sync=False)
    texts = [f"user {n:05} {'x' * 400}" for n in range(40_000)]
    write(store, "r", [Fact(text, 1, 1) for text in texts])
    store.read("p", [("r", [key_of(text) for text in texts])])
    assert mapped_mib() > 15
    assert write(store, "r", [Fact(text, 2, 2) for text in texts]).written == 40_000
    assert mapped_mib() < 1
    (found,), _ = store.read("p", [("r", [key_of(texts[7])])])
    assert found == [row_of(Fact(texts[7], 2, 2))]
    store.close()


def test_a_long_read_holds_up_a_change_of_the_map_and_nothing_else(tmp_path):
    store = LmdbStore(tmp_path, sync=False)
    write(store, "r", [Fact("a", 1, 1)])
    begun, gate, closed = threading.Event(), threading.Event(), threading.Event()

    def use(txn):
        begun.set()
        assert gate.wait(PATIENCE)
        return txn.stat(store._env.rows)["entries"]

    def close():
        store.close()
        closed.set()

    with ThreadPoolExecutor(2) as threads:
        long = threads.submit(store._env.view, use, long=True)
        assert begun.wait(PATIENCE)
        write(store, "r", [Fact("b", 1, 1)])
        assert store._env.view(lambda txn: txn.stat(store._env.rows)["entries"]) == 2
        closing = threads.submit(close)
        while not store._env._writes.locked():
            assert not closing.done()
        assert not closed.is_set()
        gate.set()
        assert long.result(PATIENCE) == 1
        closing.result(PATIENCE)
    assert store._env._env is None


def test_a_long_read_that_fails_is_over(tmp_path):
    store = LmdbStore(tmp_path, sync=False)
    with pytest.raises(ZeroDivisionError):
        store._env.view(lambda _: 1 // 0, long=True)
    store.close()


def test_many_keys_are_read_as_few_are(tmp_path):
    store = LmdbStore(tmp_path, sync=False)
    write(store, "r", [Fact(str(n), 1, 1) for n in range(2000)])
    keys = [encode_key((str(n),)) for n in range(-1, 2000)]
    ((many,), _), ((few,), _) = store.read("p", [("r", keys)]), store.read("p", [("r", keys[:3])])
    assert many[:3] == few
    assert [place for place, row in enumerate(many) if row is None] == [0]
    store.close()


def test_a_drop_that_was_cut_short_goes_on(tmp_path, monkeypatch):
    """Readers and writers see nothing of what is to be removed yet."""
    store = LmdbStore(tmp_path)
    revision, texts = "r", [*"abcde", "l" * 900]
    before = store.size("p", revision)
    write(store, revision, [Fact(key, 1, 1) for key in texts])
    whole = store.size("p", revision)
    assert (before, whole.rows) == ((0, 0), 6)
    assert whole.bytes > 900
    with monkeypatch.context() as patched:
        cut_short(patched, after=4)
        with pytest.raises(KeyboardInterrupt):
            store.drop("p", revision)
    assert values(store, revision, texts) == [None] * 6
    assert store.size("p", revision).rows == 2
    write(store, revision, [Fact("a", 2, 2)])
    store.publish("p", revision, 9)
    assert store.size("p", revision).rows == 3
    assert store.drop("p", revision) == 3
    assert store.size("p", revision) == (0, 0)
    store.close()


def test_a_write_during_a_drop_is_told(tmp_path):
    store, revision = LmdbStore(tmp_path), "r"
    keys = [key_of(text) for text in "ab"]
    facts = [Fact("a", 1, 1), Fact("b", 1, 1)]
    rows = Rows([row_of(fact) for fact in facts], lambda: store.drop("p", revision))
    write(store, revision, facts)
    with pytest.raises(ConflictError, match="was removed from the online store while rows"):
        store.write("p", revision, keys, rows)
    assert values(store, revision, "ab") == [None, None]
    store.close()


class Rows(list):
    """Rows that have something done when a write begins to look at them."""

    def __init__(self, rows, interrupt):
        super().__init__(rows)
        self._interrupt = interrupt

    def __iter__(self):
        self._interrupt()
        return super().__iter__()


def cut_short(patched, after):
    """Let a removal of rows die after some of them."""
    real, calls = lmdb_rows.delete_some, []

    def some(prefix, _count, txn):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return real(prefix, after, txn)

    patched.setattr(lmdb_rows, "delete_some", some)
