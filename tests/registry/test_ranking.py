"""What a feature is worth: use, importance, cost, and the hint that comes of them."""

import pytest

from headwater.registry.apply import apply_plan
from headwater.registry.build import build_plan
from headwater.registry.counts import DAY
from headwater.registry.kinds import FeatureUsage, Run, new_id, now_us
from headwater.registry.ranking import rank_features, width
from headwater.registry.usage import record_usage
from registry.samples import analyze, feature, service, view

VIEWS = (
    view("ads", feature("clicks"), feature("views"), feature("old"), feature("listed")),
    view("ratios", feature("ctr", "clicks / views", window=None), source=None),
    view("dead", feature("leaf", "old * 2", window=None), source=None),
    view("fresh", feature("young")),
)


@pytest.fixture
def project(apply, registry):
    """Features of long ago, but for `young`."""
    apply(analyze(VIEWS[:3], services=[service("ranking", "listed")]))
    plan = build_plan(registry, "demo", analyze(VIEWS, services=[service("ranking", "listed")]))
    apply_plan(registry, plan, author="ann")
    return registry


def use(name, count=1, *, days_ago=1, **fields):
    at = now_us() - days_ago * DAY
    given = {"used_by_model": "m", "environment": "production", **fields}
    return FeatureUsage(
        id=new_id(at),
        feature_name=name,
        feature_version="1.0.0",
        count=count,
        usage_timestamp=at,
        **given,
    )


def run(registry, view_name, seconds, rows):
    revision = registry.head("demo").views[view_name].revision
    at = now_us() - DAY
    registry.put(
        "demo",
        [
            Run(
                new_id(at),
                "materialize",
                view_name,
                revision,
                at,
                status="done",
                rows=rows,
                finished_at=at + round(seconds * 1e6),
            )
        ],
    )


def ranked(registry, **fields):
    return {one.feature_name: one for one in rank_features(registry, "demo", **fields)}


@pytest.mark.every_registry
def test_use_cost_and_worth(project):
    run(project, "ads", 8.0, 1_000)
    run(project, "fresh", 8.0, 1_000)
    record_usage(
        project,
        "demo",
        [
            use("clicks", 30, operation="online", service="ranking", rows=90, used_by_model=""),
            use("clicks", 10, operation="training", rows=1_000),
            use("views", 5, feature_importance=0.5, used_by_model="n", environment="dev"),
            use("young", 5, feature_importance=0.1),
            use("young", 7, days_ago=100),
        ],
    )
    found = ranked(project)
    clicks = found["clicks"]
    assert (clicks.uses, clicks.online, clicks.training, clicks.rows) == (40, 30, 10, 1_090)
    assert (clicks.models, clicks.services) == (("m",), ("ranking",))
    assert (clicks.seconds, clicks.bytes) == (2.0, 9_000)  # a quarter of its view's
    assert (found["views"].importance, clicks.importance) == (0.5, None)
    # nobody told how important clicks are: as much as the others in the mean, 0.3
    value = 40 * 0.3 + 5 * 0.5 + 5 * 0.1
    share = (2 / 16 + 9 / 45) / 2
    assert clicks.worth == pytest.approx(40 * 0.3 / value / share)
    assert (found["young"].uses, found["ctr"].seconds) == (5, 0.0)
    assert list(found)[:3] == ["clicks", "views", "young"]
    assert ranked(project, days=200)["young"].uses == 12


def test_hints(project):
    record_usage(project, "demo", [use("ctr"), use("old", days_ago=100)])
    found = {name: (one.hint, one.reason) for name, one in ranked(project).items()}
    assert found["ctr"] == ("keep", "is used")
    assert found["clicks"] == ("keep", "feature 'ctr' reads it, which is used")
    assert found["listed"] == ("watch", "not used, but service 'ranking' lists it")
    assert found["old"] == ("watch", "not used; feature 'leaf' reads it, retire that first")
    assert found["leaf"] == ("retire", "not used, and nothing reads it; deprecate it")
    assert found["young"] == ("watch", "not used yet; it is younger than the period")


def test_what_costs_much_and_brings_little_is_to_be_watched(project):
    run(project, "fresh", 100.0, 10)
    run(project, "ads", 1.0, 10)
    record_usage(project, "demo", [use("young"), use("clicks", 1_000)])
    found = ranked(project)
    assert (found["young"].hint, found["clicks"].hint) == ("watch", "keep")
    assert found["young"].reason == "brings 0.0017 of what it costs"


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("bool", 1), ("int32", 5), ("float64", 9), ("string", 33), ("list[int64]", 90)],
)
def test_widths(dtype, size):
    assert width(dtype) == size
