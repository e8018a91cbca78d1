"""The verbs of a registry, on every backend."""

import re

import msgspec
import pytest

from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.rules import Enum, NotNull, Range, Regex, ValidationRule
from headwater.definitions.service import FeatureRef, FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import ConfigError, ConflictError, NotFoundError, StoreError
from headwater.registry.head import FeatureEntry, Head, RevisionEntry, VersionEntry, ViewEntry
from headwater.registry.kinds import (
    KINDS,
    Commit,
    FeatureVersion,
    Packed,
    Revision,
    RevisionColumn,
    Run,
    content_key,
    kind_of,
    new_id,
    pack,
    unpack,
)
from headwater.registry.store import open_registry
from registry.samples import EVENTS, USER, feature, service, view

pytestmark = pytest.mark.every_registry

RULES = [
    Range(min=0, max=1.5, is_blocking=True),
    NotNull(),
    Enum(["a", 1, None]),
    Regex("a+"),
    ValidationRule("outlier", parameters={"z": 3}),
]
VERSION = FeatureVersion(
    name="clicks",
    version="1.0.0",
    view="ads",
    kind="windowed",
    dtype="int64",
    data_hash="d",
    serving_hash="s",
    definition={"name": "clicks", "default": 0.0},
    ttl=5,
    inputs=("a",),
)
REVISION = Revision(
    revision="r1",
    name="ads",
    features=(RevisionColumn("clicks", "windowed", "int64", "d"),),
    stored=True,
    source="events",
    views={"ads": "k", "other": "l"},
    schemas={"events": {"b": "int64", "a": "string"}},
)
OBJECTS = [
    USER,
    Entity("pair", {"b": "int64", "a": "string"}, description="x", owner="me", tags=("t",)),
    EVENTS,
    Source("s", query="SELECT 1", event_time="t", id=("b", "a"), schema={"b": "int", "a": "int"}),
    view(
        "ads",
        Feature("f", "sum(x)", window="lifetime", default=0.5, validation_rules=RULES, tags=("t",)),
        Feature("g", "avg(x)", window="90m", tail_hop="1h", offset="1d", dtype="float32"),
        Feature("h", "x", rows=20, min_rows=3, default="", duckdb_view="v"),
        ttl="30d",
        update_frequency="daily",
        at="17:30",
        timezone="America/New_York",
        data_delay="10m",
    ),
    service("m", "f@1.0.0", FeatureRef("g", alias="out", join_keys={"user_id": "other"})),
    VERSION,
    REVISION,
    Run("id", "backfill", "ads", "r1", 5, "failed", 1, 2, 3, "snap", 4, 5, 6, "broken"),
]


def commit(generation, author="ann"):
    return Commit(generation, author, at=generation * 1_000, summary=f"step {generation}")


def run(name, view="ads", revision="r1", started_at=1):
    return Run(name, "backfill", view, revision, started_at)


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: kind_of(type(item)).name)
def test_what_is_put_is_got_back(registry, item):
    key = kind_of(type(item)).key(item)
    registry.put("demo", [item])
    found = registry.get("demo", type(item), key)
    assert found == item
    assert kind_of(type(item)).encode(found) == kind_of(type(item)).encode(item)
    assert registry.list("demo", type(item)) == (item,)
    assert unpack([pack(item)]) == [item]


def test_the_order_of_join_keys_survives(registry):
    entity = Entity("pair", {"b": "int64", "a": "string"})
    registry.put("demo", [entity])
    found = registry.get("demo", Entity, content_key(entity))
    assert list(found.join_keys) == ["b", "a"]
    assert content_key(entity) != content_key(Entity("pair", {"a": "string", "b": "int64"}))


def test_every_kind_has_a_name_of_its_own():
    assert len({kind.name for kind in KINDS.values()}) == len(KINDS)
    with pytest.raises(TypeError, match="keeps no int"):
        kind_of(int)


def test_what_is_immutable_is_written_once(registry):
    registry.put("demo", [REVISION])
    other = Revision("r1", "other", (), stored=False)
    registry.put("demo", [other])
    assert registry.get("demo", Revision, "r1") == REVISION


