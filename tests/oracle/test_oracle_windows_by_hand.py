"""C6 to C10 by hand: each answer is written down with the reason for it."""

from __future__ import annotations

from datetime import UTC, datetime

from oracle import (
    DAY,
    HOUR,
    MINUTE,
    WEEK,
    Aggregate,
    Apply,
    AsOf,
    Column,
    Ema,
    Feature,
    Input,
    Lag,
    Oracle,
    Source,
    Ticks,
    View,
)
from oracle.cases import COUNT, SUM, X, arriving, at, events, lookup, read, rows, versions
from oracle.scalars import ADD, COALESCE, DIVIDE
from oracle.times import floor_hop


class TestWindowC6:
    source = events(("a", 0, 1), ("a", HOUR, 2), ("a", 2 * HOUR, 4))
    last_hour = Feature("f", SUM, "1h")

    def test_left_edge_inside_right_edge_outside(self):
        # [1h, 2h) holds the row at 1h; the row at 2h itself never counts itself.
        assert read(self.last_hour, self.source, 2 * HOUR).value == 2
        # One microsecond later: (1h is out, 2h is in).
        assert read(self.last_hour, self.source, 2 * HOUR + 1).value == 4
        assert read(self.last_hour, self.source, 2 * HOUR - 1).value == 2

    def test_offset_moves_both_edges(self):
        # [t - 2h, t - 1h): at 2h that is [0h, 1h), the row at 0.
        feature = Feature("f", SUM, "1h", offset="1h")
        assert read(feature, self.source, 2 * HOUR).value == 1
        assert read(feature, self.source, 2 * HOUR + 1).value == 2
        assert read(feature, self.source, 3 * HOUR).value == 2

    def test_tail_hop_rounds_the_left_edge_down(self):
        # At 1h30 the edge is floor(30m, 1h) = 0: rows at 0 and 1h.
        feature = Feature("f", SUM, "1h", tail_hop="1h")
        assert read(feature, self.source, HOUR + 30 * MINUTE).value == 3
        assert read(feature, self.source, 2 * HOUR - 1).value == 3
        assert read(feature, self.source, 2 * HOUR).value == 2
        # Any positive hop: floor(2h - 1h, 7 us) = 3,599,999,998 (7 * 514,285,714).
        odd = Feature("f", SUM, "1h", tail_hop="7us")
        near = events(("a", 3_599_999_998, 1), ("a", 3_599_999_997, 2))
        assert read(odd, near, 2 * HOUR).value == 1

    def test_hops_count_from_the_epoch_weeks_from_a_monday(self):
        assert floor_hop(-1, HOUR) == -HOUR
        assert floor_hop(at("2024-01-03 12:00"), WEEK) == at("2024-01-01")  # a Monday
        assert floor_hop(at("1970-01-04 12:00"), WEEK) == at("1969-12-29")
        # Two weeks: Mondays 1970-01-05, 1970-01-19, ...; 3 days: 1970-01-01, -04, ...
        assert floor_hop(at("1970-01-18"), 2 * WEEK) == at("1970-01-05")
        assert floor_hop(at("1970-01-06"), 3 * DAY) == at("1970-01-04")

    def test_lifetime_has_no_left_edge(self):
        feature = Feature("f", SUM, "lifetime")
        assert [read(feature, self.source, t).value for t in (0, 1, 9 * WEEK)] == [None, 1, 7]
        shifted = Feature("f", SUM, "lifetime", offset="1h")
        assert read(shifted, self.source, 2 * HOUR).value == 1

    def test_a_window_is_total(self):
        count = Feature("n", COUNT, "1h")
        assert read(count, self.source, DAY) == (0, "PRESENT", DAY)  # emptied by time
        assert read(count, self.source, DAY, k="z") == (0, "PRESENT", DAY)  # never seen
        assert read(self.last_hour, self.source, DAY) == (None, "NULL_VALUE", DAY)

    def test_only_known_rows_count(self):
        source = arriving(("a", 5, 5, 1), ("a", 6, 50, 2))
        feature = Feature("f", SUM, "1h")
        assert [read(feature, source, t).value for t in (49, 50)] == [1, 3]

    def test_a_row_that_arrives_after_its_window_never_counts(self):
        source = arriving(("a", 0, 3 * HOUR, 1))
        assert read(Feature("n", COUNT, "1h"), source, 3 * HOUR).value == 0


