"""A server that is killed, at any moment of an apply: retry later, nothing half-written."""

import os
import subprocess
import sys

import pymongo.monitoring
import pytest
from sqlalchemy import Engine, event

from headwater.errors import ConfigError, MissingExtraError, StoreError
from headwater.registry.apply import apply_plan
from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.kinds import Run
from headwater.registry.state import load_definitions, load_revisions, load_versions
from headwater.registry.store import open_registry
from registry.worker import apply_next, project
from servers.fixtures import make_server, start

BACKENDS = ("postgresql", "mongodb")


@pytest.fixture(scope="module", params=BACKENDS)
def server(request):
    """A server of its own: this one dies."""
    made = start(lambda: make_server(request.param))
    yield made
    made.stop()


class Moments(pymongo.monitoring.CommandListener):
    """Calls `act` at the n-th moment at which this process talks to a server; 0: never."""

    def __init__(self):
        self.left, self.act = 0, None
        self.started = self.succeeded = self.failed = self.tick

    def tick(self, *_args, **_kwargs):
        self.left -= 1
        if self.left == 0:
            self.act()


@pytest.fixture(scope="module")
def moments():
    made = Moments()
    pymongo.monitoring.register(made)
    names = ("before_cursor_execute", "after_cursor_execute", "commit")
    for name in names:
        event.listen(Engine, name, made.tick)
    yield made
    for name in names:
        event.remove(Engine, name, made.tick)


def apply_to(registry):
    generation = registry.head("demo").generation
    plan = build_plan(registry, "demo", project(generation + 1))
    return apply_plan(registry, plan, author="ann")


def attempt(registry):
    try:
        apply_to(registry)
    except StoreError as error:
        return error
    return None


def whole(registry):
    """The project is one generation, with all that it points to."""
    head = registry.head("demo")
    logged = [commit.generation for commit in history(registry, "demo")]
    assert logged == list(range(head.generation, 0, -1))
    assert not build_plan(registry, "demo", project(head.generation)).has_changes
    load_definitions(registry, "demo")
    load_revisions(registry, "demo")
    for name in head.features:
        load_versions(registry, "demo", name)
    return head.generation


@pytest.mark.slow
def test_killed_at_a_moment_of_an_apply_it_can_be_tried_again(server, moments):
    url = server.fresh()
    apply_next(url, author="ann")
    registry = open_registry(url)
    registry.projects()
    failures = 0
    for step in range(2, 40, 4):
        before = whole(registry)
        moments.act, moments.left = server.kill, step
        error = attempt(registry)
        if error is not None:
            assert error.retryable
            assert "headwater:" not in str(error)
            failures += 1
        died = moments.left <= 0
        moments.left = 0
        server.start()
        assert whole(registry) in (before, before + 1)
        if not died:
            break
    assert failures > 3
    assert apply_to(registry).changed
    registry.close()


def test_a_server_that_is_not_there_is_a_retryable_error(server):
    url = server.fresh()
    server.kill()
    limit = "connect_timeout=2" if url.startswith("postgresql") else "serverSelectionTimeoutMS=300"
    registry = open_registry(f"{url}?{limit}")
    with pytest.raises(StoreError, match=r"registry .*://.*127\.0\.0\.1") as caught:
        registry.head("demo")
    assert caught.value.retryable
    assert "\n" not in str(caught.value)
    assert "?" not in registry.url
    server.start()
    assert registry.head("demo").generation == 0
    registry.put("demo", [Run("id", "backfill", "ads", "r1", 5)])
    registry.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db/reg?password=secret", "postgresql://ann:***@db/reg"),
        ("postgresql+psycopg://ann:secret@db/reg", "postgresql+psycopg://ann:***@db/reg"),
        ("mongodb://ann:secret@a,b:1/reg?replicaSet=x&p=secret", "mongodb://ann:***@a,b:1/reg"),
        ("mongodb+srv://ann:se%20cret@a/reg", "mongodb+srv://ann:***@a/reg"),
        ("mongodb://ann@a/reg", "mongodb://ann@a/reg"),
    ],
)
def test_no_secret_is_shown(url, shown):
    opened = open_registry(url)
    assert opened.url == shown
    assert "secret" not in repr(opened)


@pytest.mark.parametrize("url", ["mongodb://", "mongodb://ann:secret@h:x/db"])
def test_a_url_that_can_not_be_read_is_not_quoted(url):
    with pytest.raises(ConfigError, match="registry: the URL can't be read") as caught:
        open_registry(url).projects()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql://h/d", "psycopg", "postgres"), ("mongodb://h/d", "pymongo", "mongo")],
)
def test_a_missing_driver_is_told_with_its_cure(url, module, extra):
    code = f"""
import sys
sys.modules[{module!r}] = None
from headwater.errors import MissingExtraError
from headwater.registry.store import open_registry
try:
    open_registry({url!r}).projects()
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ
    )
    assert f'pip install "headwater[{extra}]"' in done.stdout
    assert MissingExtraError.status == 501
