"""What users get wrong across definitions, and the one line that each of them is told."""

import pytest

from headwater.definitions.collection import collect
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureRef, FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError
from headwater.expressions.analysis import analyze

COLUMNS = {
    "user_id": "string",
    "shop": "int64",
    "at": "timestamp",
    "x": "float64",
    "kind": "string",
}
USER = Entity("user", {"user_id": "string"})
EVENTS = Source("events", path="events.parquet", event_time="at")


def view(*features, name="v", entity=USER, source=EVENTS, **fields):
    return FeatureView(name, entity=entity, source=source, features=features, **fields)


def n(name, window="7d", **fields):
    return Feature(name, "count(*)", window=window, **fields)


def keyed(**keys):
    return view(Feature("a", "x"), entity=Entity("e", keys))


A = "feature view 'v': feature 'a': field"
MISTAKES = [
    (
        [view(Feature("kinds"))],
        "feature view 'v': feature 'kinds': field 'expression': no column 'kinds' in source "
        "'events', nor another feature of that name; did you mean 'kind'?",
    ),
    (
        [view(Feature("total", "total + 1"))],
        "feature view 'v': feature 'total': field 'expression': no column 'total' in source "
        "'events', nor another feature of that name (columns: at, kind, shop, user_id, x)",
    ),
    (
        [view(Feature("a", "b + 1"), Feature("b", "a + 1"))],
        "feature 'a': its definition depends on itself: a -> b -> a",
    ),
    (
        [view(Feature("a", "a + 1"), source=None)],
        "feature 'a': its definition depends on itself: a -> a",
    ),
    (
        [view(Feature("a", "upper(knd)"))],
        f"{A} 'expression': no column 'knd' in source 'events', nor a feature of that name; "
        "did you mean 'kind'?",
    ),
    (
        [view(Feature("a", 'CASE WHEN kind = "click" THEN 1 END'))],
        f"{A} 'expression': no column 'click' in source 'events', nor a feature of that name; "
        "a text stands in single quotes: 'click'",
    ),
    (
        [view(n("clicks"), n("views")), view(Feature("a", "clics / views"), name="w", source=None)],
        "feature view 'w': feature 'a': field 'expression': no feature 'clics'; "
        "did you mean 'clicks'?",
    ),
    (
        [view(Feature("a", "kind", dtype="int64"))],
        f"{A} 'dtype': is int64, but the definition gives string; write a cast (x::BIGINT) or "
        "declare string",
    ),
    (
        [view(Feature("a", "kind", window="7d"))],
        f"{A} 'expression': 'window' is given, but the expression holds no aggregate; write one, "
        "as last(x), or leave 'window' out",
    ),
    (
        [view(Feature("a", "sum(x)"))],
        f"{A} 'expression': aggregate 'sum' needs a frame; give window='7d' (or 'lifetime') for a "
        "window of time, or rows=20 for a number of rows",
    ),
    ([view(n("a", default="none"))], f"{A} 'default': 'none' does not fit the type int64"),
    (
        [view(n("a"), Feature("b", "x"))],
        "feature view 'v': 'a' is an aggregate over a window and 'b' belongs to the latest row; "
        "put them into two views",
    ),
    (
        [keyed(user="string")],
        "feature view 'v': join key 'user' of entity 'e': source 'events' has no column 'user'; "
        "did you mean 'user_id'?",
    ),
    (
        [keyed(shop="string")],
        "feature view 'v': join key 'shop' of entity 'e': is string, but column 'shop' of source "
        "'events' is int64",
    ),
    (
        [view(Feature("a", "x"), source=Source("s", path="s.parquet", event_time="kind"))],
        "source 's': field 'event_time': is string; a timestamp or a date is expected; "
        "CAST(kind AS TIMESTAMP) makes one of ISO texts",
    ),
    (
        [
            view(
                Feature("a", "x"),
                source=Source("s", path="s.parquet", event_time="at", id="usr_id"),
            )
        ],
        "source 's': field 'id': no column 'usr_id'; did you mean 'user_id'?",
    ),
    (
        [
            view(
                Feature("a", "x"),
                source=Source("s", path="s.parquet", event_time="at", sequence="kind"),
            )
        ],
        "source 's': field 'sequence': column 'kind' is string; an integer or a timestamp is "
        "expected",
    ),
    (
        [
            view(n("a"), entity=Entity("both", {"user_id": "string", "shop": "int64"})),
            view(Feature("b", "a + 1"), name="w", source=None),
        ],
        "feature view 'w': field 'entity': reads view 'v', keyed by 'shop' (int64), but entity "
        "'user' has no such join key; name the feature that gives it: via={'shop': '...'}",
    ),
    (
        [view(n("a")), view(Feature("b", "a"), name="w", source=None, ttl="3d")],
        "feature view 'w': field 'ttl': bounds the age of source rows; set it on the views that "
        "this one reads",
    ),
    (
        [view(n("a")), FeatureService("m", [FeatureRef("a", join_keys={"user": "u"})])],
        "feature service 'm': field 'features': 'a': field 'join_keys': 'user' is no join key of "
        "view 'v'; did you mean 'user_id'?",
    ),
]


@pytest.mark.parametrize(("objects", "message"), MISTAKES)
def test_a_mistake_is_told_in_one_line(objects, message):
    with pytest.raises(DefinitionError) as caught:
        analyze(collect(objects), lambda _: COLUMNS)
    assert str(caught.value) == message
