"""What is derived at a tick says, for each key, what it would say if it were derived when read."""

from __future__ import annotations

import pytest

from headwater import Feature, FeatureView
from headwater.errors import NotSupportedError
from headwater.serving.reader import OnlineReader
from pipeline.looking import served, trained
from store import shop
from store.shop import HOUR, day, event, moment, view

AT = day(2, 10.2)
OLD = view("old", [Feature("last_items", "items")], ttl="1h")
WINDOWS = view(
    "windows",
    [
        Feature("n", "count(*)", window="5h"),
        Feature("total", "sum(items)", window="5h"),
        Feature("since", "n + date_diff('hour', TIMESTAMP '2024-01-03', as_of())"),
    ],
    update_frequency="1h",
    data_delay="10m",
)
DERIVED = FeatureView(
    "derived",
    entity=shop.USER,
    update_frequency="2h",
    features=[
        Feature("twice", "last_items * 2"),
        Feature("doubted", "last_items * 2", default=-1),
        Feature("more", "n + 1"),
        Feature("both", "last_items + total"),
        Feature("anyway", "coalesce(last_items, 0)"),
        Feature("hour", "n + date_diff('hour', TIMESTAMP '2024-01-03', as_of())"),
        Feature("hour_of_input", "since + 0"),
        Feature("next", "twice + 1"),
    ],
)
USERS = ["aged", "fresh", "unseen", None]
TEN, NINE, EIGHT = day(2, 10), day(2, 9), day(2, 8)
GONE = (None, "NOT_FOUND", None)
EXPECTED = {
    "n": [(1, "PRESENT", TEN), (1, "PRESENT", TEN), (0, "PRESENT", TEN), GONE],
    "since": [(11, "PRESENT", TEN), (11, "PRESENT", TEN), (10, "PRESENT", TEN), GONE],
    "twice": [(None, "OUTSIDE_MAX_AGE", EIGHT), (4, "PRESENT", NINE), GONE, GONE],
    "doubted": [
        (-1, "OUTSIDE_MAX_AGE", EIGHT),
        (4, "PRESENT", NINE),
        (-1, "NOT_FOUND", None),
        (-1, "NOT_FOUND", None),
    ],
    "more": [(2, "PRESENT", NINE), (1, "PRESENT", NINE), (1, "PRESENT", NINE), GONE],
    "both": [
        (None, "NULL_VALUE", EIGHT),
        (None, "NULL_VALUE", NINE),
        (None, "NULL_VALUE", NINE),
        GONE,
    ],
    "anyway": [(0, "PRESENT", EIGHT), (2, "PRESENT", NINE), (0, "PRESENT", None), GONE],
    "hour": [(11, "PRESENT", NINE), (10, "PRESENT", NINE), (10, "PRESENT", NINE), GONE],
    "hour_of_input": [(10, "PRESENT", NINE), (9, "PRESENT", NINE), (9, "PRESENT", NINE), GONE],
    "next": [(None, "OUTSIDE_MAX_AGE", EIGHT), (5, "PRESENT", NINE), GONE, GONE],
}


@pytest.fixture
def store(make):
    rows = [event("aged", day(2, 8), items=1), event("fresh", day(2, 9), items=2)]
    found = make(rows)
    found.apply([OLD, WINDOWS, DERIVED])
    return found


def read(store, at):
    reader = OnlineReader(store.online, store.project, refresh=0, clock=lambda: at)
    found = reader.get(list(EXPECTED), {"user_id": USERS}).to_dict()
    return {
        name: list(zip(*(found[part][name] for part in PARTS), strict=True)) for name in EXPECTED
    }


PARTS = ("values", "statuses", "event_timestamps")


def test_values_statuses_and_times(store):
    store.materialize(until=AT)
    expected = {
        name: [(v, s, None if t is None else moment(t)) for v, s, t in rows]
        for name, rows in EXPECTED.items()
    }
    assert read(store, AT) == expected


def test_what_is_served_is_what_was_trained(store):
    for hours in (0, 1, 1.5, 2, 26):
        at = AT + int(hours * HOUR)
        store.materialize(until=at)
        found = read(store, at)
        for name in EXPECTED:
            values = [value for value, _, _ in found[name]]
            assert values == [row[name] for row in trained(store, [name], USERS, at)], name


def test_before_the_first_run_nothing_is_found(store):
    store.publish()
    assert {row[1] for rows in read(store, AT).values() for row in rows} == {"NOT_FOUND"}


