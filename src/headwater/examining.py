"""What `doctor` looks at: whether each part of a project can be reached, agrees with the others and
is up to date. Nothing is changed.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from headwater.definitions.collection import Definitions
    from headwater.store import FeatureStore

LITTLE_SPACE = 1 << 30
"""Bytes; with less than that a disk is worth a warning."""
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs"}
_RUNS = 200
"""So many of the latest runs are looked at."""
_NAMED = 3
"""So many names a finding lists; the rest is a number."""


@dataclass(frozen=True)
class Finding:
    """What was found of one part: `fix` is what to do about a warning or a failure."""

    part: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    fix: str = ""


Check = Callable[["FeatureStore"], Iterator[Finding]]


def examine(store: FeatureStore, declared: Callable[[], Definitions]) -> Iterator[Finding]:
    """All findings, each as soon as it is made. What needs a part that failed is left out.

    `declared` reads what the project's files declare.
    """
    failed: set[str] = set()
    for part, needs, look in _CHECKS:
        check = _definitions(declared) if look is None else look
        if failed & set(needs):
            failed.add(part)
            continue
        try:
            for found in check(store):
                if found.status == "failed":
                    failed.add(part)
                yield replace(found, part=part)
        except (HeadwaterError, OSError) as error:
            failed.add(part)
            yield Finding(part, "failed", str(error))


def _ok(detail: str) -> Finding:
    return Finding("", "ok", detail)


def _warning(detail: str, fix: str) -> Finding:
    return Finding("", "warning", detail, fix)


def _installation(_store: FeatureStore) -> Iterator[Finding]:
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "lmdb"))
    yield _ok(
        f"Headwater {version('headwater')}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {libraries}"
    )


def _settings(store: FeatureStore) -> Iterator[Finding]:
    yield _ok(f"project '{store.project}' in {store.settings.root}")


def _disks(store: FeatureStore) -> Iterator[Finding]:
    places = {"offline": store.settings.offline.path, "online": store.settings.online.path}
    for name, path in places.items():
        folder = next(p for p in (path, *path.parents) if p.exists())
        if not os.access(folder, os.W_OK):
            yield Finding("", "failed", f"{name} folder {path} can't be written", "chmod or chown")
            continue
        free = shutil.disk_usage(folder).free
        said = f"{name} folder {path}: {free / 1e9:,.1f} GB free"
        kind = _file_system(folder)
        if name == "online" and kind in _NETWORK:
            yield _warning(f"{said}, on {kind}", "LMDB needs a disk of this machine: online.path")
        elif free < LITTLE_SPACE:
            yield _warning(said, "make room, or see what 'headwater gc' would free")
        else:
            yield _ok(said)


def _file_system(folder: Path) -> str:
    """The type of the mount that holds a folder, where the kernel tells (Linux)."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    place, best, found = folder.resolve(), "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, kind, *_ = line.split(" ")
        if place.is_relative_to(point) and len(point) >= len(best):
            best, found = point, kind
    return found


def _registry(store: FeatureStore) -> Iterator[Finding]:
    from headwater.registry.audit import verify

    head = store.registry.head(store.project)
    where = store.settings.registry.url.redacted
    if not head.generation:
        yield _warning(f"{where}: nothing is applied yet", "headwater apply")
        return
    checked = verify(store.registry, store.project).checked
    yield _ok(
        f"{where}: generation {head.generation}, features: {len(head.features):,}, "
        f"commits that are as the next one knows them: {checked:,}"
    )
    held = [name for name, entry in head.features.items() if entry.held is not None]
    if held:
        yield _warning(
            f"rolled back, while their definitions still describe the later version: {_some(held)}",
            "declare them as they are served, then 'headwater apply'",
        )


def _definitions(declared: Callable[[], Definitions]) -> Check:
    def check(store: FeatureStore) -> Iterator[Finding]:
        plan = store.plan(declared())
        if plan.errors:
            yield Finding("", "failed", plan.errors[0], "headwater plan")
        elif plan.has_changes:
            changed = [f.name for f in plan.features] + [o.name for o in plan.objects]
            yield _warning(f"files differ from what is applied: {_some(changed)}", "headwater plan")
        else:
            yield _ok("files are as applied; every source can be read")

    return check


def _serving(store: FeatureStore) -> Iterator[Finding]:
    from headwater.serving.live import published_catalogue

    catalogue = published_catalogue(store.online, store.project)
    generation = store.registry.head(store.project).generation
    if not generation:
        return
    if catalogue is None or catalogue.generation != generation:
        served = "nothing" if catalogue is None else f"generation {catalogue.generation}"
        yield _warning(
            f"the online store serves {served}, the registry is at {generation}",
            "headwater materialize",
        )
        return
    yield _ok(f"the online store serves generation {generation}")


def _freshness(store: FeatureStore) -> Iterator[Finding]:
    from headwater.pipeline.materialize import why_not
    from headwater.registry.kinds import now_us

    project = store.analyzed()
    views = [view for view in project.views.values() if why_not(view, project) is None]
    ticks = store.online.published(store.project, [view.revision for view in views])
    clock = now_us()
    empty, late = [], []
    for view, published in zip(views, ticks, strict=True):
        due = view.view.ticks
        if published is None:
            empty.append(view.name)
        elif due is not None and published < due.latest(clock - view.view.data_delay):
            late.append(view.name)
    if empty:
        yield _warning(f"views without values: {_some(empty)}", "headwater materialize")
    if late:
        yield _warning(f"views whose latest tick is not there: {_some(late)}", "materialize them")
    if views and not empty and not late:
        yield _ok(f"views with the values of their latest tick: {len(views):,}, all")


def _runs(store: FeatureStore) -> Iterator[Finding]:
    from headwater.registry.kinds import Run

    latest: dict[tuple[str, str], Run] = {}
    for run in store.registry.list(store.project, Run, limit=_RUNS):
        latest.setdefault((run.view, run.operation), run)
    failed = [run for run in latest.values() if run.status == "failed"]
    for run in failed:
        yield _warning(
            f"the last {run.operation} of '{run.view}' failed: {run.error}",
            f"headwater {run.operation} {run.view}",
        )
    if latest and not failed:
        yield _ok(f"no view's last run has failed; runs looked at: {len(latest):,}")


def _set_aside(store: FeatureStore) -> Iterator[Finding]:
    views = store.quarantine.views()
    if views:
        folder = store.quarantine.path(views[0]).parent
        yield _warning(f"rows of {_some(views)} are in quarantine", f"look into {folder}")
    else:
        yield _ok("no row is in quarantine")


def _garbage(store: FeatureStore) -> Iterator[Finding]:
    found = store.garbage()
    size = sum(one.online_bytes + one.offline_bytes for one in found)
    yield _ok(f"'headwater gc' would free {size / 1e6:,.1f} MB; revisions: {len(found):,}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


_CHECKS: tuple[tuple[str, tuple[str, ...], Check | None], ...] = (
    ("installation", (), _installation),
    ("settings", (), _settings),
    ("disks", (), _disks),
    ("registry", (), _registry),
    ("definitions", ("registry",), None),
    ("serving", ("registry", "disks"), _serving),
    ("freshness", ("serving",), _freshness),
    ("runs", ("registry",), _runs),
    ("quarantine", ("disks",), _set_aside),
    ("garbage", ("serving",), _garbage),
)
