"""What a plan changes, as data: objects, features, revisions, with field-level differences."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from headwater.registry.comparisons import Comparison

Action = Literal["added", "changed", "removed"]
Bump = Literal["major", "minor", "patch"]


class FieldChange(msgspec.Struct, frozen=True):
    """One field before and after, as JSON values; null where it is not set."""

    field: str
    old: Any
    new: Any


class Downstream(msgspec.Struct, frozen=True, omit_defaults=True):
    """What reads a changed object, directly or not."""

    features: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.features or self.services)


class ObjectChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entity, source, view or service that comes, changes or goes."""

    action: Action
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    downstream: Downstream = Downstream()


class FeatureChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature that comes, changes or goes.

    `bump` is what the change deserves, None where the version stays; `reason` says why; `dtype`
    is the type of its values after the change. Where they are defined otherwise, `comparison`
    tells how they differ.
    """

    action: Action
    name: str
    view: str
    old_version: str | None = None
    new_version: str | None = None
    dtype: str | None = None
    bump: Bump | None = None
    reason: str = ""
    fields: tuple[FieldChange, ...] = ()
    downstream: Downstream = Downstream()
    comparison: Comparison | None = None


class RevisionChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A revision: `new`, `revived` (it was there before), `kept`, `retired`, or `collected`."""

    action: Literal["new", "revived", "kept", "retired", "collected"]
    view: str
    revision: str
    reason: str = ""


class Backfill(msgspec.Struct, frozen=True):
    """A revision whose values have to be computed after the apply."""

    view: str
    revision: str
    reason: str
