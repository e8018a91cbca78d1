"""The life of features of which no values are computed: drafts and catalogue entries."""

import threading

import pytest

from headwater.errors import DefinitionError, NotFoundError, PreconditionError, RefusedError
from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.governance import Governance
from headwater.registry.kinds import Revision
from headwater.registry.listed import ListedQuery
from headwater.registry.records import FeatureRecord, Transformation
from headwater.registry.transitions import TRANSITIONS
from headwater.registry.versions import Wanted, sort_versions
from registry.samples import analyze, feature, view

pytestmark = pytest.mark.every_registry

RSI = Transformation("python", "def rsi(prices, period=14): ...", {"period": 14})
RANGE = {"rule_type": "range", "parameters": {"min": 0.0, "max": 100.0}, "is_blocking": True}


class NothingComputed:
    """A planner of a project whose features are all mere entries."""

    def activation(self, head, record, author):
        return None

    def edition(self, head, record, author, wanted=None):
        raise AssertionError("no feature here has values")

    def is_filled(self, revision):
        return False

    def applied(self, plan=None):
        pass


@pytest.fixture
def governed(registry):
    return Governance(registry, "demo", NothingComputed())


def record(name, *upstream, **fields):
    fields = {"feature_type": "raw", "data_type": "float64", **fields}
    return FeatureRecord(name, upstream_features=upstream, **fields)


def rsi(**fields):
    return record("rsi", transformation=RSI, validation_rules=(RANGE,), **fields)


def code(text):
    return Transformation("python", text, {"period": 14})


def create(governed, *records, status="active"):
    governed.create_many(records, author="ann")
    for item in records if status == "active" else ():
        governed.set_status(item.name, "active", author="ann")


def names(governed, **query):
    found, total = governed.find(ListedQuery(**query))
    assert total >= len(found)
    return [state.name for state in found]


def test_a_feature_begins_as_a_draft_of_version_1(governed):
    made = governed.create(rsi(owner="quant"), author="ann")
    assert (made.entry.status, made.entry.current) == ("draft", "1.0.0")
    assert made == governed.get("rsi")
    assert made.record == rsi(owner="quant")
    first = governed.version("rsi", "1.0")
    assert (first.content.transformation, first.content.rules) == (RSI, [RANGE])
    assert first.entry.made_by == "ann"
    assert made.entry.created_at == made.entry.updated_at == first.entry.made_at > 0


@pytest.mark.parametrize("status", ["draft", "active", "deprecated"])
def test_a_name_is_used_once(governed, status):
    create(governed, rsi(), status=status)
    if status == "deprecated":
        governed.set_status("rsi", "deprecated", author="ann")
    with pytest.raises(RefusedError, match=rf"feature 'rsi' exists already \({status}\)"):
        governed.create(rsi(), author="bob")


def test_several_are_registered_or_none(governed):
    create(governed, record("a"))
    with pytest.raises(RefusedError, match="feature 'a' exists"):
        governed.create_many([record("b"), record("a")], author="ann")
    with pytest.raises(DefinitionError, match="two of one name"):
        governed.create_many([record("b"), record("b")], author="ann")
    assert names(governed) == ["a"]


def test_an_upstream_may_come_later_but_is_there_before_activation(governed):
    made = governed.create(record("rsi", "close"), author="ann")
    assert made.unresolved == ("close",)
    with pytest.raises(RefusedError, match="close must be registered"):
        governed.set_status("rsi", "active", author="ann")
    create(governed, record("close"))
    assert governed.get("rsi").unresolved == ()
    assert governed.get("close").downstream == ("rsi",)
    assert governed.set_status("rsi", "active", author="ann").entry.status == "active"


def test_a_deprecated_upstream_is_not_built_upon(governed):
    create(governed, record("close"))
    governed.set_status("close", "deprecated", author="ann")
    assert governed.create(record("rsi", "close"), author="ann").unresolved == ("close",)


