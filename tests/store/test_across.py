"""Features that read others at values of features: an item against its category (C10)."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Entity, Feature, FeatureView, Source
from headwater.computing import compute_feature_set
from headwater.errors import DefinitionError, NotSupportedError
from headwater.explaining import explain
from headwater.serving.reader import OnlineReader
from headwater.serving.wire import render
from store.shop import TIME, day, moment

ITEM = Entity("item", join_keys={"item_id": "string"})
CATEGORY = Entity("category", join_keys={"category": "string"})
DEPARTMENT = Entity("department", join_keys={"department": "int64"})
VIA = {"category": "item_category"}
ITEMS = ["a", "b", "c", "unseen", None]


def source(name: str) -> Source:
    return Source(name, path=f"{name}.parquet", event_time="t")


def lookups(name, entity, *features):
    return FeatureView(name, entity=entity, source=source(name), features=features)


def derived(*features, name="compared", entity=ITEM, **given):
    return FeatureView(name, entity=entity, features=features, **given)


FACTS = lookups("facts", ITEM, Feature("item_category", "category"), Feature("twin"))
PLACES = lookups("places", CATEGORY, Feature("category_department", "department"))
CLICKS = (
    FeatureView(
        "item_clicks",
        entity=ITEM,
        source=source("clicks"),
        update_frequency="hourly",
        features=[Feature("item_n", "sum(n)", window="7d")],
    ),
    FeatureView(
        "category_clicks",
        entity=CATEGORY,
        source=source("clicks"),
        update_frequency="hourly",
        features=[
            Feature("category_n", "sum(n)", window="7d"),
            Feature("category_rows", "count(*)", window="7d"),
        ],
    ),
    FeatureView(
        "department_clicks",
        entity=DEPARTMENT,
        source=source("clicks"),
        update_frequency="hourly",
        features=[Feature("department_n", "sum(n)", window="7d", default=-1)],
    ),
)
SHARE = Feature("share", "item_n / category_n", via=VIA)
ROWS = Feature("rows_there", "category_rows", via=VIA)


def write(store, name, **columns):
    made = {n: pa.array(c, pa.int64()).cast(TIME) if n == "t" else c for n, c in columns.items()}
    pq.write_table(pa.table(made), store.settings.root / f"{name}.parquet")


@pytest.fixture
def store(make):
    found = make()
    write(
        found,
        "facts",
        item_id=["a", "b", "c", "a"],
        category=["x", "y", None, "y"],
        twin=["b", "a", "unseen", "b"],
        t=[day(0, 1), day(0, 1), day(0, 1), day(2, 1)],
    )
    write(found, "places", category=["x", "y"], department=[1, 2], t=[day(0), day(0)])
    write(
        found,
        "clicks",
        item_id=["a", "a", "b", "c", "a"],
        category=["x", "x", "y", "x", "y"],
        department=pa.array([1, 1, 2, 1, 2], pa.int64()),
        n=[1, 2, 3, 5, 4],
        t=[day(0, 2), day(0, 3), day(0, 4), day(1, 1), day(2, 2)],
    )
    return found


def trained(store, names, at, items=ITEMS, **given):
    times = pa.array([at] * len(items)).cast(TIME)
    spine = pa.table({"item_id": pa.array(items, pa.string()), "event_timestamp": times, **given})
    return store.get_historical_features(spine, names).to_arrow().select(names).to_pydict()


def served(store, names, at, items=ITEMS, **given) -> dict[str, Any]:
    reader = OnlineReader(store.online, store.project, refresh=0, clock=lambda: at)
    return reader.get(names, {"item_id": items, **given}).to_dict()


def check(store, names, *times):
    """Served and trained agree; the last values are the answer."""
    for at in times:
        store.materialize(until=at)
        known = trained(store, names, at)
        found = served(store, names, at)["values"]
        assert {name: found[name] for name in names} == known, at
    return known


def test_an_item_against_its_category(store):
    store.apply([FACTS, *CLICKS, derived(SHARE, ROWS)])
    assert check(store, ["share", "rows_there"], day(0, 6), day(1, 6)) == {
        "share": [3 / 8, 1.0, None, None, None],
        "rows_there": [3, 1, None, None, None],  # of the key null no row counts
    }
    found = served(store, ["share", "rows_there"], day(1, 6))
    assert found["statuses"] == {
        "share": ["PRESENT", "PRESENT", "NULL_VALUE", "NULL_VALUE", "NOT_FOUND"],
        "rows_there": ["PRESENT", "PRESENT", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"],
    }
    ages = [None if t is None else t.day for t in found["event_timestamps"]["share"]]
    assert ages == [1, 1, 1, 2, None]  # the category is known since the first day


def test_at_ticks_a_value_follows_its_category(store):
    """The item `a` moves from x to y, and the value of `b` changes though `b` has no new row."""
    store.apply([FACTS, *CLICKS, derived(SHARE, ROWS, update_frequency="2h")])
    names = ["share", "rows_there"]
    assert check(store, names, day(0, 6), day(2, 0))["share"][:2] == [3 / 8, 1.0]
    moved = check(store, names, day(2, 4))
    assert moved == {
        "share": [1.0, 3 / 7, None, None, None],
        "rows_there": [2, 2, None, None, None],
    }
    assert check(store, names, day(9, 4))["rows_there"] == [0, 0, None, None, None]


def test_chains(store):
    """The department of an item is a feature that reads at its category, and a key in its turn."""
    department = Feature("item_department", "category_department", via=VIA)
    share = Feature("of_department", "item_n / department_n", via={"department": "item_department"})
    store.apply([FACTS, PLACES, *CLICKS, derived(department, share)])
    known = check(store, ["item_department", "of_department"], day(1, 6))
    assert known["item_department"] == [1, 2, None, None, None]
    assert known["of_department"] == [3 / 8, 1.0, -5.0, None, None]  # the default, of no department


def test_another_item(store):
    """A join key of the feature's own entity may be another one's too."""
    twin = Feature("twin_n", "item_n", via={"item_id": "twin"})
    store.apply([FACTS, *CLICKS, derived(twin), derived(Feature("d", "item_n - twin_n"), name="d")])
    known = check(store, ["twin_n", "d"], day(1, 6))
    assert known == {"twin_n": [3, 3, None, None, None], "d": [0, 0, None, None, None]}
    twice = Feature("twice", "twin_n", via={"item_id": "twin"})
    store.apply([derived(twice, name="again")])
    assert check(store, ["twice"], day(1, 6))["twice"] == [3, 3, None, None, None]


def test_the_default_of_a_key_is_a_key(store):
    facts = lookups("facts", ITEM, Feature("item_category", "category", default="x"))
    store.apply([facts, *CLICKS, derived(ROWS)])
    assert check(store, ["rows_there"], day(1, 6))["rows_there"] == [3, 1, 3, 3, None]


def test_on_demand(store):
    """The key depends on the request, and so does what is read there."""
    wanted = Feature("wanted", "coalesce(asked, item_category)", request={"asked": "string"})
    rows = Feature("rows_wanted", "category_rows * factor", via={"category": "wanted"},
                   request={"factor": "int64"})  # fmt: skip
    store.apply([FACTS, *CLICKS, derived(wanted, rows)])
    store.materialize(until=day(1, 6))
    given = {"asked": ["y", None, "x", None, "x"], "factor": [2, 2, 3, 1, 1]}
    columns = {name: pa.array(column) for name, column in given.items()}
    known = trained(store, ["rows_wanted"], day(1, 6), **columns)
    assert known == {"rows_wanted": [2, 2, 9, None, None]}
    assert served(store, ["rows_wanted"], day(1, 6), **given)["values"]["rows_wanted"] == [
        2, 2, 9, None, None,
    ]  # fmt: skip


def test_all_keys_are_read_in_one_more_round(store, monkeypatch):
    twin = Feature("twin_n", "item_n", via={"item_id": "twin"})
    store.apply([FACTS, *CLICKS, derived(SHARE, ROWS, twin)])
    store.materialize(until=day(1, 6))
    reader = OnlineReader(store.online, store.project, clock=lambda: day(1, 6))
    rounds = []
    read = store.online.read

    def counted(project, wanted, *rest):
        rounds.append([len(keys) for _, keys in wanted])
        return read(project, wanted, *rest)

    monkeypatch.setattr(store.online, "read", counted)
    found = reader.get(["share", "twin_n", "rows_there"], {"item_id": ["a", "b", "c"] * 50})
    assert found.to_dict()["values"]["twin_n"][:3] == [3, 3, None]
    assert len(rounds) == 2
    assert sorted(rounds[1]) == [2, 3]  # each category and each twin once


def test_answered_as_json(store):
    store.apply([FACTS, *CLICKS, derived(SHARE, ROWS)])
    store.materialize(until=day(1, 6))
    reader = OnlineReader(store.online, store.project, clock=lambda: day(1, 6))
    found = reader.get(["rows_there", "share", "item_n"], {"item_id": ITEMS})
    columns = json.loads(b"".join(render(found)))["results"][1:]
    told = found.to_dict()
    for name, column in zip(["rows_there", "share", "item_n"], columns, strict=True):
        assert column["values"] == told["values"][name]
        assert column["statuses"] == told["statuses"][name]


async def test_read_on_an_event_loop(store):
    store.apply([FACTS, *CLICKS, derived(ROWS)])
    store.materialize(until=day(1, 6))
    found = await store.get_online_features_async(["rows_there"], {"item_id": ["a", "b"]})
    assert len(found.to_dict()["values"]["rows_there"]) == 2


def test_explained(store):
    store.apply([FACTS, *CLICKS, derived(SHARE)])
    found = explain(store, "share", {"item_id": "a"}, day(1, 6))
    assert found.value == 3 / 8
    inputs = {one.feature: (one.value, one.key) for one in found.inputs}
    assert inputs == {
        "item_n": (3, {"item_id": "a"}),
        "category_n": (8, {"category": "x"}),
        "item_category": ("x", {"item_id": "a"}),
    }


MISTAKES = [
    (
        derived(Feature("s", "category_n", via={"category": "item_categroy"})),
        "field 'via': join key 'category' is to be 'item_categroy': no such feature; did you mean "
        "'item_category'?",
    ),
    (
        derived(Feature("s", "category_n", via={"categroy": "item_category"})),
        "field 'entity': reads view 'category_clicks', keyed by 'category' (string), but entity "
        "'item' has no such join key; name the feature that gives it: via={'category': '...'}",
    ),
    (
        derived(Feature("s", "item_n", via={"category": "item_category"})),
        "field 'via': nothing that the definition reads of other views is keyed by 'category'",
    ),
    (
        derived(Feature("s", "department_n", via={"department": "item_category"})),
        "field 'via': join key 'department' of view 'department_clicks' is int64, and feature "
        "'item_category' is string; the two must agree",
    ),
    (
        derived(Feature("s", "category_n", via={"category": "s"})),
        "field 'via': join key 'category' is to be 's': is the feature itself",
    ),
    (
        lookups("facts2", ITEM, Feature("s", "twin", via=VIA)),
        "field 'via': this view computes from rows of source 'facts2', which have their own keys; "
        "put the feature into a view without 'source'",
    ),
    (
        derived(Feature("n2", "item_n"), Feature("s", "n2", via={"item_id": "twin"})),
        "field 'via': 'item_id' is a join key of this view too, and 'n2' stands in it, at its own "
        "key; put one of the two into another view",
    ),
    (
        derived(
            Feature("k", "category_n || ''", via={"category": "s"}),
            Feature("s", "category_n || ''", via={"category": "k"}),
        ),
        "its definition depends on itself",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES)
def test_mistakes(store, wrong, message):
    write(store, "facts2", item_id=["a"], twin=["b"], t=[day(0)])
    with pytest.raises(DefinitionError) as error:
        store.apply([FACTS, *CLICKS, wrong])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_windows_have_no_via():
    with pytest.raises(DefinitionError, match="'via' and 'window' exclude each other"):
        Feature("n", "count(*)", window="7d", via=VIA)
    with pytest.raises(DefinitionError, match="give join keys with the features"):
        Feature("n", "x", via="item_category")


def test_computed_from_the_sources(store):
    twin = Feature("twin_n", "item_n", via={"item_id": "twin"})
    store.apply([FACTS, *CLICKS, derived(SHARE, twin)])
    for item, values in {"a": (3 / 8, 3), "b": (1.0, 3), "unseen": (None, None)}.items():
        found = compute_feature_set(
            store, ["share", "twin_n"], {"item_id": item}, at=moment(day(1, 6))
        )
        assert tuple(one.value for one in found.values()) == values


def test_lineage(store):
    store.apply([FACTS, *CLICKS, derived(SHARE)])
    inputs = store.analyzed().features()["share"].inputs
    assert inputs == ("category_n", "item_n", "item_category")
    lineage = store.lineage
    found = lineage.columns.of(lineage.version("share"))
    uses = {(use.source, use.column): use.roles for use in found.columns}
    assert uses["facts", "category"] == ("key",)
    assert uses["clicks", "category"] == ("key",)
    assert uses["clicks", "n"] == ("value",)


def test_another_via_is_a_major_version(store):
    twin = Feature("item_other", "twin")
    facts = lookups("facts", ITEM, Feature("item_category", "category"), twin)
    store.apply([facts, *CLICKS, derived(SHARE)])
    other = Feature("share", SHARE.expression, via={"category": "item_other"})
    plan = store.plan([facts, *CLICKS, derived(other)])
    [change] = [found for found in plan.features if found.name == "share"]
    assert (change.new_version, change.bump) == ("2.0.0", "major")
    assert "via" in change.reason
    store.apply(plan)
    assert not store.plan([facts, *CLICKS, derived(other)]).has_changes
    assert trained(store, ["share"], day(1, 6))["share"] == [None] * 5
    store.governance.rollback("share", "1.0.0", author="ann")
    store.materialize(until=day(1, 6))
    assert served(store, ["share"], day(1, 6))["values"]["share"][:2] == [3 / 8, 1.0]


def test_in_yaml_and_json():
    made = derived(SHARE)
    assert made.to_dict()["features"] == [
        {"name": "share", "expression": "item_n / category_n", "via": {"category": "item_category"}}
    ]
    assert FeatureView.from_dict(made.to_dict() | {"entity": ITEM}) == made


def test_at_ticks_a_key_has_to_be_null_where_no_row_is_known(store):
    """Otherwise an unseen item would have the values of a category, and no row to hold them."""
    facts = lookups("facts", ITEM, Feature("item_category", "category", default="x"))
    store.apply([facts, *CLICKS, derived(ROWS, update_frequency="2h")])
    with pytest.raises(NotSupportedError, match="'rows_there' has a value for keys of"):
        store.materialize("compared", until=day(1, 6))
