"""The edges of time by hand, a microsecond to each side, however the facts are read (C3, C5-C9).

One key is looked up in the files, a composite one is joined in SQL: each edge stands in both. Every
time is asked for alone, since the earliest time of a spine decides which rows are read at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from headwater import Entity, Feature, FeatureStore, Source
from store import shop
from store.shop import DAY, HOUR, day, event

PAIR = Entity("pair", join_keys={"user_id": "string", "kind": "string"})
LAST = [Feature("last_items", "items")]
COUNT = [Feature("events_1d", "count(*)", window="1d")]
FACTS = Source(
    "facts", path="events*.parquet", event_time="event_time", available_at="known", id="event_id"
)

pytestmark = pytest.mark.parametrize("entity", [shop.USER, PAIR], ids=["one key", "two keys"])


@pytest.fixture
def ask(make, entity):
    """The value of the only feature of a view over these rows, at each time."""

    def asked(
        rows: Sequence[Any],
        features: Sequence[Feature],
        times: Sequence[int],
        *,
        knowledge: bool = True,
        **view: Any,
    ) -> list[Any]:
        store: FeatureStore = make(rows)
        store.apply([shop.view("v", features, entity=entity, **view)])
        return [_one(store, features[0].name, time, knowledge=knowledge) for time in times]

    return asked


def _one(store: FeatureStore, name: str, time: int, *, knowledge: bool) -> Any:
    spine = shop.spine(["a"], [time], kind=["view"])
    job = store.get_historical_features(spine, [name], knowledge=knowledge)
    return job.to_arrow()[name][0].as_py()


def around(time: int) -> list[int]:
    return [time - 1, time, time + 1]


def test_a_lookup_sees_the_row_of_its_own_instant(ask):
    assert ask([event("a", day(1), items=7)], LAST, around(day(1))) == [None, 7, 7]


def test_the_bound_of_a_ttl_is_inside(ask):
    found = ask([event("a", day(1), items=7)], LAST, around(day(1) + HOUR), ttl="1h")
    assert found == [7, 7, None]


def test_an_age_counts_from_the_time_of_reading_and_not_from_the_tick(ask):
    row = event("a", day(0, 12), items=7)
    times = around(day(2, 6))
    assert ask([row], LAST, times, ttl="42h", update_frequency="daily") == [7, 7, None]


def test_a_row_is_used_from_the_instant_at_which_it_is_known(ask):
    row = event("a", day(1), items=7, known=day(2))
    assert ask([row], LAST, around(day(2))) == [None, 7, 7]


def test_a_version_is_replaced_at_the_instant_at_which_the_next_is_known(ask):
    rows = [
        event("a", day(1), items=7, event_id="e"),
        event("a", day(0), items=8, known=day(2), event_id="e"),
    ]
    assert ask(rows, LAST, around(day(2)), source=FACTS) == [7, 8, 8]


def test_a_row_whose_availability_is_null_is_known_at_its_event_time(ask):
    """Of two rows of one instant it is the later one, since the other was known before (C4)."""
    rows = [event("a", day(1), items=7, known=None), event("a", day(1), items=8, known=day(0))]
    assert ask(rows, LAST, around(day(1))) == [None, 7, 7]


def test_a_column_hides_a_feature_of_its_name(make, entity):
    """`items` is the source's integer in the view's other expressions (C11)."""
    store = make([event("a", day(1), items=7)])
    features = [Feature("items", "kind"), Feature("more", "items + 1")]
    store.apply([shop.view("v", features, entity=entity)])
    assert _one(store, "more", day(2), knowledge=True) == 8


@pytest.mark.parametrize("knowledge", [True, False])
def test_an_id_belongs_to_one_key(make, entity, knowledge):
    """What another key calls by the same id is another fact."""
    rows = [
        event("a", day(1), items=7, event_id="e"),
        event("b", day(1), items=8, known=day(2), event_id="e"),
    ]
    store = make(rows)
    store.apply([shop.view("v", LAST, entity=entity, source=FACTS)])
    spine = shop.spine(["a", "b"], [day(3)] * 2, kind=["view"] * 2)
    job = store.get_historical_features(spine, ["last_items"], knowledge=knowledge)
    assert job.to_arrow()["last_items"].to_pylist() == [7, 8]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("first(items)", None),
        ("last(items)", None),
        ("last_k(items, 2)", [5, None]),
        ("first(items) FILTER (WHERE items IS NOT NULL)", 3),
        ("count(items)", 2),
        ("count(*)", 4),
        ("sum(items)", 8),
        ("min(items)", 3),
    ],
)
@pytest.mark.parametrize("frame", [{"window": "1d"}, {"rows": 4}], ids=["window", "rows"])
def test_first_and_last_keep_nulls_and_the_other_aggregates_skip_them(
    ask, frame, expression, expected
):
    rows = [event("a", day(1, hour), items=n) for hour, n in enumerate([None, 3, 5, None])]
    assert ask(rows, [Feature("value", expression, **frame)], [day(1, 5)]) == [expected]


def test_a_window_begins_with_its_left_edge_and_ends_before_its_right_one(ask):
    row = event("a", day(1))
    assert ask([row], COUNT, [*around(day(1)), *around(day(2))]) == [0, 0, 1, 1, 1, 0]


def test_a_window_with_an_offset(ask):
    moved = [Feature("events_1d", "count(*)", window="1d", offset="2h")]
    times = [*around(day(1, 2)), *around(day(2, 2))]
    assert ask([event("a", day(1))], moved, times) == [0, 0, 1, 1, 1, 0]


def test_a_window_whose_left_edge_is_rounded_down(ask):
    rounded = [Feature("events_1d", "count(*)", window="1d", tail_hop="6h")]
    assert ask([event("a", day(1))], rounded, around(day(2, 6))) == [1, 0, 0]


def test_a_late_row_counts_in_a_window_once_it_is_known(ask):
    row = event("a", day(1), known=day(1, 5))
    assert ask([row], COUNT, around(day(1, 5))) == [0, 1, 1]


def test_a_tick_is_seen_once_its_delay_has_passed(ask):
    row = event("a", day(0, 23), items=7)
    times = around(day(1) + 2 * HOUR)
    assert ask([row], LAST, times, update_frequency="daily", data_delay="2h") == [None, 7, 7]


@pytest.mark.parametrize(("late", "expected"), [(0, 7), (1, None)])
def test_what_is_known_within_the_delay_belongs_to_the_tick(ask, late, expected):
    row = event("a", day(0, 23), items=7, known=day(1, 2, late))
    found = ask([row], LAST, [day(1, 3)], update_frequency="daily", data_delay="2h")
    assert found == [expected]


@pytest.mark.parametrize(("late", "expected"), [(0, 8), (1, 7)])
def test_a_version_that_is_known_within_the_delay_belongs_to_the_tick(ask, late, expected):
    rows = [
        event("a", day(0, 12), items=7, event_id="e"),
        event("a", day(0, 13), items=8, known=day(1, 2, late), event_id="e"),
    ]
    given = {"update_frequency": "daily", "data_delay": "2h", "source": FACTS}
    assert ask(rows, LAST, [day(1, 3)], **given) == [expected]


def test_a_weekly_tick_is_a_monday(ask):
    row = event("a", day(0), items=7)  # a Monday
    assert day(0) % (7 * DAY) == 4 * DAY
    assert ask([row], LAST, around(day(0)), update_frequency="weekly") == [None, 7, 7]
    assert ask([row], LAST, [day(3)], update_frequency="weekly") == [7]


def test_of_one_instant_the_greatest_sequence_is_last_and_a_null_first(ask):
    ordered = Source("s", path="events*.parquet", event_time="event_time", sequence="items")
    rows = [event("a", day(1), amount=n, items=s) for n, s in ((9.0, None), (2.0, 1), (1.0, 2))]
    assert ask(rows, [Feature("last_amount", "amount")], [day(1)], source=ordered) == [1.0]


def test_rows_alike_in_time_are_ordered_by_their_columns_by_name(ask):
    rows = [event("a", day(1), amount=1.0, items=9), event("a", day(1), amount=2.0, items=0)]
    assert ask(rows, LAST, [day(1)]) == [0]
