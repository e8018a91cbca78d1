"""Python functions as features: frames, modes, and what plan refuses (C11)."""

from __future__ import annotations

import importlib
import sys
from textwrap import dedent

import pytest

from headwater import Feature
from headwater.errors import ComputeError, DefinitionError
from store import shop
from store.shop import day, event, view

ROWS = shop.random_events(90, users=4)
GOOD = """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from headwater import feature_function


    @feature_function(inputs=["amount", "items"], output="float64")
    def row_arrow(rows):
        return pc.multiply(pc.fill_null(rows["amount"], 0.0), 2.0)


    @feature_function(inputs=["amount"], output="float64", frame="polars")
    def row_polars(rows):
        return rows["amount"].fill_null(0.0) * 2.0


    @feature_function(inputs=["amount"], output="float64", frame="pandas")
    def row_pandas(rows):
        return rows["amount"].fillna(0.0) * 2.0


    @feature_function(inputs=["items"], output="int64", mode="sequence")
    def sequence_arrow(rows):
        return np.cumsum(pc.fill_null(rows["items"], 0).to_numpy())


    @feature_function(inputs=["items"], output="int64", mode="sequence", frame="polars")
    def sequence_polars(rows):
        return rows["items"].fill_null(0).cum_sum()


    @feature_function(inputs=["items"], output="int64", mode="sequence", frame="pandas")
    def sequence_pandas(rows):
        return rows["items"].fillna(0).cumsum().astype("int64")


    @feature_function(inputs=["kind"], output="string", frame="polars")
    def shout(rows):
        return rows["kind"].str.to_uppercase()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the project, imports it, and forgets it when the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(text, name="shop_functions"):
        (tmp_path / f"{name}.py").write_text(dedent(text))
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("shop_functions"):
            del sys.modules[name]


END = day(9)


def trained(store, names, users=("u0", "u1", "u2"), at=END):
    spine = shop.spine(list(users), [at] * len(users))
    return store.get_historical_features(spine, names).to_arrow().select(names).to_pydict()


@pytest.mark.parametrize("frame", ["arrow", "polars", "pandas"])
def test_a_row_function_is_the_expression_that_it_computes(make, module, frame):
    functions = module(GOOD)
    store = make(ROWS)
    made = Feature("made", getattr(functions, f"row_{frame}"))
    same = Feature("same", "coalesce(amount, 0.0) * 2.0")
    store.apply([view("v", [made, same])])
    for at in (day(1), day(3), day(9)):
        found = trained(store, ["made", "same"], at=at)
        assert found["made"] == found["same"]
    assert None not in found["same"]


@pytest.mark.parametrize("frame", ["arrow", "polars", "pandas"])
def test_a_sequence_function_sees_the_rows_of_a_key_in_order(make, module, frame):
    functions = module(GOOD)
    store = make(ROWS)
    made = Feature("made", getattr(functions, f"sequence_{frame}"))
    same = Feature("same", "sum(coalesce(items, 0))", rows=10_000, min_rows=1)
    store.apply([view("v", [made, same])])
    for at in (day(1), day(3), day(9)):
        found = trained(store, ["made", "same"], at=at)
        assert found["made"] == found["same"]
    assert max(found["same"]) > 50


def test_functions_are_served_and_kept_as_they_are_trained(make, module):
    functions = module(GOOD)
    store = make(ROWS)
    store.apply(
        [
            view(
                "rows", [Feature("double", functions.row_arrow), Feature("loud", functions.shout)]
            ),
            view("sums", [Feature("sum_so_far", functions.sequence_pandas)]),
            view("hourly", [Feature("loud_hourly", functions.shout)], update_frequency="hourly"),
        ]
    )
    names = ["double", "loud", "sum_so_far", "loud_hourly"]
    store.materialize(until=day(9))
    online = store.get_online_features(names, {"user_id": ["u0", "u1", "u2"]}).to_dict()
    assert {name: online["values"][name] for name in names} == trained(store, names)
    store.backfill("sums", day(0), day(9))
    table = store.tables.read(store.show("view", "sums")["revision"]).read_all()
    assert max(table["sum_so_far"].to_pylist()) >= max(trained(store, names)["sum_so_far"])


def test_a_feature_may_be_derived_from_a_function(make, module):
    functions = module(GOOD)
    store = make(ROWS)
    double = Feature("double", functions.row_arrow)
    store.apply([view("v", [double, Feature("half", "double / 4")])])
    found = trained(store, ["double", "half"])
    assert found["half"] == [value / 4 for value in found["double"]]


PEEKING = """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from headwater import feature_function


    @feature_function(inputs=["items"], output="float64", frame="pandas")
    def row_mean(rows):
        return rows["items"] - rows["items"].mean()


    @feature_function(inputs=["items"], output="int64", frame="polars")
    def row_before(rows):
        return rows["items"].shift(1)


    @feature_function(inputs=["items"], output="int64")
    def row_number(rows):
        return np.arange(rows.num_rows)


    @feature_function(inputs=["items"], output="int64", frame="polars")
    def row_fill(rows):
        return rows["items"].fill_null(strategy="forward")


    @feature_function(inputs=["items"], output="int64", mode="sequence", frame="polars")
    def next_items(rows):
        return rows["items"].shift(-1)


    @feature_function(inputs=["items"], output="float64", mode="sequence", frame="pandas")
    def normal(rows):
        return rows["items"] / rows["items"].max()


    @feature_function(inputs=["items"], output="int64", mode="sequence")
    def how_many(rows):
        return pa.array([rows.num_rows] * rows.num_rows)


    @feature_function(inputs=["items"], output="float64", mode="sequence", frame="pandas")
    def filled_from_behind(rows):
        return rows["items"].bfill()
