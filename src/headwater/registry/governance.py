"""The life of a feature: draft, active, deprecated; its versions and rollbacks.

Every change is one compare-and-set of the project's head, made anew on the head that somebody
else has left where that was quicker. What no values are computed of is changed by an `Edit`; what
a view computes is changed through a plan, which the caller's `Planner` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec.structs import replace

from headwater.definitions.rules import BUILT, BUILT_RULES
from headwater.errors import (
    DefinitionError,
    PreconditionError,
    RefusedError,
)
from headwater.registry import entries, judging
from headwater.registry.apply import apply_plan, stamped
from headwater.registry.changes import ObjectChange
from headwater.registry.commits import settled
from headwater.registry.edits import Edit, edited_head
from headwater.registry.head import FeatureEntry, Head, Status, VersionEntry
from headwater.registry.judging import Proposal
from headwater.registry.kinds import Commit, FeatureVersion, now_us, unpack
from headwater.registry.left_behind import LeftBehind, left_behind
from headwater.registry.lineage import FeatureGraph, Lineage
from headwater.registry.listed import ListedQuery, listed
from headwater.registry.pins import Repinned, listing_services, pinned_services, repin
from headwater.registry.plan import Plan
from headwater.registry.records import FeatureRecord
from headwater.registry.rollback import refuse_collected, refuse_empty, rolled_back
from headwater.registry.search import FeatureSearch
from headwater.registry.state import known_feature, load_versions, named_version
from headwater.registry.store import Registry
from headwater.registry.trail import told_features, told_objects
from headwater.registry.transitions import check_transition
from headwater.registry.versions import Wanted, next_version

_ATTEMPTS = 200
_CLOSED = ("deprecated", "archived")
_RESPELLED = "written otherwise; the syntax trees are equal"


class Planner(Protocol):
    """How a change reaches features whose values are computed."""

    def activation(self, head: Head, record: FeatureRecord, author: str) -> Plan | None:
        """The plan that makes a draft computed; None where it declares too little for that."""

    def edition(
        self, head: Head, record: FeatureRecord, author: str, wanted: Wanted | None = None
    ) -> Plan:
        """The plan that makes a computed feature what a record says."""

    def applied(self, plan: Plan | None = None) -> None:
        """Called after a change of features whose values are computed, with the plan that made it,
        if one did.
        """

    def is_filled(self, revision: str) -> bool:
        """Whether a run has published values of a revision."""


@dataclass(frozen=True)
class FeatureState:
    """All that the registry says of a feature at one generation, apart from its use."""

    name: str
    entry: FeatureEntry
    record: FeatureRecord
    downstream: tuple[str, ...]
    unresolved: tuple[str, ...]

    @property
    def tag(self) -> str:
        """Changes whenever the feature does."""
        return str(self.entry.touched)


@dataclass(frozen=True)
class VersionState:
    """One version of a feature: what the head says of it, and its content."""

    feature: str
    version: str
    entry: VersionEntry
    content: FeatureVersion


Step = Callable[[Head], Edit | Plan | None]
Bring = Callable[[Head], Plan | None]
"""Plans the definitions that come with features, on the head on which these are registered."""


class Governance:
    """What a team does with the features of one project, whoever declared them and how.

    Methods raise NotFoundError for an unknown feature, RefusedError where its state doesn't
    allow the change, PreconditionError where it is no longer at the tag `expected`, and
    DefinitionError for what is wrong in what was given.
    """

    def __init__(self, registry: Registry, project: str, planner: Planner) -> None:
        self._registry = registry
        self._project = project
        self._planner = planner
        self._seen: tuple[Head, FeatureGraph] = (Head(), FeatureGraph(Head()))
        self._search = FeatureSearch(registry, project)

    # --- reading ----------------------------------------------------------------------------

    def get(self, name: str) -> FeatureState:
        """What a feature is now."""
        head = self._head()
        return self._states(head, {name: known_feature(head, name)})[0]

    def find(self, query: ListedQuery, text: str | None = None) -> tuple[list[FeatureState], int]:
        """The features of one page, and how many there are on all pages.

        The newest first; those that hold the words of `text`, where given, the best first.
        """
        if text is None:
            names, total = self._registry.find(self._project, query)
            head = self._head()
        else:
            head = self._head()
            names, total = self._search.find(head, text, query)
        found = {name: head.features[name] for name in names if name in head.features}
        return self._states(head, found), total

    def near(self, text: str) -> str:
        """What a search may have meant that found nothing: `; did you mean '...'?`, or nothing."""
        return self._search.near(self._head(), text)

    def listed_by(self, names: Iterable[str]) -> Mapping[str, list[str]]:
        """The services that list each of some features."""
        return listing_services(self._registry, self._project, self._head(), names)

    def graph(self) -> FeatureGraph:
        """What depends on what, now."""
        return self._graph_of(self._head())

    def lineage(self, name: str, *, depth: int | None = None) -> Lineage:
        """What a feature depends on and what depends on it, `depth` steps away at the most."""
        return self.graph().lineage(name, depth=depth)

    def versions(self, name: str) -> list[VersionState]:
        """Every version of a feature, newest first."""
        found = load_versions(self._registry, self._project, name, self._head())
        return [VersionState(name, content.version, e, content) for e, content in found]

    def version(self, name: str, text: str) -> VersionState:
        """One version of a feature; `1.0` means 1.0.0."""
        entry = known_feature(self._head(), name)
        version = named_version(entry, name, text)
        return VersionState(name, version, entry.versions[version], self._content(entry, version))

    # --- writing ----------------------------------------------------------------------------

    def create(
        self, record: FeatureRecord, *, author: str, bring: Bring | None = None
    ) -> FeatureState:
        """Register a draft, version 1.0.0. What it depends on may be registered later."""
        return self.create_many([record], author=author, bring=bring)[0]

    def create_many(
        self, records: Iterable[FeatureRecord], *, author: str, bring: Bring | None = None
    ) -> list[FeatureState]:
        """Register drafts, all of them or none, with the definitions that `bring` plans."""
        given = list(records)
        edit = entries.registered(given)
        if len(edit.entries) != len(given):
            raise DefinitionError("features: two of one name; a name is unique in a project")

        def step(head: Head) -> Edit:
            for name in edit.entries:
                if name in head.features:
                    status = head.features[name].status
                    raise RefusedError(
                        f"feature '{name}' exists already ({status}); a name is not used twice"
                    )
            brought = None if bring is None else bring(head)
            return Edit(edit.entries, edit.changes, edit.objects, brought=brought)

        self._commit(step, author)
        head = self._head()
        return self._states(head, {name: head.features[name] for name in edit.entries})

    def update(
        self, name: str, changes: Mapping[str, Any], *, author: str, expected: str | None = None
    ) -> FeatureState:
        """Set some fields of the record, and `status`.

        Other code or rules are put into a draft, and otherwise make the next version.
        """
        fields = {field: value for field, value in changes.items() if field != "status"}

        def step(head: Head) -> Edit | Plan | None:
            entry = _expected(head, name, expected)
            before = self._record(entry)
            after = replace(before, **fields)
            if entry.status in _CLOSED and after != before:
                raise RefusedError(
                    f"feature '{name}': it is {entry.status}; nothing but its status may change"
                )
            status = changes.get("status", entry.status)
            if status != entry.status:
                self._check_status(head, name, status)
            return self._edited(head, before, after, status, author)

        self._commit(step, author)
        return self.get(name)

    def set_status(
        self, name: str, status: Status, *, author: str, expected: str | None = None
    ) -> FeatureState:
        """Lead a feature from its state to another. Raises RefusedError where no way leads."""

        def step(head: Head) -> Edit | Plan | None:
            record = self._record(_expected(head, name, expected))
            self._check_status(head, name, status)
            return self._edited(head, record, record, status, author)

        self._commit(step, author)
        return self.get(name)

    def create_version(
        self,
        name: str,
        wanted: Wanted,
        snapshot: Mapping[str, Any],
        *,
        author: str,
        expected: str | None = None,
    ) -> VersionState:
        """Make a version by number, of the code and rules in `snapshot`, else of the present ones.

        Raises RefusedError where the number is not above all others, or smaller than the change
        deserves, unless that is forced.
        """

        def step(head: Head) -> Edit | Plan:
            entry = _open_entry(head, name, expected)
            before = self._record(entry)
            after = replace(before, **snapshot)
            _refuse_unbuilt_rules(after, entry.status)
            if entry.view and after != before:
                return self._planner.edition(head, after, author, wanted)
            current = self._content(entry, entry.current)
            return entries.versioned(entry, before, after, current, wanted)

        self._commit(step, author)
        return self.version(name, self.get(name).entry.current)

    def propose(self, name: str, snapshot: Mapping[str, Any], *, author: str) -> Proposal:
        """The version that `create_version` would make of a snapshot, and why; nothing is made."""
        head = self._head()
        entry = _open_entry(head, name, None)
        before = self._record(entry)
        after = replace(before, **snapshot)
        _refuse_unbuilt_rules(after, entry.status)
        if entry.view and after != before:
            return judging.proposed(name, entry, self._edition(head, before, after, author))
        return entries.proposed(entry, before, after)

    def rollback(
        self,
        name: str,
        target: str,
        *,
        author: str,
        expected: str | None = None,
        force: bool = False,
    ) -> VersionState:
        """Make an earlier version current again, under the name of a rollback to it.

        Raises RefusedError for one whose values were never computed, unless that is forced.
        """

        def step(head: Head) -> Edit:
            entry = _expected(head, name, expected)
            version = named_version(entry, name, target)
            refuse_collected(head, name, version)
            if not force:
                refuse_empty(head, name, version, self._planner.is_filled)
            content = self._content(entry, version)
            return rolled_back(entry, version, content, self._record(entry), now_us())

        self._commit(step, author)
        return self.version(name, self.get(name).entry.current)

    def pinned(self, name: str, version: str) -> list[str]:
        """The services that go on reading one version of a feature, whatever is current."""
        return pinned_services(self._registry, self._project, name, version)

    def left_behind(self, made: VersionState) -> LeftBehind:
        """What goes on reading the version that a rollback has replaced."""
        version = made.feature, made.version
        return left_behind(self._registry, self._project, self.graph(), version)

    def repin(
        self, name: str, old: str, new: str, *, services: Sequence[str] = (), author: str
    ) -> Repinned:
        """Let services that are pinned to one version of a feature read another one.

        All of them, unless `services` names some.
        """
        done = repin(
            self._registry, self._project, name, (old, new), services=services, author=author
        )
        if done.services:
            self._planner.applied()
        return done

    # --- inside -----------------------------------------------------------------------------

    def _head(self) -> Head:
        """The head, read anew only where its generation is another."""
        seen = self._seen[0]
        if self._registry.generation(self._project) != seen.generation:
            seen = self._registry.head(self._project)
            self._seen = seen, FeatureGraph(seen)
        return seen

    def _graph_of(self, head: Head) -> FeatureGraph:
        known, graph = self._seen
        return graph if known is head else FeatureGraph(head)

    def _states(self, head: Head, found: Mapping[str, FeatureEntry]) -> list[FeatureState]:
        keys = [entry.record for entry in found.values()]
        records = self._registry.get_many(self._project, FeatureRecord, keys)
        graph = self._graph_of(head)
        return [
            FeatureState(
                name=name,
                entry=entry,
                record=records[entry.record],
                downstream=graph.downstream(name),
                unresolved=graph.unresolved(name),
            )
            for name, entry in found.items()
        ]

    def _record(self, entry: FeatureEntry) -> FeatureRecord:
        return self._registry.get(self._project, FeatureRecord, entry.record)

    def _content(self, entry: FeatureEntry, version: str) -> FeatureVersion:
        return self._registry.get(self._project, FeatureVersion, entry.versions[version].object)

    def _check_status(self, head: Head, name: str, status: Status) -> None:
        check_transition(name, head.features[name].status, status)
        graph = self._graph_of(head)
        if status == "active":
            missing = graph.unresolved(name)
            if missing:
                raise RefusedError(
                    f"feature '{name}': field 'upstream_features': {', '.join(missing)} must be "
                    "registered and not be deprecated before it becomes active"
                )
            return
        below = graph.live_downstream(name)
        if below:
            verb = "depends" if len(below) == 1 else "depend"
            raise RefusedError(
                f"feature '{name}': {', '.join(below)} {verb} on it; deprecate what is downstream "
                "first"
            )
        if status == "archived":
            listing = listing_services(self._registry, self._project, head, [name])[name]
            if listing:
                raise RefusedError(
                    f"feature '{name}': {', '.join(listing)} would lose it; take it off these "
                    "services first"
                )

    def _edited(
        self, head: Head, before: FeatureRecord, after: FeatureRecord, status: Status, author: str
    ) -> Edit | Plan | None:
        entry = head.features[before.name]
        _refuse_unbuilt_rules(after, status)
        if entry.view and before != after:
            if status != entry.status:
                raise RefusedError(
                    f"feature '{before.name}': change its content first, then its status"
                )
            return self._edition(head, before, after, author)
        if (entry.status, status) == ("draft", "active"):
            plan = self._planner.activation(head, after, author)
            if plan is not None:
                return plan
        return entries.edited(entry, before, after, status)

    def _edition(
        self, head: Head, before: FeatureRecord, after: FeatureRecord, author: str
    ) -> Plan:
        """The plan of an edit. Code that is only written otherwise makes a version too: it holds
        what was written.
        """
        plan = self._planner.edition(head, after, author)
        entry = head.features[after.name]
        made = any(f.name == after.name and f.new_version != entry.current for f in plan.features)
        if made or before.transformation == after.transformation:
            return plan
        number = next_version(entry.versions, "patch")
        return self._planner.edition(head, after, author, Wanted(number, _RESPELLED))

    def _commit(self, step: Step, author: str) -> None:
        """Do a step, and say so to the planner where it changes what is computed."""
        done = self._settled(step, author)
        if isinstance(done, Plan) or (done and any(e.view for e in done.entries.values())):
            self._planner.applied(done if isinstance(done, Plan) else None)

    def _settled(self, step: Step, author: str) -> Edit | Plan | None:
        """Do a step, again on the newer head where somebody else was quicker."""

        def once() -> Edit | Plan | None:
            head = self._head()
            done = step(head)
            if done is not None:
                self._set(head, done, author)
            return done

        return settled(once, _ATTEMPTS)

    def _set(self, head: Head, done: Edit | Plan, author: str) -> None:
        if isinstance(done, Plan):
            apply_plan(self._registry, done, author=author)
            return
        edited = edited_head(head, done)
        self._registry.put(self._project, done.objects)
        told = told_features(self._registry, self._project, done.changes, head, edited)
        commit = Commit(
            edited.generation,
            author,
            now_us(),
            done.summary,
            self._brought(head, done.brought),
            features=told,
            parent=head.trail,
        )
        after = stamped(edited, commit)
        rows = listed(self._registry, self._project, after)
        self._registry.compare_and_set_head(self._project, head.generation, after, commit, rows)
        self._seen = after, FeatureGraph(after)  # reading it back costs as much as writing it

    def _brought(self, head: Head, plan: Plan | None) -> tuple[ObjectChange, ...]:
        """Keep the definitions that come with features; what they change."""
        if plan is None:
            return ()
        self._registry.put(self._project, unpack(plan.puts))
        return told_objects(self._registry, self._project, plan.objects, head, plan.puts)


def _refuse_unbuilt_rules(record: FeatureRecord, status: Status) -> None:
    for rule in record.validation_rules:
        if status == "active" and rule["rule_type"] not in BUILT_RULES:
            raise RefusedError(
                f"feature '{record.name}': field 'validation_rules': rule '{rule['rule_type']}' is "
                f"not built, so it could not be checked (built: {BUILT}); a draft "
                "keeps it"
            )


def _expected(head: Head, name: str, expected: str | None) -> FeatureEntry:
    entry = known_feature(head, name)
    if expected is not None and expected != str(entry.touched):
        raise PreconditionError(
            f"feature '{name}': it has changed since; read it again (its tag is now "
            f"'{entry.touched}', not '{expected}')"
        )
    return entry


def _open_entry(head: Head, name: str, expected: str | None) -> FeatureEntry:
    """The entry of a feature that may get versions."""
    entry = _expected(head, name, expected)
    if entry.status in _CLOSED:
        raise RefusedError(f"feature '{name}': it is {entry.status}; no version is added")
    return entry
