"""A load in the order of keys has the result of its batches one after the other."""

from __future__ import annotations

import random
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.online import sorted_load
from headwater.online.sorted_load import SortedLoad
from online.backends import fresh
from online.facts import Fact, key_of, row_of, values, write

TEXTS = ["a", "b", "c", "d", "l" * 600]
facts = st.builds(
    Fact,
    key=st.sampled_from(TEXTS),
    event_time=st.integers(0, 3),
    known_at=st.integers(0, 3),
    sequence=st.none(),
    tie=st.none(),
    id=st.sampled_from([None, "x"]),
    cut=st.none() | st.integers(0, 3),
    deletes=st.just(value=False),
)


def load_of(store, revision, batches, **options):
    with SortedLoad(store, "p", revision, **options) as load:
        for batch in batches:
            load.add([key_of(fact.key) for fact in batch], [row_of(fact) for fact in batch])
        return load.flush()


@pytest.fixture
def small_runs(monkeypatch):
    monkeypatch.setattr(sorted_load, "_RUN_ROWS", 4)
    monkeypatch.setattr(sorted_load, "_BLOCK_ROWS", 2)
    monkeypatch.setattr(sorted_load, "_WRITE_ROWS", 3)


@pytest.mark.usefixtures("small_runs")
class TestSpilling:
    @settings(max_examples=150)
    @given(before=st.lists(facts, max_size=4), batches=st.lists(st.lists(facts, max_size=6)))
    def test_the_result_is_that_of_the_batches_in_turn(self, online_store, before, batches):
        one, other = fresh(), fresh()
        for revision in (one, other):
            write(online_store, revision, before)
        for batch in batches:
            write(online_store, other, batch)
        done = load_of(online_store, one, batches)
        assert sum(done[:3]) == sum(map(len, batches))
        assert values(online_store, one, TEXTS) == values(online_store, other, TEXTS)

    def test_writes_come_in_the_order_of_keys(self):
        numbers, seen = list(range(100)), []

        class Store:
            def write(self, project, revision, keys, rows, **clock):
                seen.append(sorted(keys))
                return sorted_load.Written(len(keys))

        random.Random(1).shuffle(numbers)
        batches = [
            [Fact(f"{number:03}", 1, 1) for number in numbers[start : start + 7]]
            for start in range(0, 100, 7)
        ]
        assert load_of(Store(), "r", batches).written == 100
        assert list(chain.from_iterable(seen)) == [key_of(f"{number:03}") for number in range(100)]
        assert len(seen) > 5

    def test_rejected_rows_are_told_by_their_place(self, online_store):
        batches = [[Fact(k, 2 if k in "dbh" else 1, 1) for k in part] for part in ("dcb", "ahg")]
        done = load_of(online_store, fresh(), batches, now=1, allowed_skew=0)
        assert done == (3, 0, 0, (0, 2, 4))

    def test_flushing_in_between(self, online_store):
        revision = fresh()
        with SortedLoad(online_store, "p", revision) as load:
            for moment in range(3):
                for part in ("badc", "fehg", "ij"):
                    load.add(
                        [key_of(key) for key in part],
                        [row_of(Fact(key, moment, moment)) for key in part],
                    )
                assert load.pending == 10
                assert load.flush() == (10, 0, 0, ())
                assert load.pending == 0
        assert values(online_store, revision, "aj") == [Fact(k, 2, 2).value for k in "aj"]

    def test_what_is_not_flushed_is_forgotten(self, online_store):
        revision = fresh()
        with SortedLoad(online_store, "p", revision) as load:
            load.add([key_of("a")] * 9, [row_of(Fact("a", 1, 1))] * 9)
        assert values(online_store, revision, ["a"]) == [None]


def test_the_file_is_in_the_folder_and_gone_at_the_end(online_store, tmp_path, small_runs):
    with pytest.raises(FileNotFoundError):
        load_of(online_store, fresh(), [[Fact("a", 1, 1)] * 5], folder=tmp_path / "nowhere")
    assert load_of(online_store, fresh(), [[Fact("a", 1, 1)] * 5], folder=tmp_path).written == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_load(online_store):
    assert load_of(online_store, fresh(), []) == (0, 0, 0, ())
