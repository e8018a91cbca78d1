"""The HTTP interface: Feast's JSON to the letter, and an answer to every mistake."""

import json
import logging
import math
import re
from pathlib import Path

import pytest
from msgspec.structs import fields

from headwater.errors import (
    ComputeError,
    HeadwaterError,
    NotFoundError,
    RequestError,
    StoreError,
)
from headwater.serving import app as app_module
from headwater.serving import body as body_module
from headwater.serving import endpoint as endpoint_module
from headwater.serving.app import ServingApp
from headwater.serving.body import Body
from headwater.serving.catalogue import Reference
from headwater.serving.endpoint import Limits
from headwater.serving.live import DOCUMENT
from headwater.serving.problem import Problem
from headwater.serving.statuses import NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT
from serving.client import FEATURES, call, get, post
from serving.world import PROJECT, USERS, T, at

MODULES = (app_module, body_module, endpoint_module)
SOURCE = "".join(Path(m.__file__).read_text() for m in MODULES)
NEVER = "1970-01-01T00:00:00Z"


def application(world, **options):
    app = ServingApp(PROJECT, lambda: world.store, refresh=0, **options)
    app.open()
    app._reader._clock = lambda: world.now
    return app


@pytest.fixture
def app(world):
    return application(world)


def ask(app, *features, **fields):
    entities = fields.pop("entities", {"user_id": [1, 99]})
    return post(app, {"features": list(features), "entities": entities, **fields})


def values(response):
    names = response.json()["metadata"]["feature_names"]
    return dict(zip(names, (r["values"] for r in response.json()["results"]), strict=True))


def problem(response, status, title):
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert list(found) == ["type", "title", "status", "detail"]
    assert found["status"] == status
    assert found["title"] == title
    assert found["type"] == "urn:headwater:problem:" + title.lower().replace(" ", "-")
    return found["detail"]