def test_what_is_mutable_is_replaced(registry):
    registry.put("demo", [run("a"), run("b")])
    after = Run("a", "backfill", "ads", "r1", 1, status="done", rows=7)
    registry.put("demo", [after])
    assert registry.get("demo", Run, "a") == after
    assert registry.get("demo", Run, "b") == run("b")
    assert registry.list("demo", Run, where={"status": "done"}) == (after,)


def test_projects_are_apart(registry):
    registry.put("one", [USER])
    key = content_key(USER)
    assert registry.list("two", Entity) == ()
    with pytest.raises(NotFoundError, match=f"project 'two' has no entity '{key}'"):
        registry.get("two", Entity, key)
    registry.compare_and_set_head("one", 0, Head(1, entities={"user": key}), commit(1))
    assert registry.head("two") == Head()
    assert registry.projects() == ("one",)


def test_kinds_are_apart(registry):
    registry.put("demo", [USER])
    with pytest.raises(NotFoundError, match="has no source"):
        registry.get("demo", Source, content_key(USER))


def test_get_many_finds_what_exists_however_many_are_asked_for(registry):
    revisions = [Revision(f"r{n}", "v", (), stored=True) for n in range(1_201)]
    registry.put("demo", revisions)
    keys = [revision.revision for revision in revisions]
    found = registry.get_many("demo", Revision, [*keys, "none", *keys])
    assert found == {revision.revision: revision for revision in revisions}
    assert registry.get_many("demo", Revision, []) == {}


def test_list_selects_sorts_and_limits(registry):
    runs = [run("a", started_at=2), run("b", started_at=3), run("c", "other", started_at=1)]
    registry.put("demo", runs)
    assert [r.id for r in registry.list("demo", Run)] == ["b", "a", "c"]
    assert [r.id for r in registry.list("demo", Run, limit=2)] == ["b", "a"]
    assert [r.id for r in registry.list("demo", Run, where={"view": "ads"})] == ["b", "a"]
    assert registry.list("demo", Run, where={"view": "ads", "revision": "r2"}) == ()
    assert registry.list("demo", FeatureVersion, where={"name": "clicks"}) == ()
    with pytest.raises(ValueError, match="run: 'rows' is none of view, revision"):
        registry.list("demo", Run, where={"rows": 1})


def test_list_compares_with_plain_values_alone(registry):
    registry.put("demo", [run("a")])
    for value in ({"$gt": ""}, ["ads"], re.compile("a")):
        with pytest.raises(TypeError, match="run: 'view' is compared with one value, not"):
            registry.list("demo", Run, where={"view": value})
    assert registry.list("demo", Run, where={"view": "$gt"}) == ()
    assert registry.list("demo", Run, limit=0) == ()


def test_keys_that_look_alike_are_told_apart(registry):
    registry.put("a", [Revision('b","c', "v", (), stored=True)])
    registry.put('a","b', [Revision("c", "w", (), stored=True)])
    assert registry.get("a", Revision, 'b","c').name == "v"
    assert registry.get('a","b', Revision, "c").name == "w"
    assert registry.projects() == ("a", 'a","b')


def test_a_head_is_restored_where_there_is_none(registry):
    head = msgspec.structs.replace(HEAD, generation=3)
    registry.put("demo", [USER, commit(1), commit(2)])
    assert registry.head("demo") == Head()
    with pytest.raises(ConflictError):
        registry.compare_and_set_head("demo", 1, Head(2), commit(2, "bob"))
    registry.restore_head("demo", head, commit(3))
    assert registry.head("demo") == head
    assert registry.list("demo", Commit) == (commit(3), commit(2), commit(1))
    with pytest.raises(ConflictError, match="is at generation 3, no more at 0"):
        registry.restore_head("demo", head, commit(3))
    registry.compare_and_set_head("demo", 3, Head(4), commit(4))
    assert registry.head("demo") == Head(4)


def test_a_large_head_is_kept(registry):
    large = Head(1, entities={f"entity_{n}": content_key(USER) for n in range(20_000)})
    registry.compare_and_set_head("demo", 0, large, commit(1))
    assert registry.head("demo") == large


