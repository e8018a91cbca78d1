"""What runs leave for the next ones: Arrow files below `root/project/states`, a folder a revision.

A file is written beside its place and put there when it is whole. Which files count is said
elsewhere, in one step, by whoever wrote them; the others are rubbish of runs that were cut short.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headwater.errors import StoreError


@dataclass(frozen=True)
class RunStates:
    """The files of one project. Several processes may write and read at once."""

    root: Path
    project: str

    def folder(self, revision: str) -> Path:
        if not revision.isalnum():
            raise StoreError(f"revision {revision!r} is not a hash")
        return Path(self.root) / self.project / "states" / revision

    def exists(self, revision: str, name: str) -> bool:
        return (self.folder(revision) / name).is_file()

    def write_table(self, revision: str, name: str, table: pa.Table) -> None:
        """Keep a table under a name."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        self._write(revision, name, sink.getvalue())

    def read_table(self, revision: str, name: str) -> pa.Table | None:
        """The table of that name, None where there is none that can be read."""
        try:
            with pa.OSFile(str(self.folder(revision) / name)) as file:
                return pa.ipc.open_file(file).read_all()
        except (OSError, pa.ArrowInvalid):
            return None

    def write_note(self, revision: str, name: str, note: bytes) -> None:
        """Keep a few bytes under a name."""
        self._write(revision, name, note)

    def read_note(self, revision: str, name: str) -> bytes | None:
        try:
            return (self.folder(revision) / name).read_bytes()
        except OSError:
            return None

    def keep_only(self, revision: str, names: Collection[str]) -> None:
        """Remove the files of a revision but for the named ones."""
        folder = self.folder(revision)
        with contextlib.suppress(FileNotFoundError):
            for path in folder.iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)

    def size(self, revision: str) -> int:
        """The bytes that a revision takes up."""
        folder = self.folder(revision)
        return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0

    def drop(self, revision: str) -> None:
        """Remove all of a revision."""
        shutil.rmtree(self.folder(revision), ignore_errors=True)

    def _write(self, revision: str, name: str, content: pa.Buffer | bytes) -> None:
        folder = self.folder(revision)
        beside = folder / f"{name}.{uuid.uuid4().hex}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(folder / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise StoreError(
                f"'{folder}': what a run leaves for the next one can't be written: {error}; make "
                "room, or set offline.path to another folder, and run materialize again"
            ) from None
