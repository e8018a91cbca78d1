"""Revisions in a plan: which ones come, stay and go, and what has to be computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.registry.base import Kinds
from headwater.registry.bound import pinned
from headwater.registry.changes import Backfill, FeatureChange, RevisionChange
from headwater.registry.head import FeatureEntry, Head, RevisionEntry
from headwater.registry.kinds import Revision, RevisionColumn
from headwater.registry.reach import live
from headwater.registry.settling import Settled

_ORDER = ("new", "revived", "kept", "retired")
_SHOWN = 5


def revision_of(view: AnalyzedView, desired: AnalyzedProject, wanted: Kinds) -> Revision:
    """The immutable form of a view; `wanted` holds the keys of all definitions.

    `desired` is the project in which the view is computed.
    """
    views = [desired.views[name] for name in (view.name, *_views_read(view, desired))]
    entities = [v.view.entity_name for v in views if v.view.entity_name is not None]
    sources = {v.view.source_name: v for v in views if v.view.source_name is not None}
    columns = (
        RevisionColumn(f.name, f.kind, f.dtype, f.data_hash, f.columns, f.inputs)
        for f in view.features
    )
    return Revision(
        revision=view.revision,
        name=view.name,
        features=tuple(columns),
        stored=view.stored,
        source=view.view.source_name,
        views={v.name: wanted["view"][v.name].key for v in views},
        entities={name: wanted["entity"][name].key for name in entities},
        sources={name: wanted["source"][name].key for name in sources},
        schemas={name: dict(v.columns) for name, v in sources.items()},
    )


def _views_read(view: AnalyzedView, desired: AnalyzedProject) -> list[str]:
    """The names of the views that one reads, directly or not."""
    seen: set[str] = set()
    waiting = list(view.inputs)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(desired.views[name].inputs)
    return sorted(seen)


def next_revisions(
    head: Head, desired: Settled, features: Mapping[str, FeatureEntry], generation: int
) -> dict[str, RevisionEntry]:
    """The head's revisions after the plan: those that something reads live, the others retired."""
    project = desired.project
    entries = {
        **head.revisions,
        **{
            view.revision: RevisionEntry(
                view=view.name,
                since=_since(head, view.revision, generation),
                stored=view.stored,
                inputs=_inputs(view, features, desired.pins.get(view.name, ())),
                back=tuple(sorted(desired.pins.get(view.name, ()))),
            )
            for view in project.views.values()
        },
    }
    views = [view.revision for view in project.views.values()]
    read = live(views, project.services.values(), entries, features)
    return with_live(entries, read, generation)


def with_live(
    entries: Mapping[str, RevisionEntry], read: Collection[str], generation: int
) -> dict[str, RevisionEntry]:
    """Revisions where those that are `read` are live, and the others retired at a generation."""
    return {
        name: entry.revived()
        if name in read
        else msgspec.structs.replace(entry, retired=_or(entry.retired, generation))
        for name, entry in sorted(entries.items())
    }


def _since(head: Head, revision: str, generation: int) -> int:
    known = head.revisions.get(revision)
    return generation if known is None else known.since


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _inputs(
    view: AnalyzedView, features: Mapping[str, FeatureEntry], pins: Collection[str]
) -> tuple[str, ...]:
    own = {feature.name for feature in view.features}
    read = {name for feature in view.features for name in feature.inputs} - own
    known = sorted(name for name in read if name in features)
    back = pinned(pins)
    return tuple(f"{name}@{back.get(name) or features[name].declared}" for name in known)


def revision_changes(
    head: Head, after: Head, changes: Iterable[FeatureChange]
) -> tuple[RevisionChange, ...]:
    """What becomes of each revision that is or was read, by view."""
    by_view: dict[str, list[FeatureChange]] = {}
    for change in changes:
        by_view.setdefault(change.view, []).append(change)
    held = _holding(after)
    found = []
    for name, entry in after.revisions.items():
        before = head.revisions.get(name)
        if entry.retired is not None:
            if before is not None and before.retired is None:
                found.append(RevisionChange("retired", entry.view, name, "nothing reads it"))
        elif before is None:
            reason = _what_changed(by_view.get(entry.view, []))
            found.append(RevisionChange("new", entry.view, name, reason))
        elif before.retired is not None:
            found.append(RevisionChange("revived", entry.view, name, "is read again"))
        else:
            found.append(RevisionChange("kept", entry.view, name, held.get(name, "is read")))
    return tuple(sorted(found, key=lambda change: (change.view, _ORDER.index(change.action))))


def _holding(head: Head) -> dict[str, str]:
    """Why revisions are live: their view computes them (an empty text), or who holds them."""
    found = dict.fromkeys(head.revisions, "a service is pinned to it")
    for entry in head.revisions.values():
        for name, version in pinned(entry.inputs if entry.retired is None else ()).items():
            found[head.features[name].versions[version].revision] = f"view '{entry.view}' reads it"
    for name, feature in head.applied().items():
        held = "was rolled back to it" if feature.held else "was made before a rollback"
        found[feature.versions[feature.current].revision] = f"{name} {held}"
    return found | {view.revision: "" for view in head.views.values()}


def _what_changed(changes: Iterable[FeatureChange]) -> str:
    parts: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for change in changes:
        if change.action != "changed" or change.bump == "major" or change.comparison:
            parts[change.action].append(change.name)
    said = [f"{action} {_named(names)}" for action, names in parts.items() if names]
    return "; ".join(said) or "its definition changed"


def _named(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def backfills(
    changes: Iterable[RevisionChange], entries: Mapping[str, RevisionEntry]
) -> tuple[Backfill, ...]:
    """The revisions whose values runs have to write after the apply."""
    reasons = {"new": "new revision", "revived": "read again; bring it up to date"}
    return tuple(
        Backfill(change.view, change.revision, reasons[change.action])
        for change in changes
        if change.action in reasons and entries[change.revision].stored
    )
