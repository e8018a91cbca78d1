"""Materialize: what runs write, what reruns leave alone, and what they say about themselves."""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading
import time

import pytest

from headwater import Entity, Feature, FeatureView, Source
from headwater.errors import ComputeError, DefinitionError, NotFoundError, NotSupportedError
from headwater.online.codec import Layout, encode_key
from headwater.online.order import header, is_tombstone
from headwater.registry.kinds import Run, new_id
from pipeline.looking import served, statuses, stored, trained, view_of
from store import shop
from store.shop import DAY, HOUR, day, event, moment, view

USERS = [f"u{number}" for number in range(13)]
VIEWS = (shop.activity(), shop.latest(), shop.trend())
NAMES = shop.values_of(*VIEWS)
ALIKE = FeatureView(
    "mixed",
    entity=shop.USER,
    update_frequency="6h",
    features=[Feature("worth", "coalesce(amount_2d, 0) * coalesce(last_amount, 1)")],
)


@pytest.fixture
def store(make):
    found = make(shop.random_events(150))
    found.apply([*VIEWS, ALIKE])
    return found


def add(folder, rows, name="events_2.parquet"):
    shop.write(folder, rows, name)


def test_what_is_served_is_what_was_trained_at_every_tick(store):
    """Windows fill and empty, rows come late: each run writes what has changed since."""
    names = [*NAMES, "worth"]
    for hours in (0, 1, 5, 24, 25, 70, 71, 150, 180, 230):
        at = day(0, hours)
        store.materialize(until=at)
        assert served(store, names, USERS) == trained(store, names, USERS, at), moment(at)


def test_a_rerun_changes_nothing(store, tmp_path):
    at = day(3, 1)
    first = store.materialize(until=at)
    assert {report.view: report.rows for report in first} == {
        "activity": 12,
        "latest": 12,
        "trend": 12,
        "mixed": 12,
    }
    assert all(report.written == report.rows for report in first)
    before = [stored(store, name, USERS) for name in ("activity", "latest", "trend", "mixed")]
    runs = len(store.list("runs"))
    again = store.materialize(until=at)
    assert {report.skipped for report in again} == {
        "this tick is published, and the source is unchanged"
    }
    assert len(store.list("runs")) == runs
    (tmp_path / "events.parquet").touch()
    touched = store.materialize(until=at)
    assert [(report.skipped, report.rows, report.written) for report in touched] == [
        (None, 12, 0)
    ] * 4
    after = [stored(store, name, USERS) for name in ("activity", "latest", "trend", "mixed")]
    assert after == before


def test_nothing_goes_back(store):
    store.materialize(until=day(4))
    before = served(store, NAMES, USERS)
    for report in store.materialize(until=day(2)):
        assert report.skipped == "a later tick is published already"
    assert served(store, NAMES, USERS) == before
    assert store.show("view", "activity")["published"] == "2024-01-04T23:00:00Z"


def test_keys_whose_windows_have_emptied_are_served_as_empty_and_their_rows_go(make):
    rows = [event("gone", day(0, 1)), event("here", day(0, 1)), event("here", day(4))]
    store = make(rows)
    store.apply([shop.activity()])
    names = shop.values_of(shop.activity())
    store.materialize(until=day(1))
    assert served(store, ["events_2d"], ["gone", "here"]) == [{"events_2d": 1}] * 2
    store.materialize(until=day(4, 2))
    empty = {"events_2d": 0, "clicks_1d": 0, "amount_2d": None, "kinds_2d": 0, "click_rate": None}
    assert served(store, names, ["gone", "nobody"]) == [empty, empty]
    assert statuses(store, "events_2d", ["gone", "nobody"]) == ["PRESENT"] * 2
    assert is_tombstone(stored(store, "activity", ["gone"])["gone"])
    store.materialize(until=day(4, 4))
    assert stored(store, "activity", ["gone"]) == {"gone": None}
    add_back = shop.event("gone", day(4, 5))
    shop.write(store.settings.root, [*rows, add_back])
    store.materialize(until=day(4, 7))
    assert served(store, ["events_2d"], ["gone"]) == [{"events_2d": 1}]