"""


@pytest.mark.parametrize("name", ["row_mean", "row_before", "row_number", "row_fill"])
def test_a_row_function_that_looks_at_other_rows_is_refused(make, module, name):
    functions = module(PEEKING)
    store = make(ROWS)
    with pytest.raises(
        DefinitionError, match=f"'made': function 'shop_functions:{name}'.*mode='row'"
    ):
        store.plan([view("v", [Feature("made", getattr(functions, name))])])
    assert store.list("views") == []


@pytest.mark.parametrize("name", ["next_items", "normal", "how_many", "filled_from_behind"])
def test_a_sequence_function_that_looks_into_the_future_is_refused(make, module, name):
    functions = module(PEEKING)
    store = make(ROWS)
    with pytest.raises(DefinitionError, match=f"shop_functions:{name}.*looks into the future"):
        store.plan([view("v", [Feature("made", getattr(functions, name))])])


def test_a_look_far_ahead_is_found_too(make, module):
    """It changes only the values just before the cut, so the cuts must be many."""
    functions = module(
        """
        import numpy as np
        from headwater import feature_function


        @feature_function(inputs=["items"], output="bool", mode="sequence")
        def spike_follows(rows):
            values = rows["items"].fill_null(0).to_numpy()
            return np.append(values[1:] > 7, False)
        """
    )
    store = make(ROWS)
    with pytest.raises(DefinitionError, match="looks into the future"):
        store.plan([view("v", [Feature("made", functions.spike_follows)])])


BROKEN = """
    import pyarrow as pa
    from headwater import feature_function


    @feature_function(inputs=["items"], output="int64")
    def fails(rows):
        raise KeyError("oh")


    @feature_function(inputs=["items"], output="int64")
    def short(rows):
        return rows["items"][:-1]


    @feature_function(inputs=["items"], output="int64")
    def text(rows):
        return pa.array(["x"] * rows.num_rows)


    @feature_function(inputs=["items"], output="int64")
    def frame(rows):
        return rows


    @feature_function(inputs=["items"], output="int64", frame="polars")
    def frame_polars(rows):
        return rows


    @feature_function(inputs=["items"], output="int64", frame="pandas")
    def frame_pandas(rows):
        return rows


    @feature_function(inputs=["items"], output="int64")
    def number(rows):
        return 5


    @feature_function(inputs=["items"], output="int64")
    def nothing(rows):
        pass


    @feature_function(inputs=["itms"], output="int64")
    def misspelt(rows):
        return rows["itms"]


    def plain(rows):
        return rows["items"]