def test_things_of_one_instant_get_names_of_their_own_that_sort_by_time():
    assert len({new_id(1) for _ in range(20)}) == 20
    assert new_id(9) < new_id(10) < new_id(2**52)


def test_delete_forgets_and_counts(registry):
    registry.put("demo", [run("a"), run("b")])
    registry.put("other", [run("a")])
    assert registry.delete("demo", Run, ["a", "none"]) == 1
    assert [r.id for r in registry.list("demo", Run)] == ["b"]
    assert [r.id for r in registry.list("other", Run)] == ["a"]


def test_put_keeps_all_or_none(registry):
    broken = Run("b", "backfill", "ads", "r1", None)
    with pytest.raises(StoreError, match="started_at"):
        registry.put("demo", [USER, run("a"), broken])
    assert registry.list("demo", Entity) == ()
    assert registry.list("demo", Run) == ()
    registry.put("demo", [])
    assert registry.projects() == ()


HEAD = Head(
    1,
    entities={"user": "k"},
    views={"ads": ViewEntry("k", "r")},
    features={
        "f": FeatureEntry(
            "ads", "1.0.0", {"1.0.0": VersionEntry("k", "r", "f", 1, ("q",), "0.9.0")}, "deprecated"
        )
    },
    revisions={"r": RevisionEntry("ads", 1, stored=False, inputs=("g@1.0.0",), retired=2)},
)


def test_the_head_moves_from_one_generation_to_the_next(registry):
    assert registry.head("demo") == Head()
    registry.compare_and_set_head("demo", 0, HEAD, commit(1))
    assert registry.head("demo") == HEAD
    registry.compare_and_set_head("demo", 1, Head(2), commit(2))
    assert registry.head("demo") == Head(2)
    assert registry.list("demo", Commit) == (commit(2), commit(1))


@pytest.mark.parametrize("expected", [0, 2])
def test_the_head_of_another_generation_is_left_alone(registry, expected):
    registry.compare_and_set_head("demo", 0, HEAD, commit(1))
    with pytest.raises(ConflictError, match=f"is at generation 1, no more at {expected}"):
        registry.compare_and_set_head(
            "demo", expected, Head(expected + 1), commit(expected + 1, "bob")
        )
    assert registry.head("demo") == HEAD
    assert registry.list("demo", Commit) == (commit(1),)


def test_generations_can_not_be_skipped(registry):
    for head, logged in ((Head(2), commit(2)), (Head(1), commit(2))):
        with pytest.raises(ValueError, match="next number"):
            registry.compare_and_set_head("demo", 0, head, logged)


def test_unpack_refuses_a_text_that_is_not_of_its_key():
    packed = pack(USER)
    with pytest.raises(StoreError, match="is not that of this key"):
        unpack([Packed(packed.kind, "0" * 64, packed.body)])
    with pytest.raises(StoreError, match="keeps no 'thing'"):
        unpack([Packed("thing", packed.key, packed.body)])
    for body in ("{", '{"name": "user"}'):
        with pytest.raises(StoreError, match="entity: the stored text can't be read"):
            unpack([Packed("entity", packed.key, body)])


def test_open_registry_takes_the_backend_from_the_url(url):
    with_driver = url.replace("sqlite:", "sqlite+pysqlite:")
    for text in (url, with_driver):
        opened = open_registry(text)
        assert opened.head("demo") == Head()
        assert opened.url == text
        opened.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqllite:///x.db", "no backend 'sqllite'; did you mean 'sqlite'"),
        ("oracle://scott:tiger@db", "no backend 'oracle' .known: "),
        ("registry.db", "the URL has no scheme .known: .*sqlite"),
        ("sqlite:x.db", "the URL can't be read"),
    ],
)
def test_open_registry_says_which_backends_there_are(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        open_registry(text)
    assert "tiger" not in str(caught.value)


def test_definitions_come_back_as_their_own_classes(registry):
    registry.put("demo", [view("v", feature("f")), service("m", "f")])
    assert isinstance(registry.list("demo", FeatureView)[0].features[0], Feature)
    assert isinstance(registry.list("demo", FeatureService)[0].features[0], FeatureRef)
