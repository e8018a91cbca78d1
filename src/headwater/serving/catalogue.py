"""The serving catalogue: the one document of a project that a serving worker needs.

`apply` publishes it into the online store, so that a worker loads neither the registry nor the
SQL parser, and a registry outage does not stop serving. It carries checked expression trees,
never code. Durations are int64 microseconds; in a default and in an empty aggregate a timestamp is
microseconds since the epoch, a date days since it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.errors import NotSupportedError, StoreError
from headwater.expressions.tree import Node

if TYPE_CHECKING:
    from headwater.definitions.service import FeatureRef

FORMAT = 1


class Clock(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ticks at which a view is evaluated, and how much later their values are visible."""

    period: int
    at: int = 0
    timezone: str = "UTC"
    data_delay: int = 0


class Nothing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How to tell what a feature says of a key that has no row anywhere.

    Without `tree` there is nothing to be found. `clock` leads from the instant of whoever reads it
    to its own, where they differ; `default` is what its readers get instead of null. `keys` are
    those at whose values inputs are read: where these are null, there is nothing to be found.
    """

    name: str
    dtype: str
    tree: Node | None = None
    inputs: tuple[Nothing, ...] = ()
    clock: Clock | None = None
    windowed: bool = False
    default: Any = None
    keys: tuple[Nothing, ...] = ()


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column of a revision's rows, in the order of their layout.

    A `windowed` value is total: where a key has no row, it is `empty`, the aggregate over no
    rows, as soon as a first tick is published. With `nothing`, what holds there depends on the
    tick. Where a value has a status and a time of its own, `told` names the columns that hold them.
    """

    name: str
    dtype: str
    windowed: bool = False
    empty: Any = None
    nothing: Nothing | None = None
    told: tuple[str, str] | None = None


class Revision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A view's revision, which owns rows in the online store.

    `join_keys` are (name, type) pairs in the entity's order, none for a view without entity;
    `number` counts the revisions of the view from 1, for clients that know versions of views.
    """

    revision: str
    view: str
    columns: tuple[Column, ...]
    join_keys: tuple[tuple[str, str], ...] = ()
    number: int = 1


class Stored(msgspec.Struct, frozen=True, omit_defaults=True, tag="stored"):
    """A feature version whose values are a column of a revision's rows."""

    revision: str
    column: str
    ttl: int | None = None
    default: Any = None


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature that an expression reads under `name`: its current version, or that `version`."""

    name: str
    feature: str
    version: str | None = None


class Derived(msgspec.Struct, frozen=True, omit_defaults=True, tag="derived"):
    """A feature version that is computed when it is read, from other features: by a checked
    expression, or by a Python function of the project, here by its import path and hash.

    `join_keys` are those of its view's entity: where a part is null, so is the value. Of a `ticked`
    view `as_of()` is the published tick, not the time of reading. `request` names the values that
    it takes from the request itself, and their types. `arguments` are the types of all that a
    function takes, in their order. `via` names, for join keys of what it reads, the features whose
    values they are.
    """

    tree: Node | None
    inputs: tuple[Input, ...]
    dtype: str
    default: Any = None
    join_keys: tuple[tuple[str, str], ...] = ()
    ticked: bool = False
    request: tuple[tuple[str, str], ...] = ()
    function: dict[str, Any] | None = None
    arguments: dict[str, str] = {}
    via: tuple[tuple[str, Input], ...] = ()

    @property
    def all_inputs(self) -> tuple[Input, ...]:
        """The features that it is computed from, and those that give keys."""
        return (*self.inputs, *(item for _, item in self.via))


class Feature(msgspec.Struct, frozen=True):
    """A feature: the view that declares it, its current version, and each served version."""

    view: str
    current: str
    versions: dict[str, Stored | Derived]


class Reference(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One requested feature: pinned to `version`, or following the current one.

    `alias` names the output; `join_keys` maps join keys to the request's columns.
    """

    feature: str
    view: str | None = None
    version: str | None = None
    alias: str | None = None
    join_keys: dict[str, str] = {}

    def __hash__(self) -> int:
        mapped = tuple(sorted(self.join_keys.items()))
        return hash((self.feature, self.view, self.version, self.alias, mapped))


