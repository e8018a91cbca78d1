"""Sorted runs that wait in a temporary file, so that gathering them needs little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO


class Spilled:
    """Runs of blocks of bytes, in a file of `folder` (the system's, for None) that nobody sees."""

    def __init__(self, folder: Path | None) -> None:
        self.runs: list[list[tuple[int, int]]] = []
        self._folder = folder
        self._file: IO[bytes] | None = None

    def append(self, blocks: Iterable[bytes]) -> None:
        """Add a run."""
        self.runs.append([])
        self.extend(blocks)

    def extend(self, blocks: Iterable[bytes]) -> None:
        """Let the last run go on."""
        file = self._opened()
        file.seek(0, 2)
        for block in blocks:
            self.runs[-1].append((file.tell(), len(block)))
            file.write(block)

    def read(self) -> list[Iterator[bytes]]:
        """The blocks of each run, in the order in which the runs were appended."""
        return [self._blocks_of(run) for run in self.runs]

    def clear(self) -> None:
        """Forget all runs; others may be added."""
        self.runs = []
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def close(self) -> None:
        """Forget all runs, and give the room back."""
        self.runs = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _blocks_of(self, run: list[tuple[int, int]]) -> Iterator[bytes]:
        file = self._opened()
        for start, size in run:
            file.seek(start)
            yield file.read(size)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115, `close` closes it
        return self._file