class TestSequenceC7:
    source = events(("a", 1, 1.0), ("a", 2, 2.0), ("a", 3, 6.0), ("b", 2, 100.0))

    def test_frame_of_the_last_rows_the_row_included(self):
        feature = Feature("f", Aggregate("avg", X), rows=2)
        assert [read(feature, self.source, t).value for t in (1, 2, 3)] == [None, 1.5, 4.0]

    def test_min_rows(self):
        feature = Feature("f", SUM, rows=3, min_rows=1)
        assert [read(feature, self.source, t).value for t in (0, 1, 2, 3)] == [None, 1.0, 3.0, 9.0]
        assert read(feature, self.source, 0).status == "NOT_FOUND"
        assert read(Feature("f", SUM, rows=4), self.source, 9) == (None, "NULL_VALUE", 3)

    def test_a_late_row_replays_the_rows_after_it(self):
        source = arriving(("a", 1, 1, 1.0), ("a", 3, 3, 6.0), ("a", 2, 10, 2.0))
        feature = Feature("f", Lag(X))
        # Until 10 the predecessor of the row at 3 is the one at 1, then the one at 2.
        assert [read(feature, source, t).value for t in (3, 9, 10)] == [1.0, 1.0, 2.0]
        assert read(feature, source, 10).event_time == 3

    def test_rows_of_later_event_time_are_no_predecessors(self):
        source = arriving(("a", 1, 1, 1.0), ("a", 3, 0, 6.0))
        assert read(Feature("f", SUM, rows=1), source, 2).value == 1.0

    def test_ema_and_wilder(self):
        source = events(("a", 1, 1.0), ("a", 2, None), ("a", 3, 2.0), ("a", 4, 6.0))
        # Seeded by the mean of the first two values, 1.5; alpha 2/3: 1.5 + 2/3 * 4.5 = 4.5.
        ema = Feature("f", Ema(X, 2))
        assert [read(ema, source, t).value for t in (1, 2, 3, 4)] == [None, None, 1.5, 4.5]
        # Alpha 1/2: 1.5 + 0.5 * 4.5 = 3.75.
        assert read(Feature("f", Ema(X, 2, wilder=True)), source, 4).value == 3.75

    def test_read_as_a_lookup_with_its_ttl(self):
        feature = Feature("f", SUM, rows=2)
        assert read(feature, self.source, HOUR + 3, ttl="1h").value == 8.0
        assert read(feature, self.source, HOUR + 4, ttl="1h").status == "OUTSIDE_MAX_AGE"

    def test_a_corrected_version_replaces_its_row(self):
        source = versions(("a", 1, 1, 1, 1.0), ("a", 2, 2, 2, 5.0), ("a", 1, 1, 9, 3.0))
        feature = Feature("f", SUM, rows=2)
        assert [read(feature, source, t).value for t in (8, 9)] == [6.0, 8.0]