def reference_of(ref: FeatureRef) -> Reference:
    """A feature reference in the form that serving takes."""
    return Reference(
        feature=ref.feature,
        view=ref.view,
        version=ref.version,
        alias=ref.alias,
        join_keys=dict(ref.join_keys),
    )


class Catalogue(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is served of a project. `generation` grows with each apply."""

    project: str
    generation: int
    revisions: tuple[Revision, ...] = ()
    features: dict[str, Feature] = {}
    services: dict[str, tuple[Reference, ...]] = {}
    format: int = FORMAT


class _Head(msgspec.Struct):
    format: int = FORMAT


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Catalogue)
_head = msgspec.msgpack.Decoder(_Head)


def encode(catalogue: Catalogue) -> bytes:
    """The document that `apply` publishes. Raises StoreError where the catalogue isn't sound."""
    check(catalogue)
    return _encoder.encode(catalogue)


def decode(document: bytes) -> Catalogue:
    """The catalogue of a document.

    Raises StoreError where the document is damaged, NotSupportedError where a newer Headwater
    wrote it.
    """
    try:
        found = _head.decode(document).format
        if found > FORMAT:
            raise NotSupportedError(
                f"the serving catalogue has format {found}, this Headwater reads up to {FORMAT}; "
                "upgrade the servers before you apply with the newer version"
            )
        catalogue = _decoder.decode(document)
    except msgspec.MsgspecError as error:
        raise StoreError(f"the serving catalogue is damaged: {error}") from None
    check(catalogue)
    return catalogue


def check(catalogue: Catalogue) -> None:
    """Raises StoreError unless every name that the catalogue uses is declared in it, once."""
    for problem in _problems(catalogue):
        raise StoreError(f"the serving catalogue of '{catalogue.project}' is not sound: {problem}")


def _problems(catalogue: Catalogue) -> Iterator[str]:
    columns = {r.revision: {column.name for column in r.columns} for r in catalogue.revisions}
    if len(columns) != len(catalogue.revisions):
        yield "two revisions have one hash"
    for name, feature in catalogue.features.items():
        if feature.current not in feature.versions:
            yield f"feature '{name}' has no version '{feature.current}', its current one"
        for version, made in feature.versions.items():
            label = f"feature '{name}@{version}'"
            if isinstance(made, Derived):
                yield from _input_problems(label, made, catalogue.features)
            elif made.column not in columns.get(made.revision, ()):
                yield f"{label} reads column '{made.column}' of revision '{made.revision}'"
    yield from _cycles(catalogue.features)
    for name, references in catalogue.services.items():
        for reference in references:
            if not _known(catalogue.features, reference.feature, reference.version):
                yield f"service '{name}' reads an unknown feature '{reference.feature}'"


def _known(features: Mapping[str, Feature], name: str, version: str | None) -> bool:
    feature = features.get(name)
    return feature is not None and (version is None or version in feature.versions)


def _input_problems(label: str, made: Derived, features: Mapping[str, Feature]) -> Iterator[str]:
    for item in made.all_inputs:
        if not _known(features, item.feature, item.version):
            version = f"@{item.version}" if item.version else ""
            yield f"{label} reads an unknown feature '{item.feature}{version}'"


def _cycles(features: Mapping[str, Feature]) -> Iterator[str]:
    """Depth first, with a stack of its own: a long chain must not exhaust Python's."""
    done: set[tuple[str, str]] = set()
    for name, feature in features.items():
        for version in feature.versions:
            path: dict[tuple[str, str], None] = {}
            stack = [((name, version), False)]
            while stack:
                node, leaving = stack.pop()
                if leaving:
                    del path[node]
                    done.add(node)
                elif node in path:
                    yield f"feature '{node[0]}' depends on itself"
                    return
                elif node not in done:
                    path[node] = None
                    stack.append((node, True))
                    stack.extend((child, False) for child in _children(features, *node))


def _children(
    features: Mapping[str, Feature], name: str, version: str
) -> Iterator[tuple[str, str]]:
    feature = features.get(name)
    made = feature.versions.get(version) if feature else None
    if isinstance(made, Derived):
        for item in made.all_inputs:
            if _known(features, item.feature, item.version):
                yield item.feature, item.version or features[item.feature].current
