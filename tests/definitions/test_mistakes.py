"""Every mistake in a definition gives one line: object, field, what was expected."""

import datetime as dt

import pytest

from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.functions import FunctionRef, feature_function
from headwater.definitions.rules import Enum, NotNull, Range, Regex, ValidationRule
from headwater.definitions.service import FeatureRef, FeatureService, parse_ref
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError

NAME_RULE = "is not a name; use a letter, then letters, digits and '_', 128 at the most"
DURATION_RULE = "is not a duration; write a number and one of us ms s m h d w, as in '7d'"
TYPES = (
    "(types: bool, int32, int64, float32, float64, string, bytes, timestamp, date, "
    "decimal(digits, scale), list[...], struct[name: type, ...], "
    "map[key, value], vector[float32, size])"
)
KEYS = {"user_id": "string"}
FEATURE = Feature("a", "x")


def source(**fields):
    return Source("s", **{"path": "a.parquet", "event_time": "t", **fields})


def view(**fields):
    return FeatureView("v", **{"features": [FEATURE], **fields})


def feature(*args, **fields):
    return Feature("a", *(args or ["x"]), **fields)


ENTITIES = [
    (lambda: Entity("1user", KEYS), f"entity '1user': field 'name': '1user' {NAME_RULE}"),
    (
        lambda: Entity("u" * 129, KEYS),
        f"entity '{'u' * 129}': field 'name': '{'u' * 129}' {NAME_RULE}",
    ),
    (
        lambda: Entity("usage", KEYS),
        "entity 'usage': field 'name': 'usage' is a reserved name; choose another",
    ),
    (lambda: Entity("user"), "entity 'user': field 'join_keys' is required"),
    (
        lambda: Entity("user", ["user_id"]),
        "entity 'user': field 'join_keys': give join keys with their types, "
        "as {'user_id': 'string'}; got ['user_id']",
    ),
    (lambda: Entity("user", {}), "entity 'user': field 'join_keys': must not be empty; got {}"),
    (
        lambda: Entity("user", {"a b": "string"}),
        f"entity 'user': field 'join_keys.a b': 'a b' {NAME_RULE}",
    ),
    (
        lambda: Entity("user", {"a": "flot"}),
        f"entity 'user': field 'join_keys.a': 'flot' is not a type; did you mean 'float'? {TYPES}",
    ),
    (
        lambda: Entity("user", {"a": "float"}),
        "entity 'user': field 'join_keys.a': 'float64' can't be a join key; "
        "use one of bool, int32, int64, string, bytes, timestamp, date",
    ),
    (lambda: Entity("user", {"a": 3}), "entity 'user': field 'join_keys.a': give a text; got 3"),
    (
        lambda: Entity("user", KEYS, owners="me"),
        "entity 'user': unknown field 'owners'; did you mean 'owner'?",
    ),
    (
        lambda: Entity("user", KEYS, zzz=1),
        "entity 'user': unknown field 'zzz' (fields: name, join_keys, description, owner, tags)",
    ),
    (lambda: Entity("user", KEYS, name="x"), "entity: 'name' is given by position and by name"),
    (
        lambda: Entity("user", KEYS, "me"),
        "entity 'user': only name and join_keys may be given by position; name the field of 'me'",
    ),
    (lambda: Entity("user", KEYS, tags="x"), "entity 'user': field 'tags': give a list; got 'x'"),
    (
        lambda: Entity("user", join_key=KEYS),
        "entity 'user': field 'join_keys' is required\n"
        "entity 'user': unknown field 'join_key'; did you mean 'join_keys'?",
    ),
]

PLACES = "source 's': give exactly one of 'path', 'table' and 'query'"
SOURCES = [
    (lambda: Source("s", path="a.parquet"), "source 's': field 'event_time' is required"),
    (lambda: Source("s", event_time="t"), f"{PLACES}; none is given"),
    (lambda: source(query="select 1"), f"{PLACES}; 'path' and 'query' are given"),
    (
        lambda: source(path=None, table="b"),
        "source 's': 'table' needs 'database', the DuckDB file that holds it",
    ),
    (
        lambda: source(database="a.duckdb"),
        "source 's': 'database' goes with 'table' or 'query', not with 'path'",
    ),
    (lambda: source(path=3), "source 's': field 'path': give a text or a list of texts; got 3"),
    (
        lambda: source(path=""),
        "source 's': 'path' is empty; give a file, a glob or a Delta table's folder",
    ),
    (
        lambda: source(path=["a.csv", "b.parquet"]),
        "source 's': the paths have endings of several formats; give 'format'",
    ),
    (
        lambda: source(format="cvs"),
        "source 's': field 'format': give 'parquet', 'csv', 'delta', 'duckdb' or 'sql'; got 'cvs'",
    ),
    (lambda: source(id=3), "source 's': field 'id': give a text or a list of texts; got 3"),
    (
        lambda: source(schema={"a": "foo"}),
        f"source 's': field 'schema.a': 'foo' is not a type {TYPES}",
    ),
    (
        lambda: source(path=None, query=" "),
        "source 's': 'query' is empty; say where the rows are",
    ),
    (
        lambda: source(id=[]),
        "source 's': 'id' is empty; give a column or several, or leave it out",
    ),
    (
        lambda: source(format="sql"),
        "source 's': format 'sql' does not go with 'path'; "
        "give 'parquet' or 'csv' or 'delta', or leave it out",
    ),
    (
        lambda: source(path=None, query="select 1", format="csv"),
        "source 's': format 'csv' does not go with 'query'; give 'sql', or leave it out",
    ),
    (
        lambda: source(avail_at="x"),
        "source 's': unknown field 'avail_at'; did you mean 'available_at'?",
    ),
]

