"""What a plan finds out: changes, versions and why, revisions, downstream, errors."""

import pytest

from headwater.definitions.entity import Entity
from headwater.definitions.rules import NotNull, Range, ValidationRule
from headwater.definitions.source import Source
from headwater.errors import DefinitionError
from headwater.registry.apply import apply_plan
from headwater.registry.build import build_plan
from headwater.registry.changes import Downstream, FieldChange
from headwater.registry.head import Head
from headwater.registry.kinds import FeatureVersion, Revision, content_key
from headwater.registry.plan import decode_plan, encode_plan
from registry.samples import COLUMNS, EVENTS, USER, analyze, feature, service, view


@pytest.fixture
def plan(registry):
    return lambda desired: build_plan(registry, "demo", desired)


def one(*features, services=(), source=EVENTS, entity=USER, **fields):
    """A project of one view."""
    features = features or (feature("a"),)
    made = view("ads", *features, source=source.name, entity=entity.name, **fields)
    return analyze([made], services=services, sources=[source], entities=[entity])


def chain(expression="sum(x)", **fields):
    """Three views, c reads b reads a; a service follows c, another is pinned to a@1.0.0."""
    return analyze(
        [
            view("base", feature("a", expression), **fields),
            view("middle", feature("b", "a * 2", window=None), source=None),
            view("top", feature("c", "b + 1", window=None), source=None),
        ],
        services=[service("ranker", "c"), service("old", "a@1.0.0")],
    )


def change_of(plan, name):
    return next(change for change in plan.features if change.name == name)


def test_a_first_plan_adds_everything(plan):
    found = plan(chain())
    assert [(c.action, c.kind, c.name) for c in found.objects] == [
        ("added", "entity", "user"),
        ("added", "source", "events"),
        ("added", "view", "base"),
        ("added", "view", "middle"),
        ("added", "view", "top"),
        ("added", "service", "old"),
        ("added", "service", "ranker"),
    ]
    assert [(c.name, c.old_version, c.new_version, c.bump) for c in found.features] == [
        ("a", None, "1.0.0", None),
        ("b", None, "1.0.0", None),
        ("c", None, "1.0.0", None),
    ]
    assert [(r.action, r.view) for r in found.revisions] == [
        ("new", "base"),
        ("new", "middle"),
        ("new", "top"),
    ]
    assert [b.view for b in found.backfills] == ["base"]
    assert found.errors == ()
    assert found.has_changes


def test_a_plan_changes_nothing(registry, plan):
    plan(chain())
    assert registry.projects() == ()


def test_what_is_applied_needs_no_plan(apply, plan):
    apply(chain())
    found = plan(chain())
    assert not found.has_changes
    assert found.objects == found.features == found.puts == found.backfills == found.notes == ()
    assert {r.action for r in found.revisions} == {"kept"}


OTHER_SOURCE = Source("events", path="other.parquet", event_time="at", available_at="seen_at")
OTHER_KEY = Entity("user", join_keys={"account": "string"})
BUMPS = {
    "expression": (one(feature("a", "avg(x)")), "2.0.0", "major", "expression"),
    "window": (one(feature("a", window="8d")), "2.0.0", "major", "window"),
    "type": (one(feature("a", dtype="float32")), "2.0.0", "major", "dtype"),
    "kind": (one(feature("a", window=None, rows=3)), "2.0.0", "major", "rows, window, kind"),
    "frequency": (
        one(update_frequency="daily"),
        "2.0.0",
        "major",
        "update_frequency of view 'ads'",
    ),
    "source": (one(source=OTHER_SOURCE), "2.0.0", "major", "path of source 'events'"),
    "keys": (one(entity=OTHER_KEY), "2.0.0", "major", "join_keys of entity 'user'"),
    "everything": (
        one(feature("a", "avg(x)", default=0), ttl="3d"),
        "2.0.0",
        "major",
        "expression",
    ),
    "default": (one(feature("a", default=0)), "1.1.0", "minor", "default"),
    "ttl": (one(ttl="3d"), "1.1.0", "minor", "ttl of view 'ads'"),
    "rules": (one(feature("a", validation_rules=[NotNull()])), "1.0.1", "patch", "rules"),
    "spelling": (one(feature("a", "SUM( x )")), "1.0.0", None, "with the same meaning"),
    "description": (one(feature("a", description="d")), "1.0.0", None, "only description"),
    "owner and tags": (
        one(feature("a", owner="me", tags=("t",))),
        "1.0.0",
        None,
        "only owner, tags",
    ),
    "table": (one(feature("a", duckdb_table="t")), "1.0.0", None, "only duckdb_table"),
}


