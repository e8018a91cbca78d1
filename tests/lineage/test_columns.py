"""From a feature to the columns behind it: by hand, over a spread of expressions."""

import pytest

from headwater import Entity, Feature, FeatureStore, FeatureView, Source, feature_function
from store import shop

AROUND = {"user_id": ("key",), "event_time": ("event_time",), "known": ("available_at",)}


def columns(store: FeatureStore, name: str, version: str | None = None):
    """The columns of the one source behind a feature, with their roles."""
    lineage = store.lineage
    number = version or lineage.contents.head.features[name].current
    found = lineage.columns.of((name, number))
    return {use.column: use.roles for use in found.columns}


def reads(store: FeatureStore, name: str):
    """The same, without what stands around every row."""
    return {c: roles for c, roles in columns(store, name).items() if roles != AROUND.get(c)}


@pytest.fixture
def store(make):
    store = make()

    def applied(*views):
        store.apply(list(views))
        return store

    return applied


WINDOWS = {
    "count(*)": {},
    "sum(amount)": {"amount": ("value",)},
    "count(*) FILTER (WHERE kind = 'view')": {"kind": ("filter",)},
    "sum(amount) FILTER (WHERE amount > 0)": {"amount": ("value", "filter")},
    "sum(CASE WHEN kind = 'view' THEN amount ELSE items END)": {
        "kind": ("filter",),
        "amount": ("value",),
        "items": ("value",),
    },
    "sum(CASE kind WHEN 'view' THEN amount END)": {"kind": ("filter",), "amount": ("value",)},
    "count_if(items > 1)": {"items": ("filter",)},
    "count(DISTINCT kind)": {"kind": ("value",)},
    "sum(amount) / nullif(count(*) FILTER (WHERE items > 0), 0)": {
        "amount": ("value",),
        "items": ("filter",),
    },
    "max(event_time)": {"event_time": ("value", "event_time")},
    "count(DISTINCT user_id)": {"user_id": ("value", "key")},
}


@pytest.mark.parametrize("expression", WINDOWS)
def test_a_window(store, expression):
    view = shop.view("v", [Feature("f", expression, window="1d")], update_frequency="daily")
    assert reads(store(view), "f") == WINDOWS[expression]
    assert set(columns(store(view), "f")) >= AROUND.keys()


def test_a_lookup_and_its_short_form(store):
    found = store(shop.view("v", [Feature("amount"), Feature("k", "upper(kind)")]))
    assert reads(found, "amount") == {"amount": ("value",)}
    assert reads(found, "k") == {"kind": ("value",)}


def test_a_constant_of_a_source_depends_on_there_being_a_row(store):
    found = store(shop.view("v", [Feature("seen", "true")]))
    assert columns(found, "seen") == AROUND


def test_sequences(store):
    found = store(
        shop.view(
            "v",
            [
                Feature("change", "amount - lag(amount)"),
                Feature("mean", "avg(amount) FILTER (WHERE items > 0)", rows=3),
            ],
        )
    )
    assert reads(found, "change") == {"amount": ("value",)}
    assert reads(found, "mean") == {"amount": ("value",), "items": ("filter",)}


def test_derived_over_derived_and_over_views(store):
    windows = shop.view(
        "w",
        [
            Feature("views", "count(*) FILTER (WHERE kind = 'view')", window="1d"),
            Feature("spent", "sum(amount)", window="1d"),
            Feature("mean", "spent / nullif(views, 0)"),
        ],
        update_frequency="daily",
    )
    rows = shop.view("r", [Feature("last_items", "items")])
    above = FeatureView(
        "d",
        entity=shop.USER,
        features=[
            Feature("big", "CASE WHEN last_items > 3 THEN mean ELSE 0 END"),
            Feature("bigger", "big * 2"),
        ],
    )
    found = store(windows, rows, above)
    assert reads(found, "mean") == {"kind": ("filter",), "amount": ("value",)}
    wanted = {"kind": ("filter",), "amount": ("value",), "items": ("filter",)}
    assert reads(found, "big") == reads(found, "bigger") == wanted
    assert {c: roles for c, roles in columns(found, "bigger").items() if c in AROUND} == AROUND


def test_a_row_level_feature_inside_another_stands_for_its_columns(store):
    found = store(
        shop.view(
            "v",
            [
                Feature("paid", "CASE WHEN kind = 'click' THEN amount END"),
                Feature("mean", "avg(paid)", rows=3),
                Feature("only", "count_if(paid > 0)", rows=3),
            ],
        )
    )
    assert reads(found, "mean") == {"kind": ("filter",), "amount": ("value",)}
    assert reads(found, "only") == {"kind": ("filter",), "amount": ("filter",)}


