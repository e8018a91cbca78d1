"""Executes a plan: immutable objects first, then one compare-and-set of the head (C15)."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from headwater.errors import ConflictError, DefinitionError
from headwater.registry.audit import changes_since
from headwater.registry.changes import FeatureChange
from headwater.registry.explain import summarize
from headwater.registry.head import FeatureEntry, Head
from headwater.registry.kinds import Commit, digest_of, now_us, unpack
from headwater.registry.listed import listed
from headwater.registry.plan import Plan
from headwater.registry.store import Registry
from headwater.registry.trail import told_features, told_objects


@dataclass(frozen=True)
class Applied:
    """What an apply did: the project's generation, and whether it is a new one."""

    project: str
    generation: int
    changed: bool
    summary: str


def apply_plan(registry: Registry, plan: Plan, *, author: str, at: int | None = None) -> Applied:
    """Make the project what the plan says; a plan that is applied already changes nothing.

    `at` is the time in microseconds UTC, now unless given. A crash leaves the project before or
    after; what it left unreferenced is used by the next apply. Raises DefinitionError for a plan
    with errors, and ConflictError, which says who changed what, for one of another generation.
    """
    if plan.errors:
        raise DefinitionError("\n".join(plan.errors))
    head = registry.head(plan.project)
    if _is_applied(registry, plan, head):
        return Applied(plan.project, head.generation, changed=False, summary="no changes")
    if head.generation != plan.base_generation:
        raise _conflict(registry, plan)
    registry.put(plan.project, unpack(plan.puts))
    commit = _commit(registry, plan, head, author, now_us() if at is None else at)
    after = stamped(plan.head, commit)
    try:
        rows = listed(registry, plan.project, after)
        registry.compare_and_set_head(plan.project, plan.base_generation, after, commit, rows)
    except ConflictError:
        raise _conflict(registry, plan) from None
    return Applied(plan.project, plan.head.generation, changed=True, summary=commit.summary)


def _is_applied(registry: Registry, plan: Plan, head: Head) -> bool:
    """Whether the project is what the plan makes it, be it by this very plan."""
    if not plan.has_changes or head.generation != plan.head.generation:
        return head == plan.head
    commit = registry.get(plan.project, Commit, str(head.generation))
    return head == stamped(plan.head, commit)


def stamped(head: Head, commit: Commit) -> Head:
    """A head with its commit's digest, and with its time and author on what that changes."""
    revisions = {
        name: replace(entry, retired_at=commit.at) if entry.retired == commit.generation else entry
        for name, entry in head.revisions.items()
    }
    touched = {
        name: _stamped(entry, commit)
        for name, entry in head.features.items()
        if entry.touched == commit.generation
    }
    return replace(
        head, features={**head.features, **touched}, revisions=revisions, trail=digest_of(commit)
    )


def _stamped(entry: FeatureEntry, commit: Commit) -> FeatureEntry:
    versions = {
        name: replace(found, made_at=commit.at, made_by=commit.author)
        if found.since == commit.generation
        else found
        for name, found in entry.versions.items()
    }
    gone = entry.deprecated_at
    if entry.status == "deprecated" and gone is None:
        gone = commit.at
    return replace(
        entry,
        versions=versions,
        created_at=entry.created_at or commit.at,
        updated_at=commit.at,
        deprecated_at=gone,
    )


def _commit(registry: Registry, plan: Plan, head: Head, author: str, at: int) -> Commit:
    return Commit(
        generation=plan.head.generation,
        author=author,
        at=at,
        summary=summarize(plan),
        objects=told_objects(registry, plan.project, plan.objects, head, plan.puts),
        features=told_features(registry, plan.project, _uncompared(plan), head, plan.head),
        revisions=tuple(change for change in plan.revisions if change.action != "kept"),
        parent=head.trail,
    )


def _uncompared(plan: Plan) -> list[FeatureChange]:
    """The changes without the comparisons, which their versions hold."""
    return [replace(change, comparison=None) for change in plan.features]


def _conflict(registry: Registry, plan: Plan) -> ConflictError:
    since = changes_since(registry, plan.project, plan.base_generation)
    lines = "".join(f"\n  {line}" for line in since)
    return ConflictError(
        f"project '{plan.project}': the plan was made at generation {plan.base_generation}, and "
        f"the project has changed since; plan again{':' if lines else ''}{lines}"
    )
