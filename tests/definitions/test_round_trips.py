"""What a user wrote survives the registry, REST and YAML: to_dict, JSON, from_dict."""

import datetime as dt
import json
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.definitions.durations import MAX_DURATION, UNITS, format_duration, parse_duration
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.functions import FunctionRef, feature_function
from headwater.definitions.rules import Enum, NotNull, Range, Regex, ValidationRule
from headwater.definitions.service import FeatureRef, FeatureService, parse_ref
from headwater.definitions.source import Source
from headwater.definitions.types import (
    KEY_TYPES,
    SCALARS,
    element,
    fields,
    from_arrow,
    holds,
    key_and_value,
    parse_dtype,
    parts_of,
    struct_of,
    to_arrow,
)
from headwater.definitions.view import FeatureView

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "usage")
microseconds = st.integers(1, MAX_DURATION)
durations = microseconds.map(format_duration)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | st.text() | floats
numbers = st.integers(-5, 5) | st.floats(-5, 5)


def made(model, **fields):
    return st.fixed_dictionaries(fields).map(lambda given: model(**given))


def few(items, **limits):
    return st.lists(items, max_size=3, **limits)


about = {"description": st.text(max_size=9), "owner": st.none() | names, "tags": few(names)}
rules = st.one_of(
    st.booleans().map(lambda blocking: NotNull(is_blocking=blocking)),
    st.tuples(numbers, st.integers(0, 3)).map(lambda pair: Range(min=pair[0], max=sum(pair))),
    few(st.text(max_size=3), min_size=1).map(Enum),
    st.just(Regex("[a-z]+")),
    st.just(ValidationRule("distribution", parameters={"test": "ks", "p": 0.01})),
)
functions = made(
    FunctionRef,
    path=st.just("features.ads:score"),
    content_hash=st.text("0123456789abcdef", min_size=64, max_size=64),
    mode=st.sampled_from(["row", "sequence"]),
    frame=st.sampled_from(["arrow", "polars", "pandas"]),
    inputs=few(names, min_size=1),
    output=st.sampled_from(SCALARS),
)
features = st.one_of(
    made(
        Feature,
        name=names,
        expression=st.sampled_from(["count(*)", "sum(x) FILTER (WHERE y = 'a')"]),
        window=durations | st.just("lifetime"),
        offset=st.none() | durations,
        default=scalars | few(scalars),
        dtype=st.none() | st.sampled_from([*SCALARS, "list[string]"]),
        validation_rules=few(rules),
        **about,
    ),
    made(Feature, name=names, rows=st.integers(3, 9), min_rows=st.none() | st.integers(1, 3)),
    made(Feature, name=names, function=functions),
    made(Feature, name=names, duckdb_table=st.none() | names, duckdb_view=st.none() | names),
)
keys = st.dictionaries(names, st.sampled_from(KEY_TYPES), min_size=1, max_size=3)
entities = made(Entity, name=names, join_keys=keys, **about)
sources = made(
    Source,
    name=names,
    path=st.just("a/*.parquet") | st.just(["a.csv", "b.csv"]),
    event_time=st.sampled_from(["t", "day + INTERVAL 21 HOUR"]),
    available_at=st.none() | names,
    id=st.none() | names | few(names, min_size=1),
    sequence=st.none() | names,
    schema=st.none() | st.dictionaries(names, st.sampled_from(SCALARS), max_size=2),
    **about,
)
views = made(
    FeatureView,
    name=names,
    entity=st.none() | names,
    source=st.none() | names,
    features=few(features, min_size=1, unique_by=lambda feature: feature.name),
    ttl=st.none() | durations,
    update_frequency=durations | st.sampled_from(["hourly", "daily", "weekly"]),
    data_delay=durations,
    **about,
)
refs = made(
    FeatureRef,
    feature=names,
    view=st.none() | names,
    version=st.none() | st.just("1.0.0"),
    alias=st.none() | names,
    join_keys=st.dictionaries(names, names, max_size=2),
)
services = made(
    FeatureService,
    name=names,
    features=few(refs, min_size=1, unique_by=lambda ref: ref.output),
    **about,
)


@given(st.one_of(entities, sources, views, services, features, refs, rules, functions))
def test_an_object_survives_json(written):
    text = json.dumps(written.to_dict(), allow_nan=False)
    assert type(written).from_dict(json.loads(text)) == written


@given(st.one_of(entities, sources, views, services))
def test_the_dictionary_is_stable(written):
    again = type(written).from_dict(written.to_dict())
    assert again.to_dict() == written.to_dict()


