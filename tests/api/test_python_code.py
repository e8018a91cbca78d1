"""Python code that came over REST is kept and shown; it runs for trusted authors alone, apart."""

import datetime as dt
import sys
from textwrap import dedent

import pyarrow as pa
import pytest

from api.client import RSI, Api
from api.test_brought import ORDERS, ROWS, USER, served
from headwater import FeatureStore
from headwater.api.app import create_app
from headwater.api.projects import Projects
from headwater.config import local_settings
from headwater.errors import ComputeError, DefinitionError

ANN, BOB = {"X-Headwater-User": "ann"}, {"X-Headwater-User": "bob"}
HEAD = "from headwater import feature_function\n\n"
BELOW_PEAK = dedent("""
    from headwater import feature_function


    @feature_function(inputs=["amount"], output="float64", mode="sequence", frame="polars")
    def below_peak(rows, scale=1.0):
        print("what is printed goes nowhere")
        return (rows["amount"] / rows["amount"].cum_max() - 1) * scale
""")


def python(code, **parameters):
    return {"transformation_type": "python", "code": code, "parameters": parameters}


def feature(name, code, **fields):
    made = {"feature_name": name, "feature_type": "raw", "data_type": "float"}
    return {**made, "transformation": python(code), "entity": USER, "source": ORDERS, **fields}


def row(body, *, output="float64", mode="row"):
    """Code whose function has a body, and says that it computes row by row."""
    declared = f'@feature_function(inputs=["amount"], output="{output}", mode="{mode}")\n'
    return f"{HEAD}{declared}def f(rows):\n    {body}\n"


@pytest.fixture
def trusted():
    return ("ann",)


@pytest.fixture
def settings(url, tmp_path, trusted):
    (tmp_path / "orders.csv").write_text(ROWS + "u1,2026-01-03T00:00:00Z,4\n")
    given = {"project": "shop", "registry__url": url, "api__trusted_authors": trusted}
    return local_settings(tmp_path, **given, api__time_limit=10)


@pytest.fixture
def api(settings):
    projects = Projects(settings)
    yield Api(create_app(projects))
    projects.close()


@pytest.fixture
def store(settings):
    found = FeatureStore(settings=settings)
    yield found
    found.close()


def create(api, body, headers=ANN):
    assert api.request("POST", "/features", json=body, headers=headers).status_code == 201


