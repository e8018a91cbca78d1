"""Values, statuses and event times as C9, C10 and C12 have them."""

import datetime as dt

import pytest

from headwater.errors import ComputeError
from headwater.online.codec import encode_delete, encode_key
from serving.world import ADS, CALENDAR, DAY, HOUR, MINUTE, PROJECT, USERS, T, at


class TestLookups:
    def test_the_stored_value(self, world):
        assert world.one("age", user_id=2) == (22, "PRESENT", at(T - 2 * MINUTE))

    def test_no_row(self, world):
        assert world.one("age", user_id=99) == (None, "NOT_FOUND", None)

    def test_a_null_value(self, world):
        world.put(USERS, [4], T - 5)
        assert world.one("age", user_id=4) == (None, "NULL_VALUE", at(T - 5))

    def test_a_null_key(self, world):
        assert world.one("age", user_id=None) == (None, "NOT_FOUND", None)
        assert world.one("rank", user_id=1, item=None) == (None, "NOT_FOUND", None)

    def test_every_type(self, world):
        found = world.get(*(c.name for c in USERS.columns), user_id=[1])["values"]
        assert found == {
            "user_id": [1],
            "age": [21],
            "score": [0.25],
            "name": ["user 1"],
            "joined": [at(T - DAY)],
            "born": [dt.date(2000, 1, 1)],
            "photo": [b"\x01"],
            "vip": [True],
            "tags": [["a", None]],
            "vector": [[1.5, None]],
            "visits": [[at(T)]],
        }

    @pytest.mark.parametrize(
        ("age", "expected"),
        [
            (HOUR - 1, (1.0, "PRESENT")),
            (HOUR, (1.0, "PRESENT")),
            (HOUR + 1, (0.5, "OUTSIDE_MAX_AGE")),
        ],
    )
    def test_the_ttl_bounds_the_age_of_the_row_itself_inside(self, empty, age, expected):
        empty.put(USERS, [1], T - age, score=1.0)
        value, status, time = empty.one("score", user_id=1)
        assert (value, status) == expected
        assert time == at(T - age)

    def test_the_bound_is_inside_beside_a_row_that_is_too_old(self, empty):
        for user, age in ((1, HOUR), (2, HOUR + 1), (3, HOUR - 1)):
            empty.put(USERS, [user], T - age, score=1.0)
        found = empty.get("score", user_id=[1, 2, 3, 4])
        assert found["values"]["score"] == [1.0, 0.5, 1.0, 0.5]
        assert found["statuses"]["score"] == ["PRESENT", "OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND"]

    def test_an_old_null_is_old(self, empty):
        empty.put(USERS, [1], T - HOUR - 1)
        assert empty.one("fresh_name", user_id=1) == (None, "OUTSIDE_MAX_AGE", at(T - HOUR - 1))

    def test_each_feature_has_its_own_ttl(self, empty):
        empty.put(USERS, [1], T - 2 * HOUR, name="x")
        found = empty.get("name", "fresh_name", user_id=[1])
        assert found["values"] == {"user_id": [1], "name": ["x"], "fresh_name": [None]}
        assert found["statuses"] == {"name": ["PRESENT"], "fresh_name": ["OUTSIDE_MAX_AGE"]}

    def test_a_row_from_before_1970(self, empty):
        empty.put(USERS, [1], -DAY, name="old")
        assert empty.one("name", user_id=1) == ("old", "PRESENT", at(-DAY))

    def test_a_view_without_entity_answers_every_row(self, world):
        found = world.get("holiday", "age", user_id=[1, 99, None])
        assert found["values"]["holiday"] == [True] * 3
        assert found["event_timestamps"]["holiday"] == [at(T - MINUTE)] * 3

    def test_a_view_without_entity_needs_no_columns(self, world):
        found = world.reader.get(["holiday"], [{}]).to_dict()
        assert found["values"] == {"holiday": [True]}


class TestDefaults:
    def test_a_default_replaces_what_is_not_present_and_the_status_stays_true(self, world):
        world.put(USERS, [4], T)
        world.put(USERS, [5], T - 2 * HOUR, score=0.75)
        found = world.get("score", user_id=[1, 4, 5, 99, None])
        assert found["values"]["score"] == [0.25, 0.5, 0.5, 0.5, 0.5]
        assert found["statuses"]["score"] == [
            "PRESENT",
            "NULL_VALUE",
            "OUTSIDE_MAX_AGE",
            "NOT_FOUND",
            "NOT_FOUND",
        ]

    def test_the_default_of_a_derived_feature_stands_for_a_null_key_and_for_a_null(self, world):
        found = world.get("clicks_by_age", user_id=[None, 99, 1])
        assert found["values"]["clicks_by_age"][:2] == [-7, -7]
        assert found["values"]["clicks_by_age"][2] > 0
        assert found["statuses"]["clicks_by_age"] == ["NOT_FOUND", "NULL_VALUE", "PRESENT"]

    def test_an_answer_can_be_changed_without_changing_the_next(self, world):
        for part in ("values", "statuses", "event_timestamps", "versions"):
            world.get("age", "name", user_id=[1])[part].clear()
        before = world.get("age", "name", user_id=[1, 2])
        for columns in (before["values"], before["statuses"], before["event_timestamps"]):
            for column in columns.values():
                column.clear()
        assert world.get("age", user_id=[1])["values"]["age"] == [21]
        assert world.get("age", user_id=[1])["versions"] == {"age": "1.0.0"}