FEATURES = [
    (lambda: feature(""), "feature 'a': field 'expression': must not be empty; got ''"),
    (lambda: feature(3), "feature 'a': field 'expression': give a text; got 3"),
    (lambda: feature(window="7 days"), f"feature 'a': field 'window': '7 days' {DURATION_RULE}"),
    (lambda: feature(window="-1d"), f"feature 'a': field 'window': '-1d' {DURATION_RULE}"),
    (lambda: feature(window=7), f"feature 'a': field 'window': 7 {DURATION_RULE}"),
    (
        lambda: feature(dtype=int),
        "feature 'a': field 'dtype': give a type by its name, as 'int64'; got <class 'int'>",
    ),
    (lambda: feature(window=True), f"feature 'a': field 'window': True {DURATION_RULE}"),
    (lambda: feature(window=-1), f"feature 'a': field 'window': -1 {DURATION_RULE}"),
    (
        lambda: feature(window="400000d"),
        "feature 'a': field 'window': '400000d' is outside 0s to 365000d",
    ),
    (lambda: feature(window="0s"), "feature 'a': 'window' must be longer than 0s"),
    (lambda: feature(window="7d", tail_hop="0s"), "feature 'a': 'tail_hop' must be longer than 0s"),
    (
        lambda: feature(window="lifetime", tail_hop="1h"),
        "feature 'a': 'tail_hop' rounds a left edge, and window='lifetime' has none",
    ),
    (lambda: feature(tail_hop="1h"), "feature 'a': 'tail_hop' needs 'window'"),
    (lambda: feature(offset="1h"), "feature 'a': 'offset' needs 'window'"),
    (lambda: feature(rows=0), "feature 'a': field 'rows': give 1 or more; got 0"),
    (lambda: feature(rows=100_001), "feature 'a': field 'rows': give 100000 or less; got 100001"),
    (lambda: feature(rows="5"), "feature 'a': field 'rows': give a whole number; got '5'"),
    (lambda: feature(rows=True), "feature 'a': field 'rows': give a whole number; got True"),
    (
        lambda: feature(rows=5, window="7d"),
        "feature 'a': 'window' and 'rows' exclude each other; a feature has one frame",
    ),
    (lambda: feature(min_rows=3), "feature 'a': 'min_rows' needs 'rows'"),
    (
        lambda: feature(rows=2, min_rows=3),
        "feature 'a': 'min_rows' 3 is greater than 'rows' 2",
    ),
    (
        lambda: feature(default=float("nan")),
        "feature 'a': field 'default': nan is not a finite number",
    ),
    (
        lambda: feature(default=b"x"),
        "feature 'a': field 'default': b'x' has the type bytes; "
        "give a number, a text, true or false, a date or time, or a list of these",
    ),
    (
        lambda: feature(dtype="flaot"),
        f"feature 'a': field 'dtype': 'flaot' is not a type; did you mean 'float'? {TYPES}",
    ),
    (
        lambda: feature(validation_rules=["range"]),
        "feature 'a': field 'validation_rules.0': give a ValidationRule, or its fields; "
        "got 'range'",
    ),
    (
        lambda: feature(validation_rules=[{"rule_type": "range"}]),
        "feature 'a': validation rule: rule 'range' takes at least one of 'min' and 'max'; got []",
    ),
    (
        lambda: feature(validation_rules=[{3: 4}]),
        "feature 'a': validation rule: unknown field 3",
    ),
    (lambda: feature(function={3: 4}), "feature 'a': function: unknown field 3"),
    (
        lambda: feature(window="9" * 5_000 + "d"),
        f"feature 'a': field 'window': '{'9' * 5_000}d' {DURATION_RULE}",
    ),
    (lambda: feature(windows="7d"), "feature 'a': unknown field 'windows'; did you mean 'window'?"),
    (
        lambda: feature(function=3),
        "feature 'a': field 'function': give a FunctionRef, or its fields; got 3",
    ),
    (
        lambda: feature(function=REF),
        "feature 'a': give 'expression' or 'function', not both",
    ),
    (
        lambda: Feature("a", function=REF, window="7d"),
        "feature 'a': a function has no 'window'; use mode='row' or mode='sequence'",
    ),
    (
        lambda: Feature("a", doubled, function=REF),
        "feature 'a': 'function' is given twice, by position and by name",
    ),
]