def test_tombstones_do_not_pile_up(make):
    rows = [event(f"u{n}", day(n)) for n in range(8)]
    store = make(rows)
    daily = Feature("events_1d", "count(*)", window="1d")
    store.apply([view("daily", [daily], update_frequency="daily")])
    for number in range(1, 12):
        store.materialize(until=day(number))
        found = stored(store, "daily", [f"u{n}" for n in range(8)])
        graves = [user for user, row in found.items() if row and is_tombstone(row)]
        assert graves == ([f"u{number - 2}"] if 2 <= number <= 9 else []), number


def test_a_late_row_is_found_by_a_rerun_of_the_same_tick(store, tmp_path):
    at = day(3)
    store.materialize(until=at)
    before = served(store, NAMES, USERS)
    late = event("u1", day(2, 20), kind="click", amount=1000.0, known=day(2, 20))
    add(tmp_path, [late])
    reports = store.materialize(until=at)
    assert all(report.skipped is None for report in reports)
    after = served(store, NAMES, USERS)
    assert after == trained(store, NAMES, USERS, at)
    assert after[1] != before[1]
    assert after[2:] == before[2:]
    assert sum(report.written for report in reports if report.view == "activity") == 1


def test_rows_that_nobody_knew_yet_are_not_written(make):
    store = make([event("a", day(0, 1), kind="click"), event("a", day(0, 2), known=day(0, 9))])
    store.apply([shop.latest(), shop.activity(data_delay="0s")])
    store.materialize(until=day(0, 8))
    assert served(store, ["last_kind", "events_2d"], ["a"]) == [
        {"last_kind": "click", "events_2d": 1}
    ]
    store.materialize(until=day(0, 10))
    assert served(store, ["last_kind", "events_2d"], ["a"]) == [
        {"last_kind": "view", "events_2d": 2}
    ]


def test_a_lookup_at_a_tick_sees_what_came_within_its_delay(make):
    rows = [
        event("a", day(0, 1), kind="in time", known=day(0, 2.1)),
        event("a", day(0, 1.5), kind="too late", known=day(0, 2.3)),
    ]
    store = make([*rows, event("b", day(0, 1), kind="only", known=day(0, 2.1))])
    store.apply([shop.latest(update_frequency="hourly", data_delay="10m")])
    at = day(0, 2.2)
    store.materialize(until=at)
    expected = [{"last_kind": "in time"}, {"last_kind": "only"}]
    assert served(store, ["last_kind"], ["a", "b"]) == expected
    assert trained(store, ["last_kind"], ["a", "b"], at) == expected


def test_rows_of_the_future_wait_until_their_time(make):
    now = time.time_ns() // 1_000
    rows = [event("a", now - HOUR, kind="past"), event("a", now + HOUR, kind="future")]
    store = make([*rows, event("b", now + HOUR)])
    store.apply([shop.latest()])
    (report,) = store.materialize()
    assert (report.rows, report.ahead) == (1, 0)
    assert served(store, ["last_kind"], ["a", "b"]) == [{"last_kind": "past"}, {"last_kind": None}]


def test_a_time_in_the_future_is_refused(store):
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with pytest.raises(DefinitionError, match=r"'until' is .*, which lies in the future"):
        store.materialize(until=later)
    assert store.list("runs") == []


@pytest.mark.parametrize(
    "until",
    [
        moment(day(3)),
        moment(day(3)).replace(tzinfo=None),
        dt.date(2024, 1, 4),
        "2024-01-04",
        day(3),
    ],
)
def test_the_time_may_be_written_in_many_ways(store, until):
    (report,) = store.materialize("activity", until=until)
    assert report.tick == day(2, 23)