class TestWindowed:
    def test_before_the_first_tick_nothing_is_found(self, empty):
        assert empty.one("clicks", user_id=1) == (None, "NOT_FOUND", None)

    def test_a_row_before_the_first_tick_is_there_as_of_its_own(self, empty):
        empty.put(ADS, [1], T - 5, clicks=3)
        assert empty.one("clicks", user_id=1) == (3, "PRESENT", at(T - 5))
        assert empty.one("clicks", user_id=2) == (None, "NOT_FOUND", None)

    def test_a_key_without_row_has_the_empty_aggregate(self, empty):
        empty.tick(ADS, T - HOUR)
        assert empty.one("clicks", user_id=1) == (0, "PRESENT", at(T - HOUR))
        assert empty.one("spend", user_id=1) == (0.0, "NULL_VALUE", at(T - HOUR))

    def test_a_null_key_has_nothing(self, world):
        assert world.one("clicks", user_id=None) == (None, "NOT_FOUND", None)
        found = world.get("clicks", user_id=[None, 99, 1])
        assert found["values"]["clicks"] == [None, 0, 4]
        assert found["statuses"]["clicks"] == ["NOT_FOUND", "PRESENT", "PRESENT"]
        assert found["event_timestamps"]["clicks"] == [None, at(T - HOUR), at(T - HOUR)]

    def test_a_row_that_no_later_run_rewrote_holds_as_of_the_published_tick(self, world):
        assert world.one("clicks", user_id=2) == (1, "PRESENT", at(T - HOUR))

    def test_a_row_of_a_run_that_has_not_published_yet_holds_as_of_its_own_tick(self, world):
        world.put(ADS, [1], T - 1, clicks=5)
        assert world.one("clicks", user_id=1) == (5, "PRESENT", at(T - 1))
        assert world.one("clicks", user_id=2) == (1, "PRESENT", at(T - HOUR))

    def test_a_deleted_row_is_the_empty_aggregate(self, world):
        key = encode_key([1])
        world.store.write(PROJECT, "r-ads", [key], [encode_delete(T - 1, T - 1)], now=T)
        assert world.one("clicks", user_id=1) == (0, "PRESENT", at(T - HOUR))

    @pytest.mark.parametrize(
        ("age", "status"),
        [(DAY - 1, "PRESENT"), (DAY, "PRESENT"), (DAY + 1, "OUTSIDE_MAX_AGE")],
    )
    def test_the_ttl_bounds_the_age_of_the_tick(self, empty, age, status):
        empty.put(ADS, [1], T - 3 * DAY, clicks=3)
        empty.tick(ADS, T - age)
        value = None if status == "OUTSIDE_MAX_AGE" else 3
        assert empty.one("clicks", user_id=1) == (value, status, at(T - age))
        value = None if status == "OUTSIDE_MAX_AGE" else 0
        assert empty.one("clicks", user_id=2) == (value, status, at(T - age))