class TestAnswer:
    def test_feasts_answer_to_the_letter(self, app):
        found = ask(app, "users:age", "user_ads:clicks", "score")
        assert found.status == 200
        assert found.headers["content-type"] == "application/json"
        assert found.body == (
            b'{"results":['
            b'{"values":[1,99],"statuses":["PRESENT","PRESENT"],'
            b'"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]},'
            b'{"values":[21,null],"statuses":["PRESENT","NOT_FOUND"],'
            b'"event_timestamps":["2025-12-31T23:59:00Z","1970-01-01T00:00:00Z"]},'
            b'{"values":[4,0],"statuses":["PRESENT","PRESENT"],'
            b'"event_timestamps":["2025-12-31T23:00:00Z","2025-12-31T23:00:00Z"]},'
            b'{"values":[0.25,0.5],"statuses":["PRESENT","NOT_FOUND"],'
            b'"event_timestamps":["2025-12-31T23:59:00Z","1970-01-01T00:00:00Z"]}],'
            b'"metadata":{"feature_names":["user_id","age","clicks","score"]}}'
        )

    def test_many_rows_answer_as_few_do(self, app):
        few = ask(app, "age", "clicks", "spend_per_click", entities={"user_id": [1, 99]}).json()
        many = ask(app, "age", "clicks", "spend_per_click", entities={"user_id": [1, 99] * 10})
        for one, ten in zip(few["results"], many.json()["results"], strict=True):
            assert {part: column * 10 for part, column in one.items()} == ten

    @pytest.mark.parametrize("count", [1, 3, 5, 30])
    @pytest.mark.parametrize(
        "features",
        [
            ("spend", "clicks"),
            ("name", "spend", "age@0.9.0", "score"),
            ("score", "spend_per_click", "spend", "clicks_by_age"),
        ],
    )
    def test_it_says_what_a_read_in_the_process_says(self, app, world, features, count):
        world.put(USERS, [4], T)
        users = ([1, 2, 4, 99, None] * count)[:count]
        read = world.get(*features, user_id=users)
        results = ask(app, *features, entities={"user_id": users}).json()["results"][1:]
        assert [r["values"] for r in results] == [read["values"][f] for f in read["versions"]]
        assert [r["statuses"] for r in results] == list(read["statuses"].values())

    def test_every_type(self, app):
        names = [c.name for c in USERS.columns]
        assert values(ask(app, *names, entities={"user_id": [1]})) == {
            "user_id": [1],
            "age": [21],
            "score": [0.25],
            "name": ["user 1"],
            "joined": [T // 10**6 - 86_400],
            "born": ["2000-01-01"],
            "photo": ["AQ=="],
            "vip": [True],
            "tags": [["a", None]],
            "vector": [[1.5, None]],
            "visits": [[T // 10**6]],
        }

    @pytest.mark.parametrize("count", [1, 20])
    def test_what_json_has_no_numbers_for(self, app, world, count):
        odd = {4: math.nan, 5: math.inf, 6: -math.inf}
        for user, value in odd.items():
            world.put(USERS, [user], T, score=value, vector=[value, 1.0])
        shown = {4: "NaN", 5: "Infinity", 6: "-Infinity"}
        for user, text in shown.items():
            found = ask(app, "score", "vector", entities={"user_id": [user] * count})
            assert values(found)["score"] == [text] * count
            assert values(found)["vector"] == [[text, 1.0]] * count
            assert found.json()["results"][1]["statuses"] == ["PRESENT"] * count

    def test_parts_of_a_second(self, app, world):
        world.put(USERS, [4], T + 250_000, joined=at(T + 1), visits=[None, at(-1)])
        found = ask(app, "joined", "visits", entities={"user_id": [4]})
        assert values(found) == {
            "user_id": [4],
            "joined": [T / 10**6 + 1e-6],
            "visits": [[None, -1e-6]],
        }
        assert round(values(found)["joined"][0] * 10**6) == T + 1
        stamps = found.json()["results"][1]["event_timestamps"]
        assert stamps == ["2026-01-01T00:00:00.250000Z"]

    def test_join_keys_come_as_they_were_given(self, app):
        found = ask(app, "rank", entities={"item": ["pen", None], "user_id": [1, 1]})
        first, second, third = found.json()["results"]
        assert found.json()["metadata"]["feature_names"] == ["item", "user_id", "rank"]
        assert first == {
            "values": ["pen", None],
            "statuses": ["PRESENT", "NULL_VALUE"],
            "event_timestamps": [NEVER, NEVER],
        }
        assert second["statuses"] == ["PRESENT", "PRESENT"]
        assert third["statuses"] == ["PRESENT", "NOT_FOUND"]

    def test_columns_that_no_feature_needs_are_answered(self, app):
        extra = [None, "x", 1.5, True, -(2**63), 2**63 - 1]
        found = ask(app, "age", entities={"user_id": [1] * 6, "note": extra})
        assert values(found)["note"] == extra

    def test_full_names(self, app):
        found = ask(app, "age", full_feature_names=True)
        assert found.json()["metadata"] == {"feature_names": ["user_id", "users__age"]}

    def test_a_service(self, app):
        entities = {"user_id": [1], "origin": ["north"], "destination": ["south"]}
        found = post(app, {"feature_service": "model", "features": None, "entities": entities})
        assert values(found)["to_temperature"] == [28.0]

    def test_a_reference_with_fields(self, app):
        asked = {"feature": "clicks_by_age", "alias": "x", "join_keys": {"user_id": "friend"}}
        assert values(ask(app, asked, entities={"friend": [1]})) == {"friend": [1], "x": [25]}

    def test_versions(self, app):
        found = ask(app, "twice", "age@0.9.0", include_feature_view_version_metadata=True)
        assert found.json()["metadata"] == {
            "feature_names": ["user_id", "twice", "age"],
            "feature_view_metadata": [
                {"name": "user_ads", "version": 1, "revision": "r-ads"},
                {"name": "users", "version": 1, "revision": "r-users-old"},
            ],
            "feature_versions": {"twice": "1.0.0", "age": "0.9.0"},
        }
        assert list(ask(app, "twice", "age@0.9.0").json()["metadata"]) == ["feature_names"]

    def test_hints_about_a_registry_cache_have_no_effect(self, app):
        assert ask(app, "age", allow_registry_cache=False, registry_allow_cache=False).status == 200

    def test_no_entities_for_a_view_without(self, app):
        assert values(ask(app, "holiday", entities={})) == {"holiday": [True]}

    async def test_a_body_in_pieces(self, app):
        body = json.dumps({"features": ["age"], "entities": {"user_id": [1]}}).encode()
        found = await call(app, "POST", FEATURES, [body[:5], b"", body[5:]])
        assert values(found)["age"] == [21]

    async def test_a_caller_who_goes_away(self, app):
        async def receive():
            return {"type": "http.disconnect"}

        sent = []
        await app(
            {"type": "http", "method": "POST", "path": FEATURES, "headers": []},
            receive,
            sent.append,
        )
        assert sent == []


class TestMistakes:
    @pytest.mark.parametrize(
        "body", [b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, b'{"entities":{}} x']
    )
    def test_no_json(self, app, body):
        assert "the body is not JSON" in problem(post(app, body), 400, "Bad request")

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            ([], "the body is a JSON array; expected an object with 'entities'"),
            (5, "the body is a JSON number"),
            ({"features": ["age"]}, "field 'entities' must be an object of columns"),
            (
                {"entities": {"user_id": [1]}, "feature": ["age"]},
                "unknown field 'feature'; did you mean 'features'?",
            ),
            (
                {"entities": {"user_id": [1]}, "zzz": 1},
                "unknown field 'zzz'; known fields: entities, features, feature_service",
            ),
            (
                {"features": ["age"], "entities": {"user_id": 1}},
                "field 'entities', column 'user_id' is a JSON number; expected an array",
            ),
            (
                {"features": "age", "entities": {"user_id": [1]}},
                "field 'features' is a JSON string; expected an array",
            ),
            ({"features": [1], "entities": {"user_id": [1]}}, "at `$.features[0]`"),
            ({"entities": {"user_id": [1]}}, "no features are asked for"),
            (
                {"features": ["age"], "feature_service": "model", "entities": {"user_id": [1]}},
                "not both",
            ),
            ({"features": ["age"], "entities": {}}, "column 'user_id' (int64), a join key of"),
            ({"features": ["age"], "entities": {"user_id": []}}, "there are no entity rows"),
            (
                {"features": ["age"], "entities": {"user_id": [1, 2], "x": [1]}},
                "column 'x' has 1 rows, column 'user_id' has 2",
            ),
            (
                {"features": ["age"], "entities": {"user_id": [1, "2"]}},
                "column 'user_id', row 1: str '2' is not an integer of 64 bits "
                "(the column has the type int64)",
            ),
            ({"features": ["age"], "entities": {"user_id": [1.0]}}, "row 0: float 1.0 is not"),
            ({"features": ["age"], "entities": {"user_id": [True]}}, "row 0: bool True is not"),
            ({"features": ["age"], "entities": {"user_id": [2**63]}}, "is not an integer of 64"),
            ({"features": ["age"], "entities": {"user_id": [2**70]}}, "is not an integer of 64"),
            ({"features": ["rank"], "entities": {"user_id": [1], "item": [1]}}, "is not a text"),
            (
                {"features": ["age"], "entities": {"user_id": [1], "x": [[1]]}},
                "column 'x', row 0: expected a text, a number, true, false or null",
            ),
            ({"features": ["age"], "entities": {"user_id": [1], "x": [2**64]}}, "column 'x'"),
            ({"features": ["overflow"], "entities": {"user_id": [1]}}, "'overflow@1.0.0' can't"),
        ],
    )
    def test_a_wrong_request(self, app, body, detail):
        found = post(app, body)
        title = "Can't be computed" if "can't" in detail else "Wrong request"
        assert found.status == 422
        assert found.json()["title"] == title
        assert detail in found.json()["detail"]

    def test_unknown_names(self, app):
        detail = problem(ask(app, "agee"), 404, "Not found")
        assert detail == "feature 'agee' does not exist; did you mean 'age'?"
        found = post(app, {"feature_service": "modell", "entities": {}})
        assert "did you mean 'model'?" in problem(found, 404, "Not found")

    def test_nothing_applied_yet(self, unapplied):
        detail = problem(ask(application(unapplied), "age"), 404, "Not found")
        assert detail.startswith("no features are applied yet to project 'shop'")

    def test_too_many_rows(self, world):
        app = application(world, limits=Limits(rows=3, values=5))
        assert ask(app, "age", entities={"user_id": [1, 2, 3]}).status == 200
        found = ask(app, "age", entities={"user_id": [1, 2, 3, 4]})
        assert "has 4 rows, 3 at the most" in problem(found, 422, "Wrong request")
        found = ask(app, "age", "name", entities={"user_id": [1, 2, 3]})
        assert "3 rows of 2 features, 5 values at the most" in problem(found, 422, "Wrong request")

    def test_a_body_that_is_too_large(self, world):
        app = application(world, limits=Limits(body=100))
        fits = b'{"features":["age"],"entities":{"user_id":[1]}}'
        assert post(app, fits + b" " * (100 - len(fits))).status == 200
        detail = problem(post(app, fits + b" " * (101 - len(fits))), 413, "Body too large")
        assert detail == "the body is longer than 100 bytes; send several requests"

    async def test_a_body_that_says_that_it_is_too_large_is_not_read(self, world):
        app = application(world, limits=Limits(body=100))
        headers = [(b"content-length", b"101")]
        found = await call(app, "POST", FEATURES, [b"x", b"y"], headers)
        assert found.status == 413
        found = await call(app, "POST", FEATURES, [b"x" * 60] * 1000)
        assert found.status == 413

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("GET", FEATURES, "POST"),
            ("DELETE", FEATURES, "POST"),
            ("POST", "/health", "GET, HEAD"),
            ("PUT", "/docs", "GET, HEAD"),
        ],
    )
    def test_another_method(self, app, method, path, allowed):
        found = get(app, path, method)
        assert (
            problem(found, 405, "Method not allowed") == f"'{path}' takes {allowed}, not {method}"
        )
        assert found.headers["allow"] == allowed

    def test_another_path(self, app):
        detail = problem(get(app, "/get-online-feature"), 404, "Not found")
        assert detail == "there is no '/get-online-feature'; did you mean '/get-online-features'?"
        assert post(app, {}, "/push").status == 404

    def test_a_store_that_fails(self, app, world, monkeypatch):
        def fail(*_):
            raise StoreError("no connection to the store")

        monkeypatch.setattr(world.store, "read_async", fail)
        found = ask(app, "age")
        assert problem(found, 503, "Store failed") == "no connection to the store"
        monkeypatch.setattr(world.store, "get_document", fail)
        assert problem(ask(application(world), "age"), 503, "Store failed")
        assert found.headers["retry-after"] == "1"

    def test_a_crash_is_logged_and_tells_nothing(self, app, world, monkeypatch, caplog):
        def crash(*_):
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr(world.store, "read_async", crash)
        with caplog.at_level(logging.ERROR):
            detail = problem(ask(app, "age"), 500, "Internal error")
        assert "secret" not in detail
        [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert record.exc_info[0] is ZeroDivisionError
        assert detail.split()[-1] in record.getMessage()


class TestPages:
    def test_health(self, app, unapplied):
        for one in (app, application(unapplied)):
            found = get(one, "/health")
            assert (found.status, found.json()) == (200, {"status": "ok"})

    def test_ready(self, app, world):
        found = get(app, "/ready")
        assert found.status == 200
        assert found.json() == {"status": "ready", "project": "shop", "generation": 3}
        world.store.put_document(
            PROJECT, DOCUMENT, b"damaged", world.store.get_document(PROJECT, DOCUMENT)
        )
        found = get(app, "/ready")
        assert found.status == 200
        assert found.json()["problem"].startswith("the serving catalogue is damaged")

    def test_not_ready(self, unapplied):
        detail = problem(get(application(unapplied), "/ready"), 503, "Not ready")
        assert detail.startswith("no features are applied yet")

    def test_not_ready_without_store(self, app, world, monkeypatch):
        def fail(*_):
            raise StoreError("no connection")

        monkeypatch.setattr(world.store, "get_document", fail)
        assert problem(get(app, "/ready"), 503, "Not ready") == "no connection"

    def test_before_the_start(self, world):
        app = ServingApp(PROJECT, lambda: world.store)
        assert get(app, "/ready").status == 503
        assert get(app, "/health").status == 200

    def test_the_page_needs_nothing_from_elsewhere(self, app):
        found = get(app, "/docs")
        assert found.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert b"http://" not in found.body
        assert b"https://" not in found.body
        assert len(found.body) < 10_000

    def test_the_openapi_document(self, app):
        document = get(app, "/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert set(document["paths"]) == {FEATURES, "/health", "/ready"}
        example = document["paths"][FEATURES]["post"]["requestBody"]["content"]
        assert set(example["application/json"]["example"]) == {"features", "entities"}

    def test_the_openapi_document_has_the_fields_that_are_taken(self, app):
        schemas = get(app, "/openapi.json").json()["components"]["schemas"]
        assert set(schemas["Request"]["properties"]) == {f.name for f in fields(Body)}
        assert set(schemas["Reference"]["properties"]) == {f.name for f in fields(Reference)}


class TestDocuments:
    """docs/reference/http.md tells all that there is."""

    TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "http.md").read_text()

    def test_every_endpoint_field_and_status(self, app):
        statuses = (PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE)
        names = [*app._gets, FEATURES, *(f.name for f in fields(Body)), *statuses]
        assert [name for name in names if name not in self.TEXT] == []

    def test_every_kind_of_problem(self):
        errors = (NotFoundError, RequestError, ComputeError, StoreError, HeadwaterError)
        raised = re.findall(r'Problem\(\s*(\d+), "([^"]+)"', SOURCE)
        problems = [Problem(e.status, e.title, "") for e in errors]
        problems += [Problem(int(status), title, "") for status, title in raised]
        assert len(raised) == 7
        rows = {f"| {problem.status} | `{problem.type}` |" for problem in problems}
        assert {row for row in rows if row not in self.TEXT} == set()


async def test_a_websocket_is_closed(app):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "websocket", "path": "/"}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]