def test_until_is_a_time(store):
    with pytest.raises(DefinitionError, match="'soon' is not a time; write it as 2024-01-05"):
        store.materialize(until="soon")


def test_without_ticks_a_run_takes_the_last_change_of_its_source(store):
    """So it need not run again however late it is, and pushes that the source lacks stay."""
    (first,) = store.materialize("latest", until=day(20))
    changes = [max(row["event_time"], row["known"]) for row in shop.random_events(150)]
    assert first.tick == max(changes)
    (again,) = store.materialize("latest")
    assert again.skipped == "this tick is published, and the source is unchanged"


def test_a_run_leaves_what_was_pushed_after_the_last_change_of_its_source(make):
    """C13: the source lags behind the stream; what it has not seen is not taken back."""
    store = make([event("a", day(0, 1), kind="old"), event("b", day(0, 2), kind="old")])
    store.apply([shop.latest()])
    found = view_of(store, "latest")
    layout = Layout((f.name, f.dtype) for f in found.row_features)
    import pyarrow as pa

    batch = pa.record_batch({"last_kind": ["pushed"], "last_amount": [9.0]})
    key = [encode_key(["a"])]
    (early,) = layout.encode_batch(batch, day(0, 1, 1), day(0, 1, 1))
    (late,) = layout.encode_batch(batch, day(0, 3), day(0, 3))
    store.online.write("shop", found.revision, key, [early])
    store.materialize(until=day(1))
    assert served(store, ["last_kind"], ["a", "b"]) == [{"last_kind": "old"}] * 2
    store.online.write("shop", found.revision, key, [late])
    shop.write(store.settings.root, [event("c", day(0, 2), kind="old")], "events_2.parquet")
    (report,) = store.materialize(until=day(1))
    assert report.skipped is None
    assert served(store, ["last_kind"], ["a", "c"]) == [
        {"last_kind": "pushed"},
        {"last_kind": "old"},
    ]
    shop.write(store.settings.root, [event("a", day(0, 4), kind="new")], "events_3.parquet")
    store.materialize(until=day(1))
    assert served(store, ["last_kind"], ["a"]) == [{"last_kind": "new"}]


def test_a_source_that_loses_its_last_rows_is_served_as_it_is(make, tmp_path):
    rows = [event("a", day(0, hours), kind=f"at {hours}") for hours in (1, 2, 3)]
    store = make(rows)
    store.apply([shop.latest()])
    store.materialize(until=day(1))
    shop.write(tmp_path, rows[:1])
    store.materialize(until=day(1))
    assert served(store, ["last_kind"], ["a"]) == [{"last_kind": "at 1"}]
    assert store.materialize(until=day(2))[0].skipped


def test_a_run_that_another_one_may_have_overwritten_is_run_again(store):
    """Of two runs of one tick, the one from the older snapshot may have been the last to write."""
    at = day(3)
    (report,) = store.materialize("activity", until=at)
    began = time.time_ns() // 1_000
    run = Run(
        id=new_id(began),
        operation="materialize",
        view="activity",
        revision=report.revision,
        started_at=began - HOUR,
        status="done",
        tick=report.tick,
        snapshot="an older one",
        finished_at=began,
    )
    store.registry.put("shop", [run])
    assert store.materialize("activity", until=at)[0].skipped is None
    assert store.materialize("activity", until=at)[0].skipped is not None


def test_an_earlier_run_that_comes_late_changes_nothing(store, monkeypatch):
    """A run that read before another one and writes after it: its rows lose, its tick too."""
    from headwater.pipeline import carrying

    found = carrying.latest_part

    def overtaken(*arguments):
        part = found(*arguments)
        monkeypatch.setattr(carrying, "latest_part", found)
        other.materialize("activity", until=day(5))
        return part

    other = type(store)(store.settings.root)
    monkeypatch.setattr(carrying, "latest_part", overtaken)
    (late,) = store.materialize("activity", until=day(1))
    assert (late.skipped, late.written) == (None, 0)
    names = shop.values_of(shop.activity())
    assert served(store, names, USERS) == trained(store, names, USERS, day(5))
    assert store.show("view", "activity")["published"] == "2024-01-05T23:00:00Z"
    other.close()


