from dataclasses import asdict

import pytest
from msgspec.structs import replace

from headwater.errors import NotFoundError, StoreError
from headwater.registry.audit import audit, check_anchor, history, utc_text, verify
from headwater.registry.changed import ChangedQuery
from headwater.registry.changes import FieldChange
from headwater.registry.copying import copy_registry
from headwater.registry.governance import Governance
from headwater.registry.kinds import Commit
from headwater.registry.records import FeatureRecord
from headwater.registry.store import open_registry
from headwater.registry.versions import Wanted
from registry.samples import analyze, feature, service, view
from registry.test_governance import NothingComputed

pytestmark = pytest.mark.every_registry


def project(expression):
    return analyze([view("ads", feature("a", expression))])


def test_history_says_who_changed_what_from_what_to_what(registry, apply):
    apply(project("sum(x)"), author="ann")
    apply(project("avg(x)"), author="bob")
    last, first = history(registry, "demo")
    assert (last.generation, last.author, last.at) == (2, "bob", 1_000_000)
    assert last.summary == "1 feature, 1 view changed"
    (change,) = last.features
    assert (change.old_version, change.new_version, change.bump) == ("1.0.0", "2.0.0", "major")
    assert change.fields == (FieldChange("expression", "sum(x)", "avg(x)"),)
    assert [c.action for c in last.revisions] == ["new", "retired"]
    assert (first.generation, first.author) == (1, "ann")


def test_an_apply_that_changes_nothing_leaves_no_trace(registry, apply):
    apply(project("sum(x)"))
    apply(project("sum(x)"))
    assert len(history(registry, "demo")) == 1


def test_history_selects_and_limits(registry, apply):
    for n in range(12):
        apply(project(f"sum(x + {n})"), author="ann" if n % 2 else "bob")
    assert [commit.generation for commit in history(registry, "demo", limit=3)] == [12, 11, 10]
    assert {c.generation % 2 for c in history(registry, "demo", author="bob")} == {1}
    assert history(registry, "nobody") == ()


def test_times_are_printed_in_utc():
    assert utc_text(0) == "1970-01-01 00:00:00Z"
    assert utc_text(-1) == "1969-12-31 23:59:59Z"


# --- one change of one object ---------------------------------------------------------------


def record(name, **fields):
    return FeatureRecord(name=name, **{"feature_type": "raw", "data_type": "float64", **fields})


def entries(registry, **query):
    found, total = audit(registry, "demo", ChangedQuery(**query))
    assert total >= len(found)
    return found


def told(registry, **query):
    """(change, name, fields as dict) of each entry, oldest first."""
    return [
        (e.change, e.name, {f.field: (f.old, f.new) for f in e.fields})
        for e in reversed(entries(registry, **query))
    ]


@pytest.fixture
def lived(registry):
    """A feature that everything happened to."""
    governance = Governance(registry, "demo", NothingComputed())
    governance.create(record("x", owner="quant", tags=("a",)), author="ann")
    governance.create(record("y"), author="bob")
    governance.update("x", {"description": "spread"}, author="bob")
    governance.set_status("x", "active", author="ann")
    governance.create_version("x", Wanted("1.1.0", "more"), {}, author="ann")
    rule = {"rule_type": "not_null", "is_blocking": True}
    governance.update("x", {"validation_rules": (rule,)}, author="bob")
    governance.rollback("x", "1.0.0", author="ann")
    governance.set_status("x", "deprecated", author="bob")
    return registry


def test_every_kind_of_change_tells_each_field_from_what_to_what(lived):
    rule = {"rule_type": "not_null", "is_blocking": True}
    found = told(lived, kind="feature", name="x")
    assert found == [
        (
            "create",
            "x",
            {
                "feature_type": (None, "raw"),
                "data_type": (None, "float64"),
                "owner": (None, "quant"),
                "tags": (None, ["a"]),
                "status": (None, "draft"),
            },
        ),
        ("update", "x", {"description": ("", "spread")}),
        ("status", "x", {"status": ("draft", "active")}),
        ("version", "x", {}),
        ("version", "x", {"validation_rules": ([], [rule])}),
        ("rollback", "x", {"validation_rules": ([rule], [])}),
        ("status", "x", {"status": ("active", "deprecated")}),
    ]
    versions = [(e.old_version, e.new_version) for e in entries(lived, name="x")][::-1]
    assert versions[3:6] == [
        ("1.0.0", "1.1.0"),
        ("1.1.0", "1.1.1"),
        ("1.1.1", "1.0.0_rollback"),
    ]


