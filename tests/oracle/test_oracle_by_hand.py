"""C1 to C5 by hand: each answer is written down with the reason for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from oracle import (
    HOUR,
    Apply,
    Feature,
    Input,
    Nanos,
    Oracle,
    Ref,
    Source,
    View,
)
from oracle.cases import COUNT, X, arriving, at, events, lookup, read, rows, versions, view_of
from oracle.scalars import ADD
from oracle.times import source_instant, spine_instant


class TestSpineC1:
    def test_rows_and_columns_stay_in_their_order(self):
        oracle = Oracle([view_of(Feature("f", X), events(("a", 5, 1), ("b", 6, 2)))])
        spine = rows("label k event_timestamp", (0, "b", 9), (1, "a", 9), (1, "a", 9), (0, "z", 9))
        # The spine's rows as they came (the double stays double), then f; z has no row.
        assert oracle.training_set(spine, ["f"]) == [
            {"label": 0, "k": "b", "event_timestamp": 9, "f": 2},
            {"label": 1, "k": "a", "event_timestamp": 9, "f": 1},
            {"label": 1, "k": "a", "event_timestamp": 9, "f": 1},
            {"label": 0, "k": "z", "event_timestamp": 9, "f": None},
        ]

    def test_features_stand_in_the_requested_order(self):
        view = View("v", (Feature("f", X), Feature("g", COUNT, "1d")), events(("a", 5, 1)), ("k",))
        found = Oracle([view]).training_set(rows("k when", ("a", 9)), ["g", "f"], "when")
        assert list(found[0]) == ["k", "when", "g", "f"]

    def test_composite_keys_do_not_collide(self):
        # ("1", "11") and ("11", "1") are the same text once joined, and two keys.
        source = Source("s", rows("p q event_time x", ("1", "11", 5, 1), ("11", "1", 5, 2)))
        oracle = Oracle([View("v", (Feature("f", X),), source, ("p", "q"))])
        assert oracle.value("f", {"p": "1", "q": "11"}, 9).value == 1
        assert oracle.value("f", {"p": "11", "q": "1"}, 9).value == 2
        assert oracle.value("f", {"p": "11", "q": "11"}, 9).value is None

    def test_a_null_key_part_is_not_found_everywhere(self):
        source = Source("s", rows("p q event_time x", ("1", None, 5, 1), ("1", "2", 5, 2)))
        features = (Feature("f", X), Feature("g", COUNT, "1d"), Feature("h", Input("g")))
        oracle = Oracle([View("v", features, source, ("p", "q"))])
        # Not even the count over no rows, and not the source's row with the same null.
        for name in ("f", "g", "h"):
            assert oracle.value(name, {"p": "1", "q": None}, 9) == (None, "NOT_FOUND", None)

    def test_two_outputs_of_one_name_are_an_error(self):
        oracle = Oracle([view_of(Feature("f", X), events(("a", 5, 1)))])
        with pytest.raises(ValueError, match="alias="):
            oracle.training_set(rows("k event_timestamp", ("a", 9)), ["f", "f"])
        with pytest.raises(ValueError, match="alias="):
            oracle.training_set(rows("k f event_timestamp", ("a", 1, 9)), ["f"])
        refs = ["f", Ref("f", alias="g")]
        found = oracle.training_set(rows("k event_timestamp", ("a", 9)), refs)
        assert (found[0]["f"], found[0]["g"]) == (1, 1)

    def test_no_entity_is_one_key_for_all(self):
        source = Source("s", rows("k event_time x", ("a", 5, 1), (None, 6, 2)))
        # Without keys the rows of everybody, null in `k` or not, are one sequence: 6 is latest.
        assert lookup(source, 9, keys=()) == 2


class TestTimeC2:
    def test_naive_is_utc_and_zones_are_instants(self):
        berlin = datetime(2024, 7, 1, 14, tzinfo=ZoneInfo("Europe/Berlin"))  # UTC+2 in July
        minus5 = datetime(2024, 7, 1, 7, tzinfo=timezone(timedelta(hours=-5)))
        noon = at("2024-07-01 12:00")
        naive = datetime.fromisoformat("2024-07-01 12:00")
        same = (berlin, minus5, naive, datetime(2024, 7, 1, 12, tzinfo=UTC))
        assert [source_instant(t) for t in same] == [noon] * 4
        assert [spine_instant(t) for t in same] == [noon] * 4

    def test_finer_stamps_round_away_from_a_leak(self):
        # Source times up, spine times down; -1 ns is between -1 and 0 microseconds.
        assert (source_instant(Nanos(1_001)), spine_instant(Nanos(1_001))) == (2, 1)
        assert (source_instant(Nanos(2_000)), spine_instant(Nanos(2_000))) == (2, 2)
        assert (source_instant(Nanos(-1)), spine_instant(Nanos(-1))) == (0, -1)
        # Both stamps in one microsecond: the row at 1,001 ns counts from 2 us on only.
        source = events(("a", Nanos(1_001), 7))
        assert lookup(source, Nanos(1_999)) is None
        assert lookup(source, Nanos(2_000)) == 7

    def test_a_date_ends_in_a_source_and_begins_in_a_spine(self):
        bar = events(("a", date(2024, 3, 1), 7))
        assert lookup(bar, date(2024, 3, 1)) is None  # the morning of the day
        assert lookup(bar, at("2024-03-01 23:59:59.999999")) is None
        assert lookup(bar, at("2024-03-02")) == 7  # the next midnight, inclusive
        assert lookup(bar, date(2024, 3, 2)) == 7

    def test_a_date_as_available_at_is_the_end_of_that_day(self):
        source = arriving(("a", at("2024-03-01 10:00"), date(2024, 3, 1), 7))
        assert lookup(source, at("2024-03-02") - 1) is None
        assert lookup(source, at("2024-03-02")) == 7

    def test_null_event_time_is_quarantined_null_available_at_is_event_time(self):
        assert lookup(arriving(("a", None, 1, 7)), 9) is None
        source = arriving(("a", 5, None, 7))
        assert (lookup(source, 4), lookup(source, 5)) == (None, 7)

    def test_before_1970(self):
        source = events(("a", at("1950-06-01"), 7))
        assert lookup(source, at("1950-06-01") - 1) is None
        assert lookup(source, at("1950-06-01")) == 7


class TestKnowledgeC3:
    def test_a_late_row_exists_from_its_arrival(self):
        source = arriving(("a", 5, 20, 7))
        assert (lookup(source, 19), lookup(source, 20)) == (None, 7)

    def test_a_row_known_ahead_waits_for_its_event_time(self):
        source = arriving(("a", 20, 5, 7))
        assert (lookup(source, 19), lookup(source, 20)) == (None, 7)

    def test_the_newest_known_version_of_an_id(self):
        source = versions(("a", 1, 5, 5, 10), ("a", 1, 5, 20, 11), ("a", 1, 5, 30, 12))
        found = [lookup(source, t) for t in (5, 19, 20, 29, 30)]
        assert found == [10, 10, 11, 11, 12]

    def test_a_version_moves_in_event_time(self):
        # id 1 says 15, then (known at 20) that it was 5; id 2 lies at 10 throughout.
        source = versions(("a", 1, 15, 15, 1), ("a", 2, 10, 10, 2), ("a", 1, 5, 20, 3))
        assert lookup(source, 19) == 1
        assert lookup(source, 20) == 2  # id 1 now lies at 5, before id 2
        # And into the future: nothing is left of it until then.
        source = versions(("a", 1, 5, 5, 1), ("a", 1, 50, 20, 3))
        assert [lookup(source, t) for t in (19, 20, 49, 50)] == [1, None, None, 3]

    def test_versions_known_at_one_instant_go_by_order(self):
        # Both known at 20: the later in C4's order, event time 6, is the fact.
        source = versions(("a", 1, 6, 20, 1), ("a", 1, 5, 20, 2))
        assert lookup(source, 20) == 1
        assert read(Feature("n", COUNT, "lifetime"), source, 21).value == 1

    def test_null_ids_and_no_ids_are_facts_of_their_own(self):
        count = Feature("n", COUNT, "lifetime")
        source = versions(("a", None, 5, 5, 1), ("a", None, 5, 5, 1), ("a", 1, 6, 6, 1))
        assert read(count, source, 9).value == 3
        assert read(count, events(("a", 5, 1), ("a", 5, 1)), 9).value == 2

    def test_one_version_delivered_twice_is_one_fact(self):
        count = Feature("n", COUNT, "lifetime")
        source = versions(("a", 1, 5, 5, 1), ("a", 1, 5, 5, 1), ("a", 2, 5, 5, 1))
        assert read(count, source, 9).value == 2

    def test_a_quarantined_row_is_no_version(self):
        source = versions(("a", 1, 5, 5, 1), ("a", 1, None, 8, 2))
        assert lookup(source, 9) == 1

    def test_switched_off(self):
        # Every row from its event time on, in its last version.
        source = versions(("a", 1, 5, 100, 1), ("a", 2, 4, 50, 2), ("a", 1, 5, 200, 3))
        assert lookup(source, 9) is None
        assert lookup(source, 9, knowledge=False) == 3
        assert lookup(source, 4, knowledge=False) == 2

    def test_without_available_at_it_is_event_time(self):
        source_rows = rows("k id event_time x", ("a", 1, 5, 1), ("a", 1, 8, 2))
        source = Source("s", source_rows, id=("id",))
        count = Feature("n", COUNT, "lifetime")
        assert [lookup(source, t) for t in (7, 8)] == [1, 2]
        assert [read(count, source, t).value for t in (8, 9)] == [0, 1]


class TestOrderC4:
    def test_event_time_then_available_at(self):
        assert lookup(arriving(("a", 5, 9, 1), ("a", 6, 6, 2)), 9) == 2
        assert lookup(arriving(("a", 5, 9, 1), ("a", 5, 6, 2)), 9) == 1

    def test_then_sequence_with_nulls_first(self):
        source_rows = rows("k event_time x n", ("a", 5, 9, None), ("a", 5, 8, -3), ("a", 5, 7, -4))
        assert lookup(Source("s", source_rows, sequence="n"), 9) == 8
        assert lookup(Source("s", source_rows[:1] + source_rows[2:], sequence="n"), 9) == 7

    def test_then_the_encoding_column_by_column(self):
        # Columns by name: `b` decides before `x`.
        source_rows = rows("k event_time x b", ("a", 5, 1, 2), ("a", 5, 9, 1))
        assert lookup(Source("s", source_rows), 9) == 1
        # Bytes, not numbers: -1 is 0xff, 100 is 0x64; null (0xc0) lies between them.
        assert lookup(events(("a", 5, -1), ("a", 5, 100)), 9) == -1
        assert lookup(events(("a", 5, None), ("a", 5, 100)), 9) is None
        assert lookup(events(("a", 5, None), ("a", 5, -1)), 9) == -1
        # 200 is 0xcc 0xc8, 300 is 0xcd ..., -200 is 0xd1 ...
        assert lookup(events(("a", 5, 200), ("a", 5, 300), ("a", 5, -200)), 9) == -200
        # A short text is its length, then its bytes: "b" (0xa1) before "aa" (0xa2).
        assert lookup(events(("a", 5, "b"), ("a", 5, "aa")), 9) == "aa"
        # Negative floats have the sign bit set: the more negative, the greater.
        assert lookup(events(("a", 5, -2.0), ("a", 5, -1.0), ("a", 5, 7.0)), 9) == -2.0

    @pytest.mark.parametrize("turn", [1, -1])
    def test_arrival_decides_nothing(self, turn):
        source = events(*[("a", 5, x) for x in (3, 9, 1, 7)][::turn])
        assert lookup(source, 9) == 9


class TestLookupC5:
    def test_the_last_row_at_or_before_t(self):
        source = events(("a", 5, 1), ("a", 8, 2), ("b", 7, 3))
        assert [lookup(source, t) for t in (4, 5, 7, 8, 99)] == [None, 1, 1, 2, 2]

    def test_ttl_bound_is_inside(self):
        source = events(("a", 5, 1))
        feature = Feature("f", X)
        assert read(feature, source, 5 + HOUR, ttl="1h") == (1, "PRESENT", 5)
        assert read(feature, source, 6 + HOUR, ttl="1h") == (None, "OUTSIDE_MAX_AGE", 5)
        assert read(feature, source, 4, ttl="1h") == (None, "NOT_FOUND", None)

    def test_a_null_of_the_latest_row_is_its_value(self):
        source = events(("a", 5, 1), ("a", 8, None))
        assert read(Feature("f", X), source, 9) == (None, "NULL_VALUE", 8)

    def test_a_row_level_expression(self):
        source = events(("a", 5, 1))
        assert read(Feature("f", Apply(ADD, X, X)), source, 9).value == 2
