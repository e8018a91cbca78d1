"""C12 and C13 by hand, and the online side of C8, C9 and C10."""

from __future__ import annotations

from itertools import permutations

import pytest

from oracle import (
    DAY,
    HOUR,
    MINUTE,
    Apply,
    Feature,
    Input,
    Lag,
    Online,
    Oracle,
    Rejected,
    Ticks,
    View,
)
from oracle.cases import COUNT, SUM, X, arriving, events, rows, versions, view_of
from oracle.scalars import ADD

A = {"k": "a"}
F = Feature("f", X)


def online(source, *features, **view):
    return Online(Oracle([View("v", features or (F,), source, ("k",), **view)]))


class TestStatusC12:
    def test_the_four_statuses(self):
        store = online(events(("a", 5, 1), ("b", 5, None)), ttl="1h")
        store.publish("v", 9)
        assert store.read("f", A, 9) == (1, "PRESENT", 5)
        assert store.read("f", {"k": "b"}, 9) == (None, "NULL_VALUE", 5)
        assert store.read("f", {"k": "z"}, 9) == (None, "NOT_FOUND", None)
        assert store.read("f", {"k": None}, 9) == (None, "NOT_FOUND", None)
        assert store.read("f", A, 5 + HOUR) == (1, "PRESENT", 5)
        assert store.read("f", A, 6 + HOUR) == (None, "OUTSIDE_MAX_AGE", 5)

    def test_nothing_is_there_before_the_first_run(self):
        source = events(("a", 5, 1))
        assert online(source).read("f", A, 9).status == "NOT_FOUND"
        ticked = online(source, Feature("n", COUNT, "1h"), ticks=Ticks("1h"))
        assert ticked.read("n", A, 9).status == "NOT_FOUND"

    def test_a_window_is_total_from_the_first_published_tick(self):
        store = online(events(("a", 5, 1)), Feature("n", COUNT, "1h"), ticks=Ticks("1h"))
        assert store.publish("v", HOUR + 5) == HOUR
        assert store.read("n", A, HOUR + 9) == (1, "PRESENT", HOUR)
        assert store.read("n", {"k": "z"}, HOUR + 9) == (0, "PRESENT", HOUR)
        assert store.read("n", {"k": None}, HOUR + 9) == (None, "NOT_FOUND", None)

    def test_a_tick_older_than_ttl(self):
        store = online(events(("a", 5, 1)), Feature("n", COUNT, "1d"), ticks=Ticks("1h"), ttl="2h")
        store.publish("v", HOUR)
        assert store.read("n", A, 3 * HOUR) == (1, "PRESENT", HOUR)
        assert store.read("n", A, 3 * HOUR + 1) == (None, "OUTSIDE_MAX_AGE", HOUR)

    def test_a_late_run_serves_the_old_tick_until_it_is_published(self):
        source = events(("a", 5, 1), ("a", HOUR, 2))
        store = online(source, ticks=Ticks("1h"), data_delay="10m")
        assert store.publish("v", HOUR + 10 * MINUTE - 1) == 0
        assert store.read("f", A, HOUR).status == "NOT_FOUND"  # at tick 0 there was no row
        assert store.publish("v", HOUR + 10 * MINUTE) == HOUR
        assert store.read("f", A, 5 * HOUR).value == 2
        assert store.publish("v", HOUR) == HOUR  # an earlier run does not go back

    def test_defaults_and_derived(self):
        features = (Feature("x", X, default=7), Feature("y", Apply(ADD, Input("x"), Input("x"))))
        store = online(events(("a", 5, 1)), *features)
        store.publish("v", 9)
        assert store.read("y", A, 9) == (2, "PRESENT", 5)
        assert store.read("x", {"k": "z"}, 9) == (7, "NOT_FOUND", None)
        assert store.read("y", {"k": "z"}, 9).value == 14

    def test_a_derived_view_at_its_own_tick(self):
        base = View("base", (F,), events(("a", 5, 1), ("a", HOUR + 1, 2)), ("k",))
        twice = Feature("y", Apply(ADD, Input("f"), Input("f")))
        store = Online(Oracle([base, View("v", (twice,), None, ("k",), Ticks("1h"))]))
        store.publish("v", HOUR + 9)
        assert store.read("y", A, HOUR + 9) == (2, "PRESENT", 5)


