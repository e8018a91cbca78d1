"""as_of() inside an aggregate: each row weighs by its age at the time, everywhere the same."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest

from headwater import Feature
from headwater.compute import paired
from pipeline.looking import kept, served, trained
from store import shop
from store.shop import DAY, HOUR, day, event, moment

HALF_LIFE = 2 * DAY
DECAYED = "exp(-ln(2) * (epoch(as_of()) - epoch(event_time)) / 172800)"
FEATURES = (
    Feature("decayed", f"sum(amount * {DECAYED})", window="4d"),
    Feature("clicked", f"sum({DECAYED}) FILTER (WHERE kind = 'click')", window="lifetime"),
    Feature("oldest", "max(as_of() - INTERVAL 1 HOUR) FILTER (WHERE items > 3)", window="1d"),
    Feature(
        "recent",
        "count(*) FILTER (WHERE kind = 'view' AND date_diff('hour', event_time, as_of()) < 5)",
        window="2d",
    ),
    Feature("seen", "count(*)", window="4d"),
    Feature("share", "decayed / nullif(seen, 0)"),
)
NAMES = [feature.name for feature in FEATURES]
USERS = [f"u{number}" for number in range(5)]


def by_hand(rows, user, tick, delay):
    """The values of a user at a tick, row by row."""
    own = [r for r in rows if r["user_id"] == user and r["known"] <= tick + delay]
    own = [r for r in own if r["event_time"] < tick]

    def weight(row):
        return math.exp(-math.log(2) * (tick - row["event_time"]) / HALF_LIFE)

    wide = [r for r in own if r["event_time"] >= tick - 4 * DAY]
    paid = [r["amount"] * weight(r) for r in wide if r["amount"] is not None]
    clicks = [weight(r) for r in own if r["kind"] == "click"]
    many = [r for r in own if (r["items"] or 0) > 3 and r["event_time"] >= tick - DAY]
    fresh = [r for r in own if r["kind"] == "view" and tick // HOUR - r["event_time"] // HOUR < 5]
    decayed = math.fsum(paid) if paid else None
    return {
        "decayed": decayed,
        "clicked": math.fsum(clicks) if clicks else None,
        "oldest": moment(tick - HOUR).replace(tzinfo=None) if many else None,
        "recent": len(fresh),
        "seen": len(wide),
        "share": None if decayed is None else decayed / len(wide),
    }


def assert_near(found, expected):
    for name, value in expected.items():
        wanted = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
        seen = found[name]
        seen = seen.replace(tzinfo=None) if name == "oldest" and seen is not None else seen
        assert seen == wanted, name


@pytest.fixture
def rows():
    return shop.random_events(300, users=4, days=6, seed=7)


@pytest.fixture
def store(make, rows):
    found = make(rows)
    found.apply([shop.view("decay", FEATURES, update_frequency="hourly", data_delay="15m")])
    return found


def test_training_as_by_hand(store, rows):
    for at in (day(0, 3), day(2, 7, 1), day(5, 23), day(40)):
        tick = (at - HOUR // 4) // HOUR * HOUR
        for user, found in zip(USERS, trained(store, NAMES, USERS, at), strict=True):
            assert_near(found, by_hand(rows, user, tick, HOUR // 4))


def test_at_every_instant(make, rows):
    store = make(rows)
    store.apply([shop.view("decay", FEATURES)])
    for at in (day(2, 7, 1), day(3), day(5, 23)):
        for user, found in zip(USERS, trained(store, NAMES, USERS, at), strict=True):
            assert_near(found, by_hand(rows, user, at, 0))


def test_what_is_served_and_kept_is_what_is_trained(store):
    at = day(4, 2.5)
    store.materialize("decay", until=at)
    expected = trained(store, NAMES, USERS, at)
    assert served(store, NAMES, USERS) == expected
    store.backfill("decay", day(4, 2), day(4, 3))
    rows = {row["user_id"]: row for row in kept(store, "decay")}
    for user, values in zip(USERS[:4], expected, strict=False):
        assert {name: rows[user][name] for name in NAMES} == values


def test_a_later_tick_changes_the_value_though_no_row_came(store):
    store.materialize("decay", until=day(6, 1))
    before = served(store, ["clicked"], USERS[:4])
    store.materialize("decay", until=day(7, 1))
    after = served(store, ["clicked"], USERS[:4])
    assert after == trained(store, ["clicked"], USERS[:4], day(7, 1))
    assert all(new["clicked"] < old["clicked"] for new, old in zip(after, before, strict=True))


def test_few_pairs_at_a_time(store):
    at = day(4, 2.5)
    expected = trained(store, NAMES, USERS, at)
    with patch.object(paired, "PAIRS", 1):
        assert trained(store, NAMES, USERS, at) == expected


def test_progress_is_told_as_far_as_the_pairs_are_done(store):
    told = []
    spine = shop.spine(USERS, [day(4)] * len(USERS))
    job = store.get_historical_features(spine, NAMES, on_progress=told.append)
    with patch.object(paired, "PAIRS", 20):
        job.to_arrow()
    shares = [state.done for state in told]
    assert len(shares) > 4
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_what_a_condition_guards_is_not_computed_for_other_rows(make):
    rows = [event("u0", day(0), items=0), event("u0", day(0, 1), items=4)]
    store = make(rows)
    guarded = "sum(CASE WHEN items > 0 AND as_of() > event_time THEN 8 // items END)"
    store.apply([shop.view("v", [Feature("f", guarded, window="2d")])])
    assert trained(store, ["f"], ["u0"], day(1)) == [{"f": 2}]


def test_the_plan_says_what_it_costs(store):
    features = [Feature("again", f"avg(amount * {DECAYED})", window="4d")]
    notes = store.plan([shop.view("other", features)]).notes
    assert any("'again'" in note and "as_of() inside an aggregate" in note for note in notes)
