"""Backfill: history in offline tables, computed once, and again where the source has changed."""

from __future__ import annotations

import duckdb
import pytest

from headwater import Feature, FeatureView
from headwater.errors import DefinitionError, NotFoundError, NotSupportedError, StoreError
from pipeline.looking import kept, trained, view_of
from store import shop
from store.shop import HOUR, day, event, moment, view

USERS = [f"u{number}" for number in range(13)]
MIXED = FeatureView(
    "mixed",
    entity=shop.USER,
    update_frequency="6h",
    features=[Feature("worth", "coalesce(amount_2d, 0) * coalesce(last_amount, 1)")],
)


@pytest.fixture
def store(make):
    found = make(shop.random_events(120, users=12, days=4))
    found.apply([shop.activity(), shop.latest(), shop.trend(), MIXED])
    return found


def spans(store, name):
    found = store.tables.intervals(view_of(store, name).revision)
    return [(span.start, span.end) for span in found]


def test_a_ticked_view_holds_what_is_trained_at_each_tick(store):
    """A tick is visible once its delay has passed."""
    report = store.backfill("activity", day(0, 20), day(1, 8))
    assert report.rows == report.written > 100
    names = shop.values_of(shop.activity())
    rows = {(row["user_id"], row["tick"]): row for row in kept(store, "activity")}
    empty = dict.fromkeys(names) | {"events_2d": 0, "clicks_1d": 0, "kinds_2d": 0}
    for hours in range(20, 32):
        tick = day(0, hours)
        expected = trained(store, names, USERS, tick + HOUR // 4)
        for user, values in zip(USERS, expected, strict=True):
            row = rows.pop((user, moment(tick)), None)
            found = empty if row is None else {name: row[name] for name in names}
            assert found == values, (user, hours)
    assert rows == {}


def test_a_derived_ticked_view_is_kept_too(store):
    store.backfill("mixed", day(0), day(3))
    rows = {(row["user_id"], row["tick"]): row["worth"] for row in kept(store, "mixed")}
    for hours in range(0, 72, 6):
        expected = trained(store, ["worth"], USERS, day(0, hours))
        for user, values in zip(USERS, expected, strict=True):
            worth = rows.pop((user, moment(day(0, hours))), 0.0)
            assert worth == values["worth"], (user, hours)
    assert rows == {}


@pytest.mark.parametrize("name", ["latest", "trend"])
def test_a_view_without_ticks_holds_every_row_and_when_it_was_known(store, name):
    """The last row that was known at an instant is what training sees then."""
    store.backfill(name, day(0), day(4))
    names = shop.values_of({"latest": shop.latest(), "trend": shop.trend()}[name])
    rows = sorted(kept(store, name), key=lambda row: (row["event_time"], row["known_at"]))
    for at in (day(0, 5), day(1, 12), day(3), day(9)):
        last = {
            row["user_id"]: row
            for row in rows
            if row["event_time"] <= moment(at) and row["known_at"] <= moment(at)
        }
        expected = trained(store, names, USERS, at)
        for user, values in zip(USERS, expected, strict=True):
            found = {n: last[user][n] if user in last else None for n in names}
            if found.get("last_amount", 0) is None:
                found["last_amount"] = -1.0  # a table holds no defaults
            assert found == values, (user, moment(at))


def test_what_is_there_is_not_computed_again(store, monkeypatch):
    first = store.backfill("activity", day(1), day(2))
    before = kept(store, "activity")
    runs = len(store.list("runs"))
    from headwater.pipeline import backfill

    with monkeypatch.context() as patched:
        patched.setattr(backfill, "ticked_history", None)
        again = store.backfill("activity", day(1), day(2))
        inside = store.backfill("activity", day(1, 3), day(1, 4))
    assert again.skipped == inside.skipped
    assert "there already, and the source is unchanged" in again.skipped
    assert (again.rows, len(store.list("runs"))) == (0, runs)
    assert kept(store, "activity") == before
    assert first.rows == len(before)


def test_only_what_is_missing_is_computed(store, monkeypatch):
    from headwater.pipeline import backfill

    asked = []
    original = backfill.ticked_history

    def noted(reader, view, ticks, share):
        asked.append((ticks[0], ticks[-1]))
        return original(reader, view, ticks, share)

    monkeypatch.setattr(backfill, "ticked_history", noted)
    store.backfill("activity", day(1), day(2))
    store.backfill("activity", day(3), day(3, 12))
    asked.clear()
    store.backfill("activity", day(0, 12), day(4))
    assert asked == [
        (day(0, 12), day(0, 23)),
        (day(2), day(2, 23)),
        (day(3, 12), day(3, 23)),
    ]
    assert spans(store, "activity") == [(day(0, 12), day(4))]
    whole = kept(store, "activity")
    store.tables.drop(view_of(store, "activity").revision)
    store.backfill("activity", day(0, 12), day(4))
    assert kept(store, "activity") == whole


def test_another_snapshot_replaces_what_was_there(store, tmp_path):
    store.backfill("activity", day(1), day(3))
    before = kept(store, "activity")
    late = event("u1", day(1, 1), kind="click", amount=500.0)
    shop.write(tmp_path, [late], "events_2.parquet")
    report = store.backfill("activity", day(2), day(3))
    assert report.skipped is None
    after = kept(store, "activity", day(2), day(3))
    untouched = kept(store, "activity", day(1), day(2))
    assert untouched == [row for row in before if row["tick"] < moment(day(2))]
    assert {row["user_id"] for row in after if row not in before} == {"u1"}
    assert len(store.tables.intervals(view_of(store, "activity").revision)) == 2
    store.backfill("activity", day(1), day(3))
    assert spans(store, "activity") == [(day(1), day(3))]
    assert max(row["amount_2d"] or 0 for row in kept(store, "activity")) > 500


def test_rows_that_become_known_later_are_in_the_history_of_a_sequence(make):
    """A table says when each row became known, so it need not be computed again for that."""
    store = make([event("a", day(0, 1), items=1), event("a", day(0, 2), items=2, known=day(9999))])
    store.apply([shop.trend()])
    store.backfill("trend", day(0), day(1))
    assert [row["known_at"] for row in kept(store, "trend")] == [
        moment(day(0, 1)),
        moment(day(9999)),
    ]


def test_a_long_interval_is_written_chunk_by_chunk(store, monkeypatch):
    from headwater.pipeline import backfill

    monkeypatch.setattr(backfill, "CHUNK_TICKS", 10)
    told = []
    store.backfill("activity", day(0), day(3), on_progress=told.append)
    assert [(step.done, step.total) for step in told] == [(1, 3), (2, 3), (3, 3)]
    assert spans(store, "activity") == [(day(0), day(3))]


@pytest.mark.parametrize("name", ["activity", "mixed", "last_hourly"])
def test_millennia_without_rows_are_one_commit(make, name):
    """They count as covered; between them are the rows, the same ones as without them."""
    worth = Feature("worth", "coalesce(amount_2d, 0)")
    mixed = FeatureView("mixed", entity=shop.USER, update_frequency="daily", features=[worth])
    hourly = view("last_hourly", [Feature("kind_hourly", "kind")], update_frequency="12h")
    store = make(shop.random_events(60, days=3))
    store.apply([shop.activity(), mixed, hourly])
    store.backfill(name, day(-3), day(20))
    narrow = kept(store, name, day(1), day(20))
    store.tables.drop(view_of(store, name).revision)
    told = []
    # what is looked up holds for ever after, so there is no end to skip
    end = day(20) if name != "activity" else day(300_000)
    store.backfill(name, day(-700_000), end, on_progress=told.append)
    assert len(told) < 12
    assert kept(store, name, day(1), day(20)) == narrow
    assert kept(store, name, day(20), end) == []
    assert spans(store, name) == [(day(-700_000), end)]
    assert store.backfill(name, day(-500_000), day(-400_000)).skipped


def test_a_source_without_rows_has_an_empty_history(make):
    store = make()
    store.apply([shop.activity()])
    store.backfill("activity", day(-700_000), day(0))
    assert (kept(store, "activity"), spans(store, "activity")) == ([], [(day(-700_000), day(0))])


def test_the_run_log_says_what_a_backfill_did(store):
    report = store.backfill("trend", day(1), day(2))
    (run,) = store.list("runs")
    assert (run["operation"], run["view"], run["status"]) == ("backfill", "trend", "done")
    assert (run["start"], run["end"]) == ("2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z")
    assert run["rows"] == report.written
    assert run["started_at"] <= run["published_at"] <= run["finished_at"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("activty", "2024-01-01", "2024-01-02"), NotFoundError, "did you mean 'activity'"),
        (("activity", "2024-01-02", "2024-01-01"), DefinitionError, "the interval is empty"),
        (("activity", "2024-01-02", "2024-01-02"), DefinitionError, "the interval is empty"),
        (("activity", None, "2024-01-02"), DefinitionError, "both ends"),
        (("activity", "soon", "2024-01-02"), DefinitionError, "'soon' is not a time"),
    ],
)
def test_what_is_wrong_is_told(store, arguments, error, match):
    with pytest.raises(error, match=match):
        store.backfill(*arguments)
    assert store.list("runs") == []