def test_nothing_goes_while_something_stands_on_it(governed):
    create(governed, record("close"), record("rsi", "close"))
    with pytest.raises(RefusedError, match="feature 'close': rsi depends on it"):
        governed.set_status("close", "deprecated", author="ann")
    governed.set_status("rsi", "deprecated", author="ann")
    gone = governed.set_status("close", "deprecated", author="ann")
    assert gone.entry.deprecated_at == gone.entry.updated_at
    assert gone.downstream == ("rsi",)


STATUSES = ["draft", "active", "deprecated", "archived"]
WAYS = {
    "draft": [],
    "active": ["active"],
    "deprecated": ["deprecated"],
    "archived": ["deprecated", "archived"],
}


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_state_is_left_on_the_legal_ways_alone(governed, before, after):
    governed.create(rsi(), author="ann")
    for step in WAYS[before]:
        governed.set_status("rsi", step, author="ann")
    if after in TRANSITIONS[before]:
        assert governed.set_status("rsi", after, author="ann").entry.status == after
        return
    with pytest.raises(RefusedError, match=f"it is {before}, not to be {after}") as caught:
        governed.set_status("rsi", after, author="ann")
    assert all(way in str(caught.value) for way in TRANSITIONS[before])
    assert governed.get("rsi").entry.status == before


@pytest.mark.parametrize(
    ("features", "cycle"),
    [
        ([("a", "a")], "a -> a"),
        ([("a", "b"), ("b", "a")], "b -> a -> b"),
        ([("a", "b"), ("b", "c"), ("c", "a")], "c -> a -> b -> c"),
    ],
)
def test_a_cycle_is_refused_and_shown(governed, features, cycle):
    for name, *upstream in features[:-1]:
        governed.create(record(name, *upstream), author="ann")
    with pytest.raises(RefusedError, match=cycle):
        governed.create(record(*features[-1]), author="ann")
    assert len(names(governed)) == len(features) - 1


def test_a_rule_that_is_not_built_stays_in_a_draft(governed):
    rule = {"rule_type": "outlier", "parameters": {"z": 3}}
    made = governed.create(rsi(), author="ann")
    made = governed.update("rsi", {"validation_rules": (rule,)}, author="ann")
    assert made.record.validation_rules == (rule,)
    with pytest.raises(RefusedError, match=r"rule 'outlier' is not built.*built: range, "):
        governed.set_status("rsi", "active", author="ann")
    governed.update("rsi", {"validation_rules": ()}, author="ann")
    governed.set_status("rsi", "active", author="ann")
    with pytest.raises(RefusedError, match="rule 'outlier' is not built"):
        governed.update("rsi", {"validation_rules": (rule,)}, author="ann")


def test_a_cycle_within_one_call_is_refused(governed):
    with pytest.raises(RefusedError, match="depend on itself"):
        governed.create_many([record("a", "b"), record("b", "a")], author="ann")


def test_a_drafts_code_is_edited_in_place(governed):
    governed.create(rsi(), author="ann")
    changed = governed.update("rsi", {"transformation": code("other")}, author="bob")
    assert changed.entry.current == "1.0.0"
    assert list(changed.entry.versions) == ["1.0.0"]
    assert governed.version("rsi", "1.0.0").content.transformation == code("other")


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"description": "new"}, "1.0.0"),
        ({"tags": ("a", "b")}, "1.0.0"),
        ({"validation_rules": ()}, "1.0.1"),
        ({"transformation": code("def rsi( prices,period = 14 ):\n  ...")}, "1.0.1"),
        ({"transformation": code("def rsi(prices, period=15): ...")}, "2.0.0"),
        ({"transformation": None}, "2.0.0"),
        ({"transformation": RSI}, "1.0.0"),
    ],
)
def test_an_active_features_code_and_rules_make_versions(governed, changes, version):
    create(governed, rsi())
    assert governed.update("rsi", changes, author="bob").entry.current == version
    kept = governed.version("rsi", "1.0.0").content
    assert (kept.transformation, kept.rules) == (RSI, [RANGE])


