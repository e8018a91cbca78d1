"""Builds a plan: compares the definitions of a project with what the registry holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from headwater.definitions.base import Definition
from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.expressions.unseen import unstorable
from headwater.registry.base import Base, Kinds, load_base, stored_keys, wanted_objects
from headwater.registry.changes import Downstream, FieldChange, ObjectChange, RevisionChange
from headwater.registry.checks import pin_notes, plan_errors
from headwater.registry.comparisons import Compare
from headwater.registry.diff import DESCRIBES, field_changes
from headwater.registry.features import FeaturePlanner, Outcome
from headwater.registry.graph import Readers
from headwater.registry.head import Head, ViewEntry
from headwater.registry.kinds import Packed, pack
from headwater.registry.plan import Plan
from headwater.registry.revisions import backfills, next_revisions, revision_changes, revision_of
from headwater.registry.settling import Settled, settled
from headwater.registry.store import Registry
from headwater.registry.versions import Wanted


def build_plan(
    registry: Registry,
    project: str,
    desired: AnalyzedProject,
    *,
    head: Head | None = None,
    numbers: Mapping[str, Wanted] | None = None,
    compare: Compare | None = None,
) -> Plan:
    """The plan that makes a project what `desired` says, and no more: what it lacks is removed.

    Who made `desired` by adding to what was stored gives the `head` that was read for it;
    otherwise what somebody else has added since would count as removed. `numbers` holds the
    versions that features are to get instead of the next ones; `compare` looks at the values of
    features that are defined otherwise. Reads the registry and changes nothing. What stands in the
    way is in the plan's `errors`.
    """
    wanted = wanted_objects(desired)
    base = load_base(registry, project, head or registry.head(project), desired, wanted)
    now = settled(registry, project, base, desired)
    readers = Readers(desired)
    objects = tuple(_object_changes(base, wanted, readers))
    fields = {(change.kind, change.name): change.fields for change in objects}
    planner = FeaturePlanner(base, now, fields, readers, numbers or {}, compare=compare)
    outcomes = planner.outcomes()
    features = tuple(found.change for found in outcomes.values() if found.change is not None)
    head = _next_head(base.head, now, wanted, outcomes)
    revisions = revision_changes(base.head, head, features)
    return Plan(
        project=project,
        base_generation=base.head.generation,
        head=head,
        objects=objects,
        features=features,
        revisions=revisions,
        backfills=backfills(revisions, head.revisions),
        notes=(*_notes(now.project, revisions), *pin_notes(base, desired, objects)),
        errors=(*now.errors, *plan_errors(desired, head)),
        puts=tuple(_puts(base, now, wanted, outcomes, revisions)),
    )


def _object_changes(base: Base, wanted: Kinds, readers: Readers) -> Iterable[ObjectChange]:
    stored = stored_keys(base.head)
    for kind, objects in wanted.items():
        for name in sorted({*objects, *stored[kind]}):
            if name not in stored[kind]:
                yield ObjectChange("added", kind, name)
            elif name not in objects:
                yield ObjectChange("removed", kind, name, (), readers.of_object(kind, name))
            elif stored[kind][name] != objects[name].key:
                fields = _fields(base.definitions[kind][name], objects[name])
                felt = any(change.field not in DESCRIBES for change in fields)
                reached = readers.of_object(kind, name) if felt else Downstream()
                yield ObjectChange("changed", kind, name, fields, reached)


def _fields(old: Definition, new: Packed) -> tuple[FieldChange, ...]:
    before, after = old.to_dict(), json.loads(new.body)
    found = field_changes(before, after, skip={"features"} if new.kind == "view" else ())
    if new.kind != "view":
        return found
    names = [[feature["name"] for feature in view["features"]] for view in (before, after)]
    both = set(names[0]) & set(names[1])
    orders = [[name for name in side if name in both] for side in names]
    return found if orders[0] == orders[1] else (*found, FieldChange("features", *names))


def _next_head(
    head: Head, desired: Settled, wanted: Kinds, outcomes: Mapping[str, Outcome]
) -> Head:
    """The head that the plan sets; the present one where nothing changes."""
    generation = head.generation + 1
    features = {name: found.entry for name, found in outcomes.items()}
    views = {
        name: ViewEntry(packed.key, desired.project.views[name].revision)
        for name, packed in wanted["view"].items()
    }
    keys = {
        kind: {name: packed.key for name, packed in wanted[kind].items()}
        for kind in ("entity", "source", "service")
    }
    after = Head(
        generation=generation,
        entities=keys["entity"],
        sources=keys["source"],
        views=views,
        services=keys["service"],
        features=features,
        revisions=next_revisions(head, desired, features, generation),
        trail=head.trail,
    )
    return head if after.same_content(head) else after


def _puts(
    base: Base,
    desired: Settled,
    wanted: Kinds,
    outcomes: Mapping[str, Outcome],
    revisions: Iterable[RevisionChange],
) -> Iterable[Packed]:
    """What the head will point to and the registry doesn't hold yet."""
    stored = stored_keys(base.head)
    for kind, objects in wanted.items():
        for name, packed in objects.items():
            if stored[kind].get(name) != packed.key:
                yield packed
    fresh = {change.revision for change in revisions if change.action == "new"}
    for view in desired.project.views.values():
        if view.revision in fresh:
            yield from _revision(view, desired, wanted)
    for found in outcomes.values():
        if found.version is not None:
            yield pack(found.version)
        if found.record is not None:
            yield pack(found.record)


def _revision(view: AnalyzedView, desired: Settled, wanted: Kinds) -> Iterable[Packed]:
    """A revision, and the definitions in it that are not those which are declared."""
    project = desired.project_of(view.name)
    if view.name in desired.projects:
        views = {name: pack(found.view) for name, found in project.views.items()}
        yield from (packed for name, packed in views.items() if packed != wanted["view"][name])
        wanted = {**wanted, "view": views}
    yield pack(revision_of(view, project, wanted))


def _notes(desired: AnalyzedProject, revisions: Iterable[RevisionChange]) -> tuple[str, ...]:
    """What the analysis found worth saying about views that compute something new."""
    fresh = {change.view for change in revisions if change.action == "new"}
    views = [view for name, view in desired.views.items() if name in fresh]
    notes = [note for view in views for note in view.notes]
    for view in views:
        reason = unstorable(desired, view)
        if reason is not None:
            notes.append(f"feature view '{view.name}': can't be materialized: {reason}")
    return tuple(dict.fromkeys(notes))
