"""What tests look at: values as they are served and trained, stored rows, rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headwater import FeatureStore
from headwater.expressions.analyzed import AnalyzedView
from headwater.online.codec import encode_key
from store import shop


def served(store: FeatureStore, names: Sequence[str], users: Sequence[Any]) -> list[dict[str, Any]]:
    found = store.get_online_features(list(names), {"user_id": list(users)}).to_dict()["values"]
    return [{name: found[name][row] for name in names} for row in range(len(users))]


def statuses(store: FeatureStore, name: str, users: Sequence[Any]) -> list[str]:
    found: list[str] = store.get_online_features([name], {"user_id": list(users)}).to_dict()[
        "statuses"
    ][name]
    return found


def trained(
    store: FeatureStore, names: Sequence[str], users: Sequence[Any], at: int
) -> list[dict[str, Any]]:
    spine = shop.spine(list(users), [at] * len(users))
    found = store.get_historical_features(spine, list(names)).to_arrow()
    rows: list[dict[str, Any]] = found.select(list(names)).to_pylist()
    return rows


def view_of(store: FeatureStore, name: str) -> AnalyzedView:
    return store.analyzed().views[name]


def stored(store: FeatureStore, name: str, users: Sequence[Any]) -> dict[Any, bytes | None]:
    """The bytes that the online store holds for each key of a view."""
    keys = [encode_key([user]) or b"" for user in users]
    rows, _ = store.online.read(store.project, [(view_of(store, name).revision, keys)])
    return dict(zip(users, rows[0], strict=True))


def rejected(store: FeatureStore, view: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.quarantine.read(view).read_all().to_pylist()
    return rows


def kept(store: FeatureStore, view: str, *interval: int) -> list[dict[str, Any]]:
    """The rows of a view's offline table, in an order of their own."""
    batches = store.tables.read(view_of(store, view).revision, *interval)
    rows: list[dict[str, Any]] = pa.Table.from_batches(batches, batches.schema).to_pylist()
    return sorted(rows, key=str)
