"""Served vectors as files of JSON lines, one request a line, readable by DuckDB or polars."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from headwater.errors import ConfigError
from headwater.serving.json_values import json_values
from headwater.serving.vectors import Vector

_encode = msgspec.json.Encoder().encode


class JsonLines:
    """Writes batches to `<path>/vectors-<start>-<process>.jsonl`, a new file per `max_bytes`.

    Each process writes files of its own; a batch is one write, a line is never torn between two.
    """

    def __init__(self, path: str | Path, max_bytes: int = 64 * 1024**2) -> None:
        self._folder = Path(path)
        self._max_bytes = max_bytes
        self._file: BinaryIO | None = None
        self._size = 0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"vector log: folder '{path}' can't be made: {error}") from error

    def write(self, vectors: Sequence[Vector]) -> None:
        text = b"".join(_encode(_plain(vector)) + b"\n" for vector in vectors)
        if self._file is None or self._size >= self._max_bytes:
            self._next_file()
        if self._file is not None:
            self._file.write(text)
            self._file.flush()
            self._size += len(text)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_file(self) -> None:
        self.close()
        name = f"vectors-{time.time_ns() // 1000}-{os.getpid()}.jsonl"
        self._file = (self._folder / name).open("ab")
        self._size = 0


def _plain(vector: Vector) -> Vector:
    """Values as the HTTP answer writes them: NaN and times have no JSON of their own."""
    features = tuple(
        msgspec.structs.replace(feature, values=json_values(feature.values, feature.dtype))
        for feature in vector.features
    )
    return msgspec.structs.replace(vector, features=features)
