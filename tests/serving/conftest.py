import pytest

from serving.world import World, fill, make

# A directory each: stores of one directory are one store, also where a test asks for two of them.


@pytest.fixture
def world(tmp_path) -> World:
    """The project with rows."""
    found = make(tmp_path / "online")
    fill(found)
    yield found
    found.store.close()


@pytest.fixture
def empty(tmp_path) -> World:
    """The project before any row."""
    found = make(tmp_path / "empty")
    yield found
    found.store.close()


@pytest.fixture
def unapplied(tmp_path) -> World:
    """A store in which nothing was ever published."""
    found = make(tmp_path / "unapplied", None)
    yield found
    found.store.close()
