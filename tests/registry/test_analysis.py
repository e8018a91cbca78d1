"""The registry behind the real analysis: what is stored can be analysed again, old or new."""

import pytest

from headwater.definitions.collection import collect
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.analysis import analyze
from headwater.registry.build import build_plan
from headwater.registry.state import load_definitions, load_schemas, revision_definitions

COLUMNS = {"user_id": "string", "at": "timestamp", "x": "float64", "kind": "string"}
CLICKS = "count(*) FILTER (WHERE kind = 'click')"
STEPS = {
    "first": {},
    "spelling": {"clicks": "COUNT(*) filter (where kind='click')"},
    "expression": {"clicks": "count(*) FILTER (WHERE kind = 'tap')"},
    "ttl": {"clicks": "count(*) FILTER (WHERE kind = 'tap')", "ttl": "3d"},
    "default": {"clicks": "count(*) FILTER (WHERE kind = 'tap')", "ttl": "3d", "default": 0},
}


def project(*, clicks=CLICKS, ttl=None, default=None):
    user = Entity("user", {"user_id": "string"})
    events = Source("events", path="events.parquet", event_time="at")
    features = [
        Feature("n", "count(*)", window="7d", default=default),
        Feature("clicks", clicks, window="7d"),
        Feature("ctr", "clicks / nullif(n, 0)"),
    ]
    ads = FeatureView(
        "ads", entity=user, source=events, update_frequency="hourly", ttl=ttl, features=features
    )
    rates = FeatureView("rates", entity=user, features=[Feature("twice", "ctr * 2")])
    service = FeatureService("model", ["twice", "clicks@1.0.0"])
    return analyze(collect([ads, rates, service]), lambda _: COLUMNS)


@pytest.fixture
def versions(registry, apply):
    """The current versions after each step."""
    found = {}
    for name, fields in STEPS.items():
        apply(project(**fields))
        features = registry.head("demo").features
        found[name] = {feature: entry.current for feature, entry in features.items()}
    return found


def test_versions_follow_the_meaning(versions):
    assert versions == {
        "first": {"clicks": "1.0.0", "ctr": "1.0.0", "n": "1.0.0", "twice": "1.0.0"},
        "spelling": {"clicks": "1.0.0", "ctr": "1.0.0", "n": "1.0.0", "twice": "1.0.0"},
        "expression": {"clicks": "2.0.0", "ctr": "2.0.0", "n": "1.0.0", "twice": "2.0.0"},
        "ttl": {"clicks": "2.1.0", "ctr": "2.1.0", "n": "1.1.0", "twice": "3.0.0"},
        "default": {"clicks": "2.1.0", "ctr": "3.0.0", "n": "1.2.0", "twice": "4.0.0"},
    }


def test_what_is_stored_is_analysed_to_the_same_project(registry, versions):
    schemas = load_schemas(registry, "demo")
    again = analyze(load_definitions(registry, "demo"), lambda source: schemas[source.name])
    assert not build_plan(registry, "demo", again).has_changes


def test_every_revision_can_be_analysed_again(registry, versions):
    revisions = registry.head("demo").revisions
    assert len(revisions) == 7
    for revision, entry in revisions.items():
        definitions, schemas = revision_definitions(registry, "demo", revision)
        again = analyze(definitions, lambda source, known=schemas: known[source.name])
        assert again.views[entry.view].revision == revision


def test_the_note_on_knowledge_is_told_once(registry, apply):
    known = "source 'events' has no 'available_at': its rows are taken to be known"
    assert known in apply(project()).notes[0]
    assert apply(project(ttl="1d")).notes == ()
