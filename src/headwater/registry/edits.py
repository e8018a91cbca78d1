"""One change of a project's head that no plan is needed for: some features get new entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import asdict, replace

from headwater.registry.changes import FeatureChange, FieldChange
from headwater.registry.diff import same
from headwater.registry.head import FeatureEntry, Head, VersionEntry
from headwater.registry.kinds import Stored
from headwater.registry.lineage import refuse_cycle
from headwater.registry.plan import Plan
from headwater.registry.reach import with_inputs
from headwater.registry.records import FeatureRecord

PENDING = -1
"""Stands for the generation that an edit makes, which is known only on the head it is made on."""


@dataclass(frozen=True)
class Edit:
    """New entries of features, what is said of them, and what they point to.

    `revived` are revisions that they read, retired or not; `brought` is the plan that makes the
    definitions which they name, in the same commit.
    """

    entries: Mapping[str, FeatureEntry]
    changes: tuple[FeatureChange, ...]
    objects: tuple[Stored, ...] = ()
    revived: tuple[str, ...] = ()
    brought: Plan | None = None

    @property
    def summary(self) -> str:
        if len(self.changes) > 1:
            return f"{len(self.changes)} features {self.changes[0].action}"
        change = self.changes[0]
        return f"feature {change.name} {change.action}: {change.reason}"


def edited_head(head: Head, edit: Edit) -> Head:
    """The head after an edit. Raises RefusedError where a feature would depend on itself."""
    generation = head.generation + 1
    if edit.brought is not None:
        head = edit.brought.head
    entries = {name: _placed(entry, generation) for name, entry in edit.entries.items()}
    features = {**head.features, **entries}
    if len(features) > len(head.features):
        features = {name: features[name] for name in sorted(features)}
    read = with_inputs(edit.revived, head.revisions, head.features)
    revived = {name: head.revisions[name].revived() for name in read}
    after = replace(
        head,
        generation=generation,
        features=features,
        revisions={**head.revisions, **revived},
    )
    for name, entry in entries.items():
        before = head.features.get(name)
        if before is None or before.upstream != entry.upstream:
            refuse_cycle(after, name, entry.upstream)
    return after


def _placed(entry: FeatureEntry, generation: int) -> FeatureEntry:
    versions = {
        name: replace(found, since=generation) if found.since == PENDING else found
        for name, found in entry.versions.items()
    }
    return replace(entry, versions=versions, touched=generation)


def no_home(key: str) -> VersionEntry:
    """The entry of a new version of which no values are computed."""
    return VersionEntry(object=key, revision="", column="", since=PENDING)


def record_changes(before: FeatureRecord, after: FeatureRecord) -> tuple[FieldChange, ...]:
    """The fields in which two records of a feature differ."""
    old, new = asdict(before), asdict(after)
    pairs = ((name, _plain(old[name]), _plain(new[name])) for name in new)
    return tuple(FieldChange(*pair) for pair in pairs if not same(*pair[1:]))


def _plain(value: object) -> object:
    import msgspec

    return msgspec.to_builtins(value)
