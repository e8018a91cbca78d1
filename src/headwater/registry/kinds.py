"""The kinds of objects that a registry keeps, each declared once: key, text form, indexed fields.

A new kind is a class and one entry in `KINDS`; a backend that indexes its fields adds a table.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import msgspec

from headwater.definitions.base import Definition
from headwater.definitions.entity import Entity
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import HeadwaterError, StoreError
from headwater.registry.changes import Bump, FeatureChange, ObjectChange, RevisionChange
from headwater.registry.comparisons import Comparison
from headwater.registry.records import FeatureRecord, Transformation

RunStatus = Literal["running", "done", "failed"]
UsedFor = Literal["training", "online"]


class FeatureVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one version of a feature is, for ever.

    `definition` holds the fields of the Feature as declared, `ttl` (microseconds) that of its
    view; `columns` and `inputs` are the source's columns and the features that it reads. A
    version of which no values are computed has neither view nor hashes. `breaking_changes` says
    whether there are any, or lists them. `comparison` tells how its values differ from those of
    the version before it, where the two are defined otherwise.
    """

    name: str
    version: str
    view: str
    kind: str
    dtype: str
    data_hash: str
    serving_hash: str
    definition: dict[str, Any]
    ttl: int | None = None
    columns: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    bump: Bump | None = None
    reason: str = ""
    transformation: Transformation | None = None
    changelog: str = ""
    breaking_changes: bool | tuple[str, ...] = False
    comparison: Comparison | None = None

    @property
    def rules(self) -> list[dict[str, Any]]:
        """Its validation rules, as JSON."""
        return list(self.definition.get("validation_rules", ()))


class RevisionColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One feature of a revision, as the analysis of its view found it."""

    name: str
    kind: str
    dtype: str
    data_hash: str
    columns: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


class Revision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is needed to analyse and compute a view again as it was: `revision` is its key.

    `views`, `entities` and `sources` map names to the keys of the definitions, its own and those
    of all views that it reads, directly or not; `schemas` maps the sources to their columns.
    `features` stand in dependency order.
    """

    revision: str
    name: str
    features: tuple[RevisionColumn, ...]
    stored: bool
    source: str | None = None
    views: dict[str, str] = {}
    entities: dict[str, str] = {}
    sources: dict[str, str] = {}
    schemas: dict[str, dict[str, str]] = {}


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of the pipeline over one revision; times are microseconds UTC.

    It covers the interval [start, end) or the `tick`; `snapshot` says which rows of the source
    it saw, `published_at` when its values became visible.
    """

    id: str
    operation: str
    view: str
    revision: str
    started_at: int
    status: RunStatus = "running"
    start: int | None = None
    end: int | None = None
    tick: int | None = None
    snapshot: str = ""
    rows: int = 0
    finished_at: int | None = None
    published_at: int | None = None
    error: str | None = None


class FeatureUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One use of a feature, or `count` of them, by a model; times are microseconds UTC.

    `used_by_model` is empty where nobody named one. The product records training sets and online
    reads itself: `operation` says which, `service` by which list of features they asked, `rows`
    how many rows of entities they took. Where `day` (days since the epoch) is given, this is what
    one process counted of that day so far, and it grows: `folds` are the ids of those that were
    added up in it.
    """

    id: str
    feature_name: str
    feature_version: str
    used_by_model: str
    environment: str
    usage_timestamp: int
    model_version: str | None = None
    feature_importance: float | None = None
    correlation_with_target: float | None = None
    execution_id: str | None = None
    execution_duration_ms: float | None = None
    count: int = 1
    service: str | None = None
    operation: UsedFor | None = None
    rows: int = 0
    day: int | None = None
    folds: tuple[str, ...] = ()


