"""Feast's point-in-time conformance cases 1 to 30, as far as they apply, with our answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from oracle import DAY, HOUR, SECOND, Column, Feature, Oracle, Ref, Source, View
from oracle.cases import COUNT, X, arriving, at, events, lookup, read, rows, view_of

T = at("2024-05-01 12:00")
F = Feature("f", X)


def training(source, *spine, **view):
    oracle = Oracle([view_of(F, source, **view)])
    found = oracle.training_set(rows("k event_timestamp", *spine), ["f"])
    return [row["f"] for row in found]


def test_01_02_a_row_before_or_at_the_timestamp():
    assert training(events(("a", T - HOUR, 1)), ("a", T), ttl="2h") == [1]
    assert training(events(("a", T, 1)), ("a", T), ttl="2h") == [1]


def test_03_at_the_ttl_and_a_second_older():
    assert training(events(("a", T - HOUR, 1)), ("a", T), ttl="1h") == [1]
    assert training(events(("a", T - HOUR - SECOND, 1)), ("a", T), ttl="1h") == [None]


@pytest.mark.parametrize(("event_time", "key"), [(T + 1, "a"), (T - DAY, "a"), (T, "z"), (T, None)])
def test_04_to_07_the_row_is_kept_with_null(event_time, key):
    # Only a future row, only one older than the ttl, an unknown key, a null key.
    assert training(events(("a", event_time, 1)), (key, T), ttl="1h") == [None]


def test_08_the_greatest_event_time():
    source = events(("a", T - 2 * HOUR, 1), ("a", T - HOUR, 2), ("a", T - 3 * HOUR, 3))
    assert training(source, ("a", T)) == [2]


def test_09_one_event_time_the_later_available():
    source = arriving(("a", T - HOUR, T - 20, 10), ("a", T - HOUR, T - 10, 20))
    assert training(source, ("a", T)) == [20]


def test_10_event_time_goes_before_available_at():
    source = arriving(("a", T - DAY, T - 1, 30), ("a", T - HOUR, T - HOUR, 40))
    assert training(source, ("a", T)) == [40]


def test_11_three_of_one_event_time():
    source = arriving(*(("a", T - DAY, T - lag, lag) for lag in (30, 10, 20)))
    assert training(source, ("a", T)) == [10]


def test_12_knowledge_is_on_unless_switched_off():
    source = arriving(("a", T, T, 10), ("a", T, T + 2 * DAY, 20), ("b", T, T + 2 * DAY, 5))
    # Feast answers 20 unless asked; here what was not known is not used unless asked.
    assert lookup(source, T + DAY) == 10
    assert lookup(source, T + DAY, knowledge=False) == 20
    assert lookup(source, T + DAY, k="b") is None
    # A null available_at is the event time (Feast leaves the row out).
    assert lookup(arriving(("a", T, None, 7)), T + DAY) == 7
    # Without available_at there is nothing to switch off.
    plain = events(("a", T, 7))
    assert lookup(plain, T + DAY) == lookup(plain, T + DAY, knowledge=False) == 7


def test_13_no_ttl_no_limit():
    assert training(events(("a", T - 9_000 * DAY, 1)), ("a", T)) == [1]


def test_14_same_key_and_time_with_different_labels():
    oracle = Oracle([view_of(F, events(("a", T, 1)))])
    spine = rows("k event_timestamp label", ("a", T, 0), ("a", T, 1))
    found = oracle.training_set(spine, ["f"])
    assert [(row["label"], row["f"]) for row in found] == [(0, 1), (1, 1)]


def test_15_views_of_two_entities():
    drivers = View("drivers", (F,), events(("a", T, 1)), ("k",))
    source = Source("c", rows("customer event_time x", (1, T, 10), (2, T, 20)))
    customers = View("customers", (Feature("g", X),), source, ("customer",))
    spine = rows("k customer event_timestamp", ("a", 1, T), ("a", 2, T))
    found = Oracle([drivers, customers]).training_set(spine, ["f", "g"])
    assert [(row["f"], row["g"]) for row in found] == [(1, 10), (1, 20)]


def test_16_composite_keys():
    source = Source("s", rows("p q event_time x", ("1", "11", T, 1), ("11", "1", T, 2)))
    oracle = Oracle([view_of(F, source, keys=("p", "q"))])
    spine = rows("p q event_timestamp", ("11", "1", T), ("1", "11", T))
    assert [row["f"] for row in oracle.training_set(spine, ["f"])] == [2, 1]


def test_17_zones():
    berlin = datetime(2024, 5, 1, 14, tzinfo=ZoneInfo("Europe/Berlin"))
    pacific = datetime(2024, 5, 1, 5, tzinfo=ZoneInfo("US/Pacific"))
    fixed = datetime(2024, 5, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    same = (berlin, pacific, fixed, noon, noon.replace(tzinfo=None))
    for stamp in same:
        source = events(("a", stamp, 1))
        assert training(source, *(("a", other) for other in same)) == [1] * 5
        assert training(source, ("a", T - 1)) == [None]


def test_18_another_name_of_the_timestamp():
    oracle = Oracle([view_of(F, events(("a", T, 1)))])
    assert oracle.training_set(rows("k seen", ("a", T)), ["f"], "seen")[0]["f"] == 1


def test_21_equal_names_need_an_alias():
    oracle = Oracle([view_of(F, events(("a", T, 1)))])
    with pytest.raises(ValueError, match="alias="):
        oracle.training_set(rows("k event_timestamp", ("a", T)), ["f", "f"])


def test_22_one_view_under_two_names():
    source = Source("w", rows("place event_time x", ("paris", T, 20), ("rome", T, 30)))
    oracle = Oracle([view_of(F, source, keys=("place",))])
    refs = [Ref("f", f"{name}_f", {"place": name}) for name in ("origin", "destination")]
    spine = rows("origin destination event_timestamp", ("paris", "rome", T), ("rome", None, T))
    found = oracle.training_set(spine, refs)
    assert [(r["origin_f"], r["destination_f"]) for r in found] == [
        (20, 30),
        (30, None),
    ]


def test_23_a_view_without_entity():
    source = Source("g", rows("event_time x", (T - DAY, 1), (T, 2)))
    oracle = Oracle([view_of(F, source, keys=())])
    spine = rows("k event_timestamp", ("a", T), ("b", T - HOUR), (None, T - 2 * DAY))
    assert [row["f"] for row in oracle.training_set(spine, ["f"])] == [2, 1, None]


def test_24_another_column_under_the_features_name():
    source = Source("s", rows("k when other", ("a", T, 7)), event_time="when")
    assert read(Feature("f", Column("other")), source, T).value == 7


def test_25_what_no_view_has_is_an_error():
    with pytest.raises(KeyError):
        Oracle([view_of(F, events(("a", T, 1)))]).value("x", {"k": "a"}, T)


def test_27_other_columns_pass_through():
    oracle = Oracle([view_of(F, events(("a", T, 1)))])
    spine = rows("z k event_timestamp", ([1], "a", T))
    assert oracle.training_set(spine, ["f"]) == [{"z": [1], "k": "a", "event_timestamp": T, "f": 1}]


def test_29_two_ttls_apart():
    source = events(("a", T - 2 * HOUR, 1))
    views = [
        View("short", (F,), source, ("k",), ttl="1h"),
        View("long", (Feature("g", X),), source, ("k",), ttl="3h"),
    ]
    found = Oracle(views).training_set(rows("k event_timestamp", ("a", T)), ["f", "g"])
    assert (found[0]["f"], found[0]["g"]) == (None, 1)


def test_30_several_views_entities_and_kinds_in_one_call():
    days = Source("d", rows("event_time x", (date(2024, 4, 30), 5)))
    views = [
        View("clicks", (Feature("n", COUNT, "1d"),), events(("a", T - HOUR, 1)), ("k",)),
        View("macro", (F,), days, ()),
    ]
    found = Oracle(views).training_set(rows("k event_timestamp", ("a", T), ("b", T)), ["f", "n"])
    assert [(row["f"], row["n"]) for row in found] == [(5, 1), (5, 0)]
