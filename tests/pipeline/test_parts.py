"""Many small hash parts give what one large part gives, and a run goes on where one stopped."""

from __future__ import annotations

from functools import partial

import pytest

from headwater import Entity, Feature, FeatureView
from headwater.pipeline import carrying, loading
from pipeline.looking import kept, served, stored, trained, view_of
from store import shop
from store.shop import day, event, view

USERS = [f"u{number}" for number in range(26)]
PAIR = Entity("pair", join_keys={"user_id": "string", "kind": "string"})
MIXED = FeatureView(
    "mixed",
    entity=shop.USER,
    update_frequency="6h",
    features=[Feature("worth", "coalesce(amount_2d, 0) * coalesce(last_amount, 1)")],
)
VIEWS = (
    shop.activity(),
    shop.latest(),
    shop.trend(),
    MIXED,
    view(
        "pairs",
        [Feature("pair_3d", "avg(amount)", window="3d")],
        entity=PAIR,
        update_frequency="daily",
    ),
    view(
        "everybody",
        [Feature("all_1d", "count(*)", window="1d")],
        entity=None,
        update_frequency="daily",
    ),
)
NAMES = shop.values_of(*VIEWS[:4])
ROWS = shop.random_events(200, users=25, days=5)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of about 40 rows, computed, checked, gathered and written in small pieces."""
    from headwater.compute import history
    from headwater.compute.historical import Options
    from headwater.compute.reading import Reader
    from headwater.online import sorted_load

    monkeypatch.setattr("headwater.filling.Reader", partial(Reader, part_rows=40))
    monkeypatch.setattr("headwater.store.Options", partial(Options, part_rows=40))
    monkeypatch.setattr(history, "QUERIES", 200)
    monkeypatch.setattr(loading, "WRITE_ROWS", 7)
    monkeypatch.setattr(loading, "FLUSH_ROWS", 5)
    monkeypatch.setattr(sorted_load, "_RUN_ROWS", 4)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = shop.make(tmp_path_factory.mktemp("parts"), ROWS)
    store.apply(VIEWS)
    yield everything(store)
    store.close()


def everything(store):
    """Training sets, served rows and histories of a project."""
    spine = shop.spine([USERS[n % 26] for n in range(200)], [day(0, 0.6 * n) for n in range(200)])
    names = [*NAMES, "all_1d"]
    found = {"trained": store.get_historical_features(spine, names).to_arrow().to_pydict()}
    for at in (day(2), day(4), day(6)):
        store.materialize(until=at)
        found[f"served {at}"] = served(store, names, USERS)
        keys = {"user_id": USERS * 2, "kind": ["view"] * 26 + ["click"] * 26}
        found[f"pairs {at}"] = store.get_online_features(["pair_3d"], keys).to_dict()["values"]
    for name in ("activity", "trend", "mixed", "pairs", "everybody"):
        store.backfill(name, day(1), day(2))
        found[name] = kept(store, name)
    return found


def test_parts_make_no_difference(make, small_parts, expected):
    store = make(ROWS)
    store.apply(VIEWS)
    told = []
    store.materialize("activity", until=day(1), on_progress=told.append)
    assert [(state.done, state.total) for state in told if not state.step] == [
        (done, 5) for done in range(6)
    ]
    found = everything(store)
    for name, values in expected.items():
        assert found[name] == values, name


def test_memory_does_not_grow_with_the_rows_that_wait(make, small_parts, monkeypatch):
    """What waits for a flush lies in a file: at most a run of rows and a part is held."""
    from headwater.online.sorted_load import SortedLoad

    held = []
    add = SortedLoad.add

    def noted(load, keys, rows):
        add(load, keys, rows)
        held.append((len(load._held.keys), load.pending))

    monkeypatch.setattr(SortedLoad, "add", noted)
    monkeypatch.setattr(loading, "FLUSH_ROWS", 1_000)
    store = make(ROWS)
    store.apply([shop.latest()])
    store.materialize(until=day(6))
    assert max(pending for _, pending in held) == 25
    assert max(waiting for waiting, _ in held) < 4


class CutShortError(Exception):
    pass


def cut_off(monkeypatch, after):
    """Let the computation of parts fail after so many of them; returns the parts computed."""
    computed = []

    def counting(original):
        def counted(work, number):
            if len(computed) == after:
                raise CutShortError
            computed.append(number)
            return original(work, number)

        return counted

    for work in (carrying.Plainly, carrying.Carrying):
        monkeypatch.setattr(work, "part", counting(work.part))
    return computed


@pytest.mark.parametrize("name", ["activity", "latest", "trend", "mixed"])
def test_parts_that_are_done_are_not_computed_again(make, small_parts, name, expected):
    store = make(ROWS)
    store.apply(VIEWS)
    with pytest.MonkeyPatch.context() as patched:
        first = cut_off(patched, after=3)
        with pytest.raises(CutShortError):
            store.materialize(name, until=day(4))
    done = max(first)  # the last flush may be some parts back
    with pytest.MonkeyPatch.context() as patched:
        second = cut_off(patched, after=None)
        (report,) = store.materialize(name, until=day(4))
    assert report.skipped is None
    assert second == list(range(second[0], 5))
    assert 1 <= second[0] <= done + 1
    names = [feature.name for feature in view_of(store, name).features]
    assert served(store, names, USERS) == trained(store, names, USERS, day(4))


def test_a_part_counts_as_done_only_when_its_rows_are_in_the_store(make, small_parts, monkeypatch):
    """What has been computed and not flushed is computed again."""
    monkeypatch.setattr(loading, "FLUSH_ROWS", 1_000)
    store = make(ROWS)
    store.apply([shop.latest()])
    with pytest.MonkeyPatch.context() as patched:
        cut_off(patched, after=3)
        with pytest.raises(CutShortError):
            store.materialize(until=day(4))
    assert set(stored(store, "latest", USERS).values()) == {None}
    with pytest.MonkeyPatch.context() as patched:
        again = cut_off(patched, after=None)
        store.materialize(until=day(4))
    assert again == list(range(5))


@pytest.mark.parametrize("change", ["source", "tick", "parts"])
def test_a_run_goes_on_only_where_nothing_has_changed(make, small_parts, tmp_path, change):
    store = make(ROWS)
    store.apply([shop.activity()])
    with pytest.MonkeyPatch.context() as patched:
        cut_off(patched, after=3)
        with pytest.raises(CutShortError):
            store.materialize(until=day(4))
    until = day(4)
    if change == "source":
        shop.write(tmp_path, [event("u1", day(3, 20), amount=5.0)], "events_2.parquet")
    elif change == "tick":
        until = day(4, 2)
    else:
        rows = [event(f"x{n}", day(3, 12)) for n in range(80)]
        shop.write(tmp_path, rows, "events_2.parquet")
    with pytest.MonkeyPatch.context() as patched:
        again = cut_off(patched, after=None)
        store.materialize(until=until)
    assert again[0] == 0
    names = shop.values_of(shop.activity())
    assert served(store, names, USERS) == trained(store, names, USERS, until)


def test_a_run_that_is_complete_leaves_no_mark(make, small_parts):
    store = make(ROWS)
    store.apply([shop.activity()])
    store.materialize(until=day(4))
    revision = view_of(store, "activity").revision
    for name in ("run", "first"):
        assert store.online.get_document("shop", f"{name}/{revision}") is None
