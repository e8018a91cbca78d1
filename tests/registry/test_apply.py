import pytest

from headwater.definitions.entity import Entity
from headwater.errors import ConflictError, DefinitionError, StoreError
from headwater.registry.apply import Applied, apply_plan
from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.kinds import FeatureVersion, Packed, Revision, unpack
from headwater.registry.plan import Plan
from registry.samples import USER, analyze, feature, service, timeless, view

pytestmark = pytest.mark.every_registry

FIRST = "1 feature, 1 view, 1 source, 1 entity added"


def project(*features):
    return analyze([view("ads", *(features or [feature("a")]))])


def plan_of(registry, desired):
    return build_plan(registry, "demo", desired)


def test_apply_makes_the_project_what_the_plan_says(registry):
    plan = plan_of(registry, project())
    done = apply_plan(registry, plan, author="ann", at=5)
    assert done == Applied("demo", 1, changed=True, summary=FIRST)
    assert timeless(registry.head("demo")) == plan.head
    entry = registry.head("demo").features["a"]
    assert (entry.created_at, entry.updated_at) == (5, 5)
    assert (entry.versions["1.0.0"].made_at, entry.versions["1.0.0"].made_by) == (5, "ann")


def test_applying_the_same_plan_twice_says_no_changes(registry):
    plan = plan_of(registry, project())
    apply_plan(registry, plan, author="ann")
    again = apply_plan(registry, plan, author="bob")
    assert again == Applied("demo", 1, changed=False, summary="no changes")
    assert len(history(registry, "demo")) == 1


def test_applying_an_empty_plan_says_no_changes(registry):
    apply_plan(registry, plan_of(registry, project()), author="ann")
    again = apply_plan(registry, plan_of(registry, project()), author="ann")
    assert (again.changed, again.generation) == (False, 1)


def test_nothing_from_nothing_is_no_change(registry):
    done = apply_plan(registry, Plan("demo", 0, registry.head("demo")), author="ann")
    assert (done.changed, done.generation) == (False, 0)


def test_a_stale_plan_is_a_conflict_that_says_who_changed_what(registry):
    stale = plan_of(registry, project(feature("a", "max(x)")))
    apply_plan(registry, plan_of(registry, project()), author="ann", at=0)
    apply_plan(registry, plan_of(registry, project(feature("a", "avg(x)"))), author="bob", at=10**6)
    with pytest.raises(ConflictError) as caught:
        apply_plan(registry, stale, author="cem")
    assert str(caught.value).splitlines() == [
        "project 'demo': the plan was made at generation 0, and the project has changed since; "
        "plan again:",
        f"  generation 1 by ann at 1970-01-01 00:00:00Z: {FIRST}",
        "  generation 2 by bob at 1970-01-01 00:00:01Z: 1 feature, 1 view changed",
    ]
    assert caught.value.retryable
    assert registry.head("demo").features["a"].current == "2.0.0"


def test_an_empty_plan_that_is_stale_is_a_conflict_too(registry):
    """The project is no more what was wanted, so `no changes` would be wrong."""
    apply_plan(registry, plan_of(registry, project()), author="ann")
    empty = plan_of(registry, project())
    apply_plan(registry, plan_of(registry, project(feature("b"))), author="bob")
    with pytest.raises(ConflictError, match="generation 2 by bob"):
        apply_plan(registry, empty, author="ann")


def test_who_comes_second_to_the_head_gets_the_conflict(registry, monkeypatch):
    """Both have read the same head; the other one is quicker."""
    first, second = project(), project(feature("b"))
    mine, theirs = plan_of(registry, first), plan_of(registry, second)
    put = registry.put

    def slow(project_name, objects):
        put(project_name, objects)
        monkeypatch.setattr(registry, "put", put)
        apply_plan(registry, theirs, author="bob")

    monkeypatch.setattr(registry, "put", slow)
    with pytest.raises(ConflictError, match="generation 1 by bob"):
        apply_plan(registry, mine, author="ann")
    assert timeless(registry.head("demo")) == theirs.head
    assert [commit.author for commit in history(registry, "demo")] == ["bob"]


def test_what_a_lost_race_left_is_used_by_the_next_apply(registry):
    lost = plan_of(registry, project(feature("a", "max(x)")))
    apply_plan(registry, plan_of(registry, project(feature("b"))), author="ann")
    with pytest.raises(ConflictError):
        apply_plan(registry, lost, author="bob")
    registry.put("demo", unpack(lost.puts))
    apply_plan(registry, plan_of(registry, project(feature("a", "max(x)"))), author="bob")
    assert registry.head("demo").features["a"].current == "1.0.0"
    assert len(registry.list("demo", Revision)) == 2


def test_a_leftover_never_stands_for_another_version_of_the_same_number(registry):
    """A crash left a 2.0.0 that was never reached; another 2.0.0 is not mistaken for it."""
    apply_plan(registry, plan_of(registry, project()), author="ann")
    crashed = plan_of(registry, project(feature("a", "max(x)")))
    registry.put("demo", unpack(crashed.puts))
    apply_plan(registry, plan_of(registry, project(feature("a", "avg(x)"))), author="ann")
    entry = registry.head("demo").features["a"].versions["2.0.0"]
    assert registry.get("demo", FeatureVersion, entry.object).definition["expression"] == "avg(x)"
    assert len(registry.list("demo", FeatureVersion, where={"name": "a"})) == 3


def test_a_plan_with_errors_is_refused_whole(registry):
    desired = analyze([view("ads", feature("a"))], services=[service("m", "b"), service("n", "c")])
    with pytest.raises(DefinitionError) as caught:
        apply_plan(registry, plan_of(registry, desired), author="ann")
    assert len(str(caught.value).splitlines()) == 2
    assert registry.projects() == ()


def test_a_plan_whose_objects_were_tampered_with_is_refused(registry):
    plan = plan_of(registry, project())
    entity = next(packed for packed in plan.puts if packed.kind == "entity")
    other = Packed(entity.kind, entity.key, entity.body.replace("user_id", "account"))
    forged = Plan("demo", 0, plan.head, puts=(other,))
    with pytest.raises(StoreError, match="not that of this key"):
        apply_plan(registry, forged, author="eve")
    assert registry.list("demo", Entity) == ()


def test_projects_are_applied_apart(registry):
    apply_plan(registry, build_plan(registry, "one", project()), author="ann")
    apply_plan(registry, build_plan(registry, "two", project(feature("b"))), author="ann")
    assert list(registry.head("one").features) == ["a"]
    assert list(registry.head("two").features) == ["b"]
    assert registry.get("two", Entity, registry.head("two").entities["user"]) == USER
