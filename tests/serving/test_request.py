"""Names: references, versions, services, aliases, and what is said about wrong ones."""

import pytest

from headwater.errors import NotFoundError, RequestError
from headwater.serving.catalogue import Reference
from headwater.serving.hints import hint_for
from headwater.serving.request import parse_reference
from headwater.serving.wire import render
from serving.world import HOUR, OLD_USERS, T, at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age", Reference("age")),
        ("users:age", Reference("age", view="users")),
        ("age@0.9.0", Reference("age", version="0.9.0")),
        ("users:age@1.0.0-rc.1", Reference("age", view="users", version="1.0.0-rc.1")),
    ],
)
def test_references(text, expected):
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", ":a", "a@", "a b", "a:b:c", "a@1@2", "users@v2:age", "a" * 129, "age\n", "ä"],
)
def test_texts_that_are_no_reference(text):
    with pytest.raises(RequestError, match=r"can't be read; write 'feature' or 'view:feature'"):
        parse_reference(text)


def test_a_view_may_be_named(world):
    assert world.get("users:age", user_id=[1])["values"] == {"user_id": [1], "age": [21]}


def test_an_older_version_is_served_from_its_own_revision(world):
    assert world.one("age@0.9.0", user_id=1) == (19, "PRESENT", at(T - 24 * HOUR))
    assert world.one("age@0.9.0", user_id=2) == (-1, "NOT_FOUND", None)
    world.put(OLD_USERS, [2], T, age=33)
    assert world.get("users:age@0.9.0", user_id=[2])["versions"] == {"age": "0.9.0"}
    assert world.one("age@0.9.0", user_id=2)[0] == 33


def test_full_names(world):
    found = world.get("age", "user_ads:clicks", full=True, user_id=[1])
    assert found["values"] == {"user_id": [1], "users__age": [21], "user_ads__clicks": [4]}


def test_an_alias_wins_over_the_full_name(world):
    found = world.get(Reference("age", alias="years"), full=True, user_id=[1])
    assert found["versions"] == {"years": "1.0.0"}


def test_a_single_feature_needs_no_list(world):
    assert world.reader.get("age", [{"user_id": 1}]).to_dict()["values"]["age"] == [21]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["agee"], "feature 'agee' does not exist; did you mean 'age'?"),
        (
            ["model"],
            "feature 'model' does not exist; it is a feature service: ask for that (--service, "
            "'feature_service')",
        ),
        (["modell"], "feature 'modell' does not exist; did you mean 'model'?"),
        (
            ["user_ads"],
            "feature 'user_ads' does not exist; it is a view, with the features clicks, spend",
        ),
        (["users:agee"], "feature 'users:agee' does not exist; did you mean 'age'?"),
        (
            ["user:agee"],
            "feature 'user:agee' does not exist, nor does view 'user'; did you mean 'users'?",
        ),
        (
            ["users:clicks"],
            "feature 'users:clicks' does not exist; 'clicks' is a feature of view 'user_ads'",
        ),
        (
            ["age@2.0.0"],
            "feature 'age' has no version '2.0.0' that is served (served: 0.9.0, 1.0.0)",
        ),
    ],
)
def test_unknown_names(world, features, message):
    with pytest.raises(NotFoundError) as caught:
        world.reader.get(features, [{"user_id": 1}])
    assert str(caught.value) == message


def test_an_unknown_service(world):
    with pytest.raises(NotFoundError, match=r"'modell' does not exist; did you mean 'model'\?"):
        world.reader.get(None, [{"user_id": 1}], feature_service="modell")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            ["age", "users:age@0.9.0"],
            "two outputs are called 'age' (users:age@1.0.0 and users:age@0.9.0); give one of them "
            "an 'alias'",
        ),
        (
            ["age", "age"],
            "two outputs are called 'age' (users:age and users:age); give one of them an 'alias'",
        ),
        (
            ["age", Reference("clicks", alias="age")],
            "two outputs are called 'age' (users:age and user_ads:clicks); give one of them an "
            "'alias', or ask for 'full_feature_names'",
        ),
    ],
)
def test_two_outputs_of_one_name(world, features, message):
    with pytest.raises(RequestError) as caught:
        world.get(*features, user_id=[1])
    assert str(caught.value) == message