class TestTickC8:
    def test_the_value_is_that_of_the_latest_tick(self):
        source = events(("a", 0, 1), ("a", HOUR, 2))
        found = [
            read(Feature("f", X), source, t, ticks=Ticks("1h")).value
            for t in (HOUR - 1, HOUR, HOUR + MINUTE)
        ]
        assert found == [1, 2, 2]
        # A row within the tick waits for the next one.
        source = events(("a", 0, 1), ("a", 1, 2))
        assert read(Feature("f", X), source, HOUR - 1, ticks=Ticks("1h")).value == 1

    def test_windows_are_taken_at_the_tick(self):
        source = events(("a", 30 * MINUTE, 1), ("a", HOUR, 1))
        feature = Feature("n", COUNT, "1h")
        # At 1h59 the tick is 1h, its window [0h, 1h); at 2h it is [1h, 2h).
        assert read(feature, source, 2 * HOUR - 1, ticks=Ticks("1h")) == (1, "PRESENT", HOUR)
        assert read(feature, source, 2 * HOUR, ticks=Ticks("1h")) == (1, "PRESENT", 2 * HOUR)

    def test_delay_lets_rows_arrive_and_hides_the_tick_meanwhile(self):
        source = arriving(
            ("a", 30 * MINUTE, HOUR + 10 * MINUTE, 1), ("a", 40 * MINUTE, HOUR + 11 * MINUTE, 1)
        )
        feature = Feature("n", COUNT, "1h")

        def count(t):
            return read(feature, source, t, ticks=Ticks("1h"), data_delay="10m")

        # Tick 1h is seen from 1h10 on, over rows known by 1h10: the first only.
        assert count(HOUR + 10 * MINUTE - 1) == (0, "PRESENT", 0)
        assert count(HOUR + 10 * MINUTE) == (1, "PRESENT", HOUR)
        # And stays what it was, though the second row is known at 1h11.
        assert count(2 * HOUR) == (1, "PRESENT", HOUR)

    def test_delay_admits_late_rows_not_later_events(self):
        source = arriving(("a", HOUR, 0, 1), ("a", HOUR + 1, 0, 2))
        found = read(Feature("f", X), source, 2 * HOUR - 1, ticks=Ticks("1h"), data_delay="10m")
        assert found == (1, "PRESENT", HOUR)

    def test_days_weeks_and_odd_durations(self):
        t = at("2024-01-03 12:00")  # a Wednesday
        assert Ticks("1d").latest(t) == at("2024-01-03")
        assert Ticks("7d").latest(t) == at("2024-01-01")
        # 5h from the epoch: 2024-01-03 is day 19,725, hour 473,400 = 94,680 * 5.
        assert Ticks("5h").latest(t) == at("2024-01-03 10:00")
        assert Ticks("1d").latest(at("1969-12-31 12:00")) == at("1969-12-31")

    def test_at_and_timezone(self):
        close = Ticks("1d", "17:30", "America/New_York")
        # New York is UTC-5 in winter, UTC-4 in summer: 22:30 and 21:30 UTC.
        assert close.latest(at("2024-01-10 22:30")) == at("2024-01-10 22:30")
        assert close.latest(at("2024-01-10 22:30") - 1) == at("2024-01-09 22:30")
        assert close.latest(at("2024-07-10 21:30")) == at("2024-07-10 21:30")
        # The clocks move on 2024-03-10: 23 hours between two ticks.
        assert close.latest(at("2024-03-10 21:30")) == at("2024-03-10 21:30")
        assert close.latest(at("2024-03-10 21:30") - 1) == at("2024-03-09 22:30")

    def test_at_a_time_that_is_skipped_or_shown_twice(self):
        night = Ticks("1d", "02:30", "America/New_York")
        # 2024-03-10 has no 02:30; by the clock before the jump (UTC-5) it is 07:30 UTC.
        assert night.latest(at("2024-03-10 12:00")) == at("2024-03-10 07:30")
        early = Ticks("1d", "01:30", "America/New_York")
        # 2024-11-03 shows 01:30 twice; the first is 05:30 UTC (UTC-4).
        assert early.latest(at("2024-11-03 12:00")) == at("2024-11-03 05:30")

    def test_weekly_ticks_in_a_zone_are_mondays_there(self):
        # Monday 2024-01-08 00:00 in Tokyo is Sunday 15:00 UTC.
        tokyo = Ticks("7d", None, "Asia/Tokyo")
        assert tokyo.latest(at("2024-01-07 15:00")) == at("2024-01-07 15:00")
        assert tokyo.latest(at("2024-01-07 15:00") - 1) == at("2023-12-31 15:00")

    def test_sequences_at_ticks(self):
        source = events(("a", 0, 1.0), ("a", 1, 2.0), ("a", HOUR + 1, 4.0))
        feature = Feature("f", SUM, rows=2)
        assert read(feature, source, 2 * HOUR - 1, ticks=Ticks("1h")).value == 3.0
        assert read(feature, source, 2 * HOUR, ticks=Ticks("1h")).value == 6.0


class TestAgeC9:
    def test_age_counts_to_t_not_to_the_tick(self):
        source = events(("a", 0, 1))
        feature = Feature("f", X)
        options = {"ticks": Ticks("1h"), "ttl": "90m"}
        # At 1h30 the row is 90 minutes old; a microsecond later it is too old, the tick being 1h.
        assert read(feature, source, 90 * MINUTE, **options).value == 1
        assert read(feature, source, 90 * MINUTE + 1, **options).status == "OUTSIDE_MAX_AGE"

    def test_a_window_has_no_age_offline(self):
        source = events(("a", 0, 1))
        feature = Feature("n", COUNT, "lifetime")
        assert read(feature, source, 9 * WEEK, ttl="1h").value == 1

    def test_without_ttl_any_age(self):
        assert lookup(events(("a", 0, 1)), 5_000 * WEEK) == 1

    def test_the_latest_row_decides_not_the_latest_young_one(self):
        # The known-ahead order: the last row is null and young, so the value is null.
        source = events(("a", 0, 1), ("a", 1, None))
        assert read(Feature("f", X), source, 1 + HOUR, ttl="1h").status == "NULL_VALUE"


