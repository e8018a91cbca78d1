"""What makes another revision, and what does not (C14)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from headwater.definitions.collection import collect
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.analysis import analyze

COLUMNS = {
    "a": "string",
    "b": "string",
    "n": "int64",
    "x": "float64",
    "at": "timestamp",
    "known": "timestamp",
    "id": "string",
}
WINDOW = {"expression": "sum(n)", "window": "7d", "tail_hop": "1h", "offset": "1h"}
ROWS = {"expression": "avg(x)", "rows": 5, "min_rows": 2}
LOOKUP = {"expression": "n + 1"}


def revision(feature: dict[str, Any], **given: Any) -> str:
    """The revision of a view of one feature, with some of its parts replaced."""
    source = {"path": "e.parquet", "event_time": "at", **given.pop("source", {})}
    keys = given.pop("keys", {"a": "string", "b": "string"})
    ticks = {"update_frequency": "daily", "at": "17:30", "timezone": "Europe/Berlin"}
    view = FeatureView(
        "v",
        entity=Entity("e", keys),
        source=Source("s", **source),
        features=[Feature("f", **feature)],
        **{**ticks, "data_delay": "1h", **given},
    )
    return analyze(collect([view]), lambda _: COLUMNS).views["v"].revision


@pytest.mark.parametrize(
    ("feature", "changed"),
    [
        (WINDOW, {"expression": "sum(n + 1)"}),
        (WINDOW, {"window": "8d"}),
        (WINDOW, {"window": "lifetime", "tail_hop": None}),
        (WINDOW, {"tail_hop": "2h"}),
        (WINDOW, {"offset": "2h"}),
        (WINDOW, {"dtype": "float64"}),
        (ROWS, {"rows": 6}),
        (ROWS, {"min_rows": 3}),
        (LOOKUP, {"dtype": "float64"}),
        (LOOKUP, {"name": "g"}),
    ],
)
def test_what_defines_a_feature_makes_another_revision(feature, changed):
    assert _with(feature, changed) != _with(feature, {})


def _with(feature: dict[str, Any], changed: dict[str, Any]) -> str:
    source = Source("s", path="e.parquet", event_time="at")
    made = Feature(**{"name": "f", **feature, **changed})
    view = FeatureView("v", entity=Entity("e", {"a": "string"}), source=source, features=[made])
    return analyze(collect([view]), lambda _: COLUMNS).views["v"].revision


@pytest.mark.parametrize(
    "changed",
    [
        {"data_delay": "2h"},
        {"update_frequency": "2d"},
        {"at": "17:31"},
        {"timezone": "UTC"},
        {"keys": {"b": "string", "a": "string"}},
        {"keys": {"a": "string"}},
        {"source": {"path": "f.parquet"}},
        {"source": {"format": "delta"}},
        {"source": {"event_time": "known"}},
        {"source": {"available_at": "known"}},
        {"source": {"id": "id"}},
        {"source": {"sequence": "n"}},
    ],
    ids=str,
)
def test_what_defines_a_view_makes_another_revision(changed):
    assert revision(LOOKUP, **changed) != revision(LOOKUP)


@pytest.mark.parametrize(
    ("feature", "changed"),
    [
        ({**LOOKUP, "expression": "(N+1)".lower()}, {}),
        ({**LOOKUP, "default": 5}, {}),
        ({**LOOKUP, "description": "other", "owner": "me", "tags": ["t"]}, {}),
        ({**LOOKUP, "dtype": "int64"}, {}),
        (LOOKUP, {"ttl": "7d"}),
        (LOOKUP, {"description": "other", "owner": "me", "tags": ["t"]}),
        (LOOKUP, {"source": {"description": "other", "owner": "me", "tags": ["t"]}}),
        (LOOKUP, {"source": {"format": "parquet"}}),
        (LOOKUP, {"source": {"event_time": ' "at" '}}),
    ],
)
def test_what_does_not_define_the_values_makes_none(feature, changed):
    assert revision(feature, **changed) == revision(LOOKUP)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_a_revision_is_the_same_in_every_process(seed):
    code = "from registry.test_revision_hash import WINDOW, revision; print(revision(WINDOW))"
    environ = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == revision(WINDOW)