def test_defaults_are_left_out():
    user = Entity("user", {"user_id": "str"})
    assert user.to_dict() == {"name": "user", "join_keys": {"user_id": "string"}}
    view = FeatureView("v", entity=user, features=[Feature("a", window="14d")], ttl="36h")
    assert view.to_dict() == {
        "name": "v",
        "entity": "user",
        "features": [{"name": "a", "window": "14d"}],
        "ttl": "36h",
    }


def test_a_schema_keeps_its_public_name():
    source = Source("s", path="a.csv", event_time="t", schema={"x": "int"})
    assert source.to_dict()["schema"] == {"x": "int64"}


@given(microseconds | st.just(0))
def test_durations_survive(value):
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize("unit", UNITS)
def test_durations_read_every_unit(unit):
    assert parse_duration(f"3{unit}") == 3 * UNITS[unit]
    assert parse_duration(dt.timedelta(microseconds=UNITS[unit])) == UNITS[unit]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", {"feature": "a"}),
        ("v:a", {"feature": "a", "view": "v"}),
        ("a@1.2.0", {"feature": "a", "version": "1.2.0"}),
        ("v:a@1.2.0", {"feature": "a", "view": "v", "version": "1.2.0"}),
    ],
)
def test_references(text, parts):
    ref = parse_ref(text)
    assert ref.to_dict() == parts
    assert str(ref) == text
    assert FeatureRef(text) == ref
    assert parse_ref(ref) is ref
    assert parse_ref(parts) == ref


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("float", "float64"),
        (" Varchar ", "string"),
        ("list<int>", "list[int64]"),
        ("list[double]", "list[float64]"),
        ("datetime", "timestamp"),
        ("LIST[List<int>]", "list[list[int64]]"),
        ("struct[ctr:float,  Cvr : double]", "struct[ctr: float64, Cvr: float64]"),
        ('struct["ctr": float]', "struct[ctr: float64]"),
        ('Struct["a, ""b]": map<str,list[int]>]', 'struct["a, ""b]": map[string, list[int64]]]'),
        ("map[ text , int ]", "map[string, int64]"),
        (
            "list[struct[a: map[date, struct[b: bool]], c: string]]",
            "list[struct[a: map[date, struct[b: bool]], c: string]]",
        ),
    ],
)
def test_type_aliases(written, canonical):
    assert parse_dtype(written) == canonical
    assert parse_dtype(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("struct[a int]", "a field of a struct is a name and a type"),
        ("struct[]", "a field of a struct is a name and a type"),
        ("struct[a: int, A: float]", "two fields are called 'A'"),
        ("struct[a: flot]", "did you mean 'float'?"),
        ("map[float, int]", "float64 can't be the key of a map; use one of string, int64, bool"),
        ("map[int]", "is not a type"),
        ("list[int, int]", "is not a type"),
        ("list[int", "is not a type"),
        ("list[]", "is not a type"),
        ("list[" * 9 + "int" + "]" * 9, "nested too deeply; 8 levels are the most"),
    ],
)
def test_what_is_no_type(written, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_dtype(written)


def test_the_parts_of_a_type():
    dtype = parse_dtype('list[struct[a: int, "b: c": map[string, list[date]]]]')
    struct = element(dtype)
    assert fields(struct) == (("a", "int64"), ("b: c", "map[string, list[date]]"))
    assert struct_of(fields(struct)) == struct
    assert key_and_value(fields(struct)[1][1]) == ("string", "list[date]")
    assert parts_of("int64") == ()
    assert holds(dtype, "date")
    assert holds(dtype, "map")
    assert not holds(dtype, "float64")


def test_what_arrow_has_and_we_have_not():
    two = [("a", pa.int64()), ("A", pa.int64())]
    assert from_arrow(pa.struct(two)) is None
    assert from_arrow(pa.struct([])) is None
    assert from_arrow(pa.map_(pa.float64(), pa.int64())) is None
    assert from_arrow(pa.struct([("a", pa.duration("s"))])) is None
    assert from_arrow(pa.map_(pa.int32(), pa.int8())) == "map[int64, int32]"


NESTED = (
    "list[list[int64]]",
    "struct[a: int64, b: struct[c: date]]",
    "map[string, int64]",
    "map[date, list[struct[a: map[bool, timestamp]]]]",
)


@pytest.mark.parametrize("dtype", [*SCALARS, *(f"list[{scalar}]" for scalar in SCALARS), *NESTED])
def test_types_survive_arrow(dtype):
    assert from_arrow(to_arrow(dtype)) == dtype


@feature_function(inputs=["price", "size"], output="float", mode="sequence", frame="polars")
def turnover(frame):
    return frame["price"] * frame["size"]


def test_a_function_is_found_again_by_its_path():
    feature = Feature("turnover", turnover)
    assert feature.function == turnover.ref
    assert feature.function.output == "float64"
    assert turnover({"price": 2, "size": 3}) == 6
    assert Feature("turnover", function=turnover) == feature
