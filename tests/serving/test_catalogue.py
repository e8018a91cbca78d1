"""The serving catalogue: its document, its soundness, and how readers follow it."""

import logging

import msgspec
import pytest

from headwater.errors import ConflictError, NotFoundError, NotSupportedError, StoreError
from headwater.expressions.tree import Call, Literal
from headwater.serving.catalogue import (
    Catalogue,
    Column,
    Derived,
    Feature,
    Input,
    Reference,
    Revision,
    Stored,
    decode,
    encode,
)
from headwater.serving.catalogue import Column as ServedColumn
from headwater.serving.live import DOCUMENT, STAMP, LiveCatalogue, publish
from headwater.serving.reader import OnlineReader
from serving.world import CATALOGUE, PROJECT, USERS, T, at, feature

REVISION = Revision("r", "v", (Column("a", "int64"),))


def catalogue(**fields):
    return Catalogue(**{"project": PROJECT, "generation": 1, "revisions": (REVISION,), **fields})


def derived(*names):
    inputs = tuple(Input(name, name) for name in names)
    return feature("v", Derived(Literal(1, "int64"), inputs, "int64"))


def test_it_comes_back_as_it_went():
    assert decode(encode(CATALOGUE)) == CATALOGUE


@pytest.mark.parametrize("document", [b"", b"\x00", b"\xc1", b"{}", msgspec.msgpack.encode({})])
def test_a_damaged_document(document):
    with pytest.raises(StoreError, match="the serving catalogue is damaged"):
        decode(document)


def test_a_document_cut_short_is_never_read():
    document = encode(CATALOGUE)
    for length in range(0, len(document), 97):
        with pytest.raises(StoreError):
            decode(document[:length])


def test_a_document_of_a_newer_headwater():
    newer = msgspec.msgpack.encode({"format": 2, "what": "ever"})
    with pytest.raises(NotSupportedError, match="has format 2, this Headwater reads up to 1"):
        decode(newer)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"revisions": (REVISION, REVISION)}, "two revisions have one hash"),
        (
            {"features": {"f": Feature("v", "2.0.0", {"1.0.0": Stored("r", "a")})}},
            "feature 'f' has no version '2.0.0', its current one",
        ),
        (
            {"features": {"f": feature("v", Stored("r", "b"))}},
            "feature 'f@1.0.0' reads column 'b' of revision 'r'",
        ),
        (
            {"features": {"f": feature("v", Stored("q", "a"))}},
            "feature 'f@1.0.0' reads column 'a' of revision 'q'",
        ),
        ({"features": {"f": derived("g")}}, "feature 'f@1.0.0' reads an unknown feature 'g'"),
        (
            {"features": {"f": derived("g"), "g": derived("h"), "h": derived("f")}},
            "feature 'f' depends on itself",
        ),
        ({"services": {"s": (Reference("f"),)}}, "service 's' reads an unknown feature 'f'"),
    ],
)
def test_what_is_not_sound_is_neither_published_nor_read(fields, problem):
    broken = catalogue(**fields)
    with pytest.raises(StoreError, match="is not sound") as caught:
        encode(broken)
    assert str(caught.value).endswith(problem)
    with pytest.raises(StoreError, match="is not sound"):
        decode(msgspec.msgpack.encode(broken))


def test_features_may_share_inputs():
    shared = {"d": derived("b", "c"), "b": derived("a"), "c": derived("a")}
    encode(catalogue(features={"a": feature("v", Stored("r", "a")), **shared}))


def test_times_in_defaults_and_empty_aggregates(unapplied):
    revision = Revision(
        "r", "v", (ServedColumn("last", "list[timestamp]", windowed=True, empty=[T]),)
    )
    made = {
        "last": feature("v", Stored("r", "last")),
        "day": feature("v", Derived(Literal(None, "null"), (), "date", default=1)),
        "then": feature("v", Derived(Literal(None, "null"), (), "timestamp", default=T)),
    }
    publish(unapplied.store, catalogue(revisions=(revision,), features=made))
    unapplied.store.publish(PROJECT, "r", T)
    found = unapplied.reader.get(["last", "day", "then"], [{}]).to_dict()["values"]
    assert found["last"] == [[at(T)]]
    assert found["day"][0].isoformat() == "1970-01-02"
    assert found["then"] == [at(T)]


