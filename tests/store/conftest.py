"""Projects of the shop, closed when their test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headwater import FeatureStore
from store import shop


@pytest.fixture
def make(tmp_path) -> Iterator[Callable[..., FeatureStore]]:
    """Makes the project in the test's folder, with given rows; called again it opens it anew."""
    opened: list[FeatureStore] = []

    def opened_store(rows: Any = ()) -> FeatureStore:
        opened.append(FeatureStore(tmp_path) if opened else shop.make(tmp_path, rows))
        return opened[-1]

    yield opened_store
    for store in opened:
        store.close()
