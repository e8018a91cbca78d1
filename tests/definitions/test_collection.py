"""Gathering: nested objects are pulled out, names are checked, there is one of each."""

import pytest

from headwater.definitions.collection import Definitions, Placed, collect
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureRef, FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError

USER = Entity("user", {"user_id": "string"})
EVENTS = Source("events", path="events.parquet", event_time="t")
CLICKS = FeatureView("clicks", entity=USER, source=EVENTS, features=[Feature("a", "x")])


def other(name="other", feature="b", **fields):
    return FeatureView(name, features=[Feature(feature, "x")], **fields)


def test_nested_objects_are_pulled_out_and_views_hold_names():
    found = collect([CLICKS])
    assert dict(found.entities) == {"user": USER}
    assert dict(found.sources) == {"events": EVENTS}
    assert (found.views["clicks"].entity, found.views["clicks"].source) == ("user", "events")


def test_order_and_nesting_of_lists_do_not_matter():
    by_name = other(entity="user", source="events")
    assert collect([by_name, [CLICKS, (USER,)]]) == collect([CLICKS, by_name, EVENTS])


def test_the_same_object_twice_is_one():
    again = FeatureView("clicks", entity="user", source="events", features=[Feature("a", "x")])
    assert list(collect([CLICKS, CLICKS, again]).views) == ["clicks"]


def test_objects_come_back_with_what_others_refer_to_first():
    service = FeatureService("model", ["a"])
    found = collect([service, CLICKS])
    assert found.objects() == [USER, EVENTS, found.views["clicks"], service]
    assert collect(found) == found


def test_features_know_their_view():
    found = collect([CLICKS, other()])
    assert {name: view.name for name, (view, _) in found.features().items()} == {
        "a": "clicks",
        "b": "other",
    }


def test_known_objects_are_kept_and_replaced_by_name():
    known = collect([CLICKS, other()])
    wider = Entity("user", {"user_id": "string", "region": "string"})
    found = collect([wider, other(feature="c", entity="user")], known=known)
    assert found.entities["user"] == wider
    assert sorted(found.features()) == ["a", "c"]
    assert known.entities["user"] == USER


MISTAKES = [
    (
        [CLICKS, Entity("user", {"uid": "int64"}, owner="me")],
        "two entities named 'user' disagree in 'join_keys', 'owner'",
    ),
    (
        [Placed(CLICKS, "features/a.py"), Placed([Entity("user", {"uid": "int64"})], "b.yaml:3")],
        "two entities named 'user' disagree in 'join_keys': "
        "declared in features/a.py and in b.yaml:3",
    ),
    (
        [EVENTS, Source("events", path="events.parquet", event_time="t", schema={"x": "int64"})],
        "two sources named 'events' disagree in 'schema'",
    ),
    (
        [other(), other(feature="c")],
        "two feature views named 'other' disagree in 'features'",
    ),
    (
        [CLICKS, other(entity="usr")],
        "feature view 'other': field 'entity': there is no entity 'usr'; did you mean 'user'?",
    ),
    (
        [CLICKS, other(source="zzz")],
        "feature view 'other': field 'source': there is no source 'zzz' (known: events)",
    ),
    (
        [other(entity="user")],
        "feature view 'other': field 'entity': there is no entity 'user'; declare one of that name",
    ),
    (
        [CLICKS, other(feature="a")],
        "feature 'a' is declared by two views, 'clicks' and 'other'; its name is unique in a "
        "project, so rename one of them, as in 'other__a'",
    ),
    (
        [CLICKS, FeatureService("model", ["aa"])],
        "feature service 'model': field 'features': there is no feature 'aa'; did you mean 'a'?",
    ),
    (
        [CLICKS, FeatureService("model", ["other:a"])],
        "feature service 'model': field 'features': view 'other' has no feature 'a'; "
        "it is in view 'clicks', so write 'clicks:a'",
    ),
    (
        [Placed(Feature("a", "x"), "a.py:4")],
        "a.py:4: feature 'a' stands alone; put it into a FeatureView",
    ),
    (
        ["clicks"],
        "'clicks' is not something to apply: give an Entity, a Source, "
        "a FeatureView or a FeatureService",
    ),
]


@pytest.mark.parametrize(("objects", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_message(objects, message):
    with pytest.raises(DefinitionError) as caught:
        collect(objects)
    assert str(caught.value) == message


def test_a_pinned_version_may_outlive_its_feature():
    service = FeatureService("model", [FeatureRef("gone", version="1.0.0")])
    assert collect([service]).services == {"model": service}


def test_nothing_is_something():
    assert collect([]) == Definitions()