class Commit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One apply in the audit trail: who changed what, from what to what, and when.

    `parent` is the digest of the commit before it, so that none can be changed, or left out,
    without all that come after it telling.
    """

    generation: int
    author: str
    at: int
    summary: str
    objects: tuple[ObjectChange, ...] = ()
    features: tuple[FeatureChange, ...] = ()
    revisions: tuple[RevisionChange, ...] = ()
    parent: str = ""


Stored = (
    Entity
    | Source
    | FeatureView
    | FeatureService
    | FeatureVersion
    | FeatureRecord
    | FeatureUsage
    | Revision
    | Run
    | Commit
)
T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """How objects of one class are kept.

    `key` is unique in a project; `indexed` are the attributes by which `list` may select and
    `order` the one by which it sorts (None: when it was stored). `added` are those by which a
    backend adds objects up, beside the indexed ones. A mutable object may be put again under its
    key; any other is written once and never changed.
    """

    name: str
    type: type[T]
    key: Callable[[T], str]
    indexed: tuple[str, ...] = ("name",)
    added: tuple[str, ...] = ()
    order: str | None = None
    mutable: bool = False
    _decoder: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # By one thread: msgspec crashes where several are the first to decode into a class at once.
        structs = issubclass(self.type, msgspec.Struct)
        object.__setattr__(self, "_decoder", msgspec.json.Decoder(self.type if structs else Any))

    def encode(self, item: T) -> str:
        """The object as JSON text; the order of its fields and keys is kept."""
        content = item.to_dict() if isinstance(item, Definition) else item
        return msgspec.json.encode(content).decode()

    def decode(self, text: str) -> T:
        """The object that `encode` wrote. Raises StoreError where it can't be read."""
        try:
            if issubclass(self.type, Definition):
                return self.type.from_dict(msgspec.json.decode(text))
            found: T = self._decoder.decode(text)
        except (msgspec.MsgspecError, HeadwaterError) as error:
            raise StoreError(f"{self.name}: the stored text can't be read: {error}") from None
        return found


def content_key(item: Definition | FeatureVersion | FeatureRecord) -> str:
    """The SHA-256 of an object's text, which is the key of what is immutable."""
    return hashlib.sha256(kind_of(type(item)).encode(item).encode()).hexdigest()


def digest_of(commit: Commit) -> str:
    """The SHA-256 of a commit's text, which the next commit and the head hold."""
    return hashlib.sha256(kind_of(Commit).encode(commit).encode()).hexdigest()


KINDS: dict[type[Any], Kind[Any]] = {
    kind.type: kind
    for kind in (
        Kind("entity", Entity, content_key),
        Kind("source", Source, content_key),
        Kind("view", FeatureView, content_key),
        Kind("service", FeatureService, content_key),
        Kind("feature_version", FeatureVersion, content_key),
        Kind("feature", FeatureRecord, content_key),
        Kind("revision", Revision, lambda item: item.revision),
        Kind(
            "usage",
            FeatureUsage,
            lambda item: item.id,
            indexed=(
                *("feature_name", "used_by_model", "environment", "usage_timestamp", "count"),
                "day",
            ),
            added=(
                *("feature_version", "service", "operation", "rows"),
                *("feature_importance", "correlation_with_target"),
            ),
            order="usage_timestamp",
            mutable=True,
        ),
        Kind(
            "run",
            Run,
            lambda item: item.id,
            indexed=("view", "revision", "operation", "status", "started_at"),
            order="started_at",
            mutable=True,
        ),
        Kind(
            "commit",
            Commit,
            lambda item: str(item.generation),
            indexed=("generation", "author", "at"),
            order="generation",
        ),
    )
}
_BY_NAME = {kind.name: kind for kind in KINDS.values()}


def kind_of(cls: type[T]) -> Kind[T]:
    """How objects of a class are kept. Raises TypeError for a class that no registry keeps."""
    found = KINDS.get(cls)
    if found is None:
        raise TypeError(f"a registry keeps no {cls.__name__}")
    return found


class Packed(msgspec.Struct, frozen=True):
    """An object as text, with its kind and key: how a plan carries it."""

    kind: str
    key: str
    body: str


def pack(item: Stored) -> Packed:
    kind: Kind[Any] = kind_of(type(item))
    return Packed(kind.name, kind.key(item), kind.encode(item))


def unpack(packed: Iterable[Packed]) -> list[Stored]:
    """The objects of a plan. Raises StoreError when a text is not that of its key."""
    found = []
    for item in packed:
        kind = _BY_NAME.get(item.kind)
        if kind is None:
            raise StoreError(f"a registry keeps no '{item.kind}'")
        decoded = kind.decode(item.body)
        if kind.key(decoded) != item.key:
            raise StoreError(f"{item.kind} '{item.key}': the text is not that of this key")
        found.append(decoded)
    return found


def now_us() -> int:
    """The time in microseconds UTC."""
    return time.time_ns() // 1_000


def new_id(at: int) -> str:
    """A name for something that happened at a time; later ones sort behind earlier ones."""
    return f"{at:016x}-{secrets.token_hex(6)}"
