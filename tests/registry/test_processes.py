"""Real processes: killed with SIGKILL at any moment of an apply, and racing one another."""

import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.kinds import FeatureVersion, Revision, content_key
from headwater.registry.state import load_definitions, load_revisions, load_versions
from headwater.registry.store import open_registry
from registry.samples import analyze, timeless
from registry.worker import apply_next, project
from servers.fixtures import fresh_registry

pytestmark = [pytest.mark.slow, pytest.mark.every_registry]
numbers = count()
WORKER = Path(__file__).with_name("worker.py")


@contextmanager
def worker(*args):
    command = [sys.executable, "-W", "error::UserWarning", str(WORKER), *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def whole(url, generation):
    """The project is exactly that of a generation, and all that it points to is there."""
    registry = open_registry(url)
    head = registry.head("demo")
    assert head.generation == generation
    assert [commit.generation for commit in history(registry, "demo")] == list(
        range(generation, 0, -1)
    )
    wanted = project(generation) if generation else analyze([], entities=[], sources=[])
    assert not build_plan(registry, "demo", wanted).has_changes
    assert [view.name for view in load_definitions(registry, "demo").views.values()] == (
        ["ads"] if generation else []
    )
    load_revisions(registry, "demo")
    for name in head.features:
        load_versions(registry, "demo", name)
    registry.close()


def contents(url):
    """What lies in the registry, apart from when it was written."""
    registry = open_registry(url)
    found = {
        "head": timeless(registry.head("demo")),
        "versions": set(map(content_key, registry.list("demo", FeatureVersion))),
        "revisions": {r.revision for r in registry.list("demo", Revision)},
    }
    registry.close()
    return found


@pytest.fixture
def at_generation(request, registry_backend, tmp_path):
    """Makes registries, each of them at a generation; their URLs."""

    def make(generation):
        folder = tmp_path / f"{next(numbers)}"
        url = fresh_registry(request, registry_backend, folder)
        for _ in range(generation):
            apply_next(url, author="ann")
        return url

    return make


@pytest.mark.parametrize(("generation", "stride"), [(0, 10), (2, 1)])
def test_killed_at_any_moment_the_project_is_before_or_after(at_generation, generation, stride):
    """From an empty database too, where the apply makes the tables first."""
    urls = [at_generation(generation) for _ in range(12 if generation == 0 else 80)]
    with worker("crash", stride, *urls) as process:
        moments = int(process.stdout.read())
    assert moments > 5
    seen = set()
    after = contents(at_generation(generation + 1))
    for url in urls[: moments + 1]:
        registry = open_registry(url)
        found = registry.head("demo").generation
        registry.close()
        seen.add(found)
        whole(url, found)
        if found == generation:
            apply_next(url, author="ann")
        assert contents(url) == after
    assert seen == {generation, generation + 1}


def test_killed_over_and_over_nothing_is_lost(url):
    chance = random.Random(7)
    reached = 0
    for _ in range(4):
        with worker("forever", url) as process:
            for _ in range(chance.randrange(1, 6)):
                reached = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            said = [int(line) for line in process.stdout.read().split()]
            reached = max([reached, *said])
        registry = open_registry(url)
        found = registry.head("demo").generation
        registry.close()
        assert found in (reached, reached + 1)
        whole(url, found)
        reached = found


@contextmanager
def ready(url, verb, names, *args):
    """Workers that have planned and wait; they start together, even with making the registry."""
    with ExitStack() as stack:
        processes = [stack.enter_context(worker(verb, url, name, *args)) for name in names]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        yield processes


def test_of_several_that_apply_at_once_one_wins(url):
    names = ["ann", "bob", "cem"]
    with ready(url, "race", names) as processes:
        outcomes = dict(zip(names, [p.stdout.read().strip() for p in processes], strict=True))
    (winner,) = [name for name, outcome in outcomes.items() if outcome == "won 1"]
    for name in set(names) - {winner}:
        assert outcomes[name].startswith(f"lost   generation 1 by {winner} at ")
    registry = open_registry(url)
    assert list(registry.head("demo").features) == [f"f_{winner}"]
    assert [commit.author for commit in history(registry, "demo")] == [winner]
    registry.close()


def test_of_several_that_insist_nobody_loses_anything(url):
    names, rounds = ["ann", "bob", "cem"], 4
    with ready(url, "insist", names, rounds) as processes:
        outcomes = [process.stdout.read() for process in processes]
    assert all(outcome.startswith("done ") for outcome in outcomes)
    registry = open_registry(url)
    head = registry.head("demo")
    expected = {f"f_{name}_{number}" for name in names for number in range(rounds)}
    assert set(head.applied()) == expected
    assert head.generation == len(expected)
    authors = [commit.author for commit in history(registry, "demo")]
    assert sorted(authors) == sorted(names * rounds)
    registry.close()
