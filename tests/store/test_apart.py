"""SQL that came over the API is evaluated in a process of its own, whatever asks for its values."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from headwater import Feature, FeatureStore
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.config import local_settings
from headwater.errors import ComputeError
from headwater.registry.records import Transformation
from store import shop
from store.shop import day, event
from store.test_apply import served, total, trained
from store.test_governance import AUTHOR, NOON, activate, record

ROWS = [event("a", day(0, hour), amount=float(hour), kind="ab") for hour in range(1, 5)]
FIRST_DAY = (shop.moment(day(0)), shop.moment(day(1)))
KEPT = ("sum_1d", "late", "trend", "twice")
MARK = "4711"
LOOKUP = {"frame": {}, "update_frequency": "real_time"}
ROW = {"frame": {"rows": 2, "min_rows": 1}, "update_frequency": "real_time", "ttl": "100d"}
GROWS = "length(replace(replace(rpad(kind, 10000, 'a'), 'a', rpad('', 10000, 'b')), 'b', kind))"


@pytest.fixture
def asked(monkeypatch):
    """Every query with the mark in it, and whether it ran in a process of its own."""
    found = []
    query = DuckDBEngine.query

    def seen(self, sql, tables=None):
        if MARK in sql:
            found.append(self._apart is not None)
        return query(self, sql, tables)

    monkeypatch.setattr(DuckDBEngine, "query", seen)
    return found


def of_all_kinds(store):
    activate(
        store,
        record("sum_1d", f"sum(amount + {MARK}) FILTER (WHERE amount <> {MARK}) / {MARK}"),
        record("late", f"amount + {MARK}", **LOOKUP),
        record("trend", f"avg(amount * {MARK}) - {MARK}", **ROW),
        record("twice", f"sum_1d * {MARK}", "sum_1d", source=None, frame={}),
    )


def test_nothing_of_it_runs_here(make, asked):
    store = make(ROWS)
    store.apply([shop.USER, shop.SOURCE])
    of_all_kinds(store)
    assert asked  # each is tried on rows of the source before it becomes active
    for work in (
        lambda: trained(store, "sum_1d", "late", "trend", "twice"),
        lambda: store.materialize(until=NOON),
        lambda: [store.backfill(store.show("feature", name)["view"], *FIRST_DAY) for name in KEPT],
    ):
        asked.clear()
        work()
        assert asked
        assert all(asked)


def test_the_values_are_those_of_the_same_features_in_definitions(make):
    store = make(ROWS)
    store.apply([total("sum(amount)")])
    activate(store, record("theirs", "sum(amount)"), record("mean", "avg(amount)"))
    assert trained(store, "theirs", "mean") == [*trained(store, "total"), 2.5]
    store.materialize(until=NOON)
    assert served(store, "theirs", "mean") == [10.0, 2.5]


def test_a_declared_feature_whose_code_the_api_changed_runs_apart_until_it_is_applied(make, asked):
    store = make(ROWS)
    store.apply([total("sum(amount)")])
    code = Transformation("sql", f"sum(amount + {MARK})")
    store.governance.update("total", {"transformation": code}, author=AUTHOR)
    trained(store, "total")
    assert asked
    assert all(asked)
    asked.clear()
    store.apply([total(f"sum(amount + {MARK})")])
    trained(store, "total")
    assert asked
    assert not any(asked)


@pytest.fixture
def narrow(make, tmp_path):
    make(ROWS)
    settings = local_settings(
        tmp_path, project="shop", api__memory_limit="256MiB", api__time_limit=20
    )
    store = FeatureStore(settings=settings)
    store.apply([shop.USER, shop.SOURCE])
    yield store
    store.close()


@pytest.mark.parametrize(
    ("code", "frame"),
    [(GROWS, {}), (f"max({GROWS})", {"window": "1d"}), (f"sum({GROWS})", {"rows": 2})],
)
def test_what_takes_too_much_is_not_activated(narrow, code, frame):
    frequency = "hourly" if "window" in frame else "real_time"
    made = record("greedy", code, frame=frame, update_frequency=frequency)
    narrow.governance.create(made, author=AUTHOR)
    with pytest.raises(ComputeError, match=r"feature 'greedy': .*'api.memory_limit'"):
        narrow.governance.set_status("greedy", "active", author=AUTHOR)
    assert narrow.governance.get("greedy").entry.status == "draft"


def test_rows_that_come_later_may_take_too_much_and_harm_nobody_else(narrow, tmp_path):
    activate(narrow, record("size", GROWS.replace("'', 10000", "'', 100"), **LOOKUP))
    narrow.apply([shop.view("own", [Feature("own", "amount")])])
    shop.write(tmp_path, [event("a", day(0, 9), kind="x" * 5000)], "events2.parquet")
    with pytest.raises(ComputeError, match=r"feature view 'api__.*' \('size'\): .*memory_limit"):
        trained(narrow, "size")
    assert trained(narrow, "own") == [1.0]


def test_texts_that_grow_from_feature_to_feature_are_stopped_online(make):
    store = make([event("a", day(0, 1), kind="x" * 1000)])
    store.apply([shop.USER, shop.SOURCE])
    activate(store, _text("t0", "kind", **LOOKUP))
    for step in range(1, 12):
        given = {"source": None, "frame": {}, "update_frequency": "real_time"}
        activate(store, _text(f"t{step}", f"t{step - 1} || t{step - 1}", f"t{step - 1}", **given))
    store.materialize(until=NOON)
    assert len(served(store, "t3")[0]) == 8000
    with pytest.raises(ComputeError, match=r"'t7@1.0.0' can't be computed: .* 65536 at the most"):
        served(store, "t11")


def _text(name, code, *upstream, **fields):
    return replace(record(name, code, *upstream, **fields), data_type="string")
