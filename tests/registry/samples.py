"""Small projects, analysed by hand, so that these tests stand on the registry alone."""

import hashlib
import json
import re

from msgspec.structs import replace

from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView

USER = Entity("user", join_keys={"user_id": "string"})
EVENTS = Source("events", path="events.parquet", event_time="at", available_at="seen_at")
COLUMNS = {"user_id": "string", "at": "timestamp", "seen_at": "timestamp", "x": "float64"}


def digest(*content):
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def canonical(feature):
    return re.sub(r"\s+", "", feature.definition.lower())


def timeless(head):
    """A head without who made what is in it, and when: as its plan has it."""
    features = {
        name: replace(
            entry,
            created_at=0,
            updated_at=0,
            versions={
                version: replace(found, made_at=0, made_by="")
                for version, found in entry.versions.items()
            },
        )
        for name, entry in head.features.items()
    }
    revisions = {name: replace(entry, retired_at=None) for name, entry in head.revisions.items()}
    return replace(head, features=features, revisions=revisions, trail="")


def analyze(views, *, services=(), entities=(USER,), sources=(EVENTS,)):
    """An AnalyzedProject; views come after those that they read."""
    entities = {entity.name: entity for entity in entities}
    sources = {source.name: source for source in sources}
    known, analyzed = {}, {}
    for view in views:
        entity, source = entities.get(view.entity_name), sources.get(view.source_name)
        found = analyze_view(view, entity, source, known)
        analyzed[view.name] = found
        known.update({feature.name: feature for feature in found.features})
    services = {service.name: service for service in services}
    return AnalyzedProject(entities, sources, analyzed, services)


def analyze_view(view, entity, source, known):
    content = [
        list(entity.join_keys.items()) if entity else None,
        source.model_dump(mode="json", exclude={"description", "owner", "tags"}) if source else 0,
        view.update_frequency,
        view.data_delay,
    ]
    features = {}
    for feature in view.features:
        found = analyze_feature(view, feature, content, {**known, **features})
        features[feature.name] = found
    inputs = {known[name].view for f in features.values() for name in f.inputs if name in known}
    return AnalyzedView(
        view=view,
        entity=entity,
        source=source,
        columns=COLUMNS if source else {},
        features=tuple(features.values()),
        inputs=tuple(sorted(inputs - {view.name})),
        revision=digest(content, sorted((f.name, f.data_hash) for f in features.values())),
        stored=source is not None or view.ticks is not None,
        notes=(f"note on {view.name}",),
    )


def analyze_feature(view, feature, content, known):
    names = re.findall(r"[a-z_]\w*", canonical(feature))
    inputs = tuple(dict.fromkeys(name for name in names if name in known and name not in COLUMNS))
    data = digest(
        content,
        canonical(feature),
        str(feature.window),
        feature.rows,
        feature.dtype,
        [known[name].serving_hash for name in inputs],
    )
    return AnalyzedFeature(
        feature=feature,
        view=view.name,
        kind="windowed" if feature.window else ("derived" if inputs else "lookup"),
        dtype=feature.dtype or "float64",
        tree=None,
        columns=tuple(dict.fromkeys(name for name in names if name in COLUMNS)),
        inputs=inputs,
        data_hash=data,
        serving_hash=digest(data, view.ttl, feature.default),
    )


def view(name, *features, **fields):
    fields = {"entity": "user", "source": "events", **fields}
    return FeatureView(name, features=features, **fields)


def feature(name, expression="sum(x)", **fields):
    return Feature(name, expression, **{"window": "7d", **fields})


def service(name, *refs, **fields):
    return FeatureService(name, list(refs), **fields)
