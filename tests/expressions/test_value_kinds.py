"""What a feature is declared to hold, against what it holds."""

import pytest

from headwater import Entity, Feature, FeatureView, Source
from headwater.definitions.collection import collect
from headwater.errors import DefinitionError
from headwater.expressions.analysis import analyze
from headwater.expressions.value_kinds import kinds_of

SCHEMA = {
    "user_id": "string",
    "t": "timestamp",
    "x": "float64",
    "n": "int64",
    "b": "bool",
    "s": "string",
    "d": "decimal(8, 2)",
    "lx": "list[float64]",
    "ls": "list[string]",
    "m": "map[string, int64]",
    "v": "vector[float32, 4]",
    "st": "struct[a: int64]",
}
FIT = {
    "numerical": {"x", "n", "d"},
    "categorical": {"n", "b", "s"},
    "binary": {"b", "n"},
    "embedding": {"v", "lx"},
    "list": {"lx", "ls"},
    "map": {"m"},
    "struct": {"st"},
}


def analyzed(feature):
    events = Source("events", path="e.parquet", event_time="t", schema=SCHEMA)
    user = Entity("user", join_keys={"user_id": "string"})
    view = FeatureView("view", entity=user, source=events, features=[feature])
    return analyze(collect([view]), lambda _source: SCHEMA)


@pytest.mark.parametrize("kind", FIT)
@pytest.mark.parametrize("column", [name for name in SCHEMA if name not in ("user_id", "t")])
def test_a_kind_fits_its_types_alone(kind, column):
    feature = Feature("found", column, value_kind=kind)
    if column in FIT[kind]:
        analyzed(feature)
        return
    with pytest.raises(DefinitionError, match=rf"'value_kind': '{kind}' does not fit") as caught:
        analyzed(feature)
    assert kinds_of(SCHEMA[column])[0] in str(caught.value)


def test_a_time_has_no_kind():
    with pytest.raises(DefinitionError, match=r"does not fit timestamp \(kinds that do: none\)"):
        analyzed(Feature("found", "t", value_kind="numerical"))
