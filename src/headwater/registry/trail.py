"""What goes into a commit: each change with every field from what to what, chained by hashes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from headwater.definitions.base import Definition
from headwater.registry.base import CLASSES, stored_keys
from headwater.registry.changes import FeatureChange, FieldChange, ObjectChange
from headwater.registry.edits import record_changes
from headwater.registry.head import FeatureEntry, Head
from headwater.registry.kinds import Packed
from headwater.registry.records import FeatureRecord
from headwater.registry.store import Registry


def told_features(
    registry: Registry,
    project: str,
    changes: Iterable[FeatureChange],
    before: Head,
    after: Head,
) -> tuple[FeatureChange, ...]:
    """The changes with all fields of what comes or gets values, and with each status that moves.

    The records that `after` points to are stored.
    """
    given = list(changes)
    entries = {c.name: (before.features.get(c.name), after.features.get(c.name)) for c in given}
    bare = [entry for c in given if not c.fields for entry in entries[c.name]]
    keys = [entry.record for entry in bare if entry is not None and entry.record]
    records = registry.get_many(project, FeatureRecord, keys)
    return tuple(_told(change, *entries[change.name], records) for change in given)


def _told(
    change: FeatureChange,
    old: FeatureEntry | None,
    new: FeatureEntry | None,
    records: Mapping[str, FeatureRecord],
) -> FeatureChange:
    fields = change.fields
    if not fields and new is not None and new.record in records:
        before = None if old is None else records.get(old.record)
        after = records[new.record]
        fields = _all_fields(after) if before is None else record_changes(before, after)
    status = (None if old is None else old.status, None if new is None else new.status)
    if status[0] != status[1] and all(field.field != "status" for field in fields):
        fields = (*fields, FieldChange("status", *status))
    return change if fields == change.fields else replace(change, fields=fields)


def _all_fields(record: FeatureRecord) -> tuple[FieldChange, ...]:
    return _from_nothing(msgspec.to_builtins(record))


def told_objects(
    registry: Registry,
    project: str,
    changes: Iterable[ObjectChange],
    before: Head,
    puts: Iterable[Packed],
) -> tuple[ObjectChange, ...]:
    """The changes with all fields of what comes (it is among `puts`) or goes."""
    given = list(changes)
    added = {(c.kind, c.name) for c in given if c.action == "added"}
    bodies = {}
    for packed in puts:
        if packed.kind in CLASSES:
            body = json.loads(packed.body)
            if (packed.kind, body["name"]) in added:
                bodies[packed.kind, body["name"]] = _from_nothing(_plain(packed.kind, body))
    keys = stored_keys(before)
    for change in given:
        if change.action == "removed" and change.name in keys[change.kind]:
            cls: type[Definition] = CLASSES[change.kind]
            item = registry.get(project, cls, keys[change.kind][change.name])
            fields = _from_nothing(_plain(change.kind, item.to_dict()))
            bodies[change.kind, change.name] = tuple(
                FieldChange(field.field, field.new, None) for field in fields
            )
    return tuple(
        replace(change, fields=change.fields or bodies.get((change.kind, change.name), ()))
        for change in given
    )


def _plain(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """A definition without its features' own fields, which their changes tell."""
    if kind != "view":
        return body
    return {**body, "features": [feature["name"] for feature in body["features"]]}


def _from_nothing(body: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(name, None, body[name]) for name in body if name != "name")
