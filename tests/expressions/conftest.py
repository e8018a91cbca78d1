from __future__ import annotations

import pytest

from .engines import Engines


@pytest.fixture(scope="session")
def engines() -> Engines:
    return Engines()
