import shutil

import pytest

from api.client import Api
from headwater.api.app import create_app
from headwater.api.projects import Projects
from headwater.config import local_settings
from headwater.registry.store import open_registry


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A SQLite file with the tables of a registry: making them takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "registry.db"
    opened = open_registry(f"sqlite:///{file}")
    assert opened.projects() == ()
    opened.close()
    return file


@pytest.fixture
def url(registry_url, registry_backend, tmp_path, empty):
    """Where a registry is that holds nothing."""
    if registry_backend == "sqlite":
        shutil.copy(empty, tmp_path / "registry.db")
    return registry_url


@pytest.fixture
def projects(url, tmp_path):
    made = Projects(local_settings(tmp_path, project="shop", registry__url=url))
    yield made
    made.close()


@pytest.fixture
def registry(projects):
    return projects.registry


@pytest.fixture
def app(projects):
    return create_app(projects)


@pytest.fixture
def api(app):
    return Api(app)
