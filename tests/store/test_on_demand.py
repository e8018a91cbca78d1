"""On-demand features: values of the request and features, the same in training and when served."""

from __future__ import annotations

import datetime as dt
import importlib
import sys
from textwrap import dedent

import pyarrow as pa
import pytest

from headwater import Feature, FeatureRef, FeatureService, FeatureView
from headwater.errors import ComputeError, DefinitionError, RequestError, SpineError
from headwater.serving.reader import OnlineReader
from store import shop
from store.shop import LOOKUPS, USER, day, event, view

AT = day(5, hours=10)
ROWS = [
    event("u1", day(1), amount=4.0, items=2),
    event("u2", day(2), amount=None, items=7, kind="click"),
    event("u3", day(3), amount=-0.0, items=None),
]
USERS = ["u1", "u2", "u3", "unknown", None]
GIVEN = {
    "hour": pa.array([1, 13, None, 23, 5], pa.int64()),
    "factor": pa.array([0.5, 2.0, 3.0, float("nan"), 1.0]),
}
ADJUSTED = Feature(
    "adjusted",
    "last_amount * CASE WHEN hour < 12 THEN 1.0 ELSE factor END",
    request={"hour": "int64", "factor": "float64"},
)


def context(*features, **given):
    return FeatureView("context", entity=USER, features=features, **given)


def trained(store, names, given, users=USERS, at=AT):
    spine = shop.spine(users, [at] * len(users), **given)
    return store.get_historical_features(spine, names).to_arrow().select(names).to_pydict()


def served(store, names, given, users=USERS, at=AT):
    reader = OnlineReader(store.online, store.project, clock=lambda: at)
    columns = {"user_id": users, **{name: column.to_pylist() for name, column in given.items()}}
    return reader.get(names, columns).to_dict()


def same(one, other):
    return repr(one) == repr(other)  # NaN equals NaN, and -0.0 is not 0.0


@pytest.fixture
def store(make):
    found = make(ROWS)
    found.apply([view("rows", LOOKUPS), context(ADJUSTED, Feature("double", "adjusted * 2"))])
    found.materialize(until=AT)
    return found


def test_what_is_served_is_what_is_trained(store):
    names = ["adjusted", "double"]
    online = served(store, names, GIVEN)
    offline = trained(store, names, GIVEN)
    assert same({name: online["values"][name] for name in names}, offline)
    assert offline["adjusted"][:2] == [4.0, -2.0]  # u2's default is -1
    assert offline["double"][0] == 8.0
    assert offline["adjusted"][4] is None  # no value for a null key
    assert online["statuses"]["adjusted"] == [
        "PRESENT", "PRESENT", "PRESENT", "PRESENT", "NOT_FOUND",
    ]  # fmt: skip
    assert str(offline["adjusted"][2]) == "-0.0"  # no hour is not before noon


def test_nothing_of_it_is_stored(store):
    analyzed = store.analyzed().views["context"]
    assert not analyzed.stored
    assert {f.kind for f in analyzed.features} == {"on_demand"}
    assert analyzed.feature("double").request == {"hour": "int64", "factor": "float64"}


def test_the_time_of_reading(make):
    store = make(ROWS)
    age = Feature("age", "date_diff('hour', since, as_of())", request={"since": "timestamp"})
    store.apply([view("rows", LOOKUPS), context(age)])
    since = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    given = {"since": pa.array([since, None], pa.timestamp("us", tz="UTC"))}
    users = ["u1", "u2"]
    assert trained(store, ["age"], given, users) == {"age": [130, None]}
    assert served(store, ["age"], given, users)["values"]["age"] == [130, None]


