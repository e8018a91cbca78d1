"""Features of which no values are computed: drafts, and what is only catalogued."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from headwater.registry.changes import FeatureChange, FieldChange
from headwater.registry.edits import Edit, no_home, record_changes
from headwater.registry.head import FeatureEntry, Status
from headwater.registry.judging import UNCHANGED, Judged, Proposal
from headwater.registry.kinds import FeatureVersion, content_key
from headwater.registry.records import FeatureRecord
from headwater.registry.syntax import judged_code
from headwater.registry.versions import FIRST, Wanted, check_wanted, next_version

SNAPSHOT = ("transformation", "validation_rules")
"""The fields of a record that a version keeps, and a rollback restores."""


def registered(records: Iterable[FeatureRecord]) -> Edit:
    """New features, each a draft of version 1.0.0."""
    made = {record.name: (record, content_of(record, FIRST)) for record in records}
    entries = {
        name: FeatureEntry(
            view="",
            current=FIRST,
            versions={FIRST: no_home(content_key(content))},
            status="draft",
            record=content_key(record),
            upstream=record.upstream_features,
        )
        for name, (record, content) in made.items()
    }
    changes = (
        FeatureChange(
            "added",
            name,
            "",
            new_version=FIRST,
            dtype=record.data_type,
            reason="draft",
        )
        for name, (record, _) in made.items()
    )
    objects = tuple(item for pair in made.values() for item in pair)
    return Edit(entries, tuple(changes), objects)


def content_of(
    record: FeatureRecord,
    version: str,
    judged: Judged | None = None,
    *,
    reason: str = "",
) -> FeatureVersion:
    """What a version of a feature without values is, for ever."""
    return FeatureVersion(
        name=record.name,
        version=version,
        view="",
        kind="",
        dtype=record.data_type,
        data_hash="",
        serving_hash="",
        definition={**record.frame, "validation_rules": list(record.validation_rules)},
        inputs=record.upstream_features,
        bump=judged.bump if judged is not None else None,
        reason=judged.cause if judged is not None else reason,
        transformation=record.transformation,
    )


def edited(
    entry: FeatureEntry, before: FeatureRecord, after: FeatureRecord, status: Status
) -> Edit | None:
    """A feature with another record or status; None where both stay as they are.

    Other code or rules are put into a draft, and otherwise make the next version.
    """
    fields = record_changes(before, after)
    if not fields and status == entry.status:
        return None
    objects: list[FeatureRecord | FeatureVersion] = [after]
    current, versions, reason = entry.current, entry.versions, ""
    found = judged_code(before, after)
    if found.bump is not None:
        is_draft = entry.status == "draft"
        current = current if is_draft else next_version(versions, found.bump)
        reason = "the draft's content changes" if is_draft else found.cause
        content = content_of(after, current, None if is_draft else found, reason=reason)
        objects.append(content)
        versions = {**versions, current: no_home(content_key(content))}
    made = replace(
        entry, record=content_key(after), current=current, versions=versions, status=status
    )
    if status != entry.status:
        fields = (*fields, FieldChange("status", entry.status, status))
        reason = "; ".join(part for part in (reason, f"{entry.status} -> {status}") if part)
    change = FeatureChange(
        "changed",
        before.name,
        entry.view,
        old_version=entry.current,
        new_version=current,
        dtype=after.data_type,
        bump=found.bump if current != entry.current else None,
        reason=reason or f"only {', '.join(field.field for field in fields)}",
        fields=fields,
    )
    return Edit({before.name: made}, (change,), tuple(objects))


def versioned(
    entry: FeatureEntry,
    before: FeatureRecord,
    after: FeatureRecord,
    current: FeatureVersion,
    wanted: Wanted,
) -> Edit:
    """A feature with one version more, of a number that was asked for.

    Its values, where there are any, are those of the present version.
    """
    found = judged_code(before, after)
    deserved = found.bump if found.is_certain else None
    check_wanted(before.name, entry.versions, wanted, deserved, cause=found.cause)
    content = replace(
        current,
        version=wanted.version,
        bump=deserved,
        reason=found.cause or "asked for",
        comparison=None,
        transformation=after.transformation,
        definition={**current.definition, "validation_rules": list(after.validation_rules)},
        changelog=wanted.changelog,
        breaking_changes=wanted.breaking_changes,
    )
    key = content_key(content)
    home = entry.versions[entry.current]
    made = replace(no_home(key), revision=home.revision, column=home.column, earlier=home.earlier)
    change = FeatureChange(
        "changed",
        before.name,
        entry.view,
        old_version=entry.current,
        new_version=wanted.version,
        dtype=after.data_type,
        reason=wanted.changelog,
        fields=record_changes(before, after),
    )
    versions = {**entry.versions, wanted.version: made}
    after_entry = replace(
        entry, current=wanted.version, versions=versions, record=content_key(after)
    )
    return Edit({before.name: after_entry}, (change,), (after, content))


def proposed(entry: FeatureEntry, before: FeatureRecord, after: FeatureRecord) -> Proposal:
    """The version that another record deserves, where no values change by it."""
    found = judged_code(before, after)
    return Proposal(
        feature=before.name,
        current=entry.current,
        version=next_version(entry.versions, found.bump or "patch"),
        bump=found.bump,
        reason=found.cause or UNCHANGED,
    )
