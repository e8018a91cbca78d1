"""C13, the write rule, against a model of a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from online.backends import fresh
from online.facts import Fact, values, write

KEYS = ("a", "b")
small = st.integers(0, 4)
facts = st.builds(
    Fact,
    key=st.sampled_from(KEYS),
    event_time=small,
    known_at=small,
    sequence=st.none() | st.integers(0, 1),
    tie=st.sampled_from([None, b"m", b"n"]),
    id=st.sampled_from([None, "x", "y"]),
    cut=st.none() | small,
    deletes=st.just(value=False),
)
tombstones = st.builds(
    Fact,
    key=st.sampled_from(KEYS),
    event_time=small,
    known_at=small,
    sequence=st.none(),
    tie=st.none(),
    id=st.none(),
    cut=small,
    deletes=st.just(value=True),
)


def rank(fact: Fact):
    """C4's order."""
    sequence = (fact.sequence is not None, fact.sequence or 0)
    return (fact.event_time, fact.known_at, sequence, fact.tie or b"")


def stays(stored: Fact, new: Fact) -> bool:
    """C13, as it is written, and that an older run undoes no newer one."""
    if new.cut is None:
        if new.id is not None and new.id == stored.id and new.known_at != stored.known_at:
            return stored.known_at > new.known_at
        if stored.cut is not None and rank(stored)[:2] == rank(new)[:2]:
            return True
        return rank(stored) >= rank(new)
    if stored.cut is not None and stored.cut > new.cut:
        return True
    return stored.known_at > new.cut and rank(stored) > rank(new)


def model(arrivals: Iterable[Fact]) -> list[str | None]:
    """What the keys hold after rows came one by one."""
    held: dict[str, Fact] = {}
    for fact in arrivals:
        stored = held.get(fact.key)
        if stored is None or not stays(stored, fact):
            held[fact.key] = fact
    return [None if f is None or f.deletes else f.value for f in map(held.get, KEYS)]


def batches(arrivals: Sequence[Fact], cuts: Iterable[int]) -> list[Sequence[Fact]]:
    """The arrivals cut into batches at these places."""
    edges = [0, *sorted({cut % (len(arrivals) + 1) for cut in cuts}), len(arrivals)]
    return [arrivals[a:b] for a, b in pairwise(edges)]


class TestAnyRows:
    """Whatever comes, in whatever batches, the store holds what the model holds."""

    @settings(max_examples=300)
    @given(st.lists(facts | tombstones, max_size=10), st.lists(small, max_size=3))
    def test_the_store_agrees_with_the_model(self, online_store, arrivals, cuts):
        revision, so_far = fresh(), []
        for batch in batches(arrivals, cuts):
            done = write(online_store, revision, batch)
            assert done.written + done.unchanged + done.older == len(batch)
            so_far += batch
            assert values(online_store, revision, KEYS) == model(so_far)

    @given(facts | tombstones, facts | tombstones)
    def test_a_row_written_twice_changes_nothing(self, online_store, first, second):
        revision = fresh()
        write(online_store, revision, [first])
        write(online_store, revision, [second])
        before = values(online_store, revision, KEYS)
        assert write(online_store, revision, [second]).written == 0
        assert values(online_store, revision, KEYS) == before


@st.composite
def worlds(draw):
    """Facts whose versions keep their event time, and what runs find at some cuts."""
    drawn = draw(st.lists(facts, min_size=1, max_size=8))
    moments = {f.id: f.event_time for f in drawn if f.id is not None}
    pushed = [f._replace(cut=None, event_time=moments.get(f.id, f.event_time)) for f in drawn]
    found = []
    for cut in draw(st.sets(small, max_size=3)):
        for key in KEYS:
            known = [f for f in pushed if f.key == key and f.known_at <= cut]
            if known:
                found.append(max(known, key=rank)._replace(cut=cut))
    return draw(st.lists(st.sampled_from(pushed))), found


