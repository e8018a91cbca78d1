"""Real processes: killed with SIGKILL at any moment of an apply, and racing one another."""

import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.kinds import FeatureVersion, Revision, content_key
from headwater.registry.sql import SqlRegistry
from headwater.registry.state import load_definitions, load_revisions, load_versions
from registry.samples import analyze, timeless
from registry.worker import apply_next, project

pytestmark = pytest.mark.slow
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
    registry = SqlRegistry(url)
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
    registry = SqlRegistry(url)
    found = {
        "head": timeless(registry.head("demo")),
        "versions": set(map(content_key, registry.list("demo", FeatureVersion))),
        "revisions": {r.revision for r in registry.list("demo", Revision)},
    }
    registry.close()
    return found


def copy_of_generation(tmp_path, generation):
    base = tmp_path / "base.db"
    for _ in range(generation):
        apply_next(f"sqlite:///{base}", author="ann")
    return base


@pytest.mark.parametrize("generation", [0, 2])
def test_killed_at_any_moment_the_project_is_before_or_after(tmp_path, generation):
    """From an empty folder too, where the apply makes the tables first."""
    base = copy_of_generation(tmp_path, generation)
    with worker("crash", base, tmp_path) as process:
        moments = int(process.stdout.read())
    assert moments > 15
    seen = set()
    after = contents(f"sqlite:///{copy_of_generation(tmp_path / 'clean', generation + 1)}")
    for step in range(1, moments + 1):
        url = f"sqlite:///{tmp_path / f'{step}.db'}"
        registry = SqlRegistry(url)
        found = registry.head("demo").generation
        registry.close()
        seen.add(found)
        whole(url, found)
        if found == generation:
            apply_next(url, author="ann")
        assert contents(url) == after
    assert seen == {generation, generation + 1}


def test_killed_over_and_over_nothing_is_lost(tmp_path):
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    chance = random.Random(7)
    reached = 0
    for _ in range(4):
        with worker("forever", url) as process:
            for _ in range(chance.randrange(1, 6)):
                reached = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            said = [int(line) for line in process.stdout.read().split()]
            reached = max([reached, *said])
        registry = SqlRegistry(url)
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


def test_of_several_that_apply_at_once_one_wins(tmp_path):
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    names = ["ann", "bob", "cem"]
    with ready(url, "race", names) as processes:
        outcomes = dict(zip(names, [p.stdout.read().strip() for p in processes], strict=True))
    (winner,) = [name for name, outcome in outcomes.items() if outcome == "won 1"]
    for name in set(names) - {winner}:
        assert outcomes[name].startswith(f"lost   generation 1 by {winner} at ")
    registry = SqlRegistry(url)
    assert list(registry.head("demo").features) == [f"f_{winner}"]
    assert [commit.author for commit in history(registry, "demo")] == [winner]
    registry.close()


def test_of_several_that_insist_nobody_loses_anything(tmp_path):
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    names, rounds = ["ann", "bob", "cem"], 4
    with ready(url, "insist", names, rounds) as processes:
        outcomes = [process.stdout.read() for process in processes]
    assert all(outcome.startswith("done ") for outcome in outcomes)
    registry = SqlRegistry(url)
    head = registry.head("demo")
    expected = {f"f_{name}_{number}" for name in names for number in range(rounds)}
    assert set(head.applied()) == expected
    assert head.generation == len(expected)
    authors = [commit.author for commit in history(registry, "demo")]
    assert sorted(authors) == sorted(names * rounds)
    registry.close()