VIEWS = [
    (lambda: view(features=[]), "feature view 'v': field 'features': must not be empty; got []"),
    (
        lambda: view(features=FEATURE),
        "feature view 'v': field 'features': give a list; got feature 'a'",
    ),
    (
        lambda: view(features=[3]),
        "feature view 'v': field 'features.0': give a Feature, or its fields; got 3",
    ),
    (
        lambda: view(features=[{"name": "f", "window": "x"}]),
        f"feature view 'v': feature 'f': field 'window': 'x' {DURATION_RULE}",
    ),
    (
        lambda: view(features=[FEATURE, FEATURE]),
        "feature view 'v': field 'features': 'a' is declared twice",
    ),
    (lambda: view(features=[{3: 4}]), "feature view 'v': feature: unknown field 3"),
    (
        lambda: view(at="", update_frequency="daily"),
        "feature view 'v': field 'at': '' is not a time of day; write it as '17:30'",
    ),
    (lambda: view(entity="my user"), f"feature view 'v': field 'entity': 'my user' {NAME_RULE}"),
    (
        lambda: view(entity=3),
        "feature view 'v': field 'entity': give an Entity, or the name of one; got 3",
    ),
    (
        lambda: view(entity=source()),
        "feature view 'v': field 'entity': give an Entity, or the name of one; got source 's'",
    ),
    (
        lambda: view(source=4),
        "feature view 'v': field 'source': give a Source, or the name of one; got 4",
    ),
    (
        lambda: view(entity={"name": "u"}),
        "feature view 'v': entity 'u': field 'join_keys' is required",
    ),
    (
        lambda: view(update_frequency="dayly"),
        "feature view 'v': field 'update_frequency': 'dayly' is not a frequency; "
        "use real_time, hourly, daily, weekly or a duration",
    ),
    (
        lambda: view(update_frequency="0s"),
        "feature view 'v': field 'update_frequency': a frequency must be longer than 0s",
    ),
    (
        lambda: view(ttl="0s"),
        "feature view 'v': field 'ttl': must be longer than 0s; leave it out for no limit",
    ),
    (lambda: view(ttl="7"), f"feature view 'v': field 'ttl': '7' {DURATION_RULE}"),
    (
        lambda: view(data_delay="1h"),
        "feature view 'v': field 'data_delay': goes with ticks; set 'update_frequency'",
    ),
    (
        lambda: view(at="17:30"),
        "feature view 'v': fields 'at' and 'timezone' go with ticks of whole days",
    ),
    (
        lambda: view(timezone="Europe/Berlin", update_frequency="hourly"),
        "feature view 'v': fields 'at' and 'timezone' go with ticks of whole days",
    ),
    (
        lambda: view(at="25:30", update_frequency="daily"),
        "feature view 'v': field 'at': '25:30' is not a time of day; write it as '17:30'",
    ),
    (
        lambda: view(timezone="Berlin", update_frequency="daily"),
        "feature view 'v': field 'timezone': 'Berlin' is not a time zone; "
        "use a name as 'America/New_York'",
    ),
    (
        lambda: FeatureView.from_dict({3: 4, "name": "v"}),
        "feature view 'v': unknown field 3",
    ),
]

SERVICES = [
    (
        lambda: FeatureService("m", []),
        "feature service 'm': field 'features': must not be empty; got []",
    ),
    (
        lambda: FeatureService("m", "a"),
        "feature service 'm': field 'features': give a list; got 'a'",
    ),
    (
        lambda: FeatureService("m", ["a b"]),
        f"feature service 'm': feature reference: field 'feature': 'a b' {NAME_RULE}",
    ),
    (
        lambda: FeatureService("m", [3]),
        "feature service 'm': feature reference 3: give a text as 'view:feature', or a FeatureRef",
    ),
    (
        lambda: FeatureService("m", [{"feature": "a", "aliass": "b"}]),
        "feature service 'm': feature reference: unknown field 'aliass'; did you mean 'alias'?",
    ),
    (
        lambda: FeatureService("m", [{"feature": "a", 3: 4}]),
        "feature service 'm': feature reference: unknown field 3",
    ),
    (
        lambda: FeatureRef.from_dict({"feature": "a", "self": 1}),
        "feature reference: unknown field 'self' "
        "(fields: feature, view, version, alias, join_keys)",
    ),
    (
        lambda: FeatureService("m", ["a", "v:a"]),
        "feature service 'm': field 'features': two outputs are named 'a'; rename one with alias=",
    ),
    (
        lambda: FeatureRef("v:a", view="w"),
        "feature reference: 'view' is given twice, in 'v:a' and by name",
    ),
    (
        lambda: parse_ref("v:"),
        "feature reference: 'v:' can't be read; "
        "write 'feature' or 'view:feature', either with '@version'",
    ),
    (
        lambda: FeatureRef("a", join_keys=["c"]),
        "feature reference: field 'join_keys': give a mapping; got ['c']",
    ),
]