def test_an_update_that_changes_nothing_leaves_no_trace(governed):
    before = governed.create(rsi(), author="ann")
    assert governed.update("rsi", {"description": ""}, author="bob") == before
    assert len(history(governed._registry, "demo")) == 1


def test_what_is_deprecated_is_not_edited(governed):
    create(governed, rsi())
    governed.set_status("rsi", "deprecated", author="ann")
    with pytest.raises(RefusedError, match="it is deprecated"):
        governed.update("rsi", {"description": "new"}, author="ann")
    with pytest.raises(RefusedError, match="no version is added"):
        governed.create_version("rsi", Wanted("2.0.0", ""), {}, author="ann")
    with pytest.raises(RefusedError, match="nothing is rolled back"):
        governed.rollback("rsi", "1.0.0", author="ann")


def test_a_change_on_a_tag_that_is_old_is_refused(governed):
    seen = governed.create(rsi(), author="ann").tag
    now = governed.update("rsi", {"description": "x"}, author="ann", expected=seen).tag
    assert now != seen
    for change in (
        lambda: governed.update("rsi", {"description": "y"}, author="bob", expected=seen),
        lambda: governed.set_status("rsi", "active", author="bob", expected=seen),
        lambda: governed.rollback("rsi", "1.0.0", author="bob", expected=seen),
    ):
        with pytest.raises(PreconditionError, match=f"'{now}', not '{seen}'"):
            change()
    create(governed, record("other"))
    assert governed.get("rsi").tag == now


@pytest.mark.parametrize(
    ("number", "fields", "message"),
    [
        ("1.0.0", {}, "is not above 1.0.0; the next are 1.0.1, 1.1.0, 2.0.0"),
        ("0.9.0", {}, "is not above 1.0.0"),
        ("1.0.0-rc.1", {}, "is not above 1.0.0"),
        ("0.9.0", {"force": True}, "is not above 1.0.0"),
        ("1.1.0", {"breaking_changes": True}, "too small: breaking changes deserve 2.0.0"),
        ("1.1.0", {"breaking_changes": ("a",)}, "too small"),
    ],
)
def test_a_number_that_is_too_small_is_refused(governed, number, fields, message):
    create(governed, rsi())
    with pytest.raises(RefusedError, match=message):
        governed.create_version("rsi", Wanted(number, "text", **fields), {}, author="ann")


def test_a_version_is_made_by_number(governed):
    create(governed, rsi())
    made = governed.create_version(
        "rsi", Wanted("1.1.0", "faster"), {"transformation": code("x")}, author="bob"
    )
    assert (made.version, made.content.changelog) == ("1.1.0", "faster")
    assert made.content.transformation == code("x") == governed.get("rsi").record.transformation
    assert made.content.rules == [RANGE]
    assert [found.version for found in governed.versions("rsi")] == ["1.1.0", "1.0.0"]


def test_a_rollback_restores_and_says_so(governed):
    create(governed, rsi())
    governed.update("rsi", {"transformation": code("bad"), "validation_rules": ()}, author="ann")
    back = governed.rollback("rsi", "1.0.0", author="bob")
    assert back.version == governed.get("rsi").entry.current == "1.0.0_rollback"
    assert (back.content.transformation, back.content.rules) == (RSI, [RANGE])
    now = governed.get("rsi").record
    assert (now.transformation, now.validation_rules) == (RSI, (RANGE,))
    bad = governed.version("rsi", "2.0.0")
    assert bad.entry.rolled_back_at is not None
    assert back.entry.rolled_back_at is None
    again = governed.create_version("rsi", Wanted("2.1.0", ""), {}, author="ann")
    assert again.version == "2.1.0"
    assert governed.rollback("rsi", "1.0.0", author="bob").version == "1.0.0_rollback2"
    assert governed.rollback("rsi", "1.0.0_rollback", author="bob").version == "1.0.0_rollback3"
    order = ["1.0.0", "2.0.0", "1.0.0_rollback", "2.1.0", "1.0.0_rollback2", "1.0.0_rollback3"]
    assert sort_versions(governed.get("rsi").entry.versions) == order
    assert [found.version for found in governed.versions("rsi")] == order[::-1]