@pytest.mark.parametrize("case", BUMPS)
def test_the_version_that_a_change_makes(apply, plan, case):
    desired, version, bump, reason = BUMPS[case]
    apply(one())
    found = plan(desired)
    change = change_of(found, "a")
    assert (change.old_version, change.new_version, change.bump) == ("1.0.0", version, bump)
    assert reason in change.reason
    assert found.head.features["a"].current == version
    assert found.head.generation == 2


@pytest.mark.parametrize("case", BUMPS)
def test_only_other_values_make_another_revision(apply, plan, case):
    desired, _, bump, _ = BUMPS[case]
    apply(one())
    found = plan(desired)
    actions = sorted(change.action for change in found.revisions)
    if bump == "major":
        assert actions == ["new", "retired"]
        assert [b.revision for b in found.backfills] == [desired.views["ads"].revision]
        assert found.notes == ("note on ads",)
    else:
        assert actions == ["kept"]
        assert found.backfills == found.notes == ()


def test_rules_in_another_order_are_the_same_rules(apply, plan):
    rules = [NotNull(), Range(min=0)]
    apply(one(feature("a", validation_rules=rules)))
    change = change_of(plan(one(feature("a", validation_rules=rules[::-1]))), "a")
    assert change.bump is None


def test_field_changes_say_from_what_to_what(apply, plan):
    apply(one(feature("a", default=1), description="old", ttl="1d"))
    found = plan(one(feature("a", "avg(x)", owner="me"), ttl="2d"))
    assert found.objects[0].fields == (
        FieldChange("ttl", "1d", "2d"),
        FieldChange("description", "old", None),
    )
    assert change_of(found, "a").fields == (
        FieldChange("expression", "sum(x)", "avg(x)"),
        FieldChange("owner", None, "me"),
        FieldChange("default", 1, None),
    )


def test_join_keys_in_another_order_are_another_entity(apply, plan):
    keys = {"user_id": "string", "x": "float64"} | {"x": "int64"}
    apply(one(entity=Entity("user", keys)))
    found = plan(one(entity=Entity("user", dict(reversed(keys.items())))))
    assert found.objects[0].fields[0].field == "join_keys"
    assert change_of(found, "a").bump == "major"


def test_features_in_another_order_are_a_change_of_the_view_alone(apply, plan):
    apply(one(feature("a"), feature("b")))
    found = plan(one(feature("b"), feature("a")))
    assert found.objects[0].fields == (FieldChange("features", ["a", "b"], ["b", "a"]),)
    assert found.features == ()


def test_a_type_that_changes_with_the_source_is_shown(apply, plan, monkeypatch):
    apply(one())
    desired = one()
    analyzed = desired.views["ads"].features[0]
    object.__setattr__(analyzed, "dtype", "int64")
    object.__setattr__(analyzed, "data_hash", "other")
    change = change_of(plan(desired), "a")
    assert change.fields == (FieldChange("dtype", "float64", "int64"),)
    assert change.reason == "its values change: dtype"


# --- what lies downstream


def test_a_change_reaches_everything_downstream(apply, plan):
    apply(chain())
    found = plan(chain("avg(x)"))
    assert change_of(found, "a").downstream == Downstream(("b", "c"), ("ranker",))
    assert change_of(found, "b").downstream == Downstream(("c",), ("ranker",))
    assert change_of(found, "b").reason == "its values change: input a"
    assert [change_of(found, name).new_version for name in "abc"] == ["2.0.0"] * 3
    assert found.objects[0].downstream == Downstream()


def test_a_change_of_a_source_or_entity_reaches_its_features(apply, plan):
    apply(chain())
    desired = analyze(
        [v.view for v in chain().views.values()],
        services=chain().services.values(),
        sources=[OTHER_SOURCE],
        entities=[Entity("user", {"user_id": "string"}, description="somebody")],
    )
    entity, source = plan(desired).objects
    assert source.downstream == Downstream(("a", "b", "c"), ("ranker",))
    assert entity.downstream == Downstream()


