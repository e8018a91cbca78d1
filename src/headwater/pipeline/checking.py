"""Check rows by their features' rules on their way to a store; what is blocked is set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headwater.compute.drift import check_columns
from headwater.compute.engines.duckdb import ROW_ID, relative
from headwater.compute.engines.plain import ROW_BITS
from headwater.compute.fetch import rows_without_time
from headwater.compute.reading import Reader
from headwater.definitions.rules import ValidationRule
from headwater.expressions.analyzed import AnalyzedView
from headwater.offline.quarantine import FEATURE, RULE, Quarantine, RejectedRows
from headwater.quality.validation import RuleCount, add_counts, check, rules_of

NO_TIME = "event_time is null"


@dataclass
class Gate:
    """The rules of one view, and what they have let through and set aside in one run.

    Rejected rows of a part of the run are kept together, in one commit when the part is done.
    """

    view: AnalyzedView
    quarantine: Quarantine
    run_id: str
    passed: int = 0
    rejected: int = 0
    counts: tuple[RuleCount, ...] = ()
    _rules: Mapping[str, tuple[ValidationRule, ...]] = field(default_factory=dict)
    _sink: RejectedRows | None = None

    def __post_init__(self) -> None:
        self._rules = rules_of(f.feature for f in self.view.stored_features)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Keep what is rejected meanwhile as one part of the run, once however often it runs."""
        with self.quarantine.collect(self.view.name, self.run_id, name) as rejected:
            self._sink = rejected
            yield
        self._sink = None

    def let_through(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that pass; the others go to the view's quarantine with the rule's name."""
        checked = check(batch, self._rules)
        if self._sink is not None:
            self._sink.add(checked.rejected)
        self.passed += checked.passed.num_rows
        self.rejected += checked.rejected_rows
        self.counts = add_counts(self.counts, checked.counts)
        return checked.passed


def set_aside_timeless(reader: Reader, view: AnalyzedView, quarantine: Quarantine) -> int:
    """Quarantine the source's rows without an event time (C2); their number.

    Rows of a file are set aside once, however often they are seen and whatever comes beside them.
    """
    if view.source is None:
        return 0
    scan = reader.scan(view.source)
    check_columns(view, scan)
    rows = rows_without_time(reader.engine_of(view), scan)
    numbers = rows[ROW_ID].to_numpy() >> ROW_BITS
    run_id = f"source-{view.source.name}"
    for number in np.unique(numbers):
        found = rows.filter(pa.array(numbers == number)).drop_columns(ROW_ID)
        # Rows that are staged (CSV, tables, queries) lie in a file of another name each time.
        is_staged = view.source.resolved_format() not in ("parquet", "delta")
        file = "" if is_staged else relative(scan.files[number], reader.engine.base)
        part = _digest(file, found)
        count = found.num_rows
        found = found.append_column(FEATURE, pa.array([""] * count))
        found = found.append_column(RULE, pa.array([NO_TIME] * count))
        quarantine.write(view.name, run_id, found.to_batches(), part=part)
    return int(rows.num_rows)


def _digest(file: str, rows: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    named = hashlib.sha256(file.encode())
    named.update(sink.getvalue())
    return named.hexdigest()[:32]