def test_a_feature_of_request_values_alone_needs_no_keys(make):
    store = make()
    late = Feature("late", "hour >= 22 OR hour < 6", request={"hour": "int64"})
    store.apply([FeatureView("clock", features=[late])])
    rows = {"hour": [23, 12, None]}
    assert store.get_online_features(["late"], rows).to_dict()["values"]["late"] == [
        True,
        False,
        None,
    ]
    times = pa.array([AT] * 3, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    spine = pa.table({"event_timestamp": times, **rows})
    assert store.get_historical_features(spine, ["late"]).to_arrow()["late"].to_pylist() == [
        True,
        False,
        None,
    ]


def test_a_service_reads_it_beside_stored_ones(store):
    service = FeatureService("model", features=["last_amount", "adjusted"])
    store.apply([view("rows", LOOKUPS), context(ADJUSTED), service])
    rows = [{"user_id": "u1", "hour": 20, "factor": 3.0}]
    found = store.get_online_features("model", rows).to_dict()["values"]
    assert (found["last_amount"], found["adjusted"]) == ([4.0], [12.0])
    assert store.online_keys("model") == {"user_id": "string", "hour": "int64", "factor": "float64"}


def test_join_keys_of_another_name(store):
    ref = FeatureRef("adjusted", join_keys={"user_id": "buyer"})
    rows = {"buyer": ["u1"], "hour": [20], "factor": [3.0]}
    assert store.get_online_features([ref], rows).to_dict()["values"]["adjusted"] == [12.0]


class TestWhatIsMissingOrWrong:
    def test_a_missing_value_online(self, store):
        with pytest.raises(RequestError, match=r"'factor' \(float64\), a request value of feature"):
            store.get_online_features(["adjusted"], {"user_id": ["u1"], "hour": [1]})

    def test_a_missing_value_in_the_spine(self, store):
        with pytest.raises(SpineError, match=r"no column 'factor' \(float64\), a request value"):
            trained(store, ["adjusted"], {"hour": GIVEN["hour"]})

    @pytest.mark.parametrize("hour", ["x", 1.5, True, 2**63])
    def test_a_value_of_another_type_online(self, store, hour):
        rows = {"user_id": ["u1"], "hour": [hour], "factor": [1.0]}
        with pytest.raises(RequestError, match="column 'hour', row 0"):
            store.get_online_features(["adjusted"], rows)

    @pytest.mark.parametrize("hour", [pa.array(["1"]), pa.array([1.5]), pa.array([True])])
    def test_a_value_of_another_type_in_the_spine(self, store, hour):
        with pytest.raises(SpineError, match="column 'hour'"):
            trained(store, ["adjusted"], {"hour": hour, "factor": pa.array([1.0])}, ["u1"])

    @pytest.mark.parametrize("factor", [2**53 + 1, 10**400])
    def test_an_integer_that_is_no_float64(self, store, factor):
        rows = {"user_id": ["u1"], "hour": [13], "factor": [factor]}
        with pytest.raises(RequestError, match="column 'factor'"):
            store.get_online_features(["adjusted"], rows)

    def test_one_name_of_two_types(self, store):
        text = Feature("shown", "hour || '!'", request={"hour": "string"})
        store.apply([FeatureView("texts", features=[text])])
        with pytest.raises(RequestError, match="column 'hour' is to be"):
            store.get_online_features(
                ["adjusted", "shown"], {"user_id": ["u1"], "hour": [1], "factor": [1.0]}
            )
        with pytest.raises(SpineError, match="column 'hour' is to be"):
            trained(store, ["adjusted", "shown"], GIVEN)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"expression": "hour + 1", "window": "7d"}, "'request' and 'window' exclude"),
            ({"expression": "hour + 1", "rows": 3}, "'request' and 'rows' exclude"),
            ({"expression": "1 + 1"}, "does not use 'hour'"),
            ({"expression": "hour + our"}, "no feature 'our'; did you mean 'hour'?"),
            ({"expression": "sum(hour)"}, "aggregate 'sum' needs a frame"),
            ({"expression": "hour", "request": {"hour": "itn"}}, "did you mean 'int'?"),
            ({"expression": "hour", "request": ["hour"]}, "give request values with their types"),
            ({"expression": "user_id", "request": {"user_id": "string"}}, "is a join key"),
            ({"expression": "adjusted", "request": {"adjusted": "int64"}}, "is a feature too"),
            (
                {"expression": "adjusted + hour", "request": {"hour": "float64"}},
                "'hour' is float64 for 'made' and int64 for 'adjusted'",
            ),
        ],
    )
    def test_definitions(self, store, fields, said):
        with pytest.raises(DefinitionError, match=said.replace("?", r"\?")):
            made = Feature("made", **{"request": {"hour": "int64"}, **fields})
            store.plan([FeatureView("more", entity=USER, features=[made])])

    def test_a_view_that_stores_its_values(self, store):
        late = Feature("late", "hour > 5", request={"hour": "int64"})
        with pytest.raises(DefinitionError, match="put the feature into a view without 'source'"):
            store.plan([view("rows", [*LOOKUPS, late])])
        with pytest.raises(DefinitionError, match="without 'update_frequency'"):
            store.plan([FeatureView("ticked", features=[late], update_frequency="hourly")])
        doubled = Feature("doubled", "adjusted * 2")
        with pytest.raises(DefinitionError, match="without 'update_frequency'"):
            store.plan([context(doubled, update_frequency="hourly").model_copy(
                update={"name": "later"}
            )])  # fmt: skip