def test_a_column_shadows_a_feature_of_its_name(store):
    found = store(
        shop.view("v", [Feature("items", "amount"), Feature("twice", "items * 2")]),
    )
    assert reads(found, "items") == {"amount": ("value",)}
    assert reads(found, "twice") == {"items": ("value",)}
    assert found.governance.lineage("twice").upstream == ()


def test_times_ids_and_sequences(store):
    source = Source(
        "events",
        path="events*.parquet",
        event_time="event_time + INTERVAL 1 HOUR",
        available_at="greatest(known, event_time)",
        id="event_id",
        sequence="items",
    )
    found = store(FeatureView("v", entity=shop.USER, source=source, features=[Feature("amount")]))
    assert columns(found, "amount") == {
        "amount": ("value",),
        "user_id": ("key",),
        "event_time": ("event_time", "available_at"),
        "known": ("available_at",),
        "event_id": ("id",),
        "items": ("sequence",),
    }


def test_a_view_without_entity_has_no_key(store):
    view = FeatureView("v", source=shop.SOURCE, features=[Feature("amount")])
    assert "user_id" not in columns(store(view), "amount")


@feature_function(inputs=["amount", "items"], output="float64", mode="row")
def per_item(batch):
    return batch["amount"]


def test_a_function_reads_what_it_declares(make):
    from headwater.definitions.collection import collect
    from headwater.expressions.analysis import analyze
    from headwater.lineage.contents import Contents
    from headwater.lineage.project import ProjectLineage
    from headwater.registry.apply import apply_plan
    from headwater.registry.build import build_plan
    from headwater.registry.lineage import FeatureGraph

    store = make()
    given = collect([shop.view("v", [Feature("f", per_item)])])
    project = analyze(given, store.engine.schema)
    apply_plan(store.registry, build_plan(store.registry, "shop", project), author="ann")
    contents = Contents(store.registry, "shop", FeatureGraph(store.registry.head("shop")))
    found = ProjectLineage(contents).columns.of(("f", "1.0.0"))
    assert {u.column for u in found.columns if "value" in u.roles} == {"amount", "items"}


def test_each_version_has_columns_of_its_own(store):
    store(shop.view("v", [Feature("f", "amount"), Feature("g", "f + 1")]))
    found = store(shop.view("v", [Feature("f", "items"), Feature("g", "f + 1")]))
    assert reads(found, "f") == reads(found, "g") == {"items": ("value",)}
    assert "amount" in columns(found, "f", "1.0.0")
    # the old derived version reads the old version of its input
    assert "amount" in columns(found, "g", "1.0.0")


def test_after_a_rollback_the_columns_are_those_of_the_version_that_is_back(store):
    store(shop.view("v", [Feature("f", "amount"), Feature("g", "f + 1")]))
    found = store(shop.view("v", [Feature("f", "items"), Feature("g", "f + 1")]))
    found.governance.rollback("f", "1.0.0", author="ann")
    assert reads(found, "f") == {"amount": ("value",)}
    assert reads(found, "g") == {"items": ("value",)}


def test_where_the_order_of_rows_matters_the_whole_row_may_decide(store):
    source = shop.SOURCE.model_copy(update={"id": "event_id", "name": "facts"})
    found = store(
        shop.view(
            "w",
            [
                Feature("n", "count(*)", window="1d"),
                Feature("newest", "last(kind)", window="1d"),
                Feature("both", "n + length(newest)"),
            ],
            update_frequency="daily",
        ),
        shop.view("r", [Feature("last_items", "items")]),
        shop.view(
            "i", [Feature("m", "count(*)", window="1d")], source=source, update_frequency="daily"
        ),
    )
    ties = {
        name: found.lineage.columns.of((name, "1.0.0")).ties
        for name in ("n", "newest", "both", "last_items", "m")
    }
    assert ties == {
        "n": (),
        "newest": ("events",),
        "both": ("events",),
        "last_items": ("events",),
        "m": ("facts",),
    }


def test_what_is_only_written_down_has_no_columns(store):
    from headwater.registry.records import FeatureRecord

    found = store(shop.view("v", [Feature("f", "amount")]))
    record = FeatureRecord("planned", "raw", "float64", upstream_features=("f", "missing"))
    found.governance.create(record, author="ann")
    assert columns(found, "planned") == {}
    assert [e.start for e in found.lineage.graph([found.lineage.find("planned")]).edges][:2] == [
        "feature:f",
        "feature:missing",
    ]


def test_entities_with_several_keys(make, tmp_path):
    store = make()
    pair = Entity("pair", join_keys={"user_id": "string", "kind": "string"})
    store.apply([shop.view("v", [Feature("f", "amount")], entity=pair)])
    assert {c for c, roles in columns(store, "f").items() if "key" in roles} == {"user_id", "kind"}