def test_an_output_with_the_name_of_a_column(world):
    with pytest.raises(RequestError, match="column 'age' has the name of an asked feature"):
        world.get("age", user_id=[1], age=[5])
    found = world.get("age", full=True, user_id=[1], age=[5])
    assert found["values"] == {"user_id": [1], "age": [5], "users__age": [21]}


@pytest.mark.parametrize("alias", ["", "1x", "a b", "x" * 129, "a\n"])
def test_an_alias_is_a_name(world, alias):
    with pytest.raises(RequestError, match="of feature 'age' is not a name; use a letter"):
        world.get(Reference("age", alias=alias), user_id=[1])


def test_a_mapping_of_a_join_key_that_is_none(world):
    wrong = Reference("temperature", join_keys={"place": "origin"})
    with pytest.raises(RequestError) as caught:
        world.get(wrong, origin=["north"])
    assert str(caught.value) == (
        "feature 'temperature' has no join key 'place' to be read from 'origin'; "
        "did you mean 'place_id'?"
    )


def test_a_mapping_reaches_the_inputs_of_a_derived_feature(world):
    asked = Reference("clicks_by_age", join_keys={"user_id": "friend_id"})
    assert world.get(asked, friend_id=[1])["values"] == {"friend_id": [1], "clicks_by_age": [25]}


@pytest.mark.parametrize(
    ("features", "service", "message"),
    [
        ([], None, "no features are asked for"),
        (None, None, "no features are asked for"),
        (["age"], "model", "give 'features' or 'feature_service', not both"),
    ],
)
def test_neither_or_both(world, features, service, message):
    with pytest.raises(RequestError, match=message):
        world.reader.get(features, [{"user_id": 1}], feature_service=service)


def test_what_is_asked_for_twice_is_compiled_once(world):
    snapshot = world.reader.live.snapshot()
    first = snapshot.plan(("age", "clicks"), None, full=False)
    assert snapshot.plan(("age", "clicks"), None, full=False) is first
    assert snapshot.plan(("clicks", "age"), None, full=False) is not first
    assert snapshot.plan(("age", "clicks"), None, full=True) is not first


def test_what_is_kept_for_strangers_is_bounded(world):
    snapshot = world.reader.live.snapshot()
    many = tuple(Reference("age", alias=f"a{place}") for place in range(513))
    assert snapshot.plan(many[:512], None, full=False) is snapshot.plan(
        many[:512], None, full=False
    )
    assert snapshot.plan(many, None, full=False) is not snapshot.plan(many, None, full=False)
    column = "x" * 129
    with pytest.raises(RequestError, match="has a name of 129 characters, 128 at the most"):
        world.get(Reference("age", join_keys={"user_id": column}), **{column: [1]})
    plan = snapshot.plan(("age",), None, full=False)
    for length in (*range(1, 20), 100_000):
        render(world.reader.read(plan, {"user_id": [1], "x" * length: [1]}, 1))
    assert sum(len(text) for text in plan.memo.values() if isinstance(text, bytes)) < 1000


def test_one_view_is_read_once_whatever_is_asked_of_it(world):
    snapshot = world.reader.live.snapshot()
    plan = snapshot.plan(("age", "name", "score", "always", "clicks_by_age"), None, full=False)
    assert [read.revision for read in plan.reads] == ["r-users", "r-ads"]
    assert plan.ticks_of == ("r-ads",)
    assert plan.columns == {"user_id": "int64"}


def test_near_names_among_thousands():
    names = [f"user_{verb}_{days}d" for verb in ("clicks", "views") for days in range(2000)]
    assert hint_for("user_click_77d", names) == "; did you mean 'user_clicks_77d'?"
    assert hint_for("x" * 1_000_000, names) == ""
