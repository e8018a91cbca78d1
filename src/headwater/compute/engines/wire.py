"""What an engine and its child processes say to each other: lines of JSON, with tables behind them.

A line names the tables that follow it, each an Arrow stream. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pyarrow as pa

LONGEST_LINE = 4 * 1024**2


class Overflow(Exception):  # noqa: N818 (it never leaves the engine)
    """More was sent than may be taken in."""


class Pipe:
    """The reading end of a pipe, of which no more than `limit` bytes are taken between resets.

    Arrow asks for the bytes of a column at once: what is too long is refused before memory is
    made for it.
    """

    def __init__(self, raw: IO[bytes], limit: int | None = None) -> None:
        self._raw = raw
        self._limit = limit
        self._left = limit
        self.closed = False

    def reset(self) -> None:
        self._left = self._limit

    def read(self, size: int) -> bytes:
        if self._left is not None:
            if size > self._left:
                raise Overflow
            self._left -= size
        return self._raw.read(size)

    def line(self) -> dict[str, Any]:
        """The next line. Raises EOFError where there is none, or only a part of it."""
        found = self._raw.readline(LONGEST_LINE)
        if not found.endswith(b"\n"):
            raise EOFError
        said: dict[str, Any] = json.loads(found)
        return said

    def tables(self, names: list[str]) -> dict[str, pa.Table]:
        """The tables that follow a line. Raises EOFError where they break off."""
        return {name: self.table() for name in names}

    def table(self) -> pa.Table:
        try:
            with pa.ipc.open_stream(self) as stream:
                return stream.read_all()
        except pa.ArrowInvalid:
            raise EOFError from None


def say(raw: IO[bytes], said: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> None:
    """Write a line and the tables that it names."""
    raw.write(json.dumps({**said, "tables": list(tables)}).encode() + b"\n")
    for table in tables.values():
        with pa.ipc.new_stream(raw, table.schema) as stream:
            stream.write_table(table)
    raw.flush()


def say_batches(raw: IO[bytes], batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write tables, one a batch and one at least, and a line that ends them."""
    say(raw, {}, {"rows": schema.empty_table()})
    for batch in batches:
        say(raw, {}, {"rows": pa.Table.from_batches([batch])})
    say(raw, {"done": True}, {})
