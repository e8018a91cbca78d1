"""The write path of a run: rows are checked, encoded, gathered, and written in the order of keys.

What is gathered waits outside the store, so a part counts as done only once it is flushed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import msgspec
import pyarrow as pa

from headwater.compute.latest import LatestPart
from headwater.compute.progress import OnProgress, Progress
from headwater.compute.values import whole
from headwater.expressions.analyzed import AnalyzedView
from headwater.offline.layout import TIMESTAMP
from headwater.online.codec import Layout, encode_delete, encode_keys
from headwater.online.sorted_load import SortedLoad
from headwater.online.store import OnlineStore
from headwater.pipeline.checking import Gate
from headwater.pipeline.marks import Evaluation, Tombstones
from headwater.pipeline.vanished import Vanished

WRITE_ROWS = 50_000
FLUSH_ROWS = 4_000_000  # a later flush writes between the rows of an earlier one
_EVENT_TIME, _KNOWN_AT = "_event_time", "_known_at"


class RunLoad:
    """Brings the parts of one run into the online store.

        with RunLoad(store, project, run, gate, folder) as load:
            load.add(part)
            load.flush(tell)
            load.remove_vanished()

    `rows` were given, `written` of them have changed something, `ahead` lie later than the clock.
    Memory stays bounded: what waits lies in temporary files in `folder`.
    """

    def __init__(
        self, store: OnlineStore, project: str, run: Evaluation, gate: Gate, folder: Path
    ) -> None:
        self.rows = self.written = self.ahead = 0
        self._run = run
        self._gate = gate
        self._layout = Layout(run.view.row_columns)
        revision = run.view.revision
        self._tombstones = Tombstones(store, project, revision)
        self._values = SortedLoad(store, project, revision, folder=folder)
        self._deletes = SortedLoad(store, project, revision, folder=folder)
        self._vanished = Vanished(store, project, revision, folder)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self._values)
        self._open.enter_context(self._deletes)
        self._open.callback(self._vanished.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @property
    def is_full(self) -> bool:
        """Whether enough rows wait to make a flush worth its cost."""
        return self._values.pending + self._deletes.pending >= FLUSH_ROWS

    def add(self, part: LatestPart) -> None:
        """Take the rows of a part that pass its view's rules, and the keys that have gone."""
        for batch in _timed_batches(self._run.view, part):
            self.rows += batch.num_rows
            passed = self._gate.let_through(batch)
            if passed.num_rows < batch.num_rows:
                self._vanished.saw(_keys(batch, self._run.view))  # the row before stays
            self._add_rows(passed)
        for batch in _batches(part.gone):
            self._delete(_keys(batch, self._run.view))

    def add_seen(self, tables: Iterator[pa.Table]) -> None:
        """Take keys that have rows, which the run has written before it was cut short."""
        for table in tables if self._vanished.possible else ():
            for batch in _batches(table):
                self._vanished.saw(_keys(batch, self._run.view))

    def flush(self, tell: OnProgress) -> None:
        """Write what was taken, and tell how far that is."""
        waiting, gone = self._values.pending, 0

        def wrote(keys: list[bytes]) -> None:
            nonlocal gone
            self._vanished.saw(keys)
            gone += len(keys)
            tell(Progress(self._run.view.name, gone, gone, waiting, "writing"))

        done = self._values.flush(wrote)
        self._flush_deletes()
        self.written += done.written
        self.ahead += len(done.rejected)

    def remove_vanished(self) -> None:
        """Delete all keys of which nothing was taken: the source has no rows of them any more."""
        for keys in self._vanished.pages():
            self._delete(keys)
        self._flush_deletes()

    def _delete(self, keys: list[bytes]) -> None:
        tombstone = encode_delete(self._run.instant, self._run.cut)
        self._deletes.add(keys, [tombstone] * len(keys))

    def _flush_deletes(self) -> None:
        if self._deletes.pending:
            self._tombstones.expect(self._run.cut)
            self._deletes.flush()

    def _add_rows(self, batch: pa.RecordBatch) -> None:
        # Sequence and tie are not needed: of rows with equal times a run's row stays (C13). A push
        # that moves a fact back in time will need the id; until rows can be pushed, none is there.
        keys = _keys(batch, self._run.view)
        times, known = batch.column(_EVENT_TIME), batch.column(_KNOWN_AT)
        self._values.add(keys, self._layout.encode_batch(batch, times, known, cut=self._run.cut))


def _timed_batches(view: AnalyzedView, part: LatestPart) -> Iterator[pa.RecordBatch]:
    """The rows with their times; those at which they became known as the source tells them."""
    times = pa.array(part.event_time).cast(TIMESTAMP)
    known = pa.array(part.known_at + view.view.data_delay).cast(TIMESTAMP)
    yield from _batches(part.rows.append_column(_EVENT_TIME, times).append_column(_KNOWN_AT, known))


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    for start in range(0, table.num_rows, WRITE_ROWS):
        rows = table.slice(start, WRITE_ROWS)
        if rows.num_columns == 0:
            yield from rows.to_batches()
        else:
            columns = [whole(column) for column in rows.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _keys(batch: pa.RecordBatch, view: AnalyzedView) -> list[bytes]:
    """The keys of a batch; keys with a null part were never listed."""
    columns = [batch.column(name) for name in view.join_keys]
    return cast("list[bytes]", encode_keys(columns)) if columns else [_NO_KEY] * batch.num_rows


_NO_KEY = msgspec.msgpack.encode(())
"""The key of a view without an entity."""
