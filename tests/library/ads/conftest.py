"""A small log with everything in it, and the example project over it."""

from __future__ import annotations

import pytest

from .example import Settings, write
from .project import copy_example, open_example
from .reading import Log

SETTINGS = Settings(users=300, ads=60, campaigns=12, impressions=60_000, days=150, seed=11)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = copy_example(tmp_path_factory.mktemp("ads") / "ads_log")
    write(root / "data", SETTINGS)
    return root


@pytest.fixture(scope="session")
def log(folder):
    return Log.read(folder / "data")


@pytest.fixture(scope="session")
def store(folder):
    store = open_example(folder)
    yield store
    store.close()