class TestDerivedC10:
    ratio = Feature("ratio", Apply(DIVIDE, Input("x"), Input("n")))

    def project(self, *, ticks=None, **view):
        source = events(("a", 0, 6), ("a", HOUR, 9))
        base = (Feature("x", X), Feature("n", COUNT, "1d", **view.pop("n", {})))
        first = View("first", base, source, ("k",))
        return Oracle([first, View("second", (self.ratio,), None, ("k",), ticks, **view)])

    def test_inputs_by_their_own_rules(self):
        # At 2h: x is 9 (the row at 1h), n counts both rows.
        assert self.project().value("ratio", {"k": "a"}, 2 * HOUR).value == 4.5
        # At 1h: x is 9 already, n does not count the row at 1h itself.
        assert self.project().value("ratio", {"k": "a"}, HOUR).value == 9.0

    def test_at_its_own_tick(self):
        oracle = self.project(ticks=Ticks("1h"))
        assert oracle.value("ratio", {"k": "a"}, 2 * HOUR - 1).value == 9.0

    def test_event_time_is_the_oldest_of_the_inputs(self):
        found = self.project().value("ratio", {"k": "a"}, 2 * HOUR)
        assert found.event_time == HOUR  # x's row; n is of 2h

    def test_an_input_default_goes_in(self):
        source = events(("a", 0, None))
        features = (
            Feature("x", X, default=7),
            Feature("double", Apply(ADD, Input("x"), Input("x"))),
        )
        oracle = Oracle([View("v", features, source, ("k",))])
        assert oracle.value("double", {"k": "a"}, 5).value == 14
        assert oracle.value("double", {"k": "z"}, 5).value == 14

    def test_default_replaces_what_is_not_present_and_keeps_the_status(self):
        source = events(("a", 5, 1), ("b", 5, None))
        feature = Feature("f", X, default=-1)
        assert read(feature, source, 9) == (1, "PRESENT", 5)
        assert read(feature, source, 9, k="b") == (-1, "NULL_VALUE", 5)
        assert read(feature, source, 9, k="z") == (-1, "NOT_FOUND", None)
        assert read(feature, source, 9, k=None) == (-1, "NOT_FOUND", None)
        assert read(feature, source, 9 + HOUR, ttl="1h") == (-1, "OUTSIDE_MAX_AGE", 5)

    def test_default_of_a_window(self):
        source = events(("a", 5, 1))
        assert read(Feature("f", SUM, "1h", default=0), source, DAY).value == 0
        assert read(Feature("n", COUNT, "1h", default=9), source, DAY).value == 0  # PRESENT

    def test_a_null_key_is_null_whatever_the_expression(self):
        features = (Feature("x", X), Feature("y", Apply(COALESCE, Input("x"), Input("x"))))
        oracle = Oracle([View("v", features, events(("a", 5, 1)), ("k",))])
        assert oracle.value("y", {"k": None}, 9) == (None, "NOT_FOUND", None)

    def test_siblings_share_the_tick_even_with_a_delay(self):
        # Tick 1h is visible from 1h10; the sibling is that of 1h, not the one visible at 1h.
        source = events(("a", 30 * MINUTE, 5))
        features = (Feature("x", X), Feature("y", Apply(ADD, Input("x"), Input("x"))))
        view = View("v", features, source, ("k",), Ticks("1h"), "10m")
        assert Oracle([view]).value("y", {"k": "a"}, HOUR + 10 * MINUTE).value == 10

    def test_siblings_are_aged_as_their_reader_sees_them(self):
        # At 1h30 x is 90 minutes old: just within its ttl, and gone a microsecond later.
        features = (Feature("x", X, default=7), Feature("y", Apply(ADD, Input("x"), Input("x"))))
        view = View("v", features, events(("a", 0, 5)), ("k",), Ticks("1h"), ttl="90m")
        assert Oracle([view]).value("y", {"k": "a"}, 90 * MINUTE).value == 10
        assert Oracle([view]).value("y", {"k": "a"}, 90 * MINUTE + 1).value == 14

    def test_as_of_is_t_or_the_tick(self):
        source = events(("a", 0, 1))
        assert read(Feature("f", AsOf()), source, 90 * MINUTE).value == datetime(
            1970, 1, 1, 1, 30, tzinfo=UTC
        )
        ticked = read(Feature("f", AsOf()), source, 90 * MINUTE, ticks=Ticks("1h"))
        assert ticked.value == datetime(1970, 1, 1, 1, tzinfo=UTC)

    def test_entities_of_inputs_are_read_by_their_own_keys(self):
        users = View("users", (Feature("u", Column("x")),), events(("a", 5, 1)), ("k",))
        items = Source("i", rows("item event_time x", ("i", 5, 2)))
        both = Feature("both", Apply(ADD, Input("u"), Input("i")))
        oracle = Oracle(
            [
                users,
                View("items", (Feature("i", X),), items, ("item",)),
                View("pairs", (both,), None, ("k", "item")),
            ]
        )
        assert oracle.value("both", {"k": "a", "item": "i"}, 9).value == 3
        assert oracle.value("both", {"k": "a", "item": "z"}, 9).value is None