class TestAnyOrderOfArrival:
    """Where runs find what the contracts say that they find, only the facts decide."""

    @settings(max_examples=300)
    @given(worlds(), st.data())
    def test_pushes_and_runs_end_with_the_last_fact(self, online_store, world, data):
        pushed, found = world
        arrivals = data.draw(st.permutations([*pushed, *found, *found]))
        revision = fresh()
        for batch in batches(arrivals, data.draw(st.lists(small, max_size=3))):
            write(online_store, revision, batch)
        facts_of = {key: [f for f in arrivals if f.key == key] for key in KEYS}
        last = [max(facts_of[key], key=rank) if facts_of[key] else None for key in KEYS]
        assert values(online_store, revision, KEYS) == [f and f.value for f in last]

    @given(st.sets(st.tuples(small, st.sampled_from(KEYS)), min_size=1), st.data())
    def test_the_latest_run_decides_whether_a_key_is_there(self, online_store, told, data):
        runs = [
            Fact(key, tick, tick, cut=tick, deletes=data.draw(st.booleans())) for tick, key in told
        ]
        arrivals = data.draw(st.permutations([*runs, *runs]))
        revision = fresh()
        for batch in batches(arrivals, data.draw(st.lists(small, max_size=3))):
            write(online_store, revision, batch)
        last = {run.key: run for run in sorted(runs, key=lambda run: run.event_time)}
        held = [None if run is None or run.deletes else run.value for run in map(last.get, KEYS)]
        assert values(online_store, revision, KEYS) == held


class TestOneByOne:
    """Cases in which each part of the rule decides alone."""

    @staticmethod
    def holds(store, *arrivals: Fact) -> str | None:
        revision = fresh()
        for fact in arrivals:
            write(store, revision, [fact])
        return values(store, revision, ["a"])[0]

    def test_each_part_of_the_order(self, online_store):
        base = Fact("a", 5, 5, sequence=1, tie=b"m")
        later = [
            base._replace(event_time=6, known_at=4, sequence=0, tie=b"a"),
            base._replace(known_at=6, sequence=0, tie=b"a"),
            base._replace(sequence=2, tie=b"a"),
            base._replace(tie=b"ma"),
        ]
        for fact in later:
            assert self.holds(online_store, base, fact) == fact.value
            assert self.holds(online_store, fact, base) == fact.value

    def test_a_null_sequence_comes_first(self, online_store):
        null, zero = Fact("a", 5, 5, None, b"z"), Fact("a", 5, 5, -9, b"a")
        assert self.holds(online_store, zero, null) == zero.value
        assert self.holds(online_store, null, zero) == zero.value

    def test_a_newer_version_replaces_though_it_moves_back(self, online_store):
        old, new = Fact("a", 9, 9, id="x"), Fact("a", 5, 20, id="x")
        assert self.holds(online_store, old, new) == new.value
        assert self.holds(online_store, new, old) == new.value

    def test_a_row_without_id_is_no_version(self, online_store):
        old, new = Fact("a", 9, 9), Fact("a", 5, 20)
        assert self.holds(online_store, old, new) == old.value

    def test_a_run_keeps_only_what_is_later_and_was_not_known_at_its_cut(self, online_store):
        found = Fact("a", 5, 5, cut=10)
        known_later, known_before = Fact("a", 8, 11), Fact("a", 8, 10)
        earlier = Fact("a", 4, 11)
        assert self.holds(online_store, known_later, found) == known_later.value
        assert self.holds(online_store, known_before, found) == found.value
        assert self.holds(online_store, earlier, found) == found.value

    def test_a_run_restores_what_a_correction_hid(self, online_store):
        old, moved = Fact("a", 9, 9, id="x"), Fact("a", 5, 20, id="x")
        hidden = Fact("a", 7, 7, id="y")
        arrivals = (hidden, old, moved)
        assert self.holds(online_store, *arrivals) == moved.value
        assert self.holds(online_store, *arrivals, hidden._replace(cut=25)) == hidden.value

    def test_an_earlier_run_undoes_no_later_one(self, online_store):
        early, late = Fact("a", 9, 3, cut=10), Fact("a", 7, 3, cut=20)
        assert self.holds(online_store, early, late) == late.value
        assert self.holds(online_store, late, early) == late.value

    def test_a_later_run_that_found_the_same_row_holds_against_an_earlier_one(self, online_store):
        same, other = Fact("a", 5, 5, cut=10), Fact("a", 3, 3, cut=15)
        assert self.holds(online_store, same, same._replace(cut=20), other) == same.value

    def test_of_equal_times_a_run_has_chosen(self, online_store):
        found, pushed = Fact("a", 5, 5, cut=10), Fact("a", 5, 5, sequence=1, tie=b"z")
        assert self.holds(online_store, found, pushed) == found.value
        assert self.holds(online_store, pushed, found) == found.value

    def test_a_push_after_a_run(self, online_store):
        found = Fact("a", 5, 5, cut=10)
        assert self.holds(online_store, found, Fact("a", 6, 6)) == Fact("a", 6, 6).value
        assert self.holds(online_store, found, Fact("a", 4, 30)) == found.value
