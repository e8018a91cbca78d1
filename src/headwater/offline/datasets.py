"""Training datasets on disk: immutable versions, each a folder that appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from headwater.errors import NotFoundError, StoreError, near_miss

MANIFEST, SPINE = "dataset.json", "spine"
_ATTEMPTS = 100


class DatasetFeature(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature of a dataset, pinned: the column it fills, its version and what defines it."""

    output: str
    feature: str
    version: str
    view: str
    revision: str
    data_hash: str
    join_keys: dict[str, str] = {}

    @property
    def reference(self) -> str:
        return f"{self.feature}@{self.version}"


class DatasetSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows of a source that a dataset was computed from: `snapshot` changes when they do.

    `versions` are those of its Delta tables, by which the rows can be read again.
    """

    name: str
    snapshot: str
    versions: tuple[int, ...] = ()


class DatasetPart(msgspec.Struct, frozen=True):
    """One file of a dataset: how many rows it holds, and the SHA-256 of its bytes."""

    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a version of a dataset is; times are microseconds UTC.

    `split` holds the fields of its split, `left_out` counts the rows that fell into a gap,
    `statistics` describes each column of all parts taken together.
    """

    name: str
    version: int
    project: str
    created_at: int
    created_by: str
    timestamp: str
    knowledge: bool
    label: str | None
    split: dict[str, Any]
    features: tuple[DatasetFeature, ...]
    sources: tuple[DatasetSource, ...]
    parts: dict[str, DatasetPart] = {}
    spine: DatasetPart | None = None
    left_out: int = 0
    statistics: dict[str, dict[str, Any]] = {}

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"


_decoder = msgspec.json.Decoder(Manifest)


@dataclass(frozen=True)
class DatasetFolder:
    """The datasets of one project, below `root/project/datasets`."""

    root: Path
    project: str

    @property
    def _base(self) -> Path:
        return Path(self.root) / self.project / "datasets"

    def names(self) -> list[str]:
        return sorted(path.name for path in self._base.glob("*") if self.versions(path.name))

    def versions(self, name: str) -> list[int]:
        """The versions of a dataset, oldest first."""
        found = (self._base / name).glob("*/" + MANIFEST)
        return sorted(int(path.parent.name) for path in found if path.parent.name.isdigit())

    def path(self, name: str, version: int) -> Path:
        return self._base / name / str(version)

    def find(self, reference: str) -> Manifest:
        """The dataset of `name` (its latest version) or `name@3`. Raises NotFoundError."""
        name, _, number = reference.partition("@")
        versions = self.versions(name)
        if not versions:
            names = self.names()
            raise NotFoundError(f"there is no dataset '{name}'{near_miss(name, names)}")
        if number and (not number.isdigit() or int(number) not in versions):
            listed = ", ".join(map(str, versions))
            raise NotFoundError(f"dataset '{name}' has no version '{number}' (versions: {listed})")
        version = int(number) if number else versions[-1]
        try:
            return _decoder.decode((self.path(name, version) / MANIFEST).read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(f"dataset '{name}@{version}' can't be read: {error}") from None

    def write(self, manifest: Manifest, spine: pa.Table, parts: Mapping[str, pa.Table]) -> Manifest:
        """Keep a new version, the next one, whatever number the manifest has."""
        folder = self._base / manifest.name
        folder.mkdir(parents=True, exist_ok=True)
        staged = folder / f".{uuid.uuid4().hex}"
        staged.mkdir()
        try:
            kept = {name: _write(staged, name, table) for name, table in parts.items()}
            made = msgspec.structs.replace(manifest, parts=kept, spine=_write(staged, SPINE, spine))
            return self._place(folder, staged, made)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _place(self, folder: Path, staged: Path, manifest: Manifest) -> Manifest:
        """Give the folder its number; a folder that holds files is never replaced by a rename."""
        for _ in range(_ATTEMPTS):
            version = max(self.versions(manifest.name), default=0) + 1
            made = msgspec.structs.replace(manifest, version=version)
            (staged / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(made)))
            _sync(staged / MANIFEST)
            try:
                staged.rename(folder / str(version))
            except OSError:
                continue  # somebody else took the number
            _sync(folder)
            return made
        raise StoreError(f"dataset '{manifest.name}': no version number is free; try again")

    def read(self, manifest: Manifest, part: str) -> pa.Table:
        """A part of a dataset, `train` or `spine` say.

        Raises NotFoundError for an unknown part, StoreError where its bytes are not those that
        were written.
        """
        known = {**manifest.parts, **({} if manifest.spine is None else {SPINE: manifest.spine})}
        if part not in known:
            raise NotFoundError(
                f"dataset '{manifest.reference}' has no part '{part}'{near_miss(part, known)} "
                f"(parts: {', '.join(manifest.parts)})"
            )
        file = self.path(manifest.name, manifest.version) / f"{part}.parquet"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise StoreError(f"dataset '{manifest.reference}': {error}") from None
        if hashlib.sha256(content).hexdigest() != known[part].sha256:
            raise StoreError(
                f"dataset '{manifest.reference}': '{file.name}' is not the file that was written; "
                "restore it from a backup"
            )
        return pq.read_table(pa.BufferReader(content))


def _write(folder: Path, name: str, table: pa.Table) -> DatasetPart:
    file = folder / f"{name}.parquet"
    pq.write_table(table, file, compression="zstd")
    _sync(file)
    return DatasetPart(table.num_rows, hashlib.sha256(file.read_bytes()).hexdigest())


def _sync(path: Path) -> None:
    """Have the disk hold a file or folder before its name is told."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def manifests(folder: DatasetFolder) -> Iterable[Manifest]:
    """Every version of every dataset, by name, the latest version first."""
    for name in folder.names():
        for version in reversed(folder.versions(name)):
            yield folder.find(f"{name}@{version}")