def test_what_a_first_run_that_failed_has_left_is_looked_at_by_the_next(make, monkeypatch):
    """Its rows belong to windows that have passed when the next run comes."""
    from headwater.pipeline.materialize import Materializer

    store = make([event("early", day(0, 1)), event("late", day(4))])
    store.apply([shop.activity()])
    parts = Materializer._parts

    def cut_short(*arguments):
        parts(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Materializer, "_parts", cut_short)
    with pytest.raises(KeyboardInterrupt):
        store.materialize(until=day(1))
    monkeypatch.setattr(Materializer, "_parts", parts)
    assert stored(store, "activity", ["early"])["early"]
    store.materialize(until=day(4, 2))
    users, names = ["early", "late"], shop.values_of(shop.activity())
    assert served(store, names, users) == trained(store, names, users, day(4, 2))
    assert [run["status"] for run in store.list("runs")] == ["done", "failed"]


def test_the_run_log_says_what_a_run_did(store):
    (report,) = store.materialize("activity", until=day(3))
    (run,) = store.list("runs")
    assert run["operation"] == "materialize"
    assert run["view"] == "activity"
    assert run["revision"] == report.revision[:12]
    assert run["status"] == "done"
    assert run["tick"] == "2024-01-03T23:00:00Z"
    assert run["rows"] == report.rows == 12
    assert run["started_at"] <= run["published_at"] <= run["finished_at"]
    assert len(run["snapshot"]) == 32
    assert store.show("view", "activity")["runs"] == [run]


def test_a_view_that_fails_leaves_the_others_done(make):
    big = 2**62
    store = make([event("a", day(0, 1), items=big), event("a", day(0, 2), items=big)])
    too_big = Feature("too_big", "sum(items)", window="1d")
    store.apply([view("big", [too_big], update_frequency="hourly"), shop.latest()])
    with pytest.raises(ComputeError, match="'too_big'"):
        store.materialize(until=day(0, 12))
    assert served(store, ["last_kind"], ["a"]) == [{"last_kind": "view"}]
    assert statuses(store, "too_big", ["a"]) == ["NOT_FOUND"]
    (failed,) = [run for run in store.list("runs") if run["status"] == "failed"]
    assert failed["view"] == "big"
    assert "too_big" in failed["error"]
    assert failed.get("published_at") is None
    shop.write(store.settings.root, [event("a", day(0, 1), items=5)])
    store.materialize(until=day(0, 12))
    assert served(store, ["too_big"], ["a"]) == [{"too_big": 5}]


def test_what_can_not_be_materialized_says_why(make):
    store = make([event("a", day(0))])
    instant = view("instant", [Feature("count_1d", "count(*)", window="1d")])
    on_read = FeatureView(
        "on_read", entity=shop.USER, features=[Feature("double", "last_amount * 2")]
    )
    store.apply([instant, on_read, shop.latest()])
    with pytest.raises(
        NotSupportedError, match=r"'instant': has windows.*update_frequency='hourly'"
    ):
        store.materialize(["latest", "instant"])
    assert store.list("runs") == []
    with pytest.raises(NotSupportedError, match="'on_read': is computed when it is read"):
        store.materialize("on_read")
    with pytest.raises(NotFoundError, match="no feature view 'latst'; did you mean 'latest'"):
        store.materialize("latst")
    assert [report.view for report in store.materialize()] == ["latest"]


