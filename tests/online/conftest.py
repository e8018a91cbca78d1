"""Each test that asks for `online_store` or `backend` runs on every backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.online.store import OnlineStore
from online.backends import KINDS, Backend
from online.backends import backend as backend_of


@pytest.fixture(params=KINDS, scope="module")
def backend(request, tmp_path_factory) -> Backend:
    """A durable store that is not open yet."""
    return backend_of(request.param, tmp_path_factory.mktemp("store"))


@pytest.fixture(params=KINDS, scope="module")
def online_store(request, tmp_path_factory) -> Iterator[OnlineStore]:
    """One open store for the tests of a module, which keep apart by their revisions.

    It does not wait for the disk; what a crash leaves behind is tested elsewhere.
    """
    found = backend_of(request.param, tmp_path_factory.mktemp("store"), sync=False)
    store = found.open()
    yield store
    store.close()
