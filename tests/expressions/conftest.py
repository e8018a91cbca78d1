from __future__ import annotations

from collections.abc import Iterator

import pytest

from .engines import Engines


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    made = Engines()
    yield made
    made.close()
