"""Whatever is sent, the answer is sound: never a 500, always JSON, a problem where it is none."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client import get, post
from serving.test_http import application
from serving.world import FEATURES, SERVICES, USERS, T, fill, make

TEXT = st.text(max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(["pen", "north", "2026-01-01", "AQ=="])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)
NAMES = st.sampled_from([*FEATURES, "users:age", "age@0.9.0", "user_ads:clicks@1.0.0"]) | TEXT
COLUMNS = st.sampled_from(["user_id", "item", "place_id", "origin", "destination", "age"]) | TEXT
REFERENCES = st.fixed_dictionaries(
    {"feature": NAMES},
    optional={
        "view": st.none() | TEXT,
        "version": st.none() | TEXT,
        "alias": st.none() | TEXT,
        "join_keys": st.dictionaries(COLUMNS, COLUMNS, max_size=2),
    },
)


@st.composite
def requests(draw):
    """Requests that are nearly right: each part is mostly of the right shape."""
    rows = draw(st.integers(0, 12))
    whole = st.integers(0, 4) | st.none()
    column = st.lists(st.one_of(whole, whole, SCALARS, JSON), min_size=rows, max_size=rows)
    entities = draw(st.dictionaries(COLUMNS, column, max_size=4))
    if draw(st.booleans()):
        entities["user_id"] = draw(st.lists(whole, min_size=rows, max_size=rows))
    body = {"entities": entities}
    if draw(st.integers(0, 9)):
        body["features"] = draw(st.lists(NAMES | REFERENCES, max_size=5))
    else:
        body["feature_service"] = draw(st.sampled_from([*SERVICES]) | TEXT)
    for name in ("full_feature_names", "include_feature_view_version_metadata"):
        if draw(st.booleans()):
            body[name] = draw(st.booleans() | JSON)
    return body


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    world = make(tmp_path_factory.mktemp("fuzz") / "online")
    fill(world)
    world.put(USERS, [4], T - 7_200_000_000, score=float("nan"), vector=[float("inf")])
    yield application(world)
    world.store.close()


def check(response):
    found = response.json()  # refuses NaN and Infinity
    assert response.status in (200, 400, 404, 405, 413, 422)
    if response.status != 200:
        assert list(found) == ["type", "title", "status", "detail"]
        assert len(response.body) < 4000
        assert "Traceback" not in found["detail"]
        return None
    names = found["metadata"]["feature_names"]
    assert len(names) == len(set(names)) == len(found["results"])
    lengths = {len(column) for result in found["results"] for column in result.values()}
    assert len(lengths) == 1
    return found


@given(requests())
def test_requests_that_are_nearly_right(app, body):
    found = check(post(app, body))
    if found is None:
        return
    given_names = list(body["entities"])
    assert found["metadata"]["feature_names"][: len(given_names)] == given_names
    for name, result in zip(given_names, found["results"], strict=False):
        assert result["values"] == body["entities"][name]
    for result in found["results"][len(given_names) :]:
        for status, stamp in zip(result["statuses"], result["event_timestamps"], strict=True):
            assert status in ("PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE")
            assert stamp.endswith("Z")


@given(JSON)
def test_any_json(app, body):
    check(post(app, body))


@given(st.binary(max_size=200))
def test_any_bytes(app, body):
    check(post(app, body))


@given(requests(), st.integers(0, 1000), st.binary(max_size=3))
def test_requests_that_were_damaged(app, body, place, bytes_):
    content = json.dumps(body).encode()
    place %= len(content)
    check(post(app, content[:place] + bytes_ + content[place + len(bytes_) :]))


@given(st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "BREW"]), TEXT)
def test_any_path(app, method, path):
    check(get(app, f"/{path}", method))


@pytest.mark.parametrize("size", [10_000, 1_000_000])
def test_long_names(app, size):
    name = "x" * size
    for body in (
        {"features": [name], "entities": {"user_id": [1]}},
        {"features": ["age"], "entities": {name: [1]}},
        {"features": ["age"], "entities": {"user_id": [name]}},
        {"features": ["age"], "entities": {"user_id": [1]}, name: 1},
        {"feature_service": name, "entities": {}},
        {"features": [{"feature": "age", "alias": name}], "entities": {"user_id": [1]}},
        {"features": [{"feature": "age", "view": name}], "entities": {"user_id": [1]}},
        {"features": [{"feature": "age", "version": name}], "entities": {"user_id": [1]}},
        {"features": [{"feature": name}], "entities": {"user_id": [1]}},
        {
            "features": [{"feature": "age", "join_keys": {name: name}}],
            "entities": {"user_id": [1]},
        },
        {"features": ["age"], "entities": {"user_id": [1], f"{name}1": [1], f"{name}2": [1, 2]}},
        {"features": ["age"], "entities": {"user_id": [1], name: [[]]}},
        {"features": ["age"], "entities": {f"{name}{i}": [1] for i in range(3)}},
    ):
        assert check(post(app, body)) is None
    check(get(app, f"/{name}"))


def test_the_photo_is_base64(app):
    found = check(post(app, {"features": ["photo"], "entities": {"user_id": [3]}}))
    assert base64.b64decode(found["results"][1]["values"][0]) == b"\x03"