RULES = [
    (
        Range,
        "validation rule: rule 'range' takes at least one of 'min' and 'max'; got []",
    ),
    (lambda: Range(min=2, max=1), "validation rule: rule 'range': min 2 is greater than max 1"),
    (lambda: Range(min="a"), "validation rule: rule 'range': 'min' must be a number; got 'a'"),
    (
        lambda: Range(max=float("inf")),
        "validation rule: field 'parameters': inf is not a finite number",
    ),
    (
        lambda: Enum([]),
        "validation rule: rule 'enum' takes 'values', a list that is not empty; got []",
    ),
    (
        lambda: Regex("("),
        "validation rule: rule 'regex': '(' is not a regular expression: missing ): (",
    ),
    (
        lambda: Regex("a(?=b)"),
        "validation rule: rule 'regex': 'a(?=b)' is not a regular expression: "
        "invalid perl operator: (?=",
    ),
    (
        lambda: Regex(3),
        "validation rule: rule 'regex': 'pattern' must be a text; got 3",
    ),
    (
        lambda: ValidationRule("range", parameters={"mn": 1}),
        "validation rule: rule 'range' takes at least one of 'min' and 'max'; got ['mn']",
    ),
    (
        lambda: ValidationRule("null_check", parameters={"a": 1}),
        "validation rule: rule 'not_null' takes no parameters; got ['a']",
    ),
    (
        lambda: NotNull(is_blocking=1),
        "validation rule: field 'is_blocking': give true or false; got 1",
    ),
]


@feature_function(inputs=["x"], output="float64")
def doubled(frame):
    return frame["x"]


def _nested():
    @feature_function(inputs=["x"], output="float64")
    def inner(frame):
        return frame["x"]

    return inner


REF = FunctionRef(
    "m:f", content_hash="0", mode="row", frame="arrow", inputs=["x"], output="float64"
)

FUNCTIONS = [
    (
        _nested,
        "function '_nested.<locals>.inner': define it at the top of a module, "
        "so that it can be found by import path",
    ),
    (
        lambda: feature_function(inputs=["x"], output="float64")(len),
        "function 'len': its source can't be read; define it in a file",
    ),
    (
        lambda: feature_function(inputs=[], output="float64")(doubled.function),
        "function: field 'inputs': must not be empty; got ()",
    ),
    (
        lambda: feature_function(inputs=["x"], output="float64", mode="rows")(doubled.function),
        "function: field 'mode': give 'row' or 'sequence'; got 'rows'",
    ),
    (
        REF.load,
        "function 'm:f' can't be imported: No module named 'm'",
    ),
    (
        lambda: REF.model_copy(update={"path": "json:loads"}).load(),
        "function 'json:loads' is not decorated with @feature_function",
    ),
    (
        lambda: REF.model_copy(update={"path": doubled.ref.path}).load(),
        f"function '{doubled.ref.path}' has changed since it was applied; apply the change first",
    ),
]

MISTAKES = [*ENTITIES, *SOURCES, *FEATURES, *VIEWS, *SERVICES, *RULES, *FUNCTIONS]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_message(mistake, message):
    with pytest.raises(DefinitionError) as caught:
        mistake()
    assert str(caught.value) == message


def test_long_values_are_shortened():
    with pytest.raises(DefinitionError) as caught:
        Entity("user", "x" * 1000)
    assert len(str(caught.value)) < 200


def test_a_definition_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        FEATURE.name = "b"


def test_dates_in_defaults_become_text():
    berlin = dt.timezone(dt.timedelta(hours=1))
    moment = dt.datetime(2024, 1, 1, tzinfo=berlin)
    assert Feature("a", "x", default=moment).default == "2023-12-31T23:00:00+00:00"
    assert Feature("a", "x", default=[dt.date(2024, 1, 1)]).default == ["2024-01-01"]


def test_repr_shows_what_was_said():
    assert repr(Feature("a", "x", window="7d")) == (
        "Feature(name='a', expression='x', window=604800000000)"
    )