def test_a_rollback_needs_an_earlier_version(governed):
    create(governed, rsi())
    with pytest.raises(RefusedError, match="is the current one"):
        governed.rollback("rsi", "1.0", author="ann")
    with pytest.raises(NotFoundError, match=r"no version '3.0.0' \(versions: 1.0.0\)"):
        governed.rollback("rsi", "3.0.0", author="ann")


def test_lineage_reaches_as_far_as_asked(governed):
    create(governed, record("a"), record("b", "a"), record("c", "b"), record("d", "c", "a"))
    found = governed.lineage("b")
    assert (found.upstream, found.downstream) == (("a",), ("c",))
    assert found.all_downstream == ("c", "d")
    assert governed.lineage("a").all_downstream == ("b", "d", "c")
    assert governed.lineage("a", depth=1).all_downstream == ("b", "d")
    assert governed.lineage("d").all_upstream == ("c", "a", "b")


def test_a_chain_longer_than_the_stack(governed):
    chain = [record("f0"), *(record(f"f{n}", f"f{n - 1}") for n in range(1, 3_000))]
    governed.create_many(chain, author="ann")
    assert len(governed.lineage("f0").all_downstream) == 2_999
    assert len(governed.lineage("f2999").all_upstream) == 2_999


def test_who_changed_what_is_kept(governed):
    create(governed, rsi())
    governed.update("rsi", {"description": "new"}, author="bob")
    newest, activated, created = history(governed._registry, "demo")
    assert [c.author for c in (newest, activated, created)] == ["bob", "ann", "ann"]
    (change,) = newest.features
    assert [(f.field, f.old, f.new) for f in change.fields] == [("description", "", "new")]
    assert activated.features[0].fields[-1].field == "status"
    assert created.features[0].action == "added"


def test_sixteen_writers_lose_nothing(registry):
    """Each creates features under one parent and describes a shared one."""
    first = Governance(registry, "demo", NothingComputed())
    first.create(record("root"), author="ann")
    failed = []

    def work(number):
        mine = Governance(registry, "demo", NothingComputed())
        try:
            for step in range(3):
                mine.create(record(f"f{number}_{step}", "root"), author=f"w{number}")
                mine.update(f"f{number}_{step}", {"description": "x"}, author=f"w{number}")
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    expected = {f"f{n}_{s}" for n in range(16) for s in range(3)}
    assert set(first.get("root").downstream) == expected
    assert all(first.get(name).record.description == "x" for name in expected)
    assert len(history(registry, "demo", limit=None)) == 1 + 2 * 48


def test_nothing_is_computed_for_mere_entries(governed):
    create(governed, rsi())
    assert governed._registry.list("demo", Revision) == ()
    assert governed._registry.head("demo").applied() == {}


def test_features_are_found_by_their_fields(governed):
    create(governed, record("a", owner="ann", tags=("x", "y")))
    create(governed, record("b", owner="bob", tags=("y",), feature_type="derived"))
    create(governed, record("c", owner="bob", tags=("z",)), status="draft")
    assert names(governed) == ["c", "b", "a"]
    assert names(governed, owner="bob") == ["c", "b"]
    assert names(governed, status="active") == ["b", "a"]
    assert names(governed, feature_type="derived") == ["b"]
    assert names(governed, tags=("y",)) == ["b", "a"]
    assert names(governed, tags=("x", "z")) == ["c", "a"]
    assert names(governed, owner="bob", tags=("x", "y")) == ["b"]
    assert names(governed, owner="nobody") == []
    assert names(governed, skip=1, limit=1) == ["b"]
    assert governed.find(ListedQuery(skip=1, limit=1))[1] == 3
    assert governed.find(ListedQuery(tags=("x", "y")))[1] == 2


