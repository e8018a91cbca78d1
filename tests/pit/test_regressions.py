"""Counterexamples that generated projects have found, at their smallest."""

from __future__ import annotations

import math
from typing import Any

import pytest

from oracle import (
    HOUR,
    Aggregate,
    Apply,
    Column,
    Constant,
    Feature,
    Input,
    Ref,
    Source,
    Ticks,
    View,
)
from oracle.cases import at, rows
from oracle.scalars import GREATER, IS_NULL
from oracle.times import to_datetime
from pit import product
from pit.checks import assert_same
from pit.scenario import Scenario
from pit.tables import Table

T = at("2024-01-01")
X = Column("x")


def check(source: Source, feature: Feature, t: int, *, k: Any = "a", **view: Any) -> None:
    """The product's value of the feature for key `k` at `t` is the oracle's."""
    types = {"k": "string", "event_time": "us", "available_at": "us", "id": "int64", "x": "float64"}
    columns = {name: types[name] for name in source.rows[0]}
    features = (*view.pop("others", ()), feature)
    names = (*view.pop("also", ()), feature.name)
    scenario = Scenario(
        tables=(Table(source, ("k",), columns, (0,) * len(source.rows)),),
        views=(View("v", features, source, ("k",), **view),),
        dtypes={},
        keys={"k": "string"},
        spine=rows("k event_timestamp", (k, to_datetime(t))),
        spine_types={"k": "string", "event_timestamp": "us"},
        timestamp="event_timestamp",
        refs=tuple(map(Ref, names)),
    )
    assert_same(scenario, scenario.expected(), product.training_set(scenario))


def test_a_derived_feature_of_a_null_key_is_null():
    source = Source("s", rows("k event_time x", ("a", to_datetime(T), 1.0)))
    derived = Feature("f", Apply(IS_NULL, Input("g")))
    check(source, derived, T, k=None, others=(Feature("g", X),))


def nan_beside_one():
    """The file's statistics say that x is 1 throughout: they leave NaN out."""
    return Source(
        "s",
        rows("k event_time x", ("a", to_datetime(T), 1.0), ("a", to_datetime(T + 1), math.nan)),
    )


def test_nan_is_the_greatest_in_a_filter():
    above = Apply(GREATER, X, Constant(1.5))
    check(nan_beside_one(), Feature("f", Aggregate("count", None, above), "1h"), T + 2)


def test_nan_is_the_greatest_in_a_lookup():
    check(nan_beside_one(), Feature("f", Apply(GREATER, X, Constant(1.5))), T + 2)


@pytest.mark.parametrize("available_at", ["available_at", None])
def test_a_version_that_the_delay_admits_replaces_the_old_one(available_at):
    """Known at event time, declared or not: at tick T, 2h delayed, the id lies at T + 1h."""
    first = ("a", 1, to_datetime(T), to_datetime(T), 1.0)
    second = ("a", 1, to_datetime(T + HOUR), to_datetime(T + HOUR), 2.0)
    moved = rows("k id event_time available_at x", first, second)
    if available_at is None:
        moved = tuple({n: v for n, v in row.items() if n != "available_at"} for row in moved)
    source = Source("s", moved, available_at=available_at, id=("id",))
    check(source, Feature("f", X), T + 2 * HOUR, ticks=Ticks("1h"), data_delay="2h")


def test_frames_that_differ_in_min_rows_alone():
    source = Source("s", rows("k event_time x", ("a", to_datetime(T), 1.0)))
    count = Aggregate("count", X)
    strict = Feature("strict", count, rows=2)
    check(source, Feature("f", count, rows=2, min_rows=1), T, others=(strict,), also=("strict",))
