"""Materializing and reading by Headwater."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench.limits.online import key_lists
from bench.make_data import FLOATS, VALUES
from bench.product.project import lookups, open_project
from bench.timing import timed, timed_each
from headwater import FeatureStore

SAMPLE = 1000


def load(data: str, root: str, calls: int) -> dict[str, Any]:
    """Parquet to readable: the latest row of every key into the online store, and published."""
    stores = [
        open_project(Path(root) / str(call), lookups(data, every_value=True))
        for call in range(calls)
    ]
    turn = iter(stores)
    result = timed(lambda: _load(next(turn)), calls, lambda done: _check(*done))
    for store in stores:
        store.close()
    shutil.rmtree(root)
    return result


def _load(store: FeatureStore) -> tuple[FeatureStore, int]:
    (report,) = store.materialize("stats")
    return store, report.written


def _check(store: FeatureStore, written: int) -> list[float]:
    rows = [{"user_id": user} for user in range(SAMPLE)]
    found = store.get_online_features(VALUES, rows).to_dict()["values"]
    return [written, sum(sum(found[name]) for name in VALUES[:11])]


def prepare(data: str, root: str) -> dict[str, Any]:
    """A project with everything materialized, to be read."""
    store = open_project(root, lookups(data, every_value=True))
    _load(store)
    store.close()
    return {}


def read(root: str, users: int, keys: int) -> dict[str, Any]:
    """get_online_features(...).to_dict(): values, statuses, event times and versions."""
    store = FeatureStore(root)

    def work(rows: list[dict[str, int]]) -> dict[str, Any]:
        return store.get_online_features(FLOATS, rows).to_dict()

    calls = [[{"user_id": user} for user in chosen] for chosen in key_lists(users, keys)]
    return timed_each(work, calls)
