import pytest

from headwater.registry.apply import apply_plan
from headwater.registry.build import build_plan
from headwater.registry.store import open_registry


@pytest.fixture
def url(registry_url):
    return registry_url


@pytest.fixture
def registry(url):
    opened = open_registry(url)
    yield opened
    opened.close()


@pytest.fixture
def apply(registry):
    """Plan and apply a project; the plan that was applied."""

    def run(desired, author="ann"):
        plan = build_plan(registry, "demo", desired)
        apply_plan(registry, plan, author=author, at=1_000_000)
        return plan

    return run