def test_long_chains_are_no_problem(plan):
    links = [feature(f"f{n}", f"f{n - 1} + 1", window=None) for n in range(1, 1_500)]
    desired = analyze([view("base", feature("f0")), view("chain", *links, source=None)])
    found = plan(desired)
    assert len(found.features) == 1_500


# --- revisions and homes


def test_a_sibling_moves_with_the_view_and_keeps_its_version(registry, apply):
    first, second = one(feature("a"), feature("b")), one(feature("a", "avg(x)"), feature("b"))
    apply(first)
    apply(second)
    head = registry.head("demo")
    old, new = first.views["ads"].revision, second.views["ads"].revision
    b = head.features["b"]
    assert (b.current, list(b.versions)) == ("1.0.0", ["1.0.0"])
    assert b.versions["1.0.0"].home == (new, "b")
    assert b.versions["1.0.0"].earlier == (old,)
    a = head.features["a"].versions
    assert (a["1.0.0"].home, a["2.0.0"].home) == ((old, "a"), (new, "a"))
    assert a["2.0.0"].earlier == ()


def test_former_homes_are_few_and_none_is_the_present_one(registry, apply):
    seen = []
    for n in range(6):
        desired = one(feature("a", f"sum(x + {n})"), feature("b"))
        apply(desired)
        seen.insert(0, desired.views["ads"].revision)
        entry = registry.head("demo").features["b"].versions["1.0.0"]
        assert [entry.revision, *entry.earlier] == seen[:5]
    apply(one(feature("a", "sum(x + 4)"), feature("b")))
    entry = registry.head("demo").features["b"].versions["1.0.0"]
    assert [entry.revision, *entry.earlier] == [seen[1], seen[0], *seen[2:5]]


def test_all_versions_with_the_same_values_move_together(registry, apply):
    apply(one(feature("a"), feature("b")))
    apply(one(feature("a"), feature("b"), ttl="1d"))
    last = one(feature("a", "avg(x)"), feature("b", default=0), ttl="1d")
    apply(last)
    versions = registry.head("demo").features["b"].versions
    assert list(versions) == ["1.0.0", "1.1.0", "1.2.0"]
    assert {entry.home for entry in versions.values()} == {(last.views["ads"].revision, "b")}
    assert len({entry.earlier for entry in versions.values()}) == 1


def test_a_new_revision_says_what_made_it(apply, plan):
    apply(one(feature("a"), feature("b")))
    found = plan(one(feature("a", "avg(x)"), feature("c"), ttl="1d"))
    new, retired = found.revisions
    assert (new.action, new.reason) == ("new", "added c; changed a; removed b")
    assert (retired.action, retired.reason) == ("retired", "nothing reads it")


def test_a_pinned_revision_is_kept_and_so_is_all_that_it_reads(apply, plan):
    def project(expression, *services):
        made = view("base", feature("a", expression))
        top = view("top", feature("b", "a * 2", window=None), source=None, update_frequency="daily")
        return analyze([made, top], services=services)

    first, pin = project("sum(x)"), service("m", "b@1.0")
    apply(project("sum(x)", pin))
    found = plan(project("avg(x)", pin))
    kept = {(r.view, r.revision) for r in found.revisions if r.action == "kept"}
    assert kept == {(name, first.views[name].revision) for name in ("base", "top")}
    reasons = {r.view: r.reason for r in found.revisions if r.action == "kept"}
    assert reasons == {"base": "view 'top' reads it", "top": "a service is pinned to it"}
    assert len(found.head.live_revisions()) == 4
    apply(project("avg(x)", pin))
    released = plan(project("avg(x)"))
    assert {r.view for r in released.revisions if r.action == "retired"} == {"base", "top"}
    assert len(released.head.live_revisions()) == 2


def test_a_revision_that_comes_back_is_revived(registry, apply, plan):
    apply(one(feature("a")))
    apply(one(feature("a", "avg(x)")))
    back = plan(one(feature("a")))
    revived, _ = back.revisions
    assert (revived.action, change_of(back, "a").new_version) == ("revived", "3.0.0")
    assert [(b.view, b.reason) for b in back.backfills] == [
        ("ads", "read again; bring it up to date")
    ]
    apply(one(feature("a")))
    versions = registry.head("demo").features["a"].versions
    assert versions["3.0.0"].home == versions["1.0.0"].home
    assert registry.head("demo").revisions[revived.revision].since == 1


