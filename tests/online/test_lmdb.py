"""What only LMDB needs."""

from __future__ import annotations

import os
import signal

import pytest

from headwater.online.lmdb_store import LmdbStore
from online.facts import Fact, write
from online.test_processes import forked, wait_for


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
