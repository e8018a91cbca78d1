"""Decimals: exact from the source to whoever reads them, doubles where something is computed."""

from __future__ import annotations

import random
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater import Feature, FeatureView, Range, Source
from headwater.definitions.types import parse_dtype
from headwater.errors import ComputeError, DefinitionError
from store import shop
from store.shop import DAY, USER, day

SALES = Source(
    "sales", path="sales.parquet", event_time="event_time", available_at="known", id="event_id"
)
KIND = pa.decimal128(12, 2)
WINDOWED = [
    Feature("total_1d", "sum(price)", window="1d"),
    Feature("least_1d", "min(price)", window="1d"),
    Feature("most_1d", "max(price)", window="1d"),
    Feature("kinds_1d", "count(DISTINCT price)", window="1d"),
    Feature("about_1d", "approx_count_distinct(price)", window="1d"),
    Feature("mean_1d", "avg(price)", window="1d"),
    Feature("usual_1d", "mode(price)", window="1d"),
    Feature("lately_1d", "last_k(price, 3)", window="1d"),
    Feature("median_1d", "quantile_disc(price, 0.5)", window="1d"),
    Feature("dear_1d", "count(*) FILTER (WHERE price > 3)", window="1d"),
    Feature("pairs_1d", "sum(price * items)", window="1d"),
]
ROWS = [
    Feature("price"),
    Feature("before", "lag(price)"),
    Feature("change", "price - lag(price)"),
    Feature("sum_3", "sum(price)", rows=3, min_rows=1),
    Feature("wide", "price", dtype="decimal(16, 4)"),
    Feature("known_price", "coalesce(price, lag(price))"),
    Feature("is_least", "price <= least(price, lag(price))"),
]
DERIVED = [
    Feature("share", "price / nullif(total_1d, 0)"),
    Feature("most", "greatest(price, most_1d)"),
]
NAMES = [f.name for f in (*WINDOWED, *ROWS, *DERIVED)]


def sales(count: int = 150, seed: int = 4) -> list[dict]:
    chance = random.Random(seed)
    rows = shop.random_events(count, users=4, days=3, seed=seed)
    cents = [
        chance.choice([None, 0, -3, 250, 999_999_999_999, chance.randrange(10**4)]) for _ in rows
    ]
    return [
        row | {"price": None if cent is None else Decimal(cent).scaleb(-2)}
        for row, cent in zip(rows, cents, strict=True)
    ]


def write(folder, rows, kind=KIND):
    schema = shop.EVENTS.append(pa.field("price", kind))
    pq.write_table(shop.table(rows, schema), folder / "sales.parquet")


@pytest.fixture
def store(make):
    found = make([])
    write(found.settings.root, sales())
    found.apply(
        [
            FeatureView(
                "of_day", entity=USER, source=SALES, update_frequency="hourly", features=WINDOWED
            ),
            FeatureView("of_rows", entity=USER, source=SALES, features=ROWS),
            FeatureView("of_both", entity=USER, features=DERIVED),
        ]
    )
    return found


def known(user: str, at: int) -> list[dict]:
    """The rows of a user that count for the day before `at`, in their order."""
    rows = [r for r in sales() if r["user_id"] == user and r["known"] <= at]
    rows = [r for r in rows if at - DAY <= r["event_time"] < at]
    return sorted(rows, key=lambda r: (r["event_time"], r["known"]))


def test_types(store):
    dtypes = {row["name"]: row["dtype"] for row in store.list("features")}
    assert dtypes["total_1d"] == dtypes["sum_3"] == "decimal(18, 2)"
    assert {dtypes[n] for n in ("price", "before", "least_1d", "most_1d", "usual_1d", "most")} == {
        "decimal(12, 2)"
    }
    assert dtypes["lately_1d"] == "list[decimal(12, 2)]"
    assert {dtypes[n] for n in ("mean_1d", "change", "share", "pairs_1d")} == {"float64"}