def test_a_service_that_pins_an_old_version_revives_its_revision(apply, plan):
    apply(one(feature("a")))
    apply(one(feature("a", "avg(x)")))
    found = plan(one(feature("a", "avg(x)"), services=[service("m", "a@1.0.0")]))
    assert [(r.action, r.reason) for r in found.revisions] == [
        ("revived", "is read again"),
        ("kept", ""),
    ]
    assert [b.revision for b in found.backfills] == [found.revisions[0].revision]


def test_a_view_without_stored_values_needs_no_backfill(apply, plan):
    apply(chain())
    assert [b.view for b in plan(chain("avg(x)")).backfills] == ["base"]


def test_a_revision_holds_what_is_needed_to_compute_it_again(registry, apply):
    desired = chain()
    apply(desired)
    top = registry.get("demo", Revision, desired.views["top"].revision)
    keys = {name: content_key(made.view) for name, made in desired.views.items()}
    assert top.views == keys
    assert top.entities == {"user": content_key(USER)}
    assert top.sources == {"events": content_key(EVENTS)}
    base = registry.get("demo", Revision, desired.views["base"].revision)
    assert base.views == {"base": keys["base"]}
    assert base.schemas == top.schemas == {"events": COLUMNS}
    assert (base.source, top.source) == ("events", None)
    assert (base.stored, top.stored) == (True, False)
    assert [(f.name, f.dtype, f.kind) for f in base.features] == [("a", "float64", "windowed")]


# --- removal and return


def test_what_is_not_wanted_any_more_is_removed(apply, plan):
    apply(chain())
    found = plan(AnalyzedEmpty)
    assert {c.action for c in (*found.objects, *found.features)} == {"removed"}
    assert [(c.name, c.old_version, c.new_version) for c in found.features] == [
        (name, "1.0.0", None) for name in "abc"
    ]
    assert {entry.status for entry in found.head.features.values()} == {"archived"}
    assert found.head.applied() == {}
    assert found.head.live_revisions() == ()


AnalyzedEmpty = analyze([], entities=[], sources=[])


def test_a_removed_feature_keeps_its_versions_and_comes_back(registry, apply, plan):
    apply(one(feature("a"), feature("b")))
    apply(one(feature("b")))
    assert registry.head("demo").features["a"].status == "archived"
    same = change_of(plan(one(feature("a"), feature("b"))), "a")
    assert (same.action, same.new_version, same.reason) == (
        "added",
        "1.0.0",
        "comes back; as it was",
    )
    other = change_of(plan(one(feature("a", "avg(x)"), feature("b"))), "a")
    assert (other.action, other.old_version, other.new_version) == ("added", "1.0.0", "2.0.0")
    assert other.fields == (FieldChange("expression", "sum(x)", "avg(x)"),)
    apply(one(feature("a"), feature("b")))
    assert registry.head("demo").features["a"].status == "active"


def test_a_feature_that_moves_to_another_view_stays_itself(registry, apply, plan):
    apply(analyze([view("one", feature("a"), feature("b"))]))
    desired = analyze([view("one", feature("b")), view("two", feature("a"))])
    found = plan(desired)
    change = change_of(found, "a")
    assert (change.action, change.new_version, change.view) == ("changed", "1.0.0", "two")
    assert change.fields == (FieldChange("view", "one", "two"),)
    apply(desired)
    entry = registry.head("demo").features["a"]
    assert entry.versions["1.0.0"].home == (desired.views["two"].revision, "a")


# --- errors


def test_a_feature_that_is_read_can_not_be_removed(apply, plan):
    apply(chain())
    views = [v.view for v in chain().views.values() if v.name != "base"]
    desired = analyze(views)
    object.__setattr__(desired.views["middle"].features[0], "inputs", ("a",))
    assert plan(desired).errors == ("feature 'b' reads feature 'a', which this plan removes",)


