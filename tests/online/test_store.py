"""What a store does with rows, ticks and documents."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.errors import ConflictError, PreconditionError, StoreError
from headwater.online import lmdb_store, sorted_keys
from headwater.online.codec import encode_key, encode_keys
from headwater.online.store import Known
from online.backends import backend as backend_of
from online.backends import fresh
from online.facts import LAYOUT, Fact, key_of, row_of, rows, values, write

MINUTE = 60_000_000


def column(store, revision, keys):
    """The value of each key, the keys given as bytes."""
    (found,), _ = store.read("p", [(revision, keys)])
    return [row and row.values[0] for row in LAYOUT.decode_many(found)]


class TestRead:
    def test_many_keys_of_many_revisions_in_the_order_asked(self, online_store):
        one, two = fresh(), fresh()
        write(online_store, one, [Fact("a", 1, 1), Fact("b", 2, 2)])
        write(online_store, two, [Fact("a", 3, 3)])
        asked = [(two, [key_of("a")]), (one, [key_of(k) for k in ("b", "z", "a", "b")])]
        found, ticks = online_store.read("p", asked)
        times = [[row and LAYOUT.decode(row).values[0] for row in part] for part in found]
        b, a = Fact("b", 2, 2).value, Fact("a", 1, 1).value
        assert times == [[Fact("a", 3, 3).value], [b, None, a, b]]
        assert ticks == []

    def test_what_was_never_written_is_missing(self, online_store):
        assert values(online_store, fresh(), ["a", "b"]) == [None, None]
        assert online_store.read("p", []) == ([], [])
        assert online_store.read("p", [(fresh(), [])]) == ([[]], [])

    def test_a_revision_unknown_at_first_is_found_once_it_is_written(self, online_store):
        revision = fresh()
        assert values(online_store, revision, ["a"]) == [None]
        write(online_store, revision, [Fact("a", 1, 1)])
        assert values(online_store, revision, ["a"]) == [Fact("a", 1, 1).value]

    def test_projects_are_apart(self, online_store):
        revision = fresh()
        write(online_store, revision, [Fact("a", 1, 1)], project="p")
        write(online_store, revision, [Fact("a", 2, 2)], project="q")
        assert values(online_store, revision, ["a"], "p") == [Fact("a", 1, 1).value]
        assert values(online_store, revision, ["a"], "q") == [Fact("a", 2, 2).value]

    async def test_the_async_twin(self, online_store):
        revision = fresh()
        write(online_store, revision, [Fact("a", 1, 1)])
        online_store.publish("p", revision, 7)
        asked = [(revision, [key_of("a"), key_of("b")])]
        found = await online_store.read_async("p", asked, [revision])
        assert found == online_store.read("p", asked, [revision])
        assert found[1] == [7]


class TestKeys:
    def test_all_keys_of_a_revision_in_their_order(self, online_store, monkeypatch):
        for module, name in ((lmdb_store, "_SCANNED_ROWS"), (sorted_keys, "_RUN_KEYS")):
            monkeypatch.setattr(module, name, 3)
        one, two = fresh(), fresh()
        names = [f"{n}" * size for n in range(10) for size in (1, 40, 505, 600)]
        write(online_store, one, [Fact(name, 1, 1) for name in names])
        write(online_store, one, [Fact("1", 1, 1, cut=2, deletes=True)])
        write(online_store, two, [Fact("other", 1, 1)])
        pages = list(online_store.keys("p", one))
        assert [key for page in pages for key in page] == sorted(map(key_of, names))
        assert len(pages) > 5
        assert list(online_store.keys("p", two)) == [[key_of("other")]]
        assert list(online_store.keys("q", one)) == list(online_store.keys("p", fresh())) == []

    def test_one_may_write_while_another_goes_through_the_keys(self, online_store, monkeypatch):
        monkeypatch.setattr(lmdb_store, "_SCANNED_ROWS", 2)
        revision = fresh()
        write(online_store, revision, [Fact(name, 1, 1) for name in "acegi"])
        pages = online_store.keys("p", revision)
        found = next(pages)
        write(online_store, revision, [Fact(name, 1, 1) for name in ("b", "z")])
        found += [key for page in pages for key in page]
        assert found == [key_of(name) for name in "acegiz"]


class TestTicks:
    def test_a_tick_never_goes_back(self, online_store):
        revision = fresh()
        assert online_store.published("p", [revision]) == [None]
        assert online_store.publish("p", revision, 5) is True
        assert online_store.publish("p", revision, 5) is True
        assert online_store.publish("p", revision, 4) is False
        assert online_store.published("p", [revision]) == [5]
        assert online_store.publish("p", revision, 6) is True
        assert online_store.published("p", [fresh(), revision]) == [None, 6]

    def test_ticks_before_the_epoch(self, online_store):
        revision = fresh()
        online_store.publish("p", revision, -5)
        assert online_store.published("p", [revision]) == [-5]

    def test_rows_and_ticks_in_one_read(self, online_store):
        one, two = fresh(), fresh()
        write(online_store, one, [Fact("a", 1, 1, cut=1)])
        online_store.publish("p", one, 1)
        (found,), ticks = online_store.read("p", [(one, [key_of("a")])], [two, one])
        assert (LAYOUT.decode(found[0]).values[0], ticks) == (Fact("a", 1, 1).value, [None, 1])


class TestAheadOfTheClock:
    def test_rows_ahead_are_reported_not_written(self, online_store):
        revision, now = fresh(), 1000 * MINUTE
        limit = now + 5 * MINUTE
        given = [
            Fact("a", limit + 1, 0),
            Fact("b", limit, limit),
            Fact("c", 0, limit + 1),
            Fact("d", 0, 0),
        ]
        done = write(online_store, revision, given, now=now)
        assert done == (2, 0, 0, (0, 2))
        assert [v is not None for v in values(online_store, revision, "abcd")] == [0, 1, 0, 1]
        assert write(online_store, revision, given, now=now + 1) == (2, 2, 0, ())

    def test_the_allowance_can_be_set_and_the_clock_is_the_default(self, online_store):
        revision, now = fresh(), time.time_ns() // 1000
        soon = Fact("a", now + MINUTE, now)
        assert write(online_store, revision, [soon], allowed_skew=0).rejected == (0,)
        assert write(online_store, revision, [soon]).written == 1
        assert write(online_store, revision, [Fact("a", now + 60 * MINUTE, now)]).rejected == (0,)


class TestManyRows:
    def test_loads_in_any_order_of_keys(self, online_store):
        revision, draw = fresh(), random.Random(3)
        numbers = draw.sample(range(100_000), 40_000)
        keys = encode_keys([pa.array(numbers)])
        first = LAYOUT.encode_batch(pa.table({"value": list(map(str, numbers))}), 5, cut=5)
        half = len(keys) // 2
        assert online_store.write("p", revision, keys[:half], first[:half]).written == half
        assert online_store.write("p", revision, keys, first) == (half, half, 0, ())
        newer = LAYOUT.encode_batch(pa.table({"value": [f"{n}!" for n in numbers]}), 6, cut=6)
        mixed = [b if n % 2 else a for n, a, b in zip(numbers, first, newer, strict=True)]
        odd = sum(n % 2 for n in numbers)
        assert online_store.write("p", revision, keys, mixed) == (odd, 40_000 - odd, 0, ())
        told = [f"{n}!" if n % 2 else str(n) for n in numbers]
        assert column(online_store, revision, keys) == told

    def test_a_new_revision_between_two_that_hold_rows(self, online_store):
        one, two = fresh(), fresh()
        online_store.publish("p", one, 0)
        write(online_store, two, [Fact(k, 1, 1) for k in "abc"])
        write(online_store, one, [Fact(k, 2, 2) for k in "cab"])
        assert values(online_store, one, "abc") == [Fact(k, 2, 2).value for k in "abc"]
        assert values(online_store, two, "abc") == [Fact(k, 1, 1).value for k in "abc"]

    def test_large_rows(self, online_store):
        revision = fresh()
        keys = [key_of(str(n)) for n in range(40)]
        texts = [chr(65 + n % 26) * 700_000 for n in range(40)]
        online_store.write("p", revision, keys, LAYOUT.encode_batch(pa.table({"value": texts}), 1))
        assert column(online_store, revision, keys) == texts


class TestLongKeys:
    """Keys longer than the 511 bytes that LMDB takes."""

    LENGTHS = (1, 31, 32, 255, *range(495, 515), 2000, 70_000)

    def test_each_length_has_its_own_row(self, online_store):
        revision = fresh()
        texts = [end * length for length in self.LENGTHS for end in "xy"]
        given = [Fact(text, 1, 1) for text in texts]
        assert write(online_store, revision, given).written == len(texts)
        assert values(online_store, revision, texts) == [fact.value for fact in given]
        assert write(online_store, revision, given).unchanged == len(texts)
        later = [fact._replace(event_time=2) for fact in given]
        assert write(online_store, revision, given + later).written == len(texts)
        assert values(online_store, revision, texts) == [fact.value for fact in later]
        assert values(online_store, revision, ["x" * 600]) == [None]
        assert online_store.drop("p", revision) == len(texts)
        assert values(online_store, revision, texts) == [None] * len(texts)

    def test_no_key_reaches_the_row_of_another_one(self, online_store):
        """Raw keys of every length: none can be made to look like the hash of a long one."""
        revision = fresh()
        keys = [bytes([n % 256]) * length for length in range(28, 44) for n in range(256)]
        keys += [bytes(600), b"\xff" * 600, b"\x00" * 507, b"\x00" * 508]
        table = pa.table({"value": list(map(str, range(len(keys))))})
        assert online_store.write("p", revision, keys, LAYOUT.encode_batch(table, 1)).older == 0
        assert column(online_store, revision, keys) == table["value"].to_pylist()


class TestDropAndSweep:
    def test_drop_takes_rows_and_tick_of_one_revision(self, online_store):
        before, gone, after = fresh(), fresh(), fresh()
        for revision in (before, gone, after):
            write(online_store, revision, [Fact(key, 1, 1) for key in "abc"])
            online_store.publish("p", revision, 1)
        assert online_store.drop("p", gone) == 3
        assert online_store.published("p", [before, gone, after]) == [1, None, 1]
        assert values(online_store, gone, "abc") == [None] * 3
        for revision in (before, after):
            assert None not in values(online_store, revision, "abc")
        assert online_store.drop("p", gone) == online_store.drop("p", fresh()) == 0
        write(online_store, gone, [Fact("a", 2, 2)])
        assert values(online_store, gone, "ab") == [Fact("a", 2, 2).value, None]

    def test_sweep_takes_old_tombstones_and_bars_old_runs(self, online_store):
        revision, texts = fresh(), ["a", "b", "c", "d", "l" * 900]
        first = [Fact(key, 1, 1, cut=1) for key in texts]
        write(online_store, revision, first)
        gone = [Fact(key, 2, 2, cut=2, deletes=True) for key in ("a", "b", "l" * 900)]
        write(online_store, revision, [*gone, Fact("c", 3, 3, cut=3, deletes=True)])
        kept = [None, None, None, first[3].value, None]
        assert values(online_store, revision, texts) == kept
        assert write(online_store, revision, first).written == 0
        assert online_store.sweep("p", revision, 3) == 3
        assert online_store.sweep("p", revision, 2) == 0
        assert write(online_store, revision, first) == (0, 0, 5, ())
        assert values(online_store, revision, texts) == kept
        assert online_store.drop("p", revision) == 2

    def test_sweep_leaves_other_revisions_and_rows_alone(self, online_store):
        one, two = fresh(), fresh()
        for revision in (one, two):
            write(online_store, revision, [Fact("a", 1, 1, cut=1, deletes=True), Fact("b", 1, 1)])
        assert online_store.sweep("p", one, 9) == 1
        assert online_store.sweep("p", fresh(), 9) == 0
        assert online_store.drop("p", two) == 2
        write(online_store, one, [Fact("a", 1, 1), Fact("a", 9, 9, cut=9)])
        assert values(online_store, one, "ab") == [Fact("a", 9, 9).value, Fact("b", 1, 1).value]


class TestDrop:
    def test_what_comes_after_a_drop_is_read_by_those_who_had_read_before(self, backend):
        with contextlib.closing(backend.open()) as store:
            revision, other = fresh(), fresh()
            write(store, revision, [Fact("a", 1, 1)])
            write(store, other, [Fact("a", 1, 1)])
            assert values(store, revision, "a") == [Fact("a", 1, 1).value]
            in_another_process(backend, "drop", revision)
            assert values(store, revision, "a") == [None]
            in_another_process(backend, "write", revision)
            assert values(store, revision, "a") == [Fact("a", 2, 2).value]
            assert values(store, other, "a") == [Fact("a", 1, 1).value]


def in_another_process(backend, verb, revision):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from online.backends import Backend\n"
        "from online.facts import Fact, write\n"
        "store = Backend(sys.argv[2], {'path': sys.argv[3]}).open()\n"
        "if sys.argv[4] == 'drop':\n    store.drop('p', sys.argv[5])\n"
        "else:\n    write(store, sys.argv[5], [Fact('a', 2, 2)])\n"
    )
    tests = str(Path(__file__).parents[1])
    given = [tests, backend.kind, backend.options["path"], verb, revision]
    subprocess.run([sys.executable, "-c", code, *given], check=True, timeout=60)


class TestKnown:
    """A read on condition that a document is what the reader takes it for."""

    def test_a_document_that_changes_is_noticed_by_the_next_read(self, online_store):
        revision, name = fresh(), fresh("document")
        write(online_store, revision, [Fact("a", 1, 1)])
        asked = [(revision, [key_of("a")])]
        known = Known(name, None)
        before = online_store.read("p", asked, (), known)
        assert before == online_store.read("p", asked, (), known)
        online_store.put_document("p", name, b"1")
        for _ in range(2):
            with pytest.raises(PreconditionError, match=name):
                online_store.read("p", asked, (), known)
        known.content = b"1"
        assert online_store.read("p", asked, (), known) == before
        write(online_store, revision, [Fact("b", 1, 1)])
        assert online_store.read("p", asked, (), known) == before
        assert online_store.read("p", asked) == before

    async def test_on_an_event_loop(self, online_store):
        with pytest.raises(PreconditionError):
            await online_store.read_async("p", [], (), Known(fresh("document"), b"1"))


class TestDocuments:
    def test_compare_and_set(self, online_store):
        name = fresh("document")
        assert online_store.get_document("p", name) is None
        online_store.put_document("p", name, b"1")
        with pytest.raises(ConflictError, match=name):
            online_store.put_document("p", name, b"2")
        with pytest.raises(ConflictError):
            online_store.put_document("p", name, b"2", expected=b"0")
        assert online_store.get_document("p", name) == b"1"
        online_store.put_document("p", name, b"2", expected=b"1")
        assert online_store.get_document("p", name) == b"2"
        assert online_store.get_document("q", name) is None

    def test_remove(self, online_store):
        name = fresh("document")
        online_store.put_document("p", name, None)
        online_store.put_document("p", name, b"1")
        with pytest.raises(ConflictError):
            online_store.put_document("p", name, None)
        online_store.put_document("p", name, None, expected=b"1")
        assert online_store.get_document("p", name) is None

    def test_a_large_one(self, online_store):
        name, large = fresh("document"), bytes(3_000_000)
        online_store.put_document("p", name, large)
        assert online_store.get_document("p", name) == large

    def test_of_two_writers_one_wins(self, online_store):
        name, lost = fresh("document"), []
        start = threading.Barrier(4)

        def put(text):
            start.wait()
            try:
                online_store.put_document("p", name, text)
            except ConflictError:
                lost.append(text)

        threads = [threading.Thread(target=put, args=(bytes([n]),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(lost) == 3
        assert online_store.get_document("p", name) not in lost


class TestMistakes:
    def test_rows_and_keys_must_match(self, online_store):
        with pytest.raises(StoreError, match="1 rows for 2 keys"):
            online_store.write("p", fresh(), [b"a", b"b"], [row_of(Fact("a", 1, 1))])

    def test_bytes_that_are_no_row_are_not_written(self, online_store):
        revision = fresh()
        with pytest.raises(StoreError, match="can't be read"):
            given = [row_of(Fact("a", 1, 1)), b"hello"]
            online_store.write("p", revision, [key_of("a"), key_of("b")], given)
        assert values(online_store, revision, "ab") == [None, None]

    def test_nothing_to_write(self, online_store):
        assert online_store.write("p", fresh(), [], []) == (0, 0, 0, ())


class TestLife:
    def test_what_was_written_is_there_after_closing(self, backend):
        store, revision = backend.open(), fresh()
        write(store, revision, [Fact("a", 1, 1)])
        store.publish("p", revision, 1)
        store.close()
        store.close()
        again = backend.open()
        assert values(again, revision, ["a"]) == [Fact("a", 1, 1).value]
        assert again.published("p", [revision]) == [1]
        again.close()

    def test_two_stores_of_one_place_in_one_process(self, backend):
        one, two, revision = backend.open(), backend.open(), fresh()
        write(one, revision, [Fact("a", 1, 1)])
        assert values(two, revision, ["a"]) == [Fact("a", 1, 1).value]
        one.close()
        assert values(two, revision, ["a"]) == [Fact("a", 1, 1).value]
        two.close()

    def test_threads_read_while_the_store_grows(self, tmp_path):
        store = backend_of("lmdb", tmp_path, map_size=65_536, sync=False).open()
        revision, texts = fresh(), [str(n) for n in range(200)]
        write(store, revision, [Fact(text, 0, 0) for text in texts])
        stop, failures = threading.Event(), []

        def read():
            while not stop.is_set():
                try:
                    found = rows(store, revision, texts)
                    assert None not in found
                except Exception as error:
                    failures.append(error)
                    raise

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for moment in range(1, 20):
            write(store, revision, [Fact(text, moment, moment) for text in texts])
            write(store, fresh(), [Fact(f"{moment} {text}" * 20, 0, 0) for text in texts])
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert values(store, revision, texts[:1]) == [Fact("0", 19, 19).value]
        store.close()

    def test_a_place_that_can_not_be_opened(self, tmp_path):
        (tmp_path / "online").write_text("a file where a folder belongs")
        store = backend_of("lmdb", tmp_path).open()
        with pytest.raises(StoreError, match="online"):
            store.read("p", [("r", [encode_key(("a",))])])