def test_windows_are_exact(store):
    ticks = [day(1, hours) for hours in range(0, 48, 5)]
    spine = shop.spine([u for u in ("u0", "u1", "u2", "u3") for _ in ticks], ticks * 4)
    found = store.get_historical_features(spine, [f.name for f in WINDOWED]).to_arrow()
    assert found["total_1d"].type == pa.decimal128(18, 2)
    for row in found.to_pylist():
        rows = known(row["user_id"], _micros(row["event_timestamp"]))
        prices = [r["price"] for r in rows if r["price"] is not None]
        counts = {p: prices.count(p) for p in prices}
        assert row["total_1d"] == (sum(prices) if prices else None)
        assert row["least_1d"] == min(prices, default=None)
        assert row["most_1d"] == max(prices, default=None)
        assert row["kinds_1d"] == row["about_1d"] == len(counts)
        assert row["dear_1d"] == sum(p > 3 for p in prices)
        usual = [p for p in sorted(counts) if counts[p] == max(counts.values())]
        assert row["usual_1d"] == (usual[0] if usual else None)
        assert row["lately_1d"] == ([r["price"] for r in rows][-3:] or None)
        half = sorted(prices)[-(-len(prices) // 2) - 1] if prices else None
        assert row["median_1d"] == half
        mean = sum(map(float, prices)) / len(prices) if prices else None
        assert row["mean_1d"] == (None if mean is None else pytest.approx(mean, rel=1e-12))


def _micros(moment) -> int:
    return int((moment - shop.moment(0)).total_seconds()) * 1_000_000


def test_served_is_trained(store):
    at = day(2, hours=7)
    store.materialize(until=at)
    users = ["u0", "u1", "u2", "u3", "nobody"]
    served = store.get_online_features(NAMES, {"user_id": users}).to_dict()["values"]
    spine = shop.spine(users, [at] * len(users))
    trained = store.get_historical_features(spine, NAMES).to_arrow()
    assert {name: served[name] for name in NAMES} == trained.select(NAMES).to_pydict()
    assert any(isinstance(value, Decimal) for value in served["price"])


def test_offline_tables_and_datasets_keep_them(store):
    report = store.backfill("of_day", day(1), day(2))
    assert report.rows > 0
    spine = shop.spine(["u0", "u1"], [day(2), day(2)])
    made = store.create_dataset("priced", spine, NAMES)
    assert made.to_arrow()["total_1d"].type == pa.decimal128(18, 2)
    assert made.statistics["price"]["type"] == "decimal128(12, 2)"
    assert store.reproduce_dataset("priced").is_same


def test_a_sum_of_too_many_digits_is_an_error(make):
    found = make([])
    rows = [row | {"price": Decimal(9 * 10**17)} for row in shop.random_events(4, users=1)]
    write(found.settings.root, rows, pa.decimal128(18, 0))
    total = Feature("total", "sum(price)", window="lifetime")
    found.apply([FeatureView("all_time", entity=USER, source=SALES, features=[total])])
    with pytest.raises(ComputeError, match=r"sum\(\"price\"\).* does not fit decimal\(18, 0\)"):
        spine = shop.spine(["u0"], [day(9)])
        found.get_historical_features(spine, ["total"]).to_arrow()


def test_more_digits_than_18_are_doubles(make):
    found = make([])
    write(found.settings.root, sales(), pa.decimal128(38, 2))
    found.apply([FeatureView("rows", entity=USER, source=SALES, features=[Feature("price")])])
    assert found.show("feature", "price")["dtype"] == "float64"


def test_rules_look_at_them(store):
    rule = Range(min=0, max=1000, is_blocking=True)
    priced = Feature("checked", "price", validation_rules=[rule])
    store.apply([FeatureView("checks", entity=USER, source=SALES, features=[priced])])
    (report,) = store.materialize("checks", until=day(3))
    assert report.quarantined > 0
    served = store.get_online_features(["checked"], {"user_id": ["u0", "u1"]}).to_dict()
    assert all(v is None or 0 <= v <= 1000 for v in served["values"]["checked"])


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (Feature("odd", "price", dtype="int64"), r"is int64, but the definition gives decimal"),
        (Feature("odd", "price", dtype="decimal(12, 1)"), "the definition gives decimal"),
        (Feature("odd", "upper(price)"), "should be string"),
    ],
)
def test_what_does_not_fit(store, feature, said):
    with pytest.raises(DefinitionError, match=said):
        store.plan([FeatureView("odd", entity=USER, source=SALES, features=[feature])])


def test_no_request_value_is_one(store):
    asked = Feature("asked", "price > offer", request={"offer": "decimal(12, 2)"})
    with pytest.raises(DefinitionError, match=r"'offer' can't be decimal\(12, 2\)"):
        store.plan([FeatureView("odd", entity=USER, features=[asked])])


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("decimal(12,2)", "decimal(12, 2)"),
        ("Decimal[ 5 ]", "decimal(5, 0)"),
        ("list[decimal(5, 1)]", "list[decimal(5, 1)]"),
        ("struct[a: decimal(5, 1), b: int]", "struct[a: decimal(5, 1), b: int64]"),
    ],
)
def test_names(written, found):
    assert parse_dtype(written) == found


@pytest.mark.parametrize("written", ["decimal", "decimal(19, 2)", "decimal(2, 3)", "decimal(a)"])
def test_names_that_are_none(written):
    with pytest.raises(ValueError, match="decimal is written"):
        parse_dtype(written)
