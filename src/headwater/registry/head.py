"""The head document of a project: names to contents, versions to homes. One per project.

Everything else that the registry keeps is immutable and found by the hash of its content. What
is current is what the head points to, so replacing the head is the commit of an apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Status = Literal["draft", "active", "deprecated", "archived"]
APPLIED: frozenset[str] = frozenset({"active", "deprecated"})
EARLIER_HOMES = 4


class VersionEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of a feature: its content and the column that holds its values.

    `object` is the key of its FeatureVersion, (`revision`, `column`) its home, `since` the
    generation that made it. `earlier` are former homes with the same values, newest first: what
    is served from them stays right until the home has been filled. `after` is the version behind
    which this one sorts where its own name doesn't say (a rollback). A version of which no values
    are computed has no home. `made_at` and `made_by` say when and by whom it was made,
    `rolled_back_at` when another took its place; times are microseconds UTC.
    """

    object: str
    revision: str
    column: str
    since: int
    earlier: tuple[str, ...] = ()
    after: str | None = None
    made_at: int = 0
    made_by: str = ""
    rolled_back_at: int | None = None

    @property
    def home(self) -> tuple[str, str]:
        return self.revision, self.column

    def moved(self, revision: str) -> VersionEntry:
        """The same version with its values in another revision, of equal content."""
        kept = [home for home in (self.revision, *self.earlier) if home != revision]
        return msgspec.structs.replace(self, revision=revision, earlier=tuple(kept[:EARLIER_HOMES]))


class FeatureEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature: its view, its current version, every version it has had, its status.

    A feature that was removed stays as `archived`, so that its name and numbers are not reused
    for something else. One of which no values are computed, a draft or a catalogue entry, has no
    `view`. `record` is the key of its FeatureRecord, `upstream` names what it depends on, and
    `touched` is the generation of its last change. After a rollback `held` is the version that
    its definition still describes.
    """

    view: str
    current: str
    versions: dict[str, VersionEntry]
    status: Status = "active"
    record: str = ""
    upstream: tuple[str, ...] = ()
    touched: int = 0
    created_at: int = 0
    updated_at: int = 0
    deprecated_at: int | None = None
    held: str | None = None

    @property
    def declared(self) -> str:
        """The version that the feature's definition describes: the current one, or `held`."""
        return self.held or self.current


class ViewEntry(msgspec.Struct, frozen=True):
    """A view: the key of its definition, and the revision that it computes."""

    object: str
    revision: str


class RevisionEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A revision that may have data; `stored` tells whether runs write its values.

    `inputs` are the feature versions of other views that it reads (`name@version`), `back` those
    that it holds or reads since they were gone back to, in place of what is declared; `since` and
    `retired` are the generations in which it came up and in which nothing reached it any more, the
    latter at the time `retired_at` (microseconds UTC). At `collected_at` it was given up, and its
    values are removed.
    """

    view: str
    since: int
    stored: bool = True
    inputs: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    retired: int | None = None
    retired_at: int | None = None
    collected_at: int | None = None

    def revived(self) -> RevisionEntry:
        """The same revision where something reads it, from now on or still."""
        return msgspec.structs.replace(self, retired=None, retired_at=None, collected_at=None)


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a project is at one generation; names are sorted.

    `entities`, `sources` and `services` map names to the keys of their definitions, `trail` is
    the digest of the commit that made this head.
    """

    generation: int = 0
    entities: dict[str, str] = {}
    sources: dict[str, str] = {}
    views: dict[str, ViewEntry] = {}
    services: dict[str, str] = {}
    features: dict[str, FeatureEntry] = {}
    revisions: dict[str, RevisionEntry] = {}
    trail: str = ""

    def applied(self) -> Mapping[str, FeatureEntry]:
        """The features that definitions declare now: no drafts, removed ones, mere entries."""
        return {
            name: found
            for name, found in self.features.items()
            if found.view and found.status in APPLIED
        }

    def stands_apart(self, revision: str) -> bool:
        """Whether a revision is computed with other versions than those which are declared."""
        entry = self.revisions.get(revision)
        return entry is not None and bool(entry.back)

    def same_content(self, other: Head) -> bool:
        """Whether both say the same, whatever their generations."""
        return msgspec.structs.replace(self, generation=other.generation) == other

    def warm_revisions(self, since: int) -> tuple[str, ...]:
        """The revisions that nothing has read since a time (microseconds UTC) or later."""
        return tuple(
            name
            for name, entry in self.revisions.items()
            if entry.retired_at is not None and entry.retired_at >= since
        )

    def live_revisions(self) -> tuple[str, ...]:
        """The revisions that views, current versions or services read now."""
        return tuple(name for name, entry in self.revisions.items() if entry.retired is None)


# Made when the module is imported, by one thread: msgspec crashes where several are the first to
# decode into a class at once.
_decoder = msgspec.json.Decoder(Head)


def encode_head(head: Head) -> str:
    return msgspec.json.encode(head).decode()


def decode_head(text: str) -> Head:
    return _decoder.decode(text)