def test_a_list_says_what_a_feature_is_now(governed):
    create(governed, rsi(tags=("x",)))
    governed.update("rsi", {"tags": ("y", "y")}, author="ann")
    governed.set_status("rsi", "deprecated", author="ann")
    assert names(governed, tags=("x",)) == []
    assert names(governed, tags=("y",), status="deprecated") == ["rsi"]


def test_features_of_definitions_are_listed_too(governed, apply):
    clicks = feature("clicks", owner="ads", tags=["hot"], feature_type="fundamental")
    apply(analyze([view("user_ads", clicks, owner="team", tags=["user"])]))
    create(governed, record("rsi", "clicks"))
    found = governed.get("clicks")
    assert names(governed, owner="ads", tags=("user",), feature_type="fundamental") == ["clicks"]
    assert (found.entry.status, found.downstream) == ("active", ("rsi",))
    assert found.record.transformation == Transformation("sql", "sum(x)")
    assert found.record.frame == {"window": "7d"}
    assert (found.record.entity, found.record.source) == ("user", "events")
    apply(analyze([], entities=[], sources=[]))
    assert names(governed, status="archived") == ["clicks"]
    assert names(governed, status="active") == ["rsi"]


def test_definitions_give_values_to_a_draft(governed, apply):
    create(governed, record("clicks"), status="draft")
    plan = apply(analyze([view("user_ads", feature("clicks"))]))
    (change,) = plan.features
    assert (change.old_version, change.new_version) == ("1.0.0", "1.0.0")
    found = governed.get("clicks")
    assert (found.entry.status, found.entry.view) == ("active", "user_ads")
    assert found.entry.versions["1.0.0"].column == "clicks"
    assert governed.version("clicks", "1.0.0").content.data_hash


def test_definitions_give_values_to_a_catalogue_entry_as_a_new_version(governed, apply):
    create(governed, record("clicks"))
    apply(analyze([view("user_ads", feature("clicks"))]))
    found = governed.get("clicks")
    assert (found.entry.current, list(found.entry.versions)) == ("1.1.0", ["1.0.0", "1.1.0"])
    assert governed.version("clicks", "1.0.0").entry.revision == ""


def test_applying_leaves_mere_entries_alone(governed, apply):
    create(governed, record("rsi"))
    before = governed.get("rsi")
    apply(analyze([view("user_ads", feature("clicks"))]))
    apply(analyze([], entities=[], sources=[]))
    assert governed.get("rsi") == before


# --- what is computed -----------------------------------------------------------------------


def computed(first, second):
    return analyze([view("ads", feature(*first), feature(*second))])


def test_edges_follow_a_rollback_of_what_is_computed(registry, governed, apply):
    apply(computed(("a", "sum(x)"), ("d", "a + 1")))
    later = computed(("a", "sum(x)"), ("d", "avg(x)"))
    apply(later)
    assert (governed.get("d").entry.upstream, governed.get("a").downstream) == ((), ())
    governed.rollback("d", "1.0.0", author="ann")
    assert (governed.get("d").entry.upstream, governed.get("a").downstream) == (("a",), ("d",))
    assert not build_plan(registry, "demo", later).has_changes
    with pytest.raises(RefusedError, match="d depends on it"):
        governed.set_status("a", "deprecated", author="ann")


def test_a_rollback_into_a_circle_is_refused(governed, apply):
    apply(computed(("a", "sum(x)"), ("d", "a + 1")))
    apply(computed(("a", "sum(x)"), ("d", "avg(x)")))
    apply(computed(("d", "avg(x)"), ("a", "d + 1")))
    with pytest.raises(RefusedError, match="d -> a -> d"):
        governed.rollback("d", "1.0.0", author="ann")
    assert governed.get("d").entry.current == "2.0.0"