class TestPublish:
    def test_the_next_generation_replaces(self, world):
        assert publish(world.store, catalogue(generation=4))
        assert world.reader.live.snapshot().generation == 4

    def test_the_same_generation_replaces(self, world):
        assert publish(world.store, catalogue(generation=3))
        assert not world.reader.live.snapshot().catalogue.features

    def test_an_earlier_generation_does_not(self, world):
        assert not publish(world.store, catalogue(generation=2))
        assert world.reader.live.snapshot().generation == 3

    def test_a_damaged_document_is_replaced(self, unapplied):
        unapplied.store.put_document(PROJECT, DOCUMENT, b"damaged")
        assert publish(unapplied.store, catalogue())

    def test_the_document_of_a_newer_headwater_stays(self, unapplied):
        newer = msgspec.msgpack.encode({"format": 2})
        unapplied.store.put_document(PROJECT, DOCUMENT, newer)
        with pytest.raises(NotSupportedError):
            publish(unapplied.store, catalogue())
        assert unapplied.store.get_document(PROJECT, DOCUMENT) == newer

    def test_somebody_else_in_between(self, world, monkeypatch):
        real, calls = world.store.put_document, []

        def interrupted(*args):
            calls.append(args)
            if len(calls) == 1:
                real(PROJECT, DOCUMENT, encode(catalogue(generation=9)), args[3])
            return real(*args)

        monkeypatch.setattr(world.store, "put_document", interrupted)
        assert not publish(world.store, catalogue(generation=8))
        assert world.reader.live.snapshot().generation == 9

    def test_somebody_else_again_and_again(self, world, monkeypatch):
        def conflict(*_):
            raise ConflictError("changed")

        monkeypatch.setattr(world.store, "put_document", conflict)
        with pytest.raises(ConflictError, match="keeps changing; try again"):
            publish(world.store, catalogue(generation=8))


AGES = Feature("users", "0.9.0", CATALOGUE.features["age"].versions)
EARLIER_AGE = msgspec.structs.replace(
    CATALOGUE, generation=4, features={**CATALOGUE.features, "age": AGES}
)


