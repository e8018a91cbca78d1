"""Fixtures: one server of a kind for all tests, and an empty registry on each backend.

A test marked `every_registry` that uses `registry_backend`, directly or not, runs once for each
backend (or those that the mark names), any other on SQLite alone. A server that is not here skips
the test, and fails it where REQUIRE_TEST_SERVERS is set.
"""

import os

import pytest

from servers.server import UnavailableError

BACKENDS = ("sqlite", "postgresql", "mongodb")


def start(make):
    try:
        return make().start()
    except UnavailableError as error:
        if os.environ.get("REQUIRE_TEST_SERVERS"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def make_server(backend):
    if backend == "postgresql":
        from servers.postgres import Postgres

        return Postgres()
    from servers.mongodb import Mongo

    return Mongo()


@pytest.fixture(scope="session")
def postgresql():
    server = start(lambda: make_server("postgresql"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mongodb():
    server = start(lambda: make_server("mongodb"))
    yield server
    server.stop()


def fresh_registry(request, backend, folder):
    """The URL of an empty registry on a backend; SQLite's lies in the folder."""
    if backend == "sqlite":
        return f"sqlite:///{folder / 'registry.db'}"
    return request.getfixturevalue(backend).fresh()


@pytest.fixture
def registry_backend(request):
    return getattr(request, "param", "sqlite")


@pytest.fixture
def registry_url(request, registry_backend, tmp_path):
    return fresh_registry(request, registry_backend, tmp_path)


def pytest_generate_tests(metafunc):
    marked = metafunc.definition.get_closest_marker("every_registry")
    if marked and "registry_backend" in metafunc.fixturenames:
        metafunc.parametrize("registry_backend", marked.args or BACKENDS, indirect=True)