def test_filters_and_pages(lived):
    assert [e.generation for e in entries(lived, author="bob", name="x")] == [8, 6, 3]
    assert [e.name for e in entries(lived, change="create")] == ["y", "x"]
    assert [e.generation for e in entries(lived, name="x", skip=1, limit=2)] == [7, 6]
    at = {e.generation: e.at for e in entries(lived)}
    assert [e.generation for e in entries(lived, since=at[7])] == [8, 7]
    assert [e.generation for e in entries(lived, until=at[2])] == [1]
    found, total = audit(lived, "demo", ChangedQuery(kind="feature", name="x", author="z"))
    assert (found, total) == ((), 0)
    with pytest.raises(NotFoundError, match="no feature 'xx'"):
        audit(lived, "demo", ChangedQuery(kind="feature", name="xx"))


def test_an_apply_tells_objects_too(registry, apply):
    def project(expression, version, views=("ads",)):
        made = [view(name, feature(f"a_{name}", expression)) for name in views]
        return analyze(made, services=[service("ctr", f"a_ads@{version}")])

    apply(project("sum(x)", "1.0.0", views=("ads", "more")))
    apply(project("avg(x)", "1.0.0"), author="bob")
    apply(project("avg(x)", "2.0.0"), author="bob")
    found = told(registry)
    created = {(change, name): fields for change, name, fields in found if change == "create"}
    assert created["create", "user"]["join_keys"] == (None, {"user_id": "string"})
    assert created["create", "ads"]["features"] == (None, ["a_ads"])
    assert created["create", "a_ads"]["source"] == (None, "events")
    assert created["create", "events"]["path"] == (None, "events.parquet")
    removed = {name: fields for change, name, fields in found if change == "remove"}
    assert removed["more"]["entity"] == ("user", None)
    assert removed["a_more"] == {"status": ("active", "archived")}
    (repinned,) = entries(registry, change="repin")
    assert (repinned.kind, repinned.name, repinned.author) == ("service", "ctr", "bob")
    assert [e.name for e in entries(registry, kind="entity")] == ["user"]


def test_a_draft_that_a_plan_activates_tells_its_status(registry, apply):
    governance = Governance(registry, "demo", NothingComputed())
    governance.create(record("a"), author="ann")
    apply(project("sum(x)"))
    assert entries(registry, name="a")[0].change == "status"
    fields = {f.field: (f.old, f.new) for f in entries(registry, name="a")[0].fields}
    assert fields["status"] == ("draft", "active")
    assert fields["entity"] == (None, "user")


# --- append-only ----------------------------------------------------------------------------


def test_a_trail_is_whole_after_everything_and_in_a_copy(lived, tmp_path):
    found = verify(lived, "demo")
    assert (found.generation, found.checked) == (8, 8)
    check_anchor(lived, "demo", 8, found.digest)
    target = open_registry(f"sqlite:///{tmp_path / 'copy.db'}")
    copy_registry(lived, target)
    assert verify(target, "demo") == found
    mine, copied = (audit(side, "demo", ChangedQuery()) for side in (lived, target))
    assert [asdict(e) for e in mine[0]] == [asdict(e) for e in copied[0]]
    target.close()
    with pytest.raises(StoreError, match="is not the one of digest abc"):
        check_anchor(lived, "demo", 8, "abc")


def test_no_verb_takes_a_commit_back(lived):
    before = lived.list("demo", Commit)
    with pytest.raises(TypeError, match="never deleted"):
        lived.delete("demo", Commit, ["1"])
    lived.put("demo", [replace(before[0], author="eve")])
    assert lived.list("demo", Commit) == before


class Forged:
    """A registry in which somebody has edited the commits by hand."""

    def __init__(self, registry, commits):
        self._registry, self._commits = registry, commits

    def list(self, project, kind):
        return self._commits

    def __getattr__(self, name):
        return getattr(self._registry, name)


def test_a_trail_that_was_edited_is_found_out(lived):
    whole = lived.list("demo", Commit)  # newest first

    def message(commits):
        with pytest.raises(StoreError) as caught:
            verify(Forged(lived, commits), "demo")
        return str(caught.value)

    edited = replace(whole[4], author="eve")
    assert "generation 4 is not the one that 5" in message((*whole[:4], edited, *whole[5:]))
    assert "generation 4 is missing" in message((*whole[:4], *whole[5:]))
    assert "generation 8 is missing" in message(whole[1:])
    assert "made the head" in message((replace(whole[0], summary=""), *whole[1:]))
    assert "does not name" in message((replace(whole[0], parent=""), *whole[1:]))
