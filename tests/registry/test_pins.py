"""Services that are pinned to a version: listed, moved by one commit, and told apart by a plan."""

import pytest

from headwater import FeatureService
from headwater.errors import NotFoundError, RefusedError
from headwater.registry.audit import audit, history, verify
from headwater.registry.build import build_plan
from headwater.registry.changed import ChangedQuery
from headwater.registry.collecting import give_up
from headwater.registry.governance import Governance
from headwater.registry.pins import services_of
from registry.samples import analyze, feature, view
from registry.test_governance import NothingComputed

pytestmark = pytest.mark.every_registry

RANKER = FeatureService("ranker", ["total@1.0.0", "other"])
MODEL = FeatureService("model", ["total@2.0.0", "other"])
SECOND = FeatureService("second", ["other", "view_a:total@2.0"])
SERVICES = (RANKER, MODEL, SECOND)


def project(expression, *services):
    views = view("view_a", feature("total", expression), feature("other", "avg(x)"))
    return analyze([views], services=services)


@pytest.fixture
def governed(registry, apply):
    """`total` has two versions, 2.0.0 was rolled back, and services are pinned to both."""
    apply(project("sum(x)", RANKER))
    apply(project("max(x)", *SERVICES))
    found = Governance(registry, "demo", NothingComputed())
    found.rollback("total", "1.0.0", author="ann")
    return found


def pins(registry):
    services = services_of(registry, "demo", registry.head("demo"))
    return {name: [str(ref) for ref in service.features] for name, service in services.items()}


def test_they_are_listed(governed):
    assert governed.pinned("total", "2.0.0") == ["model", "second"]
    assert governed.pinned("total", "2.0") == ["model", "second"]
    assert governed.pinned("total", "1.0.0_rollback") == governed.pinned("other", "1.0.0") == []
    with pytest.raises(NotFoundError, match=r"has no version '3\.0\.0'"):
        governed.pinned("total", "3.0.0")
    with pytest.raises(NotFoundError, match="did you mean 'total'"):
        governed.pinned("totall", "1.0.0")


def test_all_are_moved_in_one_commit(governed, registry):
    before = registry.head("demo")
    done = governed.repin("total", "2.0", "1.0.0", author="bob")
    assert (done.old, done.new, done.services) == ("2.0.0", "1.0.0", ("model", "second"))
    assert pins(registry) == {
        "ranker": ["total@1.0.0", "other"],
        "model": ["total@1.0.0", "other"],
        "second": ["other", "view_a:total@1.0.0"],
    }
    (commit, *_) = history(registry, "demo")
    assert (commit.generation, commit.author) == (before.generation + 1, "bob")
    assert commit.summary == "model, second re-pinned from total@2.0.0 to 1.0.0"
    found, _ = audit(registry, "demo", ChangedQuery(change="repin"))
    assert [(entry.kind, entry.name) for entry in found] == [
        ("service", "model"),
        ("service", "second"),
    ]
    assert verify(registry, "demo").generation == commit.generation


def test_one_is_moved(governed, registry):
    done = governed.repin("total", "2.0.0", "1.0.0", services=["second"], author="bob")
    assert done.services == ("second",)
    assert governed.pinned("total", "2.0.0") == ["model"]


def test_where_none_is_pinned_nothing_changes(governed, registry):
    governed.repin("total", "2.0.0", "1.0.0", author="bob")
    before = registry.head("demo")
    assert governed.repin("total", "2.0.0", "1.0.0", author="bob").services == ()
    assert governed.repin("total", "1.0.0", "1.0", author="bob").services == ()
    assert registry.head("demo") == before


def test_mistakes(governed, registry):
    before = registry.head("demo")
    for services, error, message in (
        (["modell"], NotFoundError, "no feature service 'modell'; did you mean 'model'"),
        (["ranker"], RefusedError, r"is not pinned to total@2\.0\.0 \(pinned to it: model, second"),
    ):
        with pytest.raises(error, match=message):
            governed.repin("total", "2.0.0", "1.0.0", services=services, author="bob")
    with pytest.raises(NotFoundError, match=r"has no version '7\.0\.0'"):
        governed.repin("total", "2.0.0", "7.0.0", author="bob")
    assert registry.head("demo") == before


def test_the_revision_that_nobody_reads_any_more_is_retired(governed, registry, apply):
    home = registry.head("demo").features["total"].versions["2.0.0"].revision
    apply(project("min(x)", *SERVICES))
    assert registry.head("demo").revisions[home].retired is None
    governed.repin("total", "2.0.0", "1.0.0", author="bob")
    entry = registry.head("demo").revisions[home]
    assert entry.retired == registry.head("demo").generation
    assert entry.retired_at is not None
    governed.repin("total", "1.0.0", "2.0.0", services=["model"], author="bob")
    assert registry.head("demo").revisions[home].retired is None


def test_what_gc_has_removed_is_refused(governed, registry, apply):
    home = registry.head("demo").features["total"].versions["2.0.0"].revision
    apply(project("min(x)", RANKER))
    give_up(registry, "demo", lambda head: [home], author="gc")
    assert registry.head("demo").revisions[home].collected_at is not None
    before = registry.head("demo")
    give_up(registry, "demo", lambda head: [home], author="gc")
    assert registry.head("demo") == before
    for verb in (
        lambda: governed.repin("total", "1.0.0", "2.0.0", author="bob"),
        lambda: governed.rollback("total", "2.0.0", author="bob"),
    ):
        with pytest.raises(RefusedError, match=r"values of version '2\.0\.0' were removed by gc"):
            verb()
    assert registry.head("demo") == before
    apply(project("min(x)", RANKER, MODEL))
    assert registry.head("demo").revisions[home].collected_at is None
    governed.rollback("total", "2.0.0", author="bob")


def test_files_that_still_pin_the_bad_version_change_it_back_and_the_plan_says_so(
    governed, registry, apply
):
    governed.repin("total", "2.0.0", "1.0.0", author="bob")
    plan = build_plan(registry, "demo", project("max(x)", *SERVICES))
    assert [(change.kind, change.name) for change in plan.objects] == [
        ("service", "model"),
        ("service", "second"),
    ]
    assert plan.features == ()
    assert len(plan.notes) == 2
    assert plan.notes[0].startswith(
        "feature service 'model' would read total@2.0.0, which was rolled back at 2"
    )
    assert plan.notes[0].endswith("where it is declared (the current one is 1.0.0_rollback)")
    assert plan.notes[0] in str(plan)
    mended = [
        FeatureService("model", ["total@1.0.0", "other"]),
        FeatureService("second", ["other", "view_a:total@1.0.0"]),
    ]
    assert not build_plan(registry, "demo", project("max(x)", RANKER, *mended)).has_changes