class TestWriteC13:
    def test_a_run_writes_what_was_known_at_its_cut(self):
        store = online(arriving(("a", 5, 5, 1), ("a", 8, 20, 2)))
        store.publish("v", 9)
        assert store.read("f", A, 30).value == 1
        store.publish("v", 20)
        assert store.read("f", A, 30).value == 2

    def test_a_pushed_row_replaces_if_it_is_later(self):
        store = online(events(("a", 5, 1)))
        store.publish("v", 9)
        store.push("v", rows("k event_time x", ("a", 4, 3)))
        assert store.read("f", A, 9).value == 1
        store.push("v", rows("k event_time x", ("a", 6, 3)))
        assert store.read("f", A, 9).value == 3

    def test_a_newer_version_replaces_though_it_is_earlier(self):
        store = online(versions(("a", 1, 5, 5, 1)))
        store.publish("v", 9)
        store.push("v", rows("k id event_time available_at x", ("a", 1, 4, 9, 3)))
        assert store.read("f", A, 9) == (3, "PRESENT", 4)
        # The old version, delivered again, stays replaced.
        store.push("v", rows("k id event_time available_at x", ("a", 1, 5, 5, 1)))
        assert store.read("f", A, 9).value == 3

    def test_a_run_keeps_what_became_known_after_its_cut_and_is_later(self):
        pushed = rows("k event_time available_at x", ("a", 8, 20, 3))
        store = online(arriving(("a", 5, 5, 1), ("a", 9, 9, 2)))
        store.push("v", pushed)
        store.publish("v", 8)  # its row is the one at 5: the pushed one is later and newer
        assert store.read("f", A, 30).value == 3
        store.publish("v", 9)  # its row is the one at 9: later in the order
        assert store.read("f", A, 30).value == 2

    def test_a_run_replaces_what_was_known_at_its_cut(self):
        # The pushed row is later but was known before the cut, and the source lacks it.
        store = online(arriving(("a", 5, 5, 1)))
        store.push("v", rows("k event_time available_at x", ("a", 6, 7, 3)))
        store.publish("v", 9)
        assert store.read("f", A, 30).value == 1

    def test_any_order_of_pushes_and_twice_the_same(self):
        pushed = rows("k event_time x", ("a", 5, 1), ("a", 7, 2), ("a", 7, 9), ("a", 6, 3))
        for order in permutations(pushed):
            store = online(events(("a", 1, 0)))
            store.push("v", [*order, *order])
            assert store.read("f", A, 9).value == 9

    def test_any_order_of_the_versions_of_one_id(self):
        moves = (("a", 1, 9, 9, 1), ("a", 1, 5, 20, 2), ("a", 1, 7, 30, 3))
        for order in permutations(rows("k id event_time available_at x", *moves)):
            store = online(versions(("b", 1, 1, 1, 0)))
            store.push("v", order)
            assert store.read("f", A, 40) == (3, "PRESENT", 7)

    def test_what_is_refused(self):
        source = events(("a", 5, 1))
        with pytest.raises(Rejected, match="ticked"):
            online(source, ticks=Ticks("1h")).push("v", source.rows)
        with pytest.raises(Rejected, match="lacks"):
            online(source).push("v", rows("k event_time", ("a", 5)))
        with pytest.raises(Rejected, match="windowed"):
            online(source, Feature("n", COUNT, "1h")).publish("v", 9)


class TestParity:
    """What is published at t equals what the offline side says for t."""

    def test_sequences_and_lookups(self):
        source = arriving(("a", 5, 5, 1.0), ("a", 8, 20, 2.0), ("a", 9, 9, 4.0))
        features = (F, Feature("s", SUM, rows=2), Feature("l", Lag(X)))
        for t in (4, 5, 9, 19, 20):
            store = online(source, *features, ttl="1h")
            store.publish("v", t)
            for name in ("f", "s", "l"):
                assert store.read(name, A, t) == store.oracle.value(name, A, t)

    def test_ticks(self):
        source = arriving(("a", 5, 5, 1.0), ("a", HOUR, HOUR + MINUTE, 2.0))
        features = (F, Feature("n", SUM, "1h"), Feature("d", Apply(ADD, Input("f"), Input("n"))))
        for t in (0, HOUR, HOUR + 2 * MINUTE, 2 * HOUR + 2 * MINUTE, DAY):
            store = online(source, *features, ticks=Ticks("1h"), data_delay="2m")
            store.publish("v", t)
            for name in ("f", "n", "d"):
                assert store.read(name, A, t) == store.oracle.value(name, A, t)


def test_views_are_apart():
    source = events(("a", 5, 1))
    store = Online(Oracle([view_of(F, source), View("w", (Feature("g", X),), source, ("k",))]))
    store.publish("v", 9)
    assert (store.read("f", A, 9).value, store.read("g", A, 9).value) == (1, None)