def test_a_feature_that_a_service_reads_can_not_be_removed(registry, apply, plan):
    apply(one(feature("a"), feature("b")))
    for ref in ("b", "b@1.0.0", "ads:b"):
        found = plan(one(feature("a"), services=[service("ranker", ref)]))
        assert found.errors == (
            "feature service 'ranker' reads feature 'b', which this plan removes; take it out of "
            "the service first",
        )
        with pytest.raises(DefinitionError, match="service 'ranker' reads feature 'b'"):
            apply_plan(registry, found, author="ann")
    assert registry.head("demo").generation == 1


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("aa_1", "no feature 'aa_1'; did you mean 'aa_2'?"),
        ("other:aa_2", "feature 'aa_2' belongs to view 'ads', not 'other'"),
        ("aa_2@3.0.0", "feature 'aa_2' has no version '3.0.0' (versions: 1.0.0)"),
    ],
)
def test_a_service_reads_only_what_there_is(plan, ref, message):
    (error,) = plan(one(feature("aa_2"), services=[service("m", ref)])).errors
    assert error.startswith("feature service 'm': ")
    assert message in error


def test_a_service_may_be_pinned_to_a_version_that_the_plan_makes(apply, plan):
    apply(one())
    assert plan(one(feature("a", "avg(x)"), services=[service("m", "a@2.0.0")])).errors == ()


def test_a_rule_that_is_not_built_is_refused(plan):
    (error,) = plan(one(feature("a", validation_rules=[ValidationRule("outlier")]))).errors
    assert error == (
        "feature 'a': field 'validation_rules': rule 'outlier' is not built, so it could not be "
        "checked (built: range, not_null (or null_check), enum, regex)"
    )


# --- as data


@pytest.mark.parametrize("case", BUMPS)
def test_a_plan_survives_json(apply, plan, case):
    apply(one())
    found = plan(BUMPS[case][0])
    assert decode_plan(encode_plan(found)) == found


def test_a_plan_from_a_file_can_be_applied(registry, plan):
    found = decode_plan(encode_plan(plan(chain())))
    apply_plan(registry, found, author="ann")
    assert not plan(chain()).has_changes


def test_what_is_no_plan_is_refused():
    for text in ("{", "{}", "[]"):
        with pytest.raises(DefinitionError, match="the text is not that of a plan"):
            decode_plan(text)


def test_a_version_records_what_it_was(registry, apply):
    apply(one(feature("a", default=1), ttl="1d"))
    apply(one(feature("a", "avg(x)", description="d"), ttl="1d"))
    entry = registry.head("demo").features["a"].versions["2.0.0"]
    found = registry.get("demo", FeatureVersion, entry.object)
    assert found.definition == {
        "name": "a",
        "expression": "avg(x)",
        "window": "7d",
        "description": "d",
    }
    assert (found.version, found.bump, found.ttl) == ("2.0.0", "major", 86_400_000_000)
    assert found.reason == "its values change: expression"


def test_the_head_is_sorted_whatever_the_order_of_definitions(plan):
    def names(desired):
        head = plan(desired).head
        return [list(getattr(head, field)) for field in Head.__struct_fields__[1:]]

    views = [view("b", feature("z")), view("a", feature("y"))]
    services = [service("n", "z"), service("m", "y")]
    assert names(analyze(views, services=services)) == names(
        analyze(views[::-1], services=services[::-1])
    )
    assert all(found == sorted(found) for found in names(analyze(views, services=services)))


@pytest.mark.parametrize(
    ("upstream", "error"),
    [
        (["aa"], "feature 'b': field 'upstream_features': there is no feature 'aa'; did you mean"),
        (["b"], "it would depend on itself: b -> b"),
        (["c"], "it would depend on itself: b -> c -> b"),
    ],
)
def test_what_a_feature_names_upstream_is_there_and_not_below_it(registry, upstream, error):
    desired = analyze(
        [
            view("ads", feature("a"), feature("b", upstream_features=upstream)),
            view("rates", feature("c", "b + 1", window=None), source=None),
        ]
    )
    (found,) = build_plan(registry, "demo", desired).errors
    assert error in found


def test_what_a_feature_names_upstream_is_neither_value_nor_version(registry, apply):
    apply(analyze([view("ads", feature("a"), feature("b"))]))
    plan = apply(analyze([view("ads", feature("a"), feature("b", upstream_features=["a"]))]))
    (change,) = plan.features
    assert (change.name, change.bump, change.new_version) == ("b", None, "1.0.0")
    assert registry.head("demo").features["b"].upstream == ("a",)