FUNCTIONS = """
    import pyarrow as pa
    import pyarrow.compute as pc
    from headwater import feature_function


    @feature_function(inputs=["hour", "last_amount"], output="float64")
    def weighted(rows):
        return pc.multiply(rows["last_amount"], pc.cast(rows["hour"], pa.float64()))


    @feature_function(inputs=["hour"], output="int64", frame="polars")
    def short(rows):
        return rows["hour"].head(1)


    @feature_function(inputs=["hour"], output="int64", mode="sequence")
    def running(rows):
        return rows["hour"]
"""


@pytest.fixture
def functions(tmp_path):
    """A module of the project, as the server finds it: by the project's folder."""
    before, path = set(sys.modules), list(sys.path)
    (tmp_path / "shop_on_demand.py").write_text(dedent(FUNCTIONS))
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("shop_on_demand")
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if name.startswith("shop_on_demand"):
            del sys.modules[name]


class TestFunctions:
    def test_what_is_served_is_what_is_trained(self, make, functions):
        store = make(ROWS)
        made = Feature("weight", functions.weighted, request={"hour": "int64"})
        store.apply([view("rows", LOOKUPS), context(made)])
        store.materialize(until=AT)
        given = {"hour": GIVEN["hour"]}
        offline = trained(store, ["weight"], given)["weight"]
        online = served(store, ["weight"], given)
        assert same(online["values"]["weight"], offline)
        assert offline == [4.0, -13.0, None, -23.0, None]
        assert online["statuses"]["weight"][-1] == "NOT_FOUND"

    def test_one_that_gives_another_number_of_values(self, make, functions):
        store = make(ROWS)
        made = Feature("short", functions.short, request={"hour": "int64"})
        store.apply([FeatureView("clock", features=[made])])
        with pytest.raises(ComputeError, match="gave 1 values for 2 rows"):
            store.get_online_features(["short"], {"hour": [1, 2]})

    def test_a_sequence_has_no_place_here(self, make, functions):
        store = make(ROWS)
        made = Feature("running", functions.running, request={"hour": "int64"})
        with pytest.raises(DefinitionError, match="declare it with mode='row'"):
            store.plan([FeatureView("clock", features=[made])])

    def test_one_that_has_changed_since_it_was_applied(self, make, functions, tmp_path):
        store = make(ROWS)
        made = Feature("weight", functions.weighted, request={"hour": "int64"})
        store.apply([view("rows", LOOKUPS), context(made)])
        file = tmp_path / "shop_on_demand.py"
        file.write_text(file.read_text().replace("pc.multiply", "pc.add"))
        importlib.invalidate_caches()
        del sys.modules["shop_on_demand"]
        with pytest.raises(ComputeError, match="has changed since it was applied"):
            store.get_online_features(["weight"], {"user_id": ["u1"], "hour": [1]})
