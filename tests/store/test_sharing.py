"""What several features read is read once, after what it is made of, beside what it is not."""

from __future__ import annotations

import threading
from unittest.mock import patch

import pytest

from headwater import Feature, FeatureStore, FeatureView, Source
from headwater.compute.reading import Reader
from headwater.errors import DefinitionError, HeadwaterError
from store import shop
from store.shop import USER, day, event, moment, view

TICKS = {"update_frequency": "hourly", "data_delay": "15m"}
READERS = [
    FeatureView(f"reader_{n}", entity=USER, features=[Feature(f"read_{n}", f"amount_2d + {n}")])
    for n in range(3)
]
OVER_READERS = FeatureView(
    "over", entity=USER, features=[Feature("over", "read_0 + read_1 + read_2 + events_2d")]
)
NAMES = ["over", "read_0", "read_1", "read_2", "amount_2d", "clicks_1d"]
SPINE = shop.spine(["u1", "u2", "nobody", None], [day(2), day(3), day(3), day(3)])


@pytest.fixture
def store(make):
    found = make(shop.random_events(300))
    found.apply([shop.activity(), *READERS, OVER_READERS])
    return found


def parallel(store: FeatureStore) -> FeatureStore:
    """The same, with as many threads as there may be views at a time."""
    store.engine.threads = 4
    return store


class Counted:
    """Counts how often each view is evaluated, and with which features."""

    def __init__(self):
        self.evaluated: list[tuple[str, tuple[str, ...]]] = []
        self._original = Reader._evaluate

    def __enter__(self):
        def counting(reader, view, scan, features, *given, **options):
            self.evaluated.append((view.name, tuple(f.name for f in features)))
            return self._original(reader, view, scan, features, *given, **options)

        self._patch = patch.object(Reader, "_evaluate", counting)
        self._patch.start()
        return self

    def __exit__(self, *_):
        self._patch.stop()


@pytest.mark.parametrize("threads", [1, 4])
def test_what_is_shared_is_read_once(store, threads):
    store.engine.threads = threads
    with Counted() as counted:
        job = store.get_historical_features(SPINE, NAMES)
        together = job.to_arrow()
    assert counted.evaluated == [("activity", ("events_2d", "clicks_1d", "amount_2d"))]
    assert job.sql().count("read_parquet") <= 3
    for name in NAMES:
        alone = store.get_historical_features(SPINE, [name]).to_arrow()
        assert alone[name] == together[name]


def test_a_view_is_read_again_for_other_instants_and_keys(make):
    store = make([event("u1", day(0), amount=1.0), event("u1", day(2), amount=2.0)])
    daily = FeatureView(
        "daily",
        entity=USER,
        features=[Feature("daily", "last_amount")],
        update_frequency="daily",
        at="12:00",
    )
    store.apply([shop.latest(), daily])
    with Counted() as counted:
        found = store.compute_feature_set(
            ["daily", "last_amount"], {"user_id": "u1"}, at=day(2, hours=3)
        )
    assert {name: value.value for name, value in found.items()} == {
        "daily": 1.0,
        "last_amount": 2.0,
    }
    assert found["daily"].metadata["evaluated_at"] == moment(day(1, hours=12))
    assert counted.evaluated == [("latest", ("last_amount",))] * 2


def test_independent_views_are_read_at_the_same_time(make):
    """Both wait until the other is being read, too."""
    store = parallel(make(shop.random_events(50)))
    store.apply([shop.activity(), shop.latest()])
    meeting = threading.Barrier(2, timeout=60)
    original = Reader._source_view

    def waiting(reader, *given):
        meeting.wait()
        return original(reader, *given)

    with patch.object(Reader, "_source_view", waiting):
        found = store.get_historical_features(SPINE, ["events_2d", "last_kind"])
        assert found.to_arrow().num_columns == 4
    assert "SELECT" in found.sql()  # what other threads ran is told, too


def test_at_most_as_many_at_a_time_as_the_engine_has_threads(make):
    """With one thread nothing runs beside the caller's."""
    store = make(shop.random_events(50))
    store.engine.threads = 1
    store.apply([shop.activity(), shop.latest(), shop.trend()])
    threads = set()
    original = Reader._source_view

    def noting(reader, *given):
        threads.add(threading.current_thread())
        return original(reader, *given)

    with patch.object(Reader, "_source_view", noting):
        store.get_historical_features(SPINE, ["events_2d", "last_kind", "mean_3"]).to_arrow()
    assert threads == {threading.main_thread()}


@pytest.mark.parametrize("threads", [1, 4])
def test_the_error_of_what_is_asked_for_first_is_told(make, threads):
    store = make([event("u1", day(0), kind="x", items=2**40)])
    store.engine.threads = threads
    wrong = {n: f"items * {n} * 9223372036854775" for n in ("3", "5", "7")}
    store.apply([view(f"wrong_{n}", [Feature(f"wrong_{n}", text)]) for n, text in wrong.items()])
    for first in wrong:
        names = [f"wrong_{first}", *(f"wrong_{n}" for n in wrong if n != first)]
        with pytest.raises(HeadwaterError, match="Overflow") as raised:
            store.get_historical_features(shop.spine(["u1"], [day(1)]), names).to_arrow()
        assert f"* {int(first) * 9223372036854775})" in str(raised.value)


def test_progress_counts_views(store):
    told = []
    parallel(store).get_historical_features(SPINE, NAMES, on_progress=told.append).to_arrow()
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert {(n, 5) for n in range(1, 6)} <= {(p.done, p.total) for p in told}
    assert (told[-1].done, told[-1].rows) == (5, 20)


def test_a_cycle_is_printed_whole(make):
    store = make()
    circle = FeatureView(
        "circle",
        entity=USER,
        features=[Feature("a", "b + 1"), Feature("b", "c + 1"), Feature("c", "a + 1")],
    )
    with pytest.raises(DefinitionError, match=r"feature 'a': .* itself: a -> b -> c -> a$"):
        store.apply([circle])
    apart = [
        FeatureView(f"view_{n}", entity=USER, features=[Feature(n, f"{read} + 1")])
        for n, read in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    with pytest.raises(DefinitionError, match=r"feature 'a': .* itself: a -> b -> c -> a$"):
        store.apply(apart)


def test_views_that_share_a_source_see_one_state_of_it(make, tmp_path):
    """A file that comes while the first view is read is seen by none of them."""
    store = make([event("u1", day(0), kind="old")])
    source = Source("events", path="events*.parquet", event_time="event_time")
    store.apply(
        [
            view("one", [Feature("one", "kind")], source=source),
            view("two", [Feature("two", "kind")], source=source),
        ]
    )
    original = Reader._source_view

    def writing(reader, *given):
        shop.write(tmp_path, [event("u1", day(1), kind="new")], "events_2.parquet")
        return original(reader, *given)

    with patch.object(Reader, "_source_view", writing):
        found = store.compute_feature_set(["one", "two"], {"user_id": "u1"}, at=day(2))
    assert {value.value for value in found.values()} == {"old"}