class TestLive:
    def test_nothing_applied_yet(self, unapplied):
        with pytest.raises(NotFoundError, match="no features are applied yet to project 'shop'"):
            unapplied.get("age", user_id=[1])
        publish(unapplied.store, CATALOGUE)
        assert unapplied.get("age", user_id=[1])["statuses"] == {"age": ["NOT_FOUND"]}

    def test_a_new_one_is_seen_when_it_is_time_to_look(self, world):
        clock = iter([0.0, 0.0, 0.9, 1.0])
        live = LiveCatalogue(world.store, PROJECT, refresh=1.0, clock=lambda: next(clock))
        assert live.snapshot().generation == 3
        publish(world.store, catalogue(generation=4))
        assert live.snapshot().generation == 3
        assert live.snapshot().generation == 4

    def test_what_was_published_is_read_at_once(self, world):
        """A reader that looks for a new catalogue once an hour serves none that is out of date."""
        reader = OnlineReader(world.store, PROJECT, refresh=3600)
        asked = ["age"], {"user_id": [1]}
        assert reader.get(*asked).to_dict()["values"]["age"] == [21]
        publish(world.store, EARLIER_AGE)
        assert reader.get(*asked).to_dict()["values"]["age"] == [19]
        # somebody else has published a later one, and died before readers were told
        later = encode(msgspec.structs.replace(CATALOGUE, generation=6))
        world.store.put_document(
            PROJECT, DOCUMENT, later, world.store.get_document(PROJECT, DOCUMENT)
        )
        assert not publish(world.store, catalogue(generation=5))
        assert reader.get(*asked).to_dict()["values"]["age"] == [21]

    async def test_what_was_published_is_read_at_once_on_an_event_loop(self, world):
        reader = OnlineReader(world.store, PROJECT, refresh=3600)
        asked = ["age"], {"user_id": [1]}
        assert (await reader.get_async(*asked)).to_dict()["values"]["age"] == [21]
        publish(world.store, EARLIER_AGE)
        assert (await reader.get_async(*asked)).to_dict()["values"]["age"] == [19]

    def test_a_broken_one_is_looked_at_once(self, world, caplog):
        """It must not make readers look for ever."""
        reader = OnlineReader(world.store, PROJECT, refresh=3600)
        asked = ["age"], {"user_id": [1]}
        reader.get(*asked)
        before = world.store.get_document(PROJECT, DOCUMENT)
        world.store.put_document(PROJECT, DOCUMENT, b"damaged", before)
        world.store.put_document(PROJECT, STAMP, b"other", world.store.get_document(PROJECT, STAMP))
        assert reader.get(*asked).to_dict()["values"]["age"] == [21]
        assert "damaged" in reader.live.problem

    def test_what_was_applied_a_moment_ago_is_known(self, unapplied):
        reader = OnlineReader(unapplied.store, PROJECT, refresh=3600)
        with pytest.raises(NotFoundError):
            reader.get(["age"], {"user_id": [1]})
        publish(unapplied.store, msgspec.structs.replace(CATALOGUE, services={}))
        assert reader.get(["age"], {"user_id": [1]}).names == ("user_id", "age")
        features = {**CATALOGUE.features, "years": CATALOGUE.features["age"]}
        newer = msgspec.structs.replace(CATALOGUE, generation=4, features=features)
        publish(unapplied.store, newer)
        assert reader.get(["years"], {"user_id": [1]}).names == ("user_id", "years")
        with pytest.raises(NotFoundError, match="did you mean 'years'"):
            reader.get(["yearss"], {"user_id": [1]})

    @pytest.mark.parametrize("document", [b"damaged", msgspec.msgpack.encode({"format": 2})])
    def test_a_broken_one_keeps_the_old_one(self, world, document, caplog):
        live = world.reader.live
        before = live.snapshot()
        with caplog.at_level(logging.WARNING):
            world.store.put_document(
                PROJECT, DOCUMENT, document, world.store.get_document(PROJECT, DOCUMENT)
            )
            assert live.snapshot() is before
            assert live.snapshot() is before
        assert live.problem is not None
        assert len(caplog.records) == 1
        world.store.put_document(PROJECT, DOCUMENT, encode(catalogue(generation=7)), document)
        assert live.snapshot().generation == 7
        assert live.problem is None

    def test_an_expression_that_this_headwater_does_not_know(self, world):
        strange = Derived(Call("fold_space", ()), (), "int64")
        before = world.reader.live.snapshot()
        publish(world.store, catalogue(generation=4, features={"f": feature("v", strange)}))
        assert world.reader.live.snapshot() is before
        assert "'f@1.0.0' that this Headwater can't compile" in world.reader.live.problem

    def test_one_that_went_away_keeps_the_old_one(self, world):
        live = world.reader.live
        before = live.snapshot()
        world.store.put_document(
            PROJECT, DOCUMENT, None, world.store.get_document(PROJECT, DOCUMENT)
        )
        assert live.snapshot() is before
        assert live.problem == "the serving catalogue of 'shop' is gone"
        publish(world.store, CATALOGUE)
        assert live.snapshot() is not before
        assert live.problem is None

    def test_a_store_that_fails_keeps_the_old_one(self, world, monkeypatch):
        live = world.reader.live
        before = live.snapshot()
        with monkeypatch.context() as patched:
            patched.setattr(world.store, "get_document", _fail)
            assert live.snapshot() is before
            assert live.problem == "no connection"
            with pytest.raises(StoreError, match="no connection"):
                live.check()
        assert live.check() is before
        assert live.problem is None

    def test_a_broken_first_one_says_what_is_wrong(self, unapplied):
        unapplied.store.put_document(PROJECT, DOCUMENT, b"damaged")
        with pytest.raises(StoreError, match="the serving catalogue is damaged"):
            unapplied.reader.live.snapshot()

    def test_a_version_moves_with_its_catalogue(self, world):
        assert world.one("age", user_id=1)[0] == 21
        publish(world.store, EARLIER_AGE)
        assert world.one("age", user_id=1)[0] == 19
        assert world.one("always", user_id=1)[0] == 19
        publish(world.store, msgspec.structs.replace(CATALOGUE, generation=5))
        world.put(USERS, [1], T, age=50)
        assert world.one("always", user_id=1)[0] == 50


def _fail(*_):
    raise StoreError("no connection")