def test_ticks_of_a_time_of_day_in_a_zone(make):
    rows = [event("a", day(0, hours)) for hours in (3, 4, 5, 6, 30)]
    store = make(rows)
    mornings = view(
        "mornings",
        [Feature("count_all", "count(*)", window="lifetime")],
        update_frequency="daily",
        at="06:30",
        timezone="Asia/Kolkata",  # 01:00 UTC
        data_delay="2h",
    )
    store.apply([mornings])
    for at, expected in ((day(1, 2.9), 0), (day(1, 3), 4), (day(2, 2.9), 4), (day(2, 3), 5)):
        store.materialize(until=at)
        assert served(store, ["count_all"], ["a"]) == [{"count_all": expected}], moment(at)
        assert trained(store, ["count_all"], ["a"], at) == [{"count_all": expected}], moment(at)


def test_views_without_an_entity_and_with_several_keys(make):
    store = make(shop.random_events(60))
    everybody = view(
        "everybody",
        [Feature("all_1d", "count(*)", window="1d")],
        entity=None,
        update_frequency="hourly",
    )
    pair = Entity("pair", join_keys={"user_id": "string", "items": "int64"})
    pairs = view(
        "pairs",
        [Feature("pair_2d", "sum(amount)", window="2d")],
        entity=pair,
        update_frequency="hourly",
    )
    store.apply([everybody, pairs])
    keys = {"user_id": ["u1", "u2", "u2", None, "u3"], "items": [1, 2, None, 3, 99]}
    for at in (day(2), day(5), day(30)):
        store.materialize(until=at)
        online = store.get_online_features(["all_1d", "pair_2d"], keys).to_dict()["values"]
        import pyarrow as pa

        spine = pa.table({**keys, "event_timestamp": [moment(at)] * 5})
        offline = store.get_historical_features(spine, ["all_1d", "pair_2d"]).to_arrow()
        assert online["all_1d"] == offline["all_1d"].to_pylist()
        assert online["pair_2d"] == offline["pair_2d"].to_pylist()


def test_progress_is_told_step_by_step(store):
    told = []
    store.materialize("activity", until=day(3), on_progress=told.append)
    assert [(p.view, p.step, p.done, p.total, p.rows) for p in told] == [
        ("activity", "", 0, 1, 0),
        ("activity", "", 1, 1, 12),
        ("activity", "writing", 12, 12, 12),
    ]


def test_progress_goes_on_within_a_part(store, monkeypatch):
    """A run of one part that takes minutes says how far it is, and so how long it will take."""
    monkeypatch.setattr("headwater.compute.latest.PIECE_ROWS", 5)
    monkeypatch.setattr("headwater.online.sorted_load._RUN_ROWS", 4)
    monkeypatch.setattr("headwater.online.sorted_load._WRITE_ROWS", 6)
    told = []
    store.materialize("latest", until=day(3), on_progress=told.append)
    assert [(p.rows, round(p.done, 2)) for p in told if not p.step] == [
        (0, 0),
        (5, 0.42),
        (10, 0.83),
        (12, 1),
    ]
    written = [p.rows for p in told if p.step == "writing"]
    assert written == sorted(written)
    assert len(written) > 1
    assert written[-1] == 12


def test_a_run_of_several_views_that_is_stopped_stops_all_of_them(store, monkeypatch):
    """Ctrl-C reaches one thread; the runs in others must not go on behind it."""
    from headwater.pipeline import materialize

    waits, heard, wait = threading.Event(), threading.Event(), materialize.wait
    once = threading.Lock()

    def waiting(jobs):
        try:
            waits.set()
            wait(jobs)
        finally:
            heard.set()

    def stop(_state):
        assert waits.wait(30)
        if once.acquire(blocking=False):  # a second one might come while the first is dealt with
            os.kill(os.getpid(), signal.SIGINT)
        assert heard.wait(30)

    monkeypatch.setattr(materialize, "wait", waiting)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            store.materialize(["activity", "latest", "trend"], until=day(3), on_progress=stop)
    finally:
        signal.signal(signal.SIGINT, before)
    assert {run["error"] for run in store.list("runs")} == {"was stopped"}
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPool")]
    store.materialize(until=day(3))
    assert served(store, NAMES, USERS) == trained(store, NAMES, USERS, day(3))


