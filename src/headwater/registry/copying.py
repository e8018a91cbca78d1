"""Copies a registry into another one, on whatever backends, and reads it back to be sure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from headwater.errors import ConflictError, StoreError
from headwater.registry.head import Head, encode_head
from headwater.registry.kinds import KINDS, Commit, Kind
from headwater.registry.listed import listed
from headwater.registry.store import Registry

_CHUNK = 500


@dataclass(frozen=True)
class CopiedProject:
    """What a copy of one project holds: its generation, how many of each kind, and their hash.

    `copied` counts the objects that were not there before; 0 where a rerun found all of it.
    """

    project: str
    generation: int
    counts: Mapping[str, int]
    copied: int
    digest: str


def copy_registry(source: Registry, target: Registry) -> tuple[CopiedProject, ...]:
    """Copy every project: definitions, versions, runs, commits, and the head last of all.

    What is there already is left as it is, so a copy that was broken off goes on. Nothing is
    written when a project of the target holds something else: that is a ConflictError. What was
    copied is read back and compared; a difference is a StoreError. Other projects of the target
    stay as they are.
    """
    projects = source.projects()
    for project in projects:
        _check_target(source, target, project)
    return tuple(_copy(source, target, project) for project in projects)


def _check_target(source: Registry, target: Registry, project: str) -> None:
    head, there = source.head(project), target.head(project)
    if there.generation and there != head:
        raise _occupied(target, project, f"is at generation {there.generation} of its own")
    for kind in KINDS.values():
        known = _texts(source, project, kind, head.generation)
        for key, text in _texts(target, project, kind, None).items():
            if key not in known:
                raise _occupied(target, project, f"holds {kind.name} '{key}'")
            if not kind.mutable and known[key] != text:
                raise _occupied(target, project, f"holds another {kind.name} '{key}'")


def _occupied(target: Registry, project: str, what: str) -> ConflictError:
    return ConflictError(
        f"registry {target.url}: project '{project}' {what}, which is not in the registry to be "
        "copied; copy into an empty one"
    )


def _copy(source: Registry, target: Registry, project: str) -> CopiedProject:
    head = source.head(project)
    contents = {k.name: _texts(source, project, k, head.generation) for k in KINDS.values()}
    copied = sum(
        _put(target, project, kind, contents[kind.name], head.generation) for kind in KINDS.values()
    )
    if head.generation and target.head(project) != head:
        (commit,) = source.list(project, Commit, where={"generation": head.generation})
        rows = listed(source, project, head, every=True)
        target.restore_head(project, head, commit, rows)
        copied += 1
    digest = _verified(target, project, head, contents)
    counts = {name: len(texts) for name, texts in contents.items() if texts}
    return CopiedProject(project, head.generation, counts, copied, digest)


def _texts(
    registry: Registry, project: str, kind: Kind[Any], generation: int | None
) -> dict[str, str]:
    """The objects of a kind as text by key, oldest first; commits up to a generation."""
    found = registry.list(project, kind.type)[::-1]
    if kind.type is Commit and generation is not None:
        found = tuple(item for item in found if item.generation <= generation)
    return {kind.key(item): kind.encode(item) for item in found}


def _put(
    target: Registry, project: str, kind: Kind[Any], texts: Mapping[str, str], generation: int
) -> int:
    """Put what is missing, or older, in the target; how many objects that were."""
    there = _texts(target, project, kind, None)
    last = str(generation) if kind.type is Commit else None  # it comes with the head
    missing = [key for key, text in texts.items() if there.get(key) != text and key != last]
    for chunk in _chunks(missing):
        target.put(project, [kind.decode(texts[key]) for key in chunk])
    return len(missing)


def _verified(
    target: Registry, project: str, head: Head, contents: Mapping[str, Mapping[str, str]]
) -> str:
    """The hash of what the target holds. Raises StoreError when it is not what was copied."""
    if target.head(project) != head:
        raise StoreError(f"registry {target.url}: the head of '{project}' is not the one copied")
    total = hashlib.sha256(encode_head(head).encode())
    for kind in KINDS.values():
        there = _texts(target, project, kind, None)
        if _digest(there) != _digest(contents[kind.name]):
            raise StoreError(
                f"registry {target.url}: project '{project}' holds {len(there)} of kind "
                f"{kind.name} that are not the {len(contents[kind.name])} copied; was it being "
                "written? copy again"
            )
        total.update(_digest(there))
    return total.hexdigest()


def _digest(texts: Mapping[str, str]) -> bytes:
    total = hashlib.sha256()
    for key in sorted(texts):
        for text in (key, texts[key]):
            total.update(hashlib.sha256(text.encode()).digest())
    return total.digest()


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
