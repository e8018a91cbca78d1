"""Functions of maps: values under keys, kept in the order of the keys."""

from __future__ import annotations

import math
from typing import Any

from headwater.errors import ComputeError
from headwater.expressions.functions.declare import CANNOT, Function

NAN = math.nan


def make_map(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    if len(keys) != len(values):
        raise ComputeError(f"a map needs a value for each key; got {len(keys)} and {len(values)}")
    if None in keys:
        raise ComputeError("the key of a map can't be null")
    if len(set(keys)) < len(keys):
        raise ComputeError("a key stands twice in a map")
    found = dict(zip(keys, values, strict=True))
    return {key: found[key] for key in sorted(keys)}


def map_contains(values: dict[Any, Any], key: Any) -> bool:
    return key in values


def map_value(values: dict[Any, Any], key: Any) -> Any:
    return values.get(key)


MAPS = (
    Function(
        "map",
        ("keys", "items"),
        "map",
        "The map from keys to values, in the order of the keys. A null key, one that stands twice "
        "and lists of different lengths are errors. Also written `MAP {'a': 1}`.",
        make_map,
        (
            ((("b", "a"), (1, None)), {"a": None, "b": 1}),
            (((2, 1), (0.5, NAN)), {1: NAN, 2: 0.5}),
            (((1, 1), (2, 3)), CANNOT),
            (((1, None), (2, 3)), CANNOT),
            (((1, 2), (3,)), CANNOT),
        ),
        duckdb="map_from_entries(list_sort(map_entries(map({*}))))",
    ),
    Function(
        "map_extract_value",
        ("map", "K"),
        "W",
        "The value under a key, null if there is none; also written `m[key]`.",
        map_value,
        (
            (({"a": 1, "b": None}, "a"), 1),
            (({"a": 1, "b": None}, "b"), None),
            (({"a": 1}, "z"), None),
        ),
    ),
    Function(
        "map_contains",
        ("map", "K"),
        "bool",
        "Whether there is a value, or a null, under a key.",
        map_contains,
        ((({"a": 1, "b": None}, "b"), True), (({"a": 1}, "z"), False)),
    ),
    Function(
        "map_keys",
        ("map",),
        "list[K]",
        "The keys, in ascending order.",
        lambda values: [*values],
        ((({"a": 1, "b": None},), ("a", "b")),),
    ),
    Function(
        "map_values",
        ("map",),
        "list[W]",
        "The values, in the order of their keys.",
        lambda values: [*values.values()],
        ((({"a": 1, "b": None},), (1, None)),),
    ),
    Function(
        "cardinality",
        ("map",),
        "int64",
        "The number of keys.",
        len,
        ((({"a": 1, "b": None},), 2),),
        duckdb="CAST(cardinality({0}) AS BIGINT)",
    ),
)
