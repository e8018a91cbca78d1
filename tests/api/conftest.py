import shutil

import pytest

from api.client import Api
from headwater.api.app import create_app
from headwater.api.projects import Projects
from headwater.registry.store import open_registry


class NothingComputed:
    """A planner of projects whose features are all mere entries."""

    def activation(self, head, record):
        return None

    def edition(self, head, record, wanted):
        raise AssertionError("no feature here has values")

    def applied(self):
        pass


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A SQLite file with the tables of a registry: making them takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "registry.db"
    opened = open_registry(f"sqlite:///{file}")
    assert opened.projects() == ()
    opened.close()
    return file


@pytest.fixture(params=["sqlite"])
def registry(request, tmp_path, empty):
    """A registry that holds nothing, on each kind of store."""
    file = shutil.copy(empty, tmp_path / "registry.db")
    opened = open_registry(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture
def projects(registry):
    return Projects(registry, "shop", lambda project: NothingComputed())


@pytest.fixture
def app(projects):
    return create_app(projects)


@pytest.fixture
def api(app):
    return Api(app)