def test_without_a_row_a_derived_value_reads_the_defaults_of_its_inputs(make):
    """In the view of the window as in another one, and where the tick comes into it."""
    own = [
        Feature("spent", "sum(amount)", window="1h", default=5.0),
        Feature("spent_more", "spent + 1"),
        Feature("spent_at", "spent + hour(as_of())"),
    ]
    other = FeatureView(
        "other",
        entity=shop.USER,
        update_frequency="2h",
        features=[Feature("spent_there", "spent * 10")],
    )
    store = make([event("a", day(0, 1), amount=1.0)])
    store.apply([view("spending", own, update_frequency="hourly"), other])
    names = ["spent", "spent_more", "spent_at", "spent_there"]
    for at in (day(0, 2), day(0, 6)):
        store.materialize(until=at)
        users = ["a", "unseen"]
        assert served(store, names, users) == trained(store, names, users, at), moment(at)
    assert list(served(store, names, ["unseen"])[0].values()) == [5.0, 6.0, 11.0, 50.0]


@pytest.mark.parametrize("expression", ["amount", "lag(amount)"])
def test_a_value_without_a_row_that_depends_on_the_tick(make, expression):
    """It is computed when it is read, as of the published tick; other expressions are stored."""
    derived = [
        Feature("hour_unseen", "CASE WHEN seen IS NULL THEN hour(as_of()) END"),
        Feature("hour_or_none", "coalesce(hour_unseen, -1)"),
        Feature("hour_seen", "CASE WHEN seen IS NOT NULL THEN hour(as_of()) END"),
    ]
    ticked = view(
        "ticked", [Feature("seen", expression), *derived], update_frequency="2h", data_delay="10m"
    )
    store = make([event("a", day(0, 1), amount=1.0), event("a", day(0, 2), amount=2.0)])
    store.apply([ticked])
    names, users = [feature.name for feature in derived], ["a", "unseen", None]
    nothing = store.get_online_features(names, {"user_id": users}).to_dict()["values"]
    assert nothing["hour_unseen"] == [None] * 3
    for at in (day(0, 1.5), day(0, 5), day(0, 6.1), day(0, 6.2)):
        store.materialize(until=at)
        assert served(store, names, users) == trained(store, names, users, at), moment(at)
    assert served(store, names, users)[1]["hour_unseen"] == 6
    stored = [feature.name for feature in store.analyzed().views["ticked"].stored_features]
    assert stored == ["seen", "hour_seen"]


POPULATION = view(
    "population", [Feature("everybody", "count(*)", window="7d")], entity=None,
    update_frequency="hourly",
)  # fmt: skip


@pytest.mark.parametrize(
    "expression", ["everybody + 0", "n / everybody", "coalesce(total, 0) + everybody"]
)
def test_what_others_rows_say_of_unseen_keys_is_computed_on_read(make, expression):
    """No row of a run could hold it for a user that nobody has seen."""
    store = make([event("a", day(0, 1)), event("b", day(0, 2))])
    views = [WINDOWS, POPULATION]
    ticked = FeatureView(
        "ticked", entity=shop.USER, update_frequency="2h", features=[Feature("v", expression)]
    )
    plan = store.plan([*views, ticked])
    reason = "feature 'v' has a value for keys of which no row is known"
    assert any(reason in note for note in plan.notes)
    store.apply(plan)
    with pytest.raises(NotSupportedError, match="leave out 'update_frequency'"):
        store.materialize("ticked", until=day(0, 3))
    at_once = FeatureView("at_once", entity=shop.USER, features=[Feature("w", expression)])
    store.apply([at_once])
    for at in (day(0, 3), day(0, 9)):
        store.materialize(until=at)
        users = ["a", "unseen", None]
        assert served(store, ["w"], users) == trained(store, ["w"], users, at)


def test_what_is_null_for_unseen_keys_is_stored(make):
    store = make([event("a", day(0, 1)), event("b", day(0, 2))])
    share = FeatureView(
        "share", entity=shop.USER, update_frequency="2h",
        features=[Feature("v", "total / everybody"), Feature("w", "coalesce(v, -1)")],
    )  # fmt: skip
    store.apply([WINDOWS, POPULATION, share])
    for at in (day(0, 4), day(0, 9)):
        store.materialize(until=at)
        users = ["a", "unseen", None]
        assert served(store, ["v", "w"], users) == trained(store, ["v", "w"], users, at)
