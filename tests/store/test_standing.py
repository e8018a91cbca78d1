"""What is served between an apply and the run that fills what it made (C14)."""

from __future__ import annotations

import pytest

from headwater import Feature, FeatureService
from headwater.errors import RefusedError
from store import shop
from store.test_apply import served, total, trained
from store.test_governance import AUTHOR, NOON, ROWS, ready, sql
from store.test_rollback_readers import TWICE, over


def read(store, *features, user="a"):
    return store.get_online_features(list(features), [{"user_id": user}]).to_dict()


def test_the_old_version_is_served_until_the_new_one_is_filled(make):
    store = ready(make)
    store.apply([total("max(amount)")])
    found = read(store, "total")
    assert found["values"]["total"] == [3.0]
    assert found["statuses"]["total"] == ["PRESENT"]
    assert found["versions"]["total"] == "1.0.0"
    assert trained(store, "total") == [2.0]
    assert served(store, "total@2.0.0") == [None]
    store.materialize(until=NOON)
    found = read(store, "total")
    assert (found["values"]["total"], found["versions"]["total"]) == ([2.0], "2.0.0")


def test_the_last_filled_one_stands_in_after_two_changes(make):
    store = ready(make)
    store.apply([total("max(amount)")])
    store.governance.update("total", {"transformation": sql("min(amount)")}, author=AUTHOR)
    assert served(make(), "total") == [3.0]
    store.materialize(until=NOON)
    assert served(store, "total") == [1.0]


def test_a_service_goes_on_too(make):
    store = ready(make)
    store.apply([FeatureService("ranker", ["total"])])
    store.apply([total("max(amount)")])
    found = store.get_online_features("ranker", [{"user_id": "a"}]).to_dict()
    assert found["values"]["total"] == [3.0]


def test_what_is_computed_on_read_stays_with_what_it_reads(make):
    store = ready(make)
    store.apply([over(TWICE)])
    store.apply([total("max(amount)")])
    found = read(store, "total", "twice")
    assert (found["values"]["total"], found["values"]["twice"]) == ([3.0], [6.0])
    assert found["versions"] == {"total": "1.0.0", "twice": "1.0.0"}
    store.materialize(until=NOON)
    assert read(store, "twice")["versions"] == {"twice": "2.0.0"}
    assert served(store, "total", "twice") == [2.0, 4.0]


def test_one_that_reads_a_filled_and_an_empty_one_waits_for_both(make):
    store = make(ROWS)
    count = shop.view("counts", [Feature("events", "count(*)", window="1d")], update_frequency="1h")
    share = over(Feature("share", "total / events"))
    store.apply([total(), count, share])
    store.materialize(until=NOON)
    more = shop.view(
        "counts", [Feature("events", "count(*) * 4", window="1d")], update_frequency="1h"
    )
    store.apply([total("max(amount)"), more])
    store.materialize("counts", until=NOON)
    assert served(store, "total", "events", "share") == [3.0, 8, 1.5]
    store.materialize(until=NOON)
    assert served(store, "total", "events", "share") == [2.0, 8, 0.25]


def test_a_new_feature_is_not_computed_from_what_stands_in(make):
    store = ready(make)
    store.apply([total("max(amount)"), over(TWICE)])
    assert served(store, "total", "twice") == [3.0, None]
    store.materialize(until=NOON)
    assert served(store, "total", "twice") == [2.0, 4.0]


def test_nothing_stands_in_for_a_rollback(make):
    store = ready(make)
    store.apply([total("max(amount)")])
    store.apply([total("min(amount)")])
    store.materialize(until=NOON)
    with pytest.raises(RefusedError, match=r"'2\.0\.0' has no values online.*'headwater mat"):
        store.governance.rollback("total", "2.0.0", author=AUTHOR)
    store.governance.rollback("total", "2.0.0", author=AUTHOR, force=True)
    assert served(store, "total") == [None]
    store.materialize(until=NOON)
    assert served(store, "total") == [2.0]


def test_the_bad_version_never_stands_in(make):
    store = ready(make)
    store.apply([total("max(amount)")])
    store.materialize(until=NOON)
    store.governance.rollback("total", "1.0.0", author=AUTHOR)
    store.apply([total("min(amount)")])
    assert served(store, "total") == [3.0]