def activate(api, name, headers=ANN):
    response = api.request("POST", f"/features/{name}/activate", headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def refused(api, name, status, headers=ANN):
    return api.problem("POST", f"/features/{name}/activate", status, headers=headers)


def test_a_trusted_author_s_function_is_computed_and_served(api, store):
    create(api, feature("peak", BELOW_PEAK, transformation=python(BELOW_PEAK, scale=100)))
    made = activate(api, "peak")
    assert made["transformation"] == python(BELOW_PEAK, scale=100)
    assert (made["computed_in"], made["code_by"]) == ("child process", "ann")
    store.materialize()
    assert served(store, "peak") == [pytest.approx(-20)]
    assert not [name for name in sys.modules if name.startswith("api_")]

    # what is derived from it is SQL again, and it joins the view of its source
    derived = {"entity": None, "source": None, "upstream_features": ["peak"]}
    sql = {"transformation_type": "sql", "code": "peak < -10", "parameters": {}}
    create(api, feature("low", "", data_type="boolean", transformation=sql, **derived))
    activate(api, "low")
    store.materialize()
    assert served(store, "low") == [True]


def test_its_hash_is_shown_and_changes_with_it(api):
    create(api, RSI)
    first = api.get("/features/stock_rsi_14d")["code_hash"]
    assert len(first) == 64
    changed = {**RSI["transformation"], "parameters": {"period": 15}}
    after = api.put("/features/stock_rsi_14d", {"transformation": changed})
    assert after["code_hash"] != first


def test_other_code_of_a_trusted_author_makes_the_next_version(api, store):
    create(api, feature("f", row("return rows['amount']")))
    activate(api, "f")
    body = {"transformation": python(row("return [2.0] * rows.num_rows"))}
    said = api.problem("PUT", "/features/f", 409, json=body, headers=BOB)
    assert "does not name 'bob'" in said
    answer = api.request("PUT", "/features/f", json=body, headers=ANN).json()
    assert answer["current_version"] == "2.0.0"
    store.materialize()
    assert served(store, "f") == [2.0]
    # what else is changed needs no trust
    answer = api.request("PUT", "/features/f", json={"description": "two"}, headers=BOB).json()
    assert (answer["description"], answer["current_version"]) == ("two", "2.0.0")


@pytest.mark.parametrize(("writer", "activator"), [(ANN, BOB), (BOB, ANN), (BOB, BOB), (ANN, {})])
def test_who_wrote_it_and_who_activates_it_must_be_trusted(api, writer, activator):
    create(api, feature("f", row("return rows['amount']")), writer)
    assert "'api.trusted_authors'" in refused(api, "f", 409, activator)
    assert api.get("/features/f")["status"] == "draft"


class TestOff:
    @pytest.fixture
    def trusted(self):
        return ()

    def test_nobody_is_trusted_unless_the_operator_says_so(self, api):
        create(api, feature("f", "import os; os._exit(1)"))
        assert "kept and shown, not run" in refused(api, "f", 409)
        assert api.get("/features/f")["transformation"]["code"] == "import os; os._exit(1)"

    def test_without_a_source_it_stays_in_the_catalogue(self, api):
        create(api, {**RSI, "upstream_features": []})
        assert activate(api, "stock_rsi_14d")["status"] == "active"


def test_trust_that_is_withdrawn_stops_what_runs(api, settings, tmp_path):
    create(api, feature("f", row("return rows['amount']")))
    activate(api, "f")
    later = local_settings(tmp_path, project="shop", registry__url=str(settings.registry.url))
    store = FeatureStore(settings=later)
    with pytest.raises(ComputeError, match="does not name 'ann'"):
        store.get_historical_features(spine(), ["f"]).to_arrow()
    store.close()


def spine():
    at = pa.array([dt.datetime(2026, 1, 5, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    return pa.table({"user_id": ["u1"], "event_timestamp": at})


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("def f(rows): ...", 422, "one function with @feature_function"),
        (HEAD + "1 / 0", 422, "can't be imported: ZeroDivisionError"),
        ("def f(rows:", 422, "can't be imported: SyntaxError"),
        (row("return 1 / 0"), 422, "failed: ZeroDivisionError"),
        (row("return rows['amount'].to_numpy() - rows['amount'].to_numpy().mean()"), 422, "split"),
        (row("return ['a'] * rows.num_rows", output="string"), 422, "float64"),
        (row("return [1.0]"), 422, "1 values for"),
        (row("return [b'x' * 4_000_000_000] and []"), 422, "'api.memory_limit'"),
        (row("while True: pass"), 422, "'api.time_limit'"),
        (row("import os; os.kill(os.getpid(), 9)"), 503, "killed from outside"),
        (row("import sys; sys.exit()"), 422, "broke its process"),
    ],
)
def test_what_is_wrong_or_takes_too_much_leaves_a_draft(api, code, status, said):
    create(api, feature("f", code))
    found = refused(api, "f", status)
    assert "'f'" in found
    assert said in found
    assert api.get("/features/f")["status"] == "draft"


def test_it_is_never_imported_here(api, store):
    create(api, feature("f", row("return rows['amount']")))
    activate(api, "f")
    ref = store.analyzed().features()["f"].feature.function
    with pytest.raises(DefinitionError, match="process of its own"):
        ref.load()


def test_it_can_t_stand_where_values_are_served(api):
    create(api, feature("f", row("return rows['amount']")))
    activate(api, "f")
    code = row("return rows['f']").replace('inputs=["amount"]', 'inputs=["f"]')
    create(api, feature("g", code, upstream_features=["f"]))
    assert "f" in refused(api, "g", 422)


def test_an_error_names_the_feature_when_it_fails_later(api, store, tmp_path):
    create(
        api, feature("f", row("assert rows['amount'].to_pylist() != [9]; return rows['amount']"))
    )
    activate(api, "f")
    (tmp_path / "orders.csv").write_text("user_id,at,amount\nu1,2026-01-01T00:00:00Z,9\n")
    with pytest.raises(ComputeError, match=r"feature 'f': function 'api_.*:f' failed: Assertion"):
        store.get_historical_features(spine(), ["f"]).to_arrow()


def test_the_values_of_two_codes_are_compared(api):
    create(api, feature("double", row('return [2 * v for v in rows["amount"].to_pylist()]')))
    activate(api, "double")

    def proposed(code):
        snapshot = {"transformation_snapshot": python(code)}
        path = "/features/double/versions/propose"
        response = api.request("POST", path, json=snapshot, headers=ANN)
        assert response.status_code == 200, response.text
        return response.json()

    same = proposed(row('return [v + v for v in rows["amount"].to_pylist()]'))
    assert (same["bump"], same["comparison"]["difference"]["differing"]) == ("patch", 0)
    other = proposed(row('return [2 * v + 1 for v in rows["amount"].to_pylist()]'))
    assert (other["bump"], other["comparison"]["difference"]["max_abs"]) == ("major", 1.0)
