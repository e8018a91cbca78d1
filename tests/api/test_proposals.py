"""What a change deserves, told over REST, and how it is told apart from what was asked for."""

import pytest

from api.client import Api
from api.test_computed import ROWS, sql
from headwater.api.app import create_app
from headwater.api.projects import Projects
from store.conftest import make  # noqa: F401 (a fixture)
from store.test_apply import total

CODE = {"transformation_type": "python", "code": "def f(x): return x + 1", "parameters": {}}


def propose(api, name, **snapshot):
    return api.post(f"/features/{name}/versions/propose", snapshot, status=200)


def snapshot(code):
    return {"transformation_snapshot": sql(code)}


@pytest.fixture
def store(make):  # noqa: F811
    opened = make(ROWS)
    opened.apply([total()])
    return opened


@pytest.fixture
def computed(store):
    projects = Projects(store.settings)
    yield Api(create_app(projects))
    projects.close()


# --- features that are computed ----------------------------------------------------------


def test_a_proposal_tells_bump_reason_sample_and_difference(computed, store):
    before = computed.get("/features/total")
    found = propose(computed, "total", **snapshot("sum(amount) + 1"))
    assert (found["version"], found["bump"]) == ("2.0.0", "major")
    assert (found["feature_name"], found["current_version"]) == ("total", "1.0.0")
    assert found["reason"] == "its values change: expression"
    difference = found["comparison"]["difference"]
    assert 0 < difference["differing"] < difference["rows"]
    assert difference["max_abs"] == difference["mean_abs"] == 1.0
    assert difference["examples"][0]["key"]["user_id"] in ("a", "b")
    assert difference["examples"][0]["at"].startswith("2024-01-01T")
    assert found["comparison"]["sample"]["keys"] == 2
    assert found["comparison"]["against"] == "1.0.0"
    assert computed.get("/features/total") == before
    assert store.registry.head("shop").generation == 1


def test_no_difference_is_a_patch_and_nothing_new_is_none(computed):
    found = propose(computed, "total", **snapshot("sum(amount * 1)"))
    assert (found["version"], found["bump"]) == ("1.0.1", "patch")
    assert found["comparison"]["difference"]["differing"] == 0
    for same, bump in (
        ({}, None),
        (snapshot("sum(amount)"), None),
        (snapshot("SUM(amount)"), "patch"),  # equal trees, written otherwise
    ):
        found = propose(computed, "total", **same)
        assert (found["version"], found["bump"], found["comparison"]) == ("1.0.1", bump, None)


def test_a_number_that_is_too_small_is_refused_with_the_figures(computed):
    wanted = {"version": "1.1.0", "changelog": "more", **snapshot("sum(amount) + 1")}
    difference = propose(computed, "total", **snapshot("sum(amount) + 1"))["comparison"][
        "difference"
    ]
    said = computed.problem("POST", "/features/total/versions", 409, json=wanted)
    assert "'1.1.0' is too small: this change deserves 2.0.0 or more" in said
    count, rows = difference["differing"], difference["rows"]
    assert f"{count:,} of {rows:,} sampled values differ, at most by 1" in said
    assert computed.post("/features/total/versions", wanted, force="true")["version"] == "1.1.0"
    kept = computed.get("/features/total/versions/1.1.0/comparison")
    assert (kept["bump"], kept["comparison"]["difference"]) == ("major", difference)


def test_a_patch_is_enough_where_the_sample_shows_no_difference(computed):
    wanted = {"version": "1.0.1", "changelog": "tidy", **snapshot("sum(amount * 1)")}
    assert computed.post("/features/total/versions", wanted)["breaking_changes"] is False
    kept = computed.get("/features/total/versions/1.0.1/comparison")
    assert (kept["bump"], kept["comparison"]["difference"]["differing"]) == ("patch", 0)
    assert kept["reason"].startswith("none of ")
    first = computed.get("/features/total/versions/1.0/comparison")
    assert (first["version"], first["bump"], first["comparison"]) == ("1.0.0", None, None)


