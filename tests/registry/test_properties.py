"""Random histories of a project: after each apply the registry equals a small model of it."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.definitions.rules import NotNull, Range
from headwater.definitions.service import FeatureRef
from headwater.registry.apply import apply_plan
from headwater.registry.audit import history
from headwater.registry.build import build_plan
from headwater.registry.kinds import FeatureVersion, Revision
from headwater.registry.plan import decode_plan, encode_plan
from headwater.registry.state import load_definitions, resolve
from headwater.registry.store import open_registry
from registry.samples import analyze, feature, service, view
from servers.fixtures import BACKENDS, fresh_registry

NAMES = ("a", "b", "c", "d")
RULES = ((), (NotNull(),), (NotNull(), Range(min=0)))


@dataclass(frozen=True)
class Shape:
    """One feature as these tests vary it; `view` says where it stands."""

    view: str = "one"
    expression: str = "sum(x)"
    default: float | None = None
    description: str = ""
    rules: int = 0

    def feature(self, name):
        return feature(
            name,
            self.expression,
            default=self.default,
            description=self.description,
            validation_rules=RULES[self.rules],
        )


@dataclass(frozen=True)
class State:
    """A project: features and ttls by name, a ratio of a and b or not, the pins of a service."""

    features: dict = field(default_factory=dict)
    ttls: dict = field(default_factory=dict)
    ratio: bool = False
    pins: tuple = ()

    def analyzed(self):
        views = []
        for name in ("one", "two"):
            members = [s.feature(f) for f, s in self.features.items() if s.view == name]
            if members:
                views.append(view(name, *members, ttl=self.ttls.get(name)))
        if self.has_ratio:
            made = feature("ratio", "a / b", window=None)
            views.append(view("derived", made, source=None, update_frequency="daily"))
        pins = [pin for pin in self.pins if pin.partition("@")[0] in self.features]
        return analyze(views, services=[service("model", *pins)] if pins else [])

    @property
    def has_ratio(self):
        return self.ratio and {"a", "b"} <= self.features.keys()


names = st.sampled_from(NAMES)
changes = st.one_of(
    st.tuples(
        st.just("set"),
        names,
        st.builds(
            Shape,
            st.sampled_from(["one", "two"]),
            st.sampled_from(["sum(x)", "SUM( x )", "avg(x)", "max(x)"]),
            st.sampled_from([None, 0.0]),
            st.sampled_from(["", "text"]),
            st.integers(0, 2),
        ),
    ),
    st.tuples(st.just("drop"), names),
    st.tuples(st.just("ttl"), st.sampled_from(["one", "two"]), st.sampled_from([None, "1d"])),
    st.tuples(st.just("ratio"), st.booleans()),
    st.tuples(st.just("pin"), names),
    st.tuples(st.just("unpin")),
    st.tuples(st.just("same")),
)


def changed(state, change, model):
    verb, *rest = change
    if verb == "set":
        return replace(state, features={**state.features, rest[0]: rest[1]})
    if verb == "drop":
        pins = tuple(pin for pin in state.pins if pin.partition("@")[0] != rest[0])
        left = {name: shape for name, shape in state.features.items() if name != rest[0]}
        return replace(state, features=left, pins=pins)
    if verb == "ttl":
        return replace(state, ttls={**state.ttls, rest[0]: rest[1]})
    if verb == "ratio":
        return replace(state, ratio=rest[0])
    if verb == "pin" and rest[0] in state.features and rest[0] in model.versions:
        first = next(iter(model.versions[rest[0]]))
        return replace(state, pins=(f"{rest[0]}@{first}",))
    return replace(state, pins=()) if verb == "unpin" else state


class Model:
    """What versions there must be: a list for each feature, by rules written once more."""

    def __init__(self):
        self.versions = {}
        self.current = {}
        self.generation = 0
        self.last = None

    def apply(self, desired):
        for name, found in desired.features().items():
            facts = (found.data_hash, found.serving_hash, rules_of(found))
            known = self.versions.setdefault(name, {})
            if not known:
                known["1.0.0"] = facts
                self.current[name] = "1.0.0"
            elif known[self.current[name]] != facts:
                self.current[name] = self._number(known, known[self.current[name]], facts)
                known[self.current[name]] = facts
        if content(desired) != self.last:
            self.generation += 1
            self.last = content(desired)

    @staticmethod
    def _number(known, before, after):
        major, minor, patch = max(tuple(map(int, name.split("."))) for name in known)
        if before[0] != after[0]:
            return f"{major + 1}.0.0"
        return f"{major}.{minor + 1}.0" if before[1] != after[1] else f"{major}.{minor}.{patch + 1}"


def rules_of(found):
    return frozenset(rule.name for rule in found.feature.validation_rules)


def content(desired):
    return (
        {name: made.view for name, made in desired.views.items()},
        {name: made.revision for name, made in desired.views.items()},
        dict(desired.services),
        dict(desired.entities),
    )


class Watcher:
    """Properties that hold after each apply, whatever was applied."""

    def __init__(self, registry, project):
        self.registry = registry
        self.project = project
        self.written = {}

    def check(self, desired, model):
        head = self.registry.head(self.project)
        assert head.generation == model.generation == len(history(self.registry, self.project))
        assert set(head.applied()) == set(desired.features())
        for name, entry in head.features.items():
            assert entry.current == model.current[name]
            assert list(entry.versions) == list(model.versions[name])
            for version, found in entry.versions.items():
                self._version(name, version, found, model.versions[name][version][0])
        self._revisions(head, desired)
        stored = load_definitions(self.registry, self.project, head)
        assert dict(stored.views) == {name: made.view for name, made in desired.views.items()}
        assert dict(stored.services) == desired.services
        assert not build_plan(self.registry, self.project, desired).has_changes

    def _version(self, name, version, entry, data_hash):
        """A version never changes, and each of its homes holds exactly its values."""
        body = self.registry.get(self.project, FeatureVersion, entry.object)
        assert self.written.setdefault((name, version), body) == body
        assert (body.name, body.version, body.data_hash) == (name, version, data_hash)
        homes = (entry.revision, *entry.earlier)
        assert len(set(homes)) == len(homes)
        for revision in homes:
            columns = self.registry.get(self.project, Revision, revision).features
            assert [c.data_hash for c in columns if c.name == entry.column] == [data_hash]

    def _revisions(self, head, desired):
        """Live is what views compute, what pins read, and what these read; nothing else."""
        needed = {made.revision for made in desired.views.values()}
        for made in desired.services.values():
            needed |= {resolve(head, ref).revision for ref in made.features}
        for _ in range(2):  # as deep as views read views here
            for revision in list(needed):
                refs = map(FeatureRef, head.revisions[revision].inputs)
                needed |= {home(head, ref) for ref in refs}
        assert set(head.live_revisions()) == needed
        for name, made in desired.views.items():
            assert head.views[name].revision == made.revision


def home(head, ref):
    return head.features[ref.feature].versions[ref.version].revision


@pytest.fixture(scope="module", params=BACKENDS)
def registry(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    opened = open_registry(fresh_registry(request, request.param, folder))
    yield opened
    opened.close()


counter = iter(range(1_000_000))


@settings(max_examples=60)
@given(st.lists(changes, min_size=1, max_size=8))
def test_a_random_history_leaves_what_the_model_says(registry, steps):
    project = f"project_{next(counter)}"
    state, model, watcher = State(), Model(), Watcher(registry, project)
    for step in steps:
        state = changed(state, step, model)
        desired = state.analyzed()
        plan = build_plan(registry, project, desired)
        assert plan.errors == ()
        assert decode_plan(encode_plan(plan)) == plan
        done = apply_plan(registry, plan, author="ann")
        assert done.changed == plan.has_changes
        assert not apply_plan(registry, plan, author="ann").changed
        model.apply(desired)
        watcher.check(desired, model)


@settings(max_examples=20)
@given(st.lists(changes, min_size=1, max_size=4), st.lists(changes, min_size=1, max_size=4))
def test_the_way_to_a_state_does_not_matter_to_what_is_current(registry, one, other):
    """Two histories that end in the same definitions end in the same views and live features."""
    end = State({"a": Shape(), "b": Shape("two", "avg(x)")}, ratio=True)
    heads = []
    for steps in (one, other):
        project, state, model = f"project_{next(counter)}", State(), Model()
        for step in steps:
            state = changed(state, step, model)
            apply_plan(registry, build_plan(registry, project, state.analyzed()), author="ann")
        apply_plan(registry, build_plan(registry, project, end.analyzed()), author="ann")
        heads.append(registry.head(project))
    first, second = heads
    assert (first.views, first.entities, first.sources) == (
        second.views,
        second.entities,
        second.sources,
    )
    assert first.applied().keys() == second.applied().keys()
    for name in first.applied():
        places = [head.features[name].versions[head.features[name].current].home for head in heads]
        assert places[0] == places[1]