def test_a_history_without_an_end_is_refused(make):
    store = make()
    instant = view("instant", [Feature("count_1d", "count(*)", window="1d")])
    on_read = FeatureView("on_read", entity=shop.USER, features=[Feature("x", "last_amount * 2")])
    store.apply([instant, on_read, shop.latest()])
    for name in ("instant", "on_read"):
        with pytest.raises(NotSupportedError, match=f"'{name}': is evaluated at every instant"):
            store.backfill(name, day(0), day(1))


def named(**given):
    feature = Feature("events_2d", "count(*)", window="2d", **given)
    other = Feature("amount_2d", "sum(amount)", window="2d")
    return view("daily", [feature, other], update_frequency="daily")


def query(store, sql):
    with duckdb.connect(str(store.names.database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(sql).to_arrow_table()
        return list(zip(*found.to_pydict().values(), strict=True))


@pytest.mark.parametrize("kind", ["duckdb_view", "duckdb_table"])
def test_a_feature_is_queried_in_duckdb_under_its_name(make, kind):
    store = make(shop.random_events(60, users=3, days=3))
    store.apply([named(**{kind: "ads.user_events"})])
    with pytest.raises(duckdb.CatalogException):
        query(store, "FROM ads.user_events")
    store.backfill("daily", day(1), day(3))
    expected = [(row["user_id"], row["tick"], row["events_2d"]) for row in kept(store, "daily")]
    sql = "SELECT user_id, tick, events_2d FROM ads.user_events"
    assert sorted(query(store, sql)) == sorted(expected)
    store.backfill("daily", day(3), day(4))
    assert len(query(store, sql)) == len(kept(store, "daily")) > len(expected)


def test_a_name_that_is_taken_away_goes(make):
    store = make(shop.random_events(20, users=3, days=3))
    store.apply([named(duckdb_view="user_events")])
    store.backfill("daily", day(1), day(3))
    assert query(store, "SELECT count(*) FROM user_events") != [(0,)]
    store.apply([named(duckdb_view="other_name")])
    assert query(store, "SELECT count(*) FROM other_name") != [(0,)]
    with pytest.raises(duckdb.CatalogException):
        query(store, "FROM user_events")


def test_a_backfill_that_was_cut_short_before_the_names_is_finished(make, monkeypatch):
    from headwater.offline.duckdb_names import DuckDBNames

    store = make(shop.random_events(20, users=3, days=3))
    store.apply([named(duckdb_table="user_events")])
    with monkeypatch.context() as patched:
        patched.setattr(DuckDBNames, "refresh", _cut_short)
        with pytest.raises(KeyboardInterrupt):
            store.backfill("daily", day(1), day(3))
    assert store.backfill("daily", day(1), day(3)).skipped
    assert query(store, "SELECT count(*) FROM user_events") == [(len(kept(store, "daily")),)]


def _cut_short(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("wanted", "match"),
    [
        (named(duckdb_view="a.b.c"), "has 3 parts"),
        (named(duckdb_view="headwater.x"), "the schema 'headwater' is reserved"),
        (
            view("instant", [Feature("n", "count(*)", window="1d", duckdb_view="n")]),
            "'n' can't be filled, since the view is evaluated at every instant",
        ),
        (
            view(
                "two",
                [Feature("a1", "kind", duckdb_view="x"), Feature("a2", "kind", duckdb_table="X")],
            ),
            "'X' is taken by feature 'a1'",
        ),
        (view("tick_view", [Feature("tick", "kind")]), "'tick' is the name of a time"),
    ],
)
def test_names_that_can_not_be_are_refused_at_plan(make, wanted, match):
    with pytest.raises(DefinitionError, match=match):
        make().plan([wanted])


def test_a_duckdb_file_that_is_open_elsewhere_is_told(make):
    """DuckDB lets one process write; what it could not renew is renewed by the next run."""
    import subprocess
    import sys

    store = make(shop.random_events(20, users=3, days=3))
    store.apply([named(duckdb_view="user_events")])
    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(store.names.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert held.stdout.readline() == "open\n"
    with pytest.raises(StoreError, match="another process has it open"):
        store.backfill("daily", day(1), day(3))
    assert store.list("runs")[0]["status"] == "failed"
    held.communicate("done\n")
    assert store.backfill("daily", day(1), day(3)).skipped
    assert query(store, "SELECT count(*) FROM user_events") == [(len(kept(store, "daily")),)]


_HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""
