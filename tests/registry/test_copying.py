"""A registry is moved between backends, whole and verified."""

import msgspec
import pytest

from headwater.definitions.entity import Entity
from headwater.errors import ConflictError, StoreError
from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.copying import copy_registry
from headwater.registry.kinds import KINDS, Commit, Run
from headwater.registry.listed import ListedQuery
from headwater.registry.state import load_definitions
from headwater.registry.store import open_registry
from registry.samples import USER
from registry.worker import apply_next, project
from servers.fixtures import BACKENDS, fresh_registry

PAIRS = [("sqlite", "postgresql"), ("postgresql", "mongodb"), ("mongodb", "sqlite")]


@pytest.fixture
def empty(request, tmp_path):
    """Opens an empty registry on a backend."""
    opened = []

    def make(backend):
        folder = tmp_path / str(len(opened))
        opened.append(open_registry(fresh_registry(request, backend, folder)))
        return opened[-1]

    yield make
    for registry in opened:
        registry.close()


@pytest.fixture
def filled(request, tmp_path, empty):
    """A registry with two projects, one without a head, and runs."""

    def make(backend="sqlite"):
        url = fresh_registry(request, backend, tmp_path / "filled")
        for _ in range(3):
            apply_next(url, author="ann")
        registry = open_registry(url)
        request.addfinalizer(registry.close)
        runs = [Run(f"r{n}", "backfill", "ads", "rev", n, "done") for n in range(700)]
        registry.put("demo", runs)
        registry.put("other", [USER])
        return registry

    return make


def contents(registry, name):
    found = {
        kind.name: {(kind.key(item), kind.encode(item)) for item in registry.list(name, kind.type)}
        for kind in KINDS.values()
    }
    return found, registry.head(name), registry.find(name, ListedQuery())


@pytest.mark.parametrize(("source", "target"), PAIRS, ids="-".join)
def test_everything_moves_from_store_to_store(filled, empty, source, target):
    before, after = filled(source), empty(target)
    demo, other = copy_registry(before, after)
    assert (demo.project, demo.generation, other.generation) == ("demo", 3, 0)
    assert demo.counts["run"] == 700
    assert demo.counts["commit"] == 3
    assert demo.copied == sum(demo.counts.values())
    for name in ("demo", "other"):
        assert contents(after, name) == contents(before, name)
    assert [commit.generation for commit in history(after, "demo")] == [3, 2, 1]
    assert list(load_definitions(after, "demo").views) == ["ads"]
    assert not build_plan(after, "demo", project(3)).has_changes


def test_a_second_copy_finds_everything(filled, empty):
    before, after = filled(), empty("sqlite")
    first = copy_registry(before, after)
    again = copy_registry(before, after)
    assert [p.copied for p in again] == [0, 0]
    assert [p.digest for p in again] == [p.digest for p in first]


class Dying:
    """A registry that fails at the n-th write."""

    def __init__(self, registry, left):
        self.registry, self.left = registry, left

    def __getattr__(self, name):
        if name in ("put", "restore_head"):
            self.left -= 1
            if self.left < 0:
                raise StoreError("died")
        return getattr(self.registry, name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_copy_that_was_broken_off_goes_on(filled, empty, backend):
    before, after = filled(), empty(backend)
    writes = 0
    while True:
        try:
            copy_registry(before, Dying(after, 1))
        except StoreError:
            writes += 1
            assert after.head("demo").generation in (0, 3)
        else:
            break
    assert writes > 4
    assert contents(after, "demo") == contents(before, "demo")


def test_a_run_that_has_changed_since_is_brought_up_to_date(filled, empty):
    before, after = filled(), empty("sqlite")
    copy_registry(before, after)
    changed = msgspec.structs.replace(before.get("demo", Run, "r1"), rows=9)
    before.put("demo", [changed])
    assert [p.copied for p in copy_registry(before, after)] == [1, 0]
    assert after.get("demo", Run, "r1") == changed


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_target_that_holds_something_else_is_refused(filled, empty, backend):
    before, after = filled(), empty(backend)
    after.put("demo", [Entity("stranger", {"k": "int64"})])
    with pytest.raises(ConflictError, match=r"project 'demo' holds entity '.*copy into an empty"):
        copy_registry(before, after)
    assert after.projects() == ("demo",)
    assert after.list("demo", Run) == ()


def test_a_target_with_a_history_of_its_own_is_refused(filled, empty, request, tmp_path):
    before = filled()
    url = fresh_registry(request, "sqlite", tmp_path / "own")
    apply_next(url, author="bob")
    after = open_registry(url)
    with pytest.raises(ConflictError, match="'demo' is at generation 1 of its own"):
        copy_registry(before, after)
    assert [commit.author for commit in after.list("demo", Commit)] == ["bob"]
    after.close()


def test_other_projects_of_the_target_stay(filled, empty):
    before, after = filled(), empty("sqlite")
    after.put("third", [USER])
    copy_registry(before, after)
    assert after.projects() == ("demo", "other", "third")


class Lossy:
    """A target that forgets runs."""

    def __init__(self, registry):
        self.registry = registry

    def __getattr__(self, name):
        return getattr(self.registry, name)

    def put(self, project, objects):
        self.registry.put(project, [item for item in objects if not isinstance(item, Run)])


def test_what_did_not_arrive_is_noticed(filled, empty):
    with pytest.raises(StoreError, match="holds 0 of kind run that are not the 700 copied"):
        copy_registry(filled(), Lossy(empty("sqlite")))