class TestDerived:
    def test_from_features_of_other_views(self, world):
        assert world.one("spend_per_click", user_id=1) == (0.5, "PRESENT", at(T - HOUR))
        assert world.one("twice", user_id=1) == (1.0, "PRESENT", at(T - HOUR))

    def test_as_old_as_the_oldest_input(self, world):
        value, status, time = world.one("clicks_by_age", user_id=1)
        assert (value, status, time) == (25, "PRESENT", at(T - HOUR))
        world.put(ADS, [1], T - 1, clicks=6)
        world.tick(ADS, T - 1)
        assert world.one("clicks_by_age", user_id=1) == (27, "PRESENT", at(T - MINUTE))

    def test_inputs_come_with_their_defaults(self, world):
        assert world.one("spend_per_click", user_id=2) == (0.0, "PRESENT", at(T - HOUR))

    def test_null_inputs_give_null_with_the_default(self, world):
        # clicks has the empty aggregate, age is not found
        assert world.one("clicks_by_age", user_id=99) == (-7, "NULL_VALUE", at(T - HOUR))

    def test_a_null_result_of_inputs_that_agree_tells_why(self, empty):
        assert empty.one("twice", user_id=1) == (None, "NOT_FOUND", None)
        empty.tick(ADS, T - 2 * DAY)
        assert empty.one("twice", user_id=1) == (None, "OUTSIDE_MAX_AGE", at(T - 2 * DAY))

    def test_division_by_an_empty_count_is_null(self, empty):
        empty.tick(ADS, T)
        assert empty.one("spend_per_click", user_id=1) == (None, "NULL_VALUE", at(T))

    def test_a_value_from_nothing_is_present(self, world):
        assert world.one("always", user_id=99) == (0, "PRESENT", None)

    def test_a_null_key_has_no_value_whatever_the_expression(self, world):
        assert world.one("always", user_id=None) == (None, "NOT_FOUND", None)
        found = world.get("rank_or_age", user_id=[1, 1, 1], item=["pen", "ink", None])
        assert found["values"]["rank_or_age"] == [7, 21, None]
        assert found["statuses"]["rank_or_age"] == ["PRESENT", "PRESENT", "NOT_FOUND"]
        assert found["event_timestamps"]["rank_or_age"][2] is None

    def test_a_null_part_of_a_key_that_no_input_has(self, world):
        found = world.get("keyed", user_id=[1, 1, None], item=["pen", None, "pen"])
        assert found["values"]["keyed"] == [21, None, None]

    def test_at_the_time_of_the_request(self, world):
        assert world.one("minutes_since", user_id=1)[0] == 24 * 60
        world.now += 5 * MINUTE
        assert world.one("minutes_since", user_id=1)[0] == 24 * 60 + 5

    def test_what_cannot_be_computed_names_the_feature(self, world):
        with pytest.raises(ComputeError, match=r"feature 'overflow@1\.0\.0' can't be computed"):
            world.one("overflow", user_id=1)


class TestRows:
    def test_rows_and_columns_come_in_the_order_of_the_request(self, world):
        found = world.get("name", "age", user_id=[3, 1, 2])
        assert list(found["values"]) == ["user_id", "name", "age"]
        assert found["values"]["age"] == [23, 21, 22]

    def test_duplicates_are_read_once_and_answered_each(self, world):
        reads = []
        store = world.store
        world.reader._store = type(
            "Spy",
            (),
            {"read": lambda _, *args: reads.append(args) or store.read(*args)},
        )()
        found = world.get("age", "clicks", user_id=[1, 99, 1, None, 1])
        assert found["values"]["age"] == [21, None, 21, None, 21]
        assert found["values"]["clicks"] == [4, 0, 4, None, 4]
        [(_, asked, *_)] = reads
        assert [(revision, len(keys)) for revision, keys in asked] == [("r-users", 2), ("r-ads", 2)]

    def test_one_view_under_two_names_of_its_key(self, world):
        found = world.reader.get(
            None,
            {"user_id": [1], "origin": ["north"], "destination": ["south"]},
            feature_service="model",
        ).to_dict()
        assert found["values"] == {
            "user_id": [1],
            "origin": ["north"],
            "destination": ["south"],
            "score": [0.25],
            "age_before": [19],
            "from_temperature": [-3.5],
            "to_temperature": [28.0],
        }
        assert found["versions"] == {
            "score": "1.0.0",
            "age_before": "0.9.0",
            "from_temperature": "1.0.0",
            "to_temperature": "1.0.0",
        }

    def test_many_rows(self, world):
        for user in range(100, 400):
            world.put(USERS, [user], T - user, age=user, score=float(user))
        users = [*range(400, 90, -1), 250]
        found = world.get("age", "score", user_id=users)
        assert found["values"]["age"] == [u if 100 <= u < 400 else None for u in users]
        assert found["event_timestamps"]["age"][1] == at(T - 399)
        world.put(USERS, [200], T, score=1.0)
        assert world.get("age", user_id=users)["values"]["age"][200] is None

    async def test_the_async_twin_answers_the_same(self, world):
        rows = [{"user_id": 1}, {"user_id": None}, {"user_id": 99}]
        features = ["age", "clicks", "spend_per_click", "holiday"]
        there = await world.reader.get_async(features, rows)
        assert there.to_dict() == world.reader.get(features, rows).to_dict()


def test_a_calendar_row_that_is_missing(empty):
    found = empty.reader.get(["holiday"], [{}, {}]).to_dict()
    assert found["statuses"] == {"holiday": ["NOT_FOUND", "NOT_FOUND"]}
    empty.put(CALENDAR, [], T, holiday=None)
    assert empty.one("holiday") == (None, "NULL_VALUE", at(T))
