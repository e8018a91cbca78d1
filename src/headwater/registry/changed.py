"""What commits changed, one row a change: how the audit trail is selected and paged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from headwater.registry.changes import FeatureChange, ObjectChange
from headwater.registry.kinds import Commit

ChangeKind = Literal["create", "update", "status", "version", "rollback", "repin", "remove"]
ObjectKind = Literal["feature", "entity", "source", "view", "service"]
CHANGES: tuple[ChangeKind, ...] = get_args(ChangeKind)
OBJECTS: tuple[ObjectKind, ...] = get_args(ObjectKind)
_ROLLBACK = re.compile(r"_rollback\d*$")


class ChangedRow(msgspec.Struct, frozen=True):
    """One object that the commit of a generation changed, and how."""

    generation: int
    kind: str
    name: str
    change: str


class ChangedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which changes are wanted: equal fields, `since` <= time < `until` (microseconds UTC).

    The latest come first; those of one commit by kind and name.
    """

    kind: str | None = None
    name: str | None = None
    change: str | None = None
    author: str | None = None
    since: int | None = None
    until: int | None = None
    skip: int = 0
    limit: int | None = None

    @property
    def equal(self) -> dict[str, str]:
        """The fields of a row that are asked for, with their values."""
        fields = {"kind": self.kind, "name": self.name, "change": self.change}
        return {name: value for name, value in fields.items() if value is not None}


def changed_rows(commit: Commit) -> list[ChangedRow]:
    """The rows of a commit, in their order."""
    found = {("feature", c.name): _of_feature(c) for c in commit.features}
    found |= {(c.kind, c.name): _of_object(c) for c in commit.objects}
    return [
        ChangedRow(commit.generation, kind, name, found[kind, name]) for kind, name in sorted(found)
    ]


def _of_feature(change: FeatureChange) -> ChangeKind:
    old, new = change.old_version, change.new_version
    if change.action == "removed":
        return "remove"
    if old is None:
        return "create"
    if old != new:
        return "rollback" if new is not None and _ROLLBACK.search(new) else "version"
    return "status" if any(field.field == "status" for field in change.fields) else "update"


def _of_object(change: ObjectChange) -> ChangeKind:
    if change.action != "changed":
        return "create" if change.action == "added" else "remove"
    return "repin" if change.kind == "service" and _only_pins(change) else "update"


def _only_pins(change: ObjectChange) -> bool:
    """Whether a service reads the same features as before, of other versions."""
    if [field.field for field in change.fields] != ["features"]:
        return False
    before, after = (_bare(side) for side in (change.fields[0].old, change.fields[0].new))
    return before == after


def _bare(features: Iterable[object]) -> list[str]:
    """The references of a service without their versions."""
    return [
        str(ref.get("feature")) if isinstance(ref, dict) else str(ref).partition("@")[0]
        for ref in features or ()
    ]