def test_a_derived_view_looks_for_keys_where_its_inputs_do(make):
    """Its hourly ticks read a daily window of the day before, whose rows lie further back."""
    store = make([event("early", day(0, 1)), event("late", day(0, 23))])
    daily = view("daily", [Feature("count_1d", "count(*)", window="1d")], update_frequency="daily")
    hourly = FeatureView(
        "hourly",
        entity=shop.USER,
        features=[Feature("doubled", "count_1d * 2")],
        update_frequency="hourly",
    )
    again = FeatureView(
        "again",
        entity=shop.USER,
        features=[Feature("tripled", "doubled * 1.5")],
        update_frequency="2h",
        data_delay="1h",
    )
    store.apply([daily, hourly, again])
    names, users = ["count_1d", "doubled", "tripled"], ["early", "late", "nobody"]
    for at in (day(0, 22), day(1), day(1, 13), day(1, 23.5), day(2), day(2, 1.5), day(3, 2)):
        store.materialize(until=at)
        assert served(store, names, users) == trained(store, names, users, at), moment(at)


def test_a_first_run_over_a_source_without_rows(make):
    store = make()
    store.apply([*VIEWS, ALIKE])
    reports = store.materialize(until=day(1))
    assert [(report.rows, report.skipped) for report in reports] == [(0, None)] * 4
    assert served(store, ["events_2d", "last_kind"], ["a"]) == [{"events_2d": 0, "last_kind": None}]
    shop.write(store.settings.root, [event("a", day(0, 3), kind="late")], "events_2.parquet")
    store.materialize(until=day(1))
    assert served(store, ["events_2d", "last_kind"], ["a"]) == [
        {"events_2d": 1, "last_kind": "late"}
    ]


def test_null_keys_have_no_row(make):
    store = make([event(None, day(0, 1)), event("a", day(0, 2))])
    pair = Entity("pair", join_keys={"kind": "string", "user_id": "string"})
    store.apply([*VIEWS, view("pairs", [Feature("pair_kind", "kind")], entity=pair)])
    for report in store.materialize(until=day(1)):
        assert (report.rows, report.written) == (1, 1)
    found = store.get_online_features(["events_2d", "last_kind"], [{"user_id": None}]).to_dict()
    assert found["values"]["events_2d"] == [None]
    assert found["statuses"] == {"events_2d": ["NOT_FOUND"], "last_kind": ["NOT_FOUND"]}


def test_a_day_has_no_second_tick(store):
    """Between two ticks there is nothing to do."""
    store.materialize("activity", until=day(3, 1))
    for at in (day(3, 1.2), day(3, 1.24)):
        assert store.materialize("activity", until=at)[0].skipped
    assert store.materialize("activity", until=day(3, 1.25))[0].tick == day(3, 1)
    assert DAY == 24 * HOUR


def test_a_version_that_moves_a_fact_back_replaces_what_was_known_after_the_tick(make):
    """A run knows what came within the delay too: its cut is the tick and the delay (C8, C13)."""
    facts = Source(
        "facts",
        path="events*.parquet",
        event_time="event_time",
        available_at="known",
        id="event_id",
    )
    first = event("a", day(0, 12), items=7, known=day(3, 12), event_id="e")
    store = make([first])
    last = [Feature("last_items", "items")]
    given = {"update_frequency": "daily", "data_delay": "3d", "source": facts}
    store.apply([view("last", last, **given)])
    store.materialize(until=day(4, 1))
    assert served(store, ["last_items"], ["a"]) == [{"last_items": 7}]
    assert header(stored(store, "last", ["a"])["a"]).known_at == moment(day(3, 12))
    moved = event("a", day(0, 6), items=8, known=day(4, 12), event_id="e")
    shop.write(store.settings.root, [first, moved])
    store.materialize(until=day(5, 1))
    assert served(store, ["last_items"], ["a"]) == [{"last_items": 8}]