"""


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("fails", "'made': function 'shop_functions:fails' failed: KeyError: 'oh'"),
        ("short", "'made': function 'shop_functions:short' gave .* values for .* rows"),
        ("text", "'made': a value does not fit its type int64"),
        ("frame", "'made': its function must return one column, not a"),
        ("frame_polars", "'made': its function must return one column, not a"),
        ("frame_pandas", "'made': its function must return one column, not a"),
        ("number", "'made': its function must return one column, not a"),
        ("nothing", "'made': its function must return one column, not a"),
        ("misspelt", "did you mean 'items'"),
    ],
)
def test_what_is_wrong_with_a_function_is_told(make, module, name, match):
    functions = module(BROKEN)
    store = make(ROWS)
    with pytest.raises((ComputeError, DefinitionError), match=match):
        store.plan([view("v", [Feature("made", getattr(functions, name))])])


def test_a_function_that_is_not_decorated_is_refused(module):
    functions = module(BROKEN)
    for given in ({"expression": functions.plain}, {"function": functions.plain}):
        with pytest.raises(DefinitionError, match="@feature_function"):
            Feature("made", **given)


def test_a_function_that_has_changed_is_not_run_until_it_is_applied(make, module):
    functions = module(GOOD)
    store = make(ROWS)
    store.apply([view("v", [Feature("made", functions.row_arrow)])])
    before = trained(store, ["made"])
    functions = module(GOOD.replace("2.0)", "3.0)"))
    with pytest.raises(
        DefinitionError, match="'shop_functions:row_arrow' has changed since it was"
    ):
        trained(store, ["made"])
    store.apply([view("v", [Feature("made", functions.row_arrow)])])
    assert store.show("feature", "made")["versions"][0]["version"] == "2.0.0"
    assert trained(store, ["made"])["made"] == [1.5 * value for value in before["made"]]


def test_a_key_without_rows_has_no_value(make, module):
    functions = module(GOOD)
    store = make(ROWS)
    store.apply(
        [
            view("v", [Feature("double", functions.row_pandas)]),
            view("w", [Feature("so_far", functions.sequence_polars)]),
        ]
    )
    found = trained(store, ["double", "so_far"], users=("zz", None))
    assert found == {"double": [None, None], "so_far": [None, None]}


def test_a_late_row_is_a_new_version_of_the_rows_after_it(make, module):
    functions = module(GOOD)
    rows = [
        event("a", day(0, 1), items=1),
        event("a", day(0, 3), items=10),
        event("a", day(0, 2), items=100, known=day(0, 8)),
    ]
    store = make(rows)
    store.apply([view("v", [Feature("so_far", functions.sequence_arrow)])])
    times = [day(0, 1), day(0, 3), day(0, 8, micros=-1), day(0, 8)]
    spine = shop.spine(["a"] * 4, times)
    found = store.get_historical_features(spine, ["so_far"]).to_arrow()
    assert found["so_far"].to_pylist() == [1, 11, 11, 111]


def test_plan_accepts_functions_over_a_source_without_rows(make, module):
    functions = module(GOOD)
    store = make()
    store.apply(
        [
            view("v", [Feature("double", functions.row_pandas)]),
            view("w", [Feature("so_far", functions.sequence_polars)]),
        ]
    )
    assert trained(store, ["double"], users=("a",)) == {"double": [None]}


def test_a_store_finds_the_functions_of_its_project(make, module, monkeypatch):
    functions = module(GOOD)
    make(ROWS).apply([view("v", [Feature("double", functions.row_arrow)])])
    del sys.modules["shop_functions"]
    monkeypatch.setattr(sys, "path", sys.path[1:])
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shop_functions")
    assert None not in trained(make(), ["double"])["double"]