def test_an_update_makes_the_version_that_is_proposed(computed):
    changed = computed.put("/features/total", {"transformation": sql("sum(amount * 1)")})
    assert changed["current_version"] == "1.0.1"
    changed = computed.put("/features/total", {"transformation": sql("sum(amount * 2)")})
    assert changed["current_version"] == "2.0.0"
    kept = computed.get("/features/total/versions/2.0.0/comparison")
    assert kept["comparison"]["against"] == "1.0.1"


def test_a_pre_release_goes_as_far_as_its_release(computed):
    wanted = {"version": "2.0.0-rc.1", "changelog": "try", **snapshot("sum(amount) + 1")}
    assert computed.post("/features/total/versions", wanted)["version"] == "2.0.0-rc.1"
    assert propose(computed, "total", **snapshot("sum(amount) + 2"))["version"] == "2.0.0"
    again = {"version": "2.0.0-rc.2", "changelog": "again", **snapshot("sum(amount) + 2")}
    assert computed.post("/features/total/versions", again)["version"] == "2.0.0-rc.2"
    final = {"version": "2.0", "changelog": "done", **snapshot("sum(amount) + 3")}
    assert computed.post("/features/total/versions", final)["version"] == "2.0.0"


def test_what_is_wrong_in_the_sql_is_told(computed):
    path = "/features/total/versions/propose"
    said = computed.problem("POST", path, 422, json=snapshot("sum(amout)"))
    assert "did you mean 'amount'?" in said
    assert "unknown" in computed.problem("POST", path, 422, json={"version": "2.0.0"})
    computed.problem("POST", "/features/nothing/versions/propose", 404, json={})
    computed.problem("GET", "/features/total/versions/9.0.0/comparison", 404)


# --- features of which there are only texts ----------------------------------------------


@pytest.mark.every_registry
@pytest.mark.parametrize(
    ("old", "new", "bump", "version"),
    [
        (CODE, {**CODE, "code": "def f( x ):\n  # more\n  return x+1"}, "patch", "1.0.1"),
        (CODE, {**CODE, "code": "def f(x): return x - 1"}, "major", "2.0.0"),
        (CODE, {**CODE, "parameters": {"n": 1}}, "major", "2.0.0"),
        (None, CODE, "minor", "1.1.0"),
        (sql("sum(x)"), sql("SUM( x )"), "patch", "1.0.1"),
        (sql("SELECT a FROM t"), sql("select a\nfrom t -- all"), "patch", "1.0.1"),
        (sql("SELECT a FROM t"), sql("SELECT b FROM t"), "major", "2.0.0"),
        (sql("not ( sql"), sql("not (sql"), "major", "2.0.0"),
    ],
)
def test_texts_are_judged_by_their_trees(api, old, new, bump, version):
    api.create("x", active=True, **({} if old is None else {"transformation": old}))
    found = propose(api, "x", transformation_snapshot=new)
    assert (found["bump"], found["version"], found["comparison"]) == (bump, version, None)
    small = {"version": "1.0.1", "changelog": "c", "transformation_snapshot": new}
    if bump == "minor":
        said = api.problem("POST", "/features/x/versions", 409, json=small)
        assert "1.1.0 or more; code is added" in said
        return
    made = api.post("/features/x/versions", small)
    assert made["version"] == "1.0.1"
    if bump == "major":
        kept = api.get("/features/x/versions/1.0.1/comparison")
        assert "can't be judged" in kept["reason"]
        assert (kept["bump"], kept["comparison"]) == (None, None)


@pytest.mark.every_registry
def test_no_version_is_proposed_of_what_is_closed(api):
    api.create("x", active=True)
    api.post("/features/x/deprecate")
    api.problem("POST", "/features/x/versions/propose", 409, json={})
